"""All services for a test, a very small shop on their store, and Airflow through its REST API alone."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from jobs.sample.shop import generate
from jobs.settings import ROOT
from scripts.services import airflow, postgres, swift
from scripts.services.keys import S3_ACCESS_KEY
from scripts.services.stack import BUCKET, CATALOG, Stack
from tests.faults.reader import Bucket, Outside
from tests.servers import or_skip

DAYS = 20
NIGHT_SECONDS = 1500
Json = dict[str, Any]


def due() -> tuple[str, date]:
    """A cron expression, and the date of the one run that is due: its time was about twelve hours ago, so no
    second one comes due while a test runs.
    """
    now = datetime.now(UTC)
    hour = (now.hour + 12) % 24
    last = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    if last > now:
        last -= timedelta(days=1)
    return f"0 {hour} * * *", (last - timedelta(days=1)).date()


class Api:
    """Airflow's REST API, as somebody who has logged in."""

    def __init__(self, url: str, password: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=60)
        body = {"username": airflow.USER, "password": password}
        answer = self._client.post("/auth/token", json=body).raise_for_status()
        self._client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def call(self, method: str, path: str, body: Json | None = None, **query: Any) -> Json:
        answer = self._client.request(method, f"/api/v2/{path}", json=body, params=query)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:1000]}"
        found: Json = answer.json()
        return found

    def unpause(self, dag: str) -> None:
        """Wait until Airflow knows the DAG, and let it run."""
        end = time.monotonic() + 180
        while dag not in [d["dag_id"] for d in self.call("GET", "dags", limit=100)["dags"]]:
            errors = self.call("GET", "importErrors")["import_errors"]
            assert not errors, errors
            assert time.monotonic() < end, f"Airflow found no DAG {dag}"
            time.sleep(2)
        self.call("PATCH", f"dags/{dag}", {"is_paused": False})

    def trigger(self, dag: str, **conf: Any) -> str:
        """Start a run without a logical date; returns its id."""
        body = {"logical_date": None, "conf": conf}
        return str(self.call("POST", f"dags/{dag}/dagRuns", body)["dag_run_id"])

    def runs(self, dag: str, **query: Any) -> list[Json]:
        found: list[Json] = self.call("GET", f"dags/{dag}/dagRuns", limit=100, **query)["dag_runs"]
        return found

    def tasks(self, dag: str, run: str) -> dict[str, Json]:
        found = self.call("GET", f"dags/{dag}/dagRuns/{quote(run)}/taskInstances", limit=100)
        return {t["task_id"]: t for t in found["task_instances"]}

    def wait_for_task(self, dag: str, task: str, state: str) -> str:
        """Wait until the task of the DAG's only run has a state; returns the run's id."""
        end = time.monotonic() + NIGHT_SECONDS
        while True:
            for run in self.runs(dag):
                if self.tasks(dag, run["dag_run_id"]).get(task, {}).get("state") == state:
                    return str(run["dag_run_id"])
            assert time.monotonic() < end, f"{task} of {dag} was never {state}"
            time.sleep(0.5)

    def wait(
        self, dag: str, count: int = 1, seconds: float = NIGHT_SECONDS, run: str = "", **query: Any
    ) -> list[Json]:
        """Wait until so many runs have ended, or the one named; all must be green."""
        end = time.monotonic() + seconds
        while True:
            runs = [r for r in self.runs(dag, **query) if run in ("", r["dag_run_id"])]
            ended = [r for r in runs if r["state"] in ("success", "failed")]
            if len(ended) == len(runs) == count:
                break
            assert time.monotonic() < end, f"{dag} {query}: {[(r['dag_run_id'], r['state']) for r in runs]}"
            time.sleep(2)
        for one in ended:
            states = {k: t["state"] for k, t in self.tasks(dag, one["dag_run_id"]).items()}
            assert one["state"] == "success", f"{one['dag_run_id']}: {states}"
        return ended

    def xcom(self, dag: str, run: str, task: str) -> Any:
        """What a task handed on."""
        path = f"dags/{dag}/dagRuns/{quote(run)}/taskInstances/{task}/xcomEntries/return_value"
        return self.call("GET", path)["value"]


