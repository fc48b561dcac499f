"""Real servers for tests: started on free ports of the loopback, stopped by their own process ids."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 60


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def stop(process: subprocess.Popen[bytes], how: int = signal.SIGTERM) -> None:
    process.send_signal(how)
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# -- PostgreSQL ---------------------------------------------------------------


def _postgres_program(name: str) -> str | None:
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    return found[-1] if found else shutil.which(name)


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL server; yields its SQLAlchemy URL. Skips where PostgreSQL is not installed."""
    initdb, server = _postgres_program("initdb"), _postgres_program("postgres")
    if not initdb or not server:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    (port,) = free_ports(1)
    prefix: list[str] = []
    # Not in pytest's folders: every pytest that starts closes them to other users, in mid-run too.
    data = Path(tempfile.mkdtemp(prefix="nightshelf-postgres-"))
    if os.getuid() == 0:
        # PostgreSQL refuses to run as root: use an ordinary user that every Debian has.
        shutil.chown(data, "nobody")
        prefix = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    make = [initdb, "-D", str(data), "-U", "nightshelf", "-A", "trust", "--no-sync"]
    subprocess.run([*prefix, *make], check=True, capture_output=True)
    run = [server, "-D", str(data), "-p", str(port), "-k", "", "-h", "127.0.0.1", "-F"]
    process = subprocess.Popen([*prefix, *run], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for_port(port, process)
        yield f"postgresql+psycopg2://nightshelf@127.0.0.1:{port}/postgres"
    finally:
        # SIGINT is PostgreSQL's fast shutdown: it does not wait for clients that forgot to close.
        stop(process, signal.SIGINT)
        shutil.rmtree(data)


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    import psycopg2

    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            psycopg2.connect(host="127.0.0.1", port=port, user="nightshelf", dbname="postgres").close()
            return
        except psycopg2.OperationalError:
            time.sleep(0.1)
    raise RuntimeError("PostgreSQL did not start")


# -- Swift: a real S3 server from the package registry ---------------------------

_RING_SERVERS = ("account", "container", "object")
_PIPELINE = {
    "catch_errors": "",
    "gatekeeper": "",
    "healthcheck": "",
    "listing_formats": "",
    "s3api": "location = us-east-1\ndns_compliant_bucket_names = true\nauth_pipeline_check = false",
    "tempauth": "user_test_tester = testing .admin",
    "bulk": "",
    "slo": "",
    "dlo": "",
    "versioned_writes": "allow_versioned_writes = true\nallow_object_versioning = true",
    "symlink": "",
}


def _swift_environment() -> Path:
    """The folder of Swift's own virtual environment, made from its lock on first use, by one process."""
    home = ROOT / ".venv-swift"
    with (ROOT / ".venv-swift.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / ".ready").exists():
            _install_swift(home)
    return home


def _install_swift(home: Path) -> None:
    uv = ROOT / ".tools" / "uv" / "bin" / "uv"
    program = str(uv) if uv.exists() else shutil.which("uv")
    if program is None:
        pytest.skip("uv is not there to install the S3 test server: run 'make setup'")
    subprocess.run([program, "venv", "-q", "--clear", "--python", sys.executable, str(home)], check=True)
    install = [program, "pip", "sync", "-q", "--python", str(home / "bin" / "python"), "--require-hashes"]
    done = subprocess.run(
        [*install, str(ROOT / "requirements-swift.lock")], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"the S3 test server could not be installed: {done.stderr.strip()[-300:]}")
    (home / ".ready").touch()


def _swift_config(base: Path, ports: dict[str, int]) -> None:
    conf = base / "conf"
    for name in ("conf", "disk/d1", "run"):
        (base / name).mkdir(parents=True, exist_ok=True)
    (conf / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_prefix = a\nswift_hash_path_suffix = b\n"
        "[storage-policy:0]\nname = default\ndefault = yes\n"
    )
    shared = (
        f"workers = 0\nuser = {_user()}\nswift_dir = {conf}\nlog_address = /dev/null\n"
        f"log_level = ERROR\nbind_ip = 127.0.0.1\n"
    )
    for name in _RING_SERVERS:
        (conf / f"{name}.conf").write_text(
            f"[DEFAULT]\n{shared}bind_port = {ports[name]}\ndevices = {base}/disk\nmount_check = false\n"
            f"disable_fallocate = true\nrecon_cache_path = {base}/run\n"
            f"[pipeline:main]\npipeline = {name}-server\n[app:{name}-server]\nuse = egg:swift#{name}\n"
        )
    filters = "".join(f"[filter:{n}]\nuse = egg:swift#{n}\n{o}\n" for n, o in _PIPELINE.items())
    (conf / "proxy.conf").write_text(
        f"[DEFAULT]\n{shared}bind_port = {ports['proxy']}\n"
        f"[pipeline:main]\npipeline = {' '.join(_PIPELINE)} proxy-server\n"
        f"[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n{filters}"
    )


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


@contextlib.contextmanager
def swift(base: Path) -> Iterator[str]:
    """An S3 server (OpenStack Swift); yields its endpoint. Key `test:tester`, secret `testing`."""
    programs = _swift_environment() / "bin"
    names = [*_RING_SERVERS, "proxy"]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    _swift_config(base, ports)
    for name in _RING_SERVERS:
        builder = [str(programs / "swift-ring-builder"), str(base / "conf" / f"{name}.builder")]
        device = ["--region", "1", "--zone", "1", "--ip", "127.0.0.1", "--port", str(ports[name])]
        for args in (
            ["create", "4", "1", "1"],
            ["add", *device, "--device", "d1", "--weight", "1"],
            ["rebalance"],
        ):
            done = subprocess.run([*builder, *args], capture_output=True, text=True, check=False)
            if done.returncode > 1:
                raise RuntimeError(f"ring builder: {done.stdout}{done.stderr}")
    running = []
    try:
        for name in names:
            log = (base / "run" / f"{name}.log").open("wb")
            command = [str(programs / f"swift-{name}-server"), str(base / "conf" / f"{name}.conf")]
            running.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))
        endpoint = f"http://127.0.0.1:{ports['proxy']}"
        _wait_for_health(f"{endpoint}/healthcheck")
        yield endpoint
    finally:
        for process in running:
            stop(process)


