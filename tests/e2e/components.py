"""Airflow's own components as local processes, for a test that needs all of them but no other service."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jobs.settings import ROOT
from scripts.services.process import answers
from tests import servers

PARTS = {
    "api-server": ["--host", "127.0.0.1", "--workers", "1"],
    # Their log servers would outlive them.
    "scheduler": ["--skip-serve-logs"],
    "triggerer": ["--skip-serve-logs"],
    "dag-processor": [],
}


def wait_for(what: Callable[[], Any], seconds: float = 180, every: float = 1) -> Any:
    """What `what` answers, as soon as that is true; AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(every)
    raise AssertionError(f"not within {seconds} s: {what}")


def airflow(env: dict[str, str], *args: str) -> str:
    """What a command of Airflow's CLI says; subprocess.CalledProcessError if it fails."""
    command = [sys.executable, "-m", "airflow", *args]
    return subprocess.run(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


@contextlib.contextmanager
def running_airflow(env: dict[str, str], folder: Path) -> Iterator[str]:
    """Start `PARTS` on a free port and find `nightly`; the API's address. Its port and keys are set in `env`.

    Each part is stopped by its own process id: `standalone` would leave its children.
    """
    (port,) = servers.free_ports(1)
    base = f"http://127.0.0.1:{port}"
    env |= {
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{base}/execution/",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    }
    with contextlib.ExitStack() as running:
        for name, args in PARTS.items():
            log = running.enter_context((folder / f"{name}.log").open("wb"))
            command = [sys.executable, "-m", "airflow", name, *args]
            # Of the parts it alone does not look for modules where DAGs lie.
            own = env | ({"PYTHONPATH": str(ROOT / "dags")} if name == "triggerer" else {})
            process = subprocess.Popen(command, env=own, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
            running.callback(servers.stop, process)
        wait_for(lambda: answers(f"{base}/api/v2/version"))
        wait_for(lambda: "nightly" in airflow(env, "dags", "list", "-o", "plain"), every=3)
        yield base
