"""Nights over landed rows: each row in its day, none lost, no other day touched."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs import clean
from jobs.intake.landing import land
from jobs.intake.split import Count
from jobs.lake.publish import Publisher
from jobs.night import Night
from jobs.settings import Settings
from tests.datasets import dataset
from tests.jobs.intake.conftest import small_shuffles  # noqa: F401

pytestmark = pytest.mark.usefixtures("small_shuffles")
MakeNight = Callable[..., Night]

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
[events.sql]
event_type = "'purchase'"
[products]
files = "p*.csv"
[products.columns]
product_id = "what"
title_en = "title"
day = "when"
[users]
files = "u*.csv"
[users.columns]
user_id = "who"
city = "city"
day = "when"
"""
EVENTS = "id,who,what,when,price\n"
HISTORY = {
    # Day 2: one row twice, one refused. Nothing happened on day 3.
    "e1.csv": EVENTS
    + "1,ada,tea,2026-01-01 10:00:00,2\n"
    + "2,bob,tea,2026-01-02 10:00:00,2\n2,bob,tea,2026-01-02 10:00:00,2\n3,bob,tea,2026-01-02 11:00:00,-2\n"
    + "4,,cup,2026-01-04 10:00:00,3\n5,bob,cup,2026-01-04 11:00:00,3\n",
    "p1.csv": "what,title,when\ntea,Tea,2026-01-01\ncup,Cup,2026-01-02\ntea,Green tea,2026-01-04\n",
    "u1.csv": "who,city,when\nada,Rome,2026-01-02\n,Nowhere,2026-01-02\n",
}
# The fifth's delivery: its own event, one late for the fourth, one redelivered, one too late; a new title.
FIFTH = {
    "e5.csv": EVENTS
    + "6,cyd,tea,2026-01-05 10:00:00,2\n7,eve,tea,2026-01-04 23:00:00,2\n"
    + "5,bob,cup,2026-01-04 11:00:00,3\n8,ada,tea,2026-01-01 09:00:00,2\n",
    "p5.csv": "what,title,when\ntea,Fine tea,\n",
}


@pytest.fixture
def deliver(tmp_path: Path, lake_settings: Settings, spark: SparkSession) -> Callable[..., None]:
    def do(files: dict[str, str], arrived: date | None = None, mapping: str = MAPPING) -> None:
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        (tmp_path / "shop.toml").write_text(mapping)
        land(lake_settings, tmp_path / "shop.toml", [str(tmp_path / n) for n in files], arrived, spark)

    return do


def publish(night: Night) -> None:
    for record in night.staging.records():
        night.mark_audited(record.table)
    Publisher(night.catalog).publish(night.staging, night.ds.isoformat())


def ids(night: Night, table: str = "events_clean", column: str = "event_id") -> dict[int, list[str]]:
    """Day of January → sorted values of one column, over all days up to the tenth."""
    rows = night.read(table, start=date.min, end=date(2026, 1, 10)).to_pylist()
    found: dict[int, list[str]] = {}
    for row in sorted(rows, key=lambda r: str(r[column])):
        found.setdefault(row["ds"].day, []).append(row[column])
    return found


def everything(night: Night, table: str, day: int) -> list[str]:
    return sorted(str(r) for r in night.read(table, date(2026, 1, day), date(2026, 1, day)).to_pylist())


def staged_days(night: Night, table: str) -> list[int]:
    record = night.staging.record(table)
    assert record is not None
    return [date.fromisoformat(p).day for p in record.partitions]


