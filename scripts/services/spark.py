"""A standalone Spark cluster: a master, workers of one core each, and a Spark that has its part for S3."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from jobs.errors import Transient
from jobs.settings import ROOT
from jobs.spark import HADOOP_AWS, QUICK_JAVA, few_cores
from scripts.services.process import Server, told

# The files of Spark's part for S3 and their sums, as in the images.
_S3_JARS = ROOT / "docker" / "s3_jars.sha256"
_ROLE = "org.apache.spark.deploy"
# Without this a worker keeps the files of every application, the jars included. Among them are executors'
# logs, so they stay for a while. Times are in seconds.
CLEANUP = {
    "SPARK_WORKER_OPTS": "-Dspark.worker.cleanup.enabled=true -Dspark.worker.cleanup.interval=60"
    " -Dspark.worker.cleanup.appDataTtl=600"
}


class NoS3Part(Transient):
    """Maven was not reached, or gave other files than it should."""


def servers(
    base: Path, java_home: str, ports: Sequence[int], more: Mapping[str, str] | None = None
) -> list[Server]:
    """Master and workers, in this order. `ports`: of the master, of its page, and of each worker's page.

    What executors do lies under `base/worker-<n>`. `more`: environment that executors need, such as the keys
    of a store.
    """
    program = str(_pyspark() / "bin" / "spark-class")
    environment = {**os.environ, **(more or {}), "JAVA_HOME": java_home, "SPARK_LOCAL_IP": "127.0.0.1"}
    # Executors have the environment's packages; our code reaches them with the job.
    environment.pop("PYTHONPATH", None)
    base.mkdir(parents=True, exist_ok=True)
    master, page, *pages = ports
    command = [program, f"{_ROLE}.master.Master", *_address(page), "--port", str(master)]
    found = [Server("spark-master", command, partial(_says, page, "status", "ALIVE"), environment, base)]
    for number, own in enumerate(pages):
        size = ["--cores", "1", "--memory", "1200m", "--work-dir", str(base / f"worker-{number}")]
        command = [program, f"{_ROLE}.worker.Worker", *_address(own), *size, url(master)]
        # A worker names its master once it is registered there.
        ready = partial(_says, own, "masterurl", url(master))
        found.append(Server(f"spark-worker-{number}", command, ready, environment, base))
    return found


def make_home(base: Path) -> Path:
    """A folder under `base` for `SPARK_HOME`: PySpark's own by links, and settings for a small machine."""
    home = base / "home"
    shutil.rmtree(home, ignore_errors=True)
    (home / "jars").mkdir(parents=True)
    (home / "conf").mkdir()
    for entry in _pyspark().iterdir():
        if entry.name not in ("jars", "conf"):
            (home / entry.name).symlink_to(entry)
    for jar in (_pyspark() / "jars").iterdir():
        (home / "jars" / jar.name).symlink_to(jar)
    if few_cores():
        lines = [f"spark.{who}.defaultJavaOptions {QUICK_JAVA}\n" for who in ("driver", "executor")]
        (home / "conf" / "spark-defaults.conf").write_text("".join(lines))
    return home


def add_s3(home: Path, java_home: str) -> None:
    """Lay Spark's part for S3 beside the jars of a `make_home`.

    Without it each application asks Maven for that part and hands its 650 MB to each of its executors. What
    Maven gives is kept where Spark keeps it (`~/.ivy2.5.2`), and checked against the sums of the images.
    Raises `NoS3Part` where Maven is not reached or gives something else.
    """
    sums = {name: digest for digest, name in map(str.split, _S3_JARS.read_text().splitlines())}
    kept = Path.home() / ".ivy2.5.2"
    given = kept / "jars"
    if not all((given / name).exists() for name in sums):
        _ask_maven(java_home, kept)
    for name, digest in sums.items():
        found = given / name
        if not found.exists() or _digest(found) != digest:
            raise NoS3Part(f"{found} is not the file that {_S3_JARS} names")
    for name in sums:
        (home / "jars" / name).symlink_to(given / name)


def _ask_maven(java_home: str, kept: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        nothing = Path(folder, "nothing.py")
        nothing.touch()
        program = str(_pyspark() / "bin" / "spark-submit")
        options = ["--conf", f"spark.jars.ivy={kept}", "--packages", HADOOP_AWS]
        done = subprocess.run(
            [program, "--master", "local[1]", *options, str(nothing)],
            env={**os.environ, "JAVA_HOME": java_home, "SPARK_LOCAL_IP": "127.0.0.1"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        lines = done.stderr.splitlines() or ["it said nothing"]
        # Before Java's trace stands what it is about.
        why = next((line for line in lines if line.startswith("Exception in")), lines[-1])
        raise NoS3Part(f"Maven did not give {HADOOP_AWS}: {why.partition('Exception: ')[2] or why}")


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _pyspark() -> Path:
    import pyspark

    return Path(pyspark.__file__).parent


def _address(page: int) -> list[str]:
    return ["--host", "127.0.0.1", "--webui-port", str(page)]


def _says(page: int, name: str, value: str) -> bool:
    return bool(told(f"http://127.0.0.1:{page}/json/", name) == value)


def url(port: int) -> str:
    return f"spark://127.0.0.1:{port}"
