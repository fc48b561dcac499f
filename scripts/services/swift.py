"""OpenStack Swift from the package registry: a real S3 server, without root or container."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jobs.settings import ROOT
from scripts.services.process import NotInstalled, Server, answers, listens

RINGS = ("account", "container", "object")
NAMES = (*RINGS, "proxy")
REGION = "us-east-1"
_PIPELINE = {
    "catch_errors": "",
    "gatekeeper": "",
    "healthcheck": "",
    "listing_formats": "",
    "s3api": f"location = {REGION}\ndns_compliant_bucket_names = true\nauth_pipeline_check = false",
    "tempauth": "",
    "bulk": "",
    "slo": "",
    "dlo": "",
    "versioned_writes": "allow_versioned_writes = true\nallow_object_versioning = true",
    "symlink": "",
}
# Swift's own command would start once for each of nine steps.
_MAKE_RINGS = """
import json, sys
from swift.common.ring import RingBuilder
for path, port in json.loads(sys.argv[1]).items():
    builder = RingBuilder(4, 1, 1)
    place = {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "d1", "weight": 1.0}
    builder.add_dev(place | {"id": 0, "replication_ip": "127.0.0.1", "replication_port": port, "meta": ""})
    builder.rebalance()
    builder.get_ring().save(path)
"""


def environment() -> Path:
    """The folder of Swift's own virtual environment, made from its lock on first use, by one process."""
    home = ROOT / ".venv-swift"
    with (ROOT / ".venv-swift.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / ".ready").exists():
            _install(home)
    return home


def _install(home: Path) -> None:
    uv = ROOT / ".tools" / "uv" / "bin" / "uv"
    program = str(uv) if uv.exists() else shutil.which("uv")
    if program is None:
        raise NotInstalled("uv is not there to install the S3 server: run 'make setup'")
    subprocess.run([program, "venv", "-q", "--clear", "--python", sys.executable, str(home)], check=True)
    install = [program, "pip", "sync", "-q", "--python", str(home / "bin" / "python"), "--require-hashes"]
    done = subprocess.run(
        [*install, str(ROOT / "requirements-swift.lock")], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NotInstalled(f"the S3 server could not be installed: {done.stderr.strip()[-300:]}")
    (home / ".ready").touch()


def configure(base: Path, ports: Mapping[str, int], access_key: str, secret_key: str) -> None:
    """Write configuration and rings below `base`; what is stored there stays. `ports`: of each of `NAMES`.

    An access key is `account:user`.
    """
    conf = base / "conf"
    for name in ("conf", "disk/d1", "run"):
        (base / name).mkdir(parents=True, exist_ok=True)
    (conf / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_prefix = a\nswift_hash_path_suffix = b\n"
        "[storage-policy:0]\nname = default\ndefault = yes\n"
    )
    shared = (
        f"workers = 0\nuser = {pwd.getpwuid(os.getuid()).pw_name}\nswift_dir = {conf}\n"
        "log_address = /dev/null\nlog_level = ERROR\nbind_ip = 127.0.0.1\n"
    )
    for name in RINGS:
        (conf / f"{name}.conf").write_text(
            f"[DEFAULT]\n{shared}bind_port = {ports[name]}\ndevices = {base}/disk\nmount_check = false\n"
            f"disable_fallocate = true\nrecon_cache_path = {base}/run\n"
            f"[pipeline:main]\npipeline = {name}-server\n[app:{name}-server]\nuse = egg:swift#{name}\n"
        )
    _build_rings(conf, ports)
    users = f"user_{access_key.replace(':', '_')} = {secret_key} .admin"
    options = _PIPELINE | {"tempauth": users}
    filters = "".join(f"[filter:{n}]\nuse = egg:swift#{n}\n{o}\n" for n, o in options.items())
    proxy = conf / "proxy.conf"
    proxy.touch(mode=0o600)
    proxy.write_text(
        f"[DEFAULT]\n{shared}bind_port = {ports['proxy']}\n"
        f"[pipeline:main]\npipeline = {' '.join(_PIPELINE)} proxy-server\n"
        f"[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n{filters}"
    )


def _build_rings(conf: Path, ports: Mapping[str, int]) -> None:
    """One device holds everything: where an object lies does not depend on the port."""
    python = str(environment() / "bin" / "python")
    wanted = json.dumps({str(conf / f"{name}.ring.gz"): ports[name] for name in RINGS})
    done = subprocess.run([python, "-c", _MAKE_RINGS, wanted], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ring builder: {done.stdout}{done.stderr}")


def servers(base: Path, ports: Mapping[str, int]) -> list[Server]:
    """The four servers over `base`; the last is the one that clients speak to."""
    programs = environment() / "bin"
    return [
        Server(
            f"swift-{name}",
            [str(programs / f"swift-{name}-server"), str(base / "conf" / f"{name}.conf")],
            _ready(name, ports[name]),
        )
        for name in NAMES
    ]


def _ready(name: str, port: int) -> Callable[[], bool]:
    if name == "proxy":
        return partial(answers, f"{endpoint(port)}/healthcheck")
    # Those behind the proxy have no page of health: an open port, which only the proxy speaks to.
    return partial(listens, port)


def endpoint(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def client(url: str, access_key: str, secret_key: str) -> Any:
    """A boto3 client of the server."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(s3={"addressing_style": "path"}),
    )


def create_bucket(s3: Any, bucket: str) -> None:
    """Create a bucket, unless it is there."""
    if bucket not in {b["Name"] for b in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=bucket)