def test_a_history_a_late_delivery_and_reruns(deliver: Any, make_night: MakeNight) -> None:
    deliver(HISTORY)
    fourth = make_night("2026-01-04", run_id="four")
    summary = clean.run(fourth)

    assert ids(fourth) == {1: ["1"], 2: ["2"], 4: ["4", "5"]}
    assert ids(fourth, "quarantine", "rules") == {
        2: ["price_finite,purchase_price_positive", "user_id_present"]
    }
    assert (summary["rows_in"], summary["good"], summary["quarantined"], summary["duplicates"]) == (
        11,
        8,
        2,
        1,
    )
    for row in fourth.read("intake", start=date.min, end=fourth.ds).to_pylist():
        assert row["rows_in"] == row["good"] + row["quarantined"] + row["duplicates"]
    products = {
        r["product_id"]: (r["title_en"], r["first_seen"].day) for r in fourth.read("products").to_pylist()
    }
    assert products == {"tea": ("Green tea", 1), "cup": ("Cup", 2)}
    users = {r["user_id"]: (r["city"], r["first_seen"].day) for r in fourth.read("users").to_pylist()}
    assert users == {"ada": ("Rome", 1), "bob": (None, 2)}
    note = fourth.notes()["intake"]
    assert note["sources"]["shop/events"] == {
        "rows_in": 6,
        "good": 4,
        "quarantined": 1,
        "duplicates": 1,
        "late": 0,
    }
    assert note["days"] == ["2026-01-01", "2026-01-02", "2026-01-04"]
    publish(fourth)

    deliver(FIFTH, date(2026, 1, 5))
    fifth = make_night("2026-01-05", run_id="five")
    untouched = [f for d in (1, 2) for f in fifth.files("events_clean", date(2026, 1, d), date(2026, 1, d))]
    assert len(untouched) == 2
    summary = clean.run(fifth)

    # The late event went to its own day; the one that is too late was refused on the day it came.
    assert ids(fifth) == {1: ["1"], 2: ["2"], 4: ["4", "5", "7"], 5: ["6"]}
    assert ids(fifth, "quarantine", "rules")[5] == ["too_late"]
    assert (summary["late"], summary["duplicates"]) == (1, 1)
    for table in ("events_clean", "quarantine", "intake"):
        assert staged_days(fifth, table) == [4, 5]
    assert list(fifth.files("events_clean", date.min, date(2026, 1, 3))) == untouched
    assert {r["user_id"] for r in fifth.read("users").to_pylist()} == {"ada", "bob", "cyd", "eve"}
    publish(fifth)

    # The fourth again: its late event is not lost, but what is known as of the fourth has not grown.
    again = make_night("2026-01-04", run_id="four again")
    before = {
        t: everything(again, t, 4) for t in ("events_clean", "quarantine", "intake", "products", "users")
    }
    clean.run(again)
    assert staged_days(again, "events_clean") == [4]
    assert {t: everything(again, t, 4) for t in before} == before
    assert ids(again)[4] == ["4", "5", "7"]
    assert {r["user_id"] for r in again.read("users").to_pylist()} == {"ada", "bob"}


def test_a_day_without_rows_is_replaced_by_nothing_and_a_retry_rebuilds_the_same(
    deliver: Any, make_night: MakeNight
) -> None:
    deliver({"e1.csv": HISTORY["e1.csv"]})
    night = make_night("2026-01-06", run_id="six")
    clean.run(night)
    assert staged_days(night, "events_clean") == [1, 2, 4, 6]
    first = {
        t: [everything(night, t, d) for d in (1, 2, 4, 6)] for t in ("events_clean", "quarantine", "intake")
    }
    assert first["events_clean"][3] == first["intake"][3] == []
    # A second attempt of the same run sees `intake` staged, and must not take it for published.
    clean.run(night)
    assert staged_days(night, "events_clean") == [1, 2, 4, 6]
    assert {t: [everything(night, t, d) for d in (1, 2, 4, 6)] for t in first} == first


def test_an_empty_lake_makes_an_empty_night(make_night: MakeNight) -> None:
    night = make_night("2026-01-06")
    assert clean.run(night) == {
        "days": 1, "rows_in": 0, "good": 0, "quarantined": 0, "duplicates": 0, "late": 0
    }  # fmt: skip
    assert night.read("users").num_rows == 0


def test_only_changed_days_up_to_the_night_are_rebuilt() -> None:
    def key(day: int) -> tuple[str, Any, date]:
        return ("shop", "events", date(2026, 1, day))

    landed = Counter({key(1): 5, key(2): 6, key(8): 1})
    known = Counter({key(1): 5, key(2): 5, key(3): 1})
    days = clean.days_to_rebuild(date(2026, 1, 7), landed, known)
    # 2 has grown, 3 is gone, 7 is the night's own; 8 lies ahead.
    assert [d.day for d in days] == [2, 3, 7]


