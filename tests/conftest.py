"""Fixtures that every room's tests share. Servers and lakes are real, and live in temporary folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs.night import Night, Options
from jobs.settings import Settings, load_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MakeNight = Callable[..., Night]


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One Spark session for all tests of this process."""
    from jobs.spark import spark as session

    yield session(load_settings(lake="/tmp/unused", spark_master="local[2]", spark_memory="1g"))


@pytest.fixture
def lake_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a fresh lake in a temporary folder; neither the machine's nor the checkout's settings leak in."""
    monkeypatch.setenv("NIGHTSHELF_CONFIG", str(tmp_path / "absent.toml"))
    return load_settings(lake=str(tmp_path / "lake"), spark_master="local[2]", spark_memory="1g")


@pytest.fixture
def make_night(lake_settings: Settings) -> MakeNight:
    """`make_night("2026-01-10", run_id="a", options=Options(...), top_k=5)` → a pinned Night of that lake."""

    def make(ds: str = "2026-01-10", run_id: str = "", options: Options | None = None, **changes: Any) -> Night:
        settings = lake_settings.model_copy(update=changes)
        night = Night(settings, date.fromisoformat(ds), run_id or f"test-{ds}", options)
        night.pin()
        return night

    return make


@pytest.fixture
def night(make_night: MakeNight) -> Night:
    """A pinned night of 2026-01-10 in a fresh lake."""
    return make_night()
