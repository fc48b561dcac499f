"""A line whose amount no shop sells: it stays out of every sum, and where a person can see it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs import clean
from jobs.intake.landing import land
from tests.conftest import MakeNight
from tests.jobs.intake.conftest import small_shuffles  # noqa: F401

pytestmark = pytest.mark.usefixtures("small_shuffles")

MAPPING = """
source = "shop"
[events]
files = "e*.csv"
[events.columns]
event_id = "id"
user_id = "who"
product_id = "what"
event_time = "when"
price = "price"
quantity = "units"
[events.sql]
event_type = "'purchase'"
"""
EVENTS = """id,who,what,when,price,units
right,ada,tea,2026-01-01 10:00:00,2,3
mistyped,ada,tea,2026-01-01 11:00:00,20000000,2147483647
dear,bob,tea,2026-01-01 12:00:00,20000000,
"""


def test_a_mistyped_amount_is_quarantined(make_night: MakeNight, tmp_path: Path, spark: SparkSession) -> None:
    (tmp_path / "shop.toml").write_text(MAPPING)
    (tmp_path / "e.csv").write_text(EVENTS)
    night = make_night("2026-01-01")
    land(night.settings, tmp_path / "shop.toml", [str(tmp_path / "e.csv")], None, spark)
    clean.run(night)
    assert sorted(night.read("events_clean")["event_id"].to_pylist()) == ["dear", "right"]
    (refused,) = night.read("quarantine").to_pylist()
    assert '"mistyped"' in refused["raw"]
    assert "amount_plausible" in refused["rules"].split(",")