@dataclass(frozen=True)
class Services:
    """Running services with a small shop in their store. `ds`: its last day, and the date that is due."""

    stack: Stack
    api: Api
    lake: Outside
    ds: str
    environment: dict[str, str]

    def day(self, before: int) -> str:
        """The date so many days before the last."""
        return (date.fromisoformat(self.ds) - timedelta(days=before)).isoformat()

    def up(self) -> str:
        """`make services`, and what it says; raises unless it ends well."""
        return _services("up", self.stack.folder, self.environment)


@contextlib.contextmanager
def services() -> Iterator[Services]:
    """Start everything for a test, and stop it; skips where a part is not to be had here."""
    with or_skip():
        postgres.program("initdb")
    # Not in pytest's folders: those are closed to PostgreSQL's user.
    folder = Path(tempfile.mkdtemp(prefix="nightshelf-services-"))
    folder.chmod(0o755)
    cron, day = due()
    environment = _environment(folder, cron)
    try:
        _services("up", folder, environment)
        stack = Stack(folder)
        _shop_to_store(stack, day)
        _try_spark(stack, environment)
        api = Api(airflow.url(stack.ports["airflow"]), stack.secrets().airflow)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PGPASSFILE", str(stack.secrets().pgpass))
            yield Services(stack, api, _outside(stack), day.isoformat(), environment)
    finally:
        _services("down", folder, environment)
        shutil.rmtree(folder)


def _environment(folder: Path, cron: str) -> dict[str, str]:
    """No setting of the machine leaks in; short nights, and the tests' DAGs beside our own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NIGHTSHELF_", "AIRFLOW_", "AWS_"))}
    local = "airflow.dag_processing.bundles.local.LocalDagBundle"
    bundles = [
        {"name": "nightshelf", "classpath": local, "kwargs": {}},
        {"name": "tests", "classpath": local, "kwargs": {"path": str(ROOT / "tests" / "e2e" / "dags")}},
    ]
    source = {"mapping": "sample-shop", "files": [f"s3://{BUCKET}/raw/"]}
    return kept | {
        "NIGHTSHELF_CONFIG": "/dev/null",
        "NIGHTSHELF_SOURCES": json.dumps([source]),
        "NIGHTSHELF_SPARK_MEMORY": "1g",
        "NIGHTSHELF_WRITER_STEPS": "10",
        "NIGHTSHELF_LANGUAGES": '["en"]',
        "NIGHTSHELF_CHANNELS": '["title", "description"]',
        "NIGHTSHELF_CRON": cron,
        "NIGHTSHELF_RETRY_SECONDS": "5",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
    }


def _services(command: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.services", command, "--folder", str(folder)],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


def _shop_to_store(stack: Stack, last: date) -> None:
    """Raw files of 160 products and 60 shoppers over the days up to `last`, under `s3://…/raw`."""
    raw = stack.folder / "raw"
    raw.mkdir()
    generate(raw, seed=7, products=160, users=60, start=last - timedelta(days=DAYS - 1), days=DAYS)
    store = _outside(stack).bucket
    assert store
    for file in raw.iterdir():
        store.client().upload_file(str(file), BUCKET, f"raw/{file.name}")


def _outside(stack: Stack) -> Outside:
    bucket = Bucket(swift.endpoint(stack.ports["swift-proxy"]), S3_ACCESS_KEY, stack.secrets().s3)
    return Outside(f"s3://{BUCKET}/lake", postgres.url(stack.ports["postgres"], CATALOG), bucket)


def _try_spark(stack: Stack, environment: dict[str, str]) -> None:
    """As a person would, with the file of settings: the cluster counts lines on the store."""
    code = (
        "from jobs.settings import settings; from jobs.spark import spark; "
        f"print('lines', spark(settings()).read.text('s3a://{BUCKET}/raw/').count())"
    )
    script = f'. {stack.folder}/nightshelf.env && exec {sys.executable} -c "{code}"'
    done = subprocess.run(
        ["bash", "-c", script],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    if "unresolved dependency" in done.stderr or "UnknownHostException" in done.stderr:
        pytest.skip("Maven cannot be reached for hadoop-aws")
    assert "lines " in done.stdout, done.stderr[-3000:]