def test_a_lost_row_is_a_bug_that_stops_the_night() -> None:
    day = date(2026, 1, 1)
    landed = Counter({("shop", "events", day): 5})
    clean.conserve([day], landed, [Count("shop", "events", day, 2, 2, 1, 0)])
    with pytest.raises(RuntimeError, match=r"rows were lost or made.*5 landed, 4 accounted"):
        clean.conserve([day], landed, [Count("shop", "events", day, 2, 2, 0, 0)])
    with pytest.raises(RuntimeError, match="5 landed, 0 accounted"):
        clean.conserve([day], landed, [])
    clean.conserve([], landed, [])


def test_a_night_that_loses_a_row_stops(
    deliver: Any, make_night: MakeNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver({"e1.csv": HISTORY["e1.csv"]})
    split = clean.split_events
    monkeypatch.setattr(clean, "split_events", lambda rows, days: split(rows, days).where("event_id <> '5'"))
    night = make_night("2026-01-06")
    with pytest.raises(RuntimeError, match=r"rows were lost or made.*2 landed, 1 accounted"):
        clean.run(night)
    assert not night.is_staged("events_clean")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "ds", "events", "products"),
    [
        # Lines of the files, and what these shops are known to hold.
        ("rees46", "2019-10-01", 17_435, 6_479),
        ("flipkart", "2016-06-30", 0, 1_050),
        ("amazon-industrial", "2018-09-30", 50_364, 3_686),
    ],
)
def test_shipped_mappings_fit_the_real_files(
    lake_settings: Settings,
    spark: SparkSession,
    make_night: MakeNight,
    name: str,
    ds: str,
    events: int,
    products: int,
) -> None:
    folder = dataset(name)
    land(lake_settings, name, [str(folder)], None, spark)
    night = make_night(ds)
    clean.run(night)
    sources = night.notes()["intake"]["sources"]
    assert sources.get(f"{name}/events", {}).get("rows_in", 0) == events
    assert night.read("products").num_rows == products
    event_ids = night.read("events_clean", start=date.min, end=night.ds, columns=["event_id"])["event_id"]
    assert len(event_ids) == len(event_ids.unique())


@pytest.mark.slow
def test_the_sample_shop_comes_out_as_its_generator_says(
    tmp_path: Path, lake_settings: Settings, spark: SparkSession, make_night: MakeNight
) -> None:
    from jobs.sample import generate

    generate(tmp_path / "raw", 7, 0.02)
    truth = json.loads((tmp_path / "raw" / "truth.json").read_text())
    land(lake_settings, "sample-shop", [str(tmp_path / "raw")], None, spark)
    night = make_night(max(truth["by_arrival"]))
    clean.run(night)
    sources = night.notes()["intake"]["sources"]
    days = truth["by_arrival"].values()
    bad = sum(sum(d["bad"].values()) + d["too_late"] for d in days)
    assert sources["sample-shop/events"] == {
        "rows_in": sum(d["rows"] for d in days),
        "good": sum(d["clean"] for d in days),
        "quarantined": bad,
        "duplicates": sum(d["duplicates"] for d in days),
        "late": sum(d["late"] for d in days),
    }
    for entity in ("products", "users"):
        assert sources[f"sample-shop/{entity}"]["quarantined"] == sum(truth[entity]["bad"].values())
        assert night.read(entity).num_rows == truth[entity]["distinct"]


def test_a_mistyped_amount_is_quarantined(deliver: Any, make_night: MakeNight) -> None:
    """A line whose amount no shop sells: it stays out of every sum, and where a person can see it."""
    lines = (
        "id,who,what,when,price,units\n"
        "right,ada,tea,2026-01-01 10:00:00,2,3\n"
        "mistyped,ada,tea,2026-01-01 11:00:00,20000000,2147483647\n"
        "dear,bob,tea,2026-01-01 12:00:00,20000000,\n"
    )
    counted = MAPPING.replace('price = "price"', 'price = "price"\nquantity = "units"')
    deliver({"e1.csv": lines}, mapping=counted)
    night = make_night("2026-01-01")
    clean.run(night)
    assert ids(night) == {1: ["dear", "right"]}
    (refused,) = night.read("quarantine").to_pylist()
    assert '"mistyped"' in refused["raw"]
    assert "amount_plausible" in refused["rules"].split(",")
