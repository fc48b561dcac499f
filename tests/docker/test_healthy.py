"""Health checks that ask another part of the stack, against a stand-in for that part's pages."""

from __future__ import annotations

import io
import json
import runpy
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docker.test_compose import DOCKER, SERVICES

MONITOR = "http://airflow-api-server:8080/api/v2/monitor/health"
MASTER = "http://spark-master:8080/json/"


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`check(part, url, page)`: the exit code where that page says this, and no other answers."""

    def run(part: str, url: str, page: dict[str, Any]) -> Any:
        pages = {url: json.dumps(page).encode()}
        monkeypatch.setattr("urllib.request.urlopen", lambda asked, timeout: io.BytesIO(pages[asked]))
        monkeypatch.setattr(sys, "argv", ["healthy.py", part])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(DOCKER / "healthy.py"), run_name="__main__")
        return int(ended.value.code or 0)

    return run


def test_the_api_server_is_not_well_without_its_database(check: Any) -> None:
    """Its page answers 200 all the same."""
    page = {"metadatabase": {"status": "unhealthy"}, "triggerer": {"status": "healthy"}}
    assert check("metadatabase", MONITOR, page) == 1
    assert check("triggerer", MONITOR, page) == 0
    assert check("metadatabase", MONITOR, {"metadatabase": {"status": "healthy"}}) == 0


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ({"10.0.0.7": "ALIVE", "10.0.0.8": "DEAD"}, 0),
        ({"w1": "ALIVE"}, 0),
        # The worker's own page shows its master's name even now.
        ({"10.0.0.7": "DEAD", "10.0.0.8": "ALIVE"}, 1),
        ({}, 1),
    ],
)
def test_a_worker_is_well_where_the_master_says_so(
    check: Any, monkeypatch: pytest.MonkeyPatch, states: dict[str, str], code: int
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "w1")
    monkeypatch.setattr(socket, "gethostbyname", {"w1": "10.0.0.7"}.__getitem__)
    workers = [{"host": host, "state": state} for host, state in states.items()]
    assert check("spark_worker", MASTER, {"status": "ALIVE", "workers": workers}) == code


def test_a_worker_that_came_back_is_well_beside_its_old_entry(
    check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "w1")
    monkeypatch.setattr(socket, "gethostbyname", {"w1": "10.0.0.7"}.__getitem__)
    workers = [{"host": "10.0.0.7", "state": state} for state in ("DEAD", "ALIVE")]
    assert check("spark_worker", MASTER, {"workers": workers}) == 0


def test_each_part_is_asked_about_where_it_is_known() -> None:
    """As the script finds it: a name in an image, and pages of services that there are."""
    asked = {
        name: service["healthcheck"]["test"][-1]
        for name, service in SERVICES.items()
        if any(str(word).endswith("healthy.py") for word in service.get("healthcheck", {}).get("test", []))
    }
    assert asked == {
        "airflow-api-server": "metadatabase",
        "airflow-dag-processor": "dag_processor",
        "airflow-triggerer": "triggerer",
        "spark-worker-1": "spark_worker",
        "spark-worker-2": "spark_worker",
    }
    for url in (MONITOR, MASTER):
        assert url.split("/")[2].split(":")[0] in SERVICES
        assert url in Path(DOCKER / "healthy.py").read_text()
