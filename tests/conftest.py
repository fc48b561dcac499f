"""Fixtures that every room's tests share. Servers and lakes are real, and live in temporary folders."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs.night import Night, Options
from jobs.settings import Settings, load_settings
from tests import servers

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MakeNight = Callable[..., Night]

# One night through Airflow takes minutes: the files that look at it share a process, and start first.
NIGHT = ("tests/e2e/test_airflow_night.py", "tests/e2e/test_readers.py")


def _room(nodeid: str) -> str:
    """Which tests share a process: those of a file."""
    file = nodeid.split("::")[0]
    return NIGHT[0] if file in NIGHT else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadScopeScheduling

    class Rooms(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return _room(nodeid)

    return Rooms(config, log)


def _turn(item: pytest.Item) -> int:
    """The longest rooms first, so that no core is left waiting for one at the end."""
    if _room(item.nodeid) == NIGHT[0]:
        return 0
    return 1 if "/e2e/" in item.nodeid or "/test_whole_night.py" in item.nodeid else 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker hands what its fault cases found to the process that prints the table."""
    recorder = sys.modules.get("tests.faults.recorder")
    if recorder and hasattr(session.config, "workeroutput"):
        session.config.workeroutput["fault_cases"] = recorder.packed()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    from tests.faults import recorder

    recorder.unpack(getattr(node, "workeroutput", {}).get("fault_cases", []))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    recorder = sys.modules.get("tests.faults.recorder")
    if recorder and recorder.CASES:
        terminalreporter.section("faults")
        for line in recorder.table(recorder.CASES):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def spark() -> SparkSession:
    """One Spark session for all tests of this process."""
    from jobs.spark import spark as session

    return session(load_settings(lake="/tmp/unused", spark_master="local[2]", spark_memory="1g"))


@pytest.fixture
def lake_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a fresh lake in a temporary folder; no setting of the machine leaks in."""
    monkeypatch.setenv("NIGHTSHELF_CONFIG", "/dev/null")
    return load_settings(lake=str(tmp_path / "lake"), spark_master="local[2]", spark_memory="1g")


@pytest.fixture
def make_night(lake_settings: Settings) -> MakeNight:
    """`make_night("2026-01-10", run_id="a", options=Options(...), top_k=5)` → a pinned Night of that lake."""

    def make(
        ds: str = "2026-01-10", run_id: str = "", options: Options | None = None, **changes: Any
    ) -> Night:
        settings = lake_settings.model_copy(update=changes)
        night = Night(settings, date.fromisoformat(ds), run_id or f"test-{ds}", options)
        night.pin()
        return night

    return make


@pytest.fixture
def night(make_night: MakeNight) -> Night:
    """A pinned night of 2026-01-10 in a fresh lake."""
    return make_night()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """SQLAlchemy URL of a PostgreSQL server that lives as long as the tests."""
    with servers.postgres() as url:
        yield url


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Endpoint of a real S3 server that lives as long as the tests."""
    with servers.swift(tmp_path_factory.mktemp("swift")) as endpoint:
        yield endpoint


@pytest.fixture
def s3_settings(s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a fresh lake in a bucket of its own."""
    import boto3
    from botocore.config import Config

    monkeypatch.setenv("NIGHTSHELF_CONFIG", "/dev/null")
    bucket = f"shop-{uuid.uuid4().hex[:12]}"
    keys = {
        "aws_access_key_id": "test:tester",
        "aws_secret_access_key": "testing",
        "region_name": "us-east-1",
    }
    config = Config(s3={"addressing_style": "path"})
    boto3.client("s3", endpoint_url=s3_endpoint, config=config, **keys).create_bucket(Bucket=bucket)
    return load_settings(
        lake=f"s3://{bucket}/lake",
        catalog=f"sqlite:///{tmp_path}/catalog.db?timeout=60",
        s3_endpoint=s3_endpoint,
        s3_access_key="test:tester",
        s3_secret_key="testing",
        spark_master="local[2]",
        spark_memory="1g",
    )
