"""The files of `dags/`, imported as Airflow does: with the folder on the path, once in a process."""

from __future__ import annotations

import importlib
import importlib.util
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.dags.webhook import Hook

ROOT = Path(__file__).resolve().parents[2]
DAGS = ROOT / "dags"


@pytest.fixture(scope="package", autouse=True)
def dags_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
        patch.setenv("AIRFLOW__CORE__UNIT_TEST_MODE", "False")
        patch.syspath_prepend(str(DAGS))
        yield


@pytest.fixture
def load() -> Callable[[str], Any]:
    """`load("nightly")`: the file read again, as the settings of the moment make it."""

    def run(name: str) -> Any:
        spec = importlib.util.spec_from_file_location(f"{name}_again", DAGS / f"{name}.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return run


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    server = Hook()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("NIGHTSHELF_NOTIFY_WEBHOOK", server.url)
    yield server
    server.shutdown()
    server.server_close()


class Instance:
    """As much of a task instance as our operators use; XComs are kept in a dictionary."""

    map_index = -1
    is_mapped = False
    task: Any = None

    def __init__(self, task_id: str = "t", **xcoms: Any) -> None:
        self.dag_id, self.task_id, self.run_id, self.try_number = "nightly", task_id, "manual", 1
        self.xcoms: dict[str, Any] = dict(xcoms)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value

    def xcom_pull(self, task_ids: str, key: str = "return_value") -> Any:
        return self.xcoms.get(key)


def context(ds: str | None = "2026-01-31", logical: datetime | None = None, **params: Any) -> dict[str, Any]:
    """What a task is given, for the night of a date."""
    given = {"ds": ds, "retrain": "auto", "max_users": None, "max_products": None, "run_id": None}
    given |= {"accept_changes": False}
    run = SimpleNamespace(run_id="manual__2026-01-31T00:00:00+00:00", logical_date=logical, dag_id="nightly")
    return {"params": given | params, "dag_run": run, "run_id": run.run_id, "dag": None, "ti": Instance()}
