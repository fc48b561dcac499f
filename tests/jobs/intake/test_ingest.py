"""Sources of the settings are landed by the night, each file once; and files by hand, by the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs import ingest
from jobs.errors import BadInput
from jobs.intake import files
from jobs.intake.command import import_files
from jobs.intake.landing import parts
from jobs.night import Night
from jobs.settings import Settings, Source

pytestmark = pytest.mark.usefixtures("small_shuffles")
MAPPING = """
source = "shop"
[users.columns]
user_id = "who"
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop.toml").write_text(MAPPING)
    for day in ("01", "02"):
        (tmp_path / f"u-2026-01-{day}.csv").write_text(f"who\nu{day}\n")
    return tmp_path


def test_without_sources_there_is_nothing_to_do(night: Night) -> None:
    assert "nothing to land" in ingest.run(night)["note"]


def test_a_nights_own_files_land_once_as_of_the_night(
    shop: Path, make_night: Callable[..., Night], spark: SparkSession
) -> None:
    source = Source(mapping=str(shop / "shop.toml"), files=[str(shop / "u-{ds}.csv")])
    night = make_night("2026-01-02", sources=[source])
    assert ingest.run(night)["rows"] == 1
    assert ingest.run(night)["rows"] == 0
    assert [[(str(d), str(a)) for d, a in p.days] for p in parts(night.store)] == [
        [("2026-01-02", "2026-01-02")]
    ]
    # A day on which the shop delivered nothing is told, and does not stop the night.
    summary = ingest.run(make_night("2026-01-03", sources=[source]))
    assert summary["missing"] == [str(shop / "u-2026-01-03.csv")]


def test_a_place_that_may_not_be_looked_through_is_no_day_without_a_delivery(
    shop: Path, make_night: Callable[..., Night], monkeypatch: pytest.MonkeyPatch
) -> None:
    denied = "AWS Error ACCESS_DENIED during ListObjectsV2 operation: Access Denied"

    class Closed:
        def get_file_info(self, path: str) -> None:
            raise OSError(f"When listing objects under key '' in bucket 'raw': {denied}")

    monkeypatch.setattr(files, "filesystem", lambda uri, settings: (Closed(), uri.removeprefix("s3://")))
    source = Source(mapping=str(shop / "shop.toml"), files=["s3://raw/u-{ds}.csv"])
    with pytest.raises(BadInput, match=r"'s3://raw/u-2026-01-03\.csv': the store refused") as told:
        ingest.run(make_night("2026-01-03", sources=[source]))
    assert told.value.exit_code == 2


def test_a_standing_pattern_that_matches_nothing_is_a_wrong_setting(
    shop: Path, make_night: Callable[..., Night]
) -> None:
    source = Source(mapping=str(shop / "shop.toml"), files=[str(shop / "users-*.csv")])
    with pytest.raises(BadInput, match="no such file"):
        ingest.run(make_night("2026-01-03", sources=[source]))


def test_the_command_tells_what_landed(shop: Path, lake_settings: Settings, spark: Any, capsys: Any) -> None:
    from datetime import date

    named = [str(shop / "u-*.csv")]
    import_files(lake_settings, shop / "shop.toml", named, date(2026, 1, 2), False)
    shown = capsys.readouterr().out
    assert "shop: users: 2 rows from 2 file(s), days 2026-01-02 to 2026-01-02" in shown
    assert "nightshelf nightly --ds 2026-01-02" in shown
    import_files(lake_settings, shop / "shop.toml", named, date(2026, 1, 2), True)
    assert [(d["entity"], d["status"]) for d in json.loads(capsys.readouterr().out)] == [("users", "known")]