def _wait_for_health(url: str) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the S3 test server did not start")


# -- A standalone Spark cluster -------------------------------------------------------


@contextlib.contextmanager
def spark_cluster(base: Path, java_home: str, workers: int = 2) -> Iterator[str]:
    """A master and workers of one core each; yields the master's URL. What executors do lies under
    `base/worker-<n>`.
    """
    import pyspark

    program = str(Path(pyspark.__file__).parent / "bin" / "spark-class")
    master, page = free_ports(2)
    url = f"spark://127.0.0.1:{master}"
    environment = {**os.environ, "JAVA_HOME": java_home, "SPARK_LOCAL_IP": "127.0.0.1"}
    # Executors have the environment's packages; our code reaches them with the job.
    environment.pop("PYTHONPATH", None)
    role = "org.apache.spark.deploy"
    address = ["--host", "127.0.0.1", "--port", str(master), "--webui-port", str(page)]
    commands = [[program, f"{role}.master.Master", *address]]
    for number in range(workers):
        place = ["--work-dir", str(base / f"worker-{number}"), "--host", "127.0.0.1", "--webui-port", "0"]
        size = ["--cores", "1", "--memory", "1200m"]
        commands.append([program, f"{role}.worker.Worker", *size, *place, url])
    base.mkdir(parents=True, exist_ok=True)
    running = []
    try:
        for number, command in enumerate(commands):
            log = (base / f"server-{number}.log").open("wb")
            running.append(
                subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=base)
            )
            if number == 0:
                _wait_for_text(base / "server-0.log", "I have been elected leader", running[0])
        for number in range(workers):
            log_of = base / f"server-{number + 1}.log"
            _wait_for_text(log_of, "Successfully registered with master", running[number + 1])
        yield url
    finally:
        for process in reversed(running):
            stop(process)


def _wait_for_text(log: Path, text: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if text in log.read_text(errors="replace"):
            return
        time.sleep(0.2)
    raise RuntimeError(f"no '{text}' in {log}: {log.read_text(errors='replace')[-1000:]}")
