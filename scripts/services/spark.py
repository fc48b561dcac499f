"""A standalone Spark cluster: a master, and workers of one core each."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from scripts.services.process import Server

_ROLE = "org.apache.spark.deploy"
# Without this a worker keeps the files of every application, the jars included. Times are in seconds.
CLEANUP = {
    "SPARK_WORKER_OPTS": "-Dspark.worker.cleanup.enabled=true -Dspark.worker.cleanup.interval=60"
    " -Dspark.worker.cleanup.appDataTtl=60"
}


def servers(
    base: Path, java_home: str, ports: Sequence[int], more: Mapping[str, str] | None = None
) -> list[Server]:
    """Master and workers, in this order. `ports`: of the master, of its page, and of each worker's page.

    What executors do lies under `base/worker-<n>`. `more`: environment that executors need, such as the keys
    of a store.
    """
    import pyspark

    program = str(Path(pyspark.__file__).parent / "bin" / "spark-class")
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


def _address(page: int) -> list[str]:
    return ["--host", "127.0.0.1", "--webui-port", str(page)]


def _says(page: int, name: str, value: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{page}/json/", timeout=5) as answer:  # nosec B310
            return bool(json.load(answer)[name] == value)
    except OSError:
        return False


def url(port: int) -> str:
    return f"spark://127.0.0.1:{port}"
