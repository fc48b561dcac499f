"""Airflow's own backfill over old dates, with its real scheduler, API server and DAG processor."""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.nightly import airflow_environment, prepare_airflow
from jobs.settings import ROOT
from tests import servers
from tests.e2e.conftest import Shop, environment, shop_settings
from tests.nights import published

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

DATES = ("2026-01-19", "2026-01-20")
_LIMIT_SECONDS = 1500


def airflow(env: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "airflow", *args]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=True)


@contextlib.contextmanager
def running_airflow(env: dict[str, str], folder: Path) -> Iterator[None]:
    """Airflow's components, each stopped by its own process id: `standalone` would leave its children."""
    (port,) = servers.free_ports(1)
    env |= {
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    }
    parts = {
        "api-server": ["--host", "127.0.0.1", "--workers", "1"],
        # Its log server would outlive it.
        "scheduler": ["--skip-serve-logs"],
        "dag-processor": [],
    }
    running = []
    try:
        for name, args in parts.items():
            log = (folder / f"{name}.log").open("wb")
            command = [sys.executable, "-m", "airflow", name, *args]
            running.append(subprocess.Popen(command, env=env, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT))
        _wait_for(f"http://127.0.0.1:{port}/api/v2/version")
        yield
    finally:
        for process in running:
            servers.stop(process)


def _wait_for(url: str) -> None:
    end = time.monotonic() + 180
    while time.monotonic() < end:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=3):
            return
        time.sleep(1)
    raise RuntimeError(f"{url} does not answer")


def _wait_for_runs(env: dict[str, str], count: int) -> list[dict[str, str]]:
    end = time.monotonic() + _LIMIT_SECONDS
    runs: list[dict[str, str]] = []
    while time.monotonic() < end:
        # Airflow's log lines go to stdout too, before the answer.
        answer = airflow(env, "dags", "list-runs", "nightly", "-o", "json").stdout
        found = json.loads(answer.strip().splitlines()[-1])
        # Unpaused, the DAG also runs for the newest interval of its schedule.
        runs = [r for r in found if r["run_id"].startswith("backfill")]
        if len(runs) == count and all(r["state"] in ("success", "failed") for r in runs):
            return runs
        time.sleep(10)
    raise RuntimeError(f"the backfill did not end: {runs}")


def _wait_for_dag(env: dict[str, str]) -> None:
    end = time.monotonic() + 120
    while "nightly" not in airflow(env, "dags", "list", "-o", "plain").stdout:
        assert time.monotonic() < end, "the DAG processor did not find the DAG"
        time.sleep(3)


def test_backfill_of_old_dates(shop: Shop, tmp_path: Path) -> None:
    settings = shop_settings(tmp_path, shop.raw)
    env = airflow_environment() | environment(settings, tmp_path)
    (tmp_path / "airflow").mkdir()
    prepare_airflow(env, tmp_path / "prepare.log")
    with running_airflow(env, tmp_path):
        _wait_for_dag(env)
        # A logical date is the start of its interval: 02:00 of the date itself.
        first, last = (f"{d}T00:00:00+00:00" for d in (DATES[0], "2026-01-21"))
        airflow(env, "dags", "unpause", "-y", "nightly")
        airflow(env, "backfill", "create", "--dag-id", "nightly", "--from-date", first, "--to-date", last)
        runs = _wait_for_runs(env, len(DATES))
    assert [r["state"] for r in runs] == ["success"] * len(DATES)
    for ds in DATES:
        assert published(settings, "recommendations", ds).num_rows > 0
        # Events of later days came with the same import, and are not known yet.
        for table in ("users", "products"):
            assert max(published(settings, table, ds)["first_seen"].to_pylist()).isoformat() <= ds
