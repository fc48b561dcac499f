"""Good, quarantined, duplicate: known answers on a few rows."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.rules import row_rules
from jobs.intake.mapped import LANDING
from jobs.intake.split import (
    as_of,
    broken_rules,
    counts,
    known_users,
    neighbours,
    outcomes,
    quarantine,
    split_events,
    split_versions,
)
from jobs.intake.typed import judged

pytestmark = pytest.mark.usefixtures("small_shuffles")
Frame = Callable[..., DataFrame]


def day(number: int) -> date:
    return date(2026, 1, number)


def event(name: str, ds: int = 5, arrived: int | None = None, **changes: Any) -> dict[str, Any]:
    """An event as it landed; `name` is its id, and tells its raw row."""
    row = {
        "event_id": name,
        "user_id": "u",
        "product_id": "p",
        "event_type": "purchase",
        "event_time": f"{day(ds)} 10:00:00.000000Z",
        "price": "1.5",
        "source": "shop",
        "ds": day(ds),
        "arrived": day(arrived or ds),
        "copies": 1,
        "file": "a.csv",
        **changes,
    }
    raw = json.dumps({k: str(v) for k, v in row.items() if k not in ("ds", "arrived", "file")})
    return {"raw": raw, "row_hash": f"hash of {raw}", **row}


def product(name: str, ds: int, title: str = "T", copies: int = 1, **changes: Any) -> dict[str, Any]:
    row = {"product_id": name, "title_en": title, "source": "shop", "ds": day(ds), "arrived": day(ds)}
    raw = json.dumps({"id": name, "title": title, "day": ds})
    return {"copies": copies, "file": "p.csv", "raw": raw, "row_hash": f"{title} {name}", **row, **changes}


@pytest.fixture
def frame(spark: SparkSession) -> Frame:
    def make(entity: Any, *rows: dict[str, Any]) -> DataFrame:
        schema = LANDING[entity]
        return spark.createDataFrame([tuple(r.get(n) for n in schema.names) for r in rows], schema)

    return make


def states(rows: DataFrame, by: str = "event_id") -> list[tuple[str, int, str]]:
    return sorted((r[by], r["ds"].day, r["state"]) for r in rows.collect())


def test_values_are_typed_and_what_does_not_fit_is_named(frame: Frame) -> None:
    rows = frame(
        "events",
        event("a", price="2.50", quantity="3.0"),
        event("b", price="NaN", quantity="2.5"),
        event("c", price="1e999", quantity="99999999999"),
        event("d", event_time="soon"),
    )
    found = {r["event_id"]: r for r in judged("events", rows).collect()}
    assert (found["a"]["price"], found["a"]["quantity"], found["a"]["broken"]) == (2.5, 3, [])
    assert found["a"]["raw"] is None
    assert found["b"]["broken"] == ["quantity_positive", "unreadable_price", "unreadable_quantity"][1:]
    assert {"unreadable_price", "unreadable_quantity"} <= set(found["c"]["broken"])
    assert {"unreadable_event_time", "event_time_present"} <= set(found["d"]["broken"])
    assert found["d"]["quantity"] == 1
    assert json.loads(found["d"]["raw"])["event_time"] == "soon"


def test_the_list_that_an_event_came_from(frame: Frame) -> None:
    """Optional, like a session; what is given must be a day that has been, and a place in a list."""
    rows = frame(
        "events",
        event("none"),
        event("said", list_ds="2026-01-04", list_rank="3"),
        event("timed", list_ds="2026-01-04 23:00", list_rank="3.0"),
        event("half", list_rank="3"),  # of no use, and no reason to lose a purchase
        event("year", list_ds="2026", list_rank="3"),
        event("later", list_ds="2026-01-06", list_rank="3"),
        event("zeroth", list_ds="2026-01-04", list_rank="0"),
        event("worded", list_ds="2026-01-04", list_rank="third"),
    )
    found = {r["event_id"]: r for r in judged("events", rows).collect()}
    said = {k: (r["list_ds"], r["list_rank"]) for k, r in found.items() if not r["broken"]}
    assert said == {
        "none": (None, None),
        "said": (day(4), 3),
        "timed": (day(4), 3),
        "half": (None, 3),
    }
    assert found["year"]["broken"] == ["unreadable_list_ds"]
    assert found["later"]["broken"] == ["list_before_event"]
    assert found["zeroth"]["broken"] == ["list_rank_plausible"]
    assert found["worded"]["broken"] == ["unreadable_list_rank"]


def test_products_are_in_stock_unless_they_say_otherwise(frame: Frame) -> None:
    rows = frame(
        "products",
        product("a", 1),
        product("b", 1, in_stock="false"),
        product("c", 1, in_stock="maybe", attributes_en="{not json"),
    )
    found = {r["product_id"]: r for r in judged("products", rows).collect()}
    assert [found[k]["in_stock"] for k in "abc"] == [True, False, None]
    assert found["c"]["broken"] == ["attributes_en_json", "unreadable_in_stock"]


def test_only_critical_rules_refuse_and_the_landings_rules_count(frame: Frame) -> None:
    rows = frame(
        "events",
        event("warned", price=None),
        event("anonymous", user_id=None),
        event("late", broken="too_late"),
        event("bad", product_id=None, event_type="stare", broken="unreadable_row"),
    )
    found = {r["event_id"]: r["broken"] for r in judged("events", rows).collect()}
    assert found == {
        "warned": [],
        "anonymous": [],
        "late": ["too_late"],
        "bad": ["event_type_known", "product_id_present", "unreadable_row"],
    }


def test_every_entity_has_a_critical_rule_on_its_key() -> None:
    for entity, key in (("events", "event_id"), ("products", "product_id"), ("users", "user_id")):
        assert any(r.severity == "critical" and key in r.columns for r in row_rules(entity))


def test_an_event_that_comes_again_is_a_duplicate(frame: Frame) -> None:
    rows = frame(
        "events",
        event("twice", 5, 5),
        event("twice", 5, 7),
        # The same id on another day: the first to arrive stays, although its day is later.
        event("moved", 5, 5),
        event("moved", 4, 6),
        # After the lookback an id counts as new.
        event("old", 1),
        event("old", 4),
        event("old", 8),
        # A bad copy that came first does not stand in the way of a good one.
        event("mended", 4, price="-1"),
        event("mended", 5),
    )
    assert states(split_events(rows, 3)) == [
        ("mended", 4, "quarantined"),
        ("mended", 5, "good"),
        ("moved", 4, "duplicate"),
        ("moved", 5, "good"),
        ("old", 1, "good"),
        ("old", 4, "duplicate"),
        ("old", 8, "good"),
        ("twice", 5, "duplicate"),
        ("twice", 5, "good"),
    ]
    assert rows.count() == sum(c.rows for c in counts(outcomes({"events": split_events(rows, 3)})))


def test_neighbours_reach_back_two_lookbacks_and_forward_one() -> None:
    assert sorted(d.day for d in neighbours([day(10)], 3)) == list(range(4, 14))
    assert neighbours([day(10)], 0) == {day(10)}


def test_equal_refused_rows_are_told_apart_and_kept_as_they_came(frame: Frame) -> None:
    bad = event("x", price="-1")
    rows = quarantine(
        outcomes({"events": split_events(frame("events", bad, bad, bad, event("y")), 3)})
    ).collect()
    assert len(rows) == len({r["row_hash"] for r in rows}) == 3
    assert bad["row_hash"] in {r["row_hash"] for r in rows}
    assert {(r["raw"], r["rules"], r["entity"], r["file"]) for r in rows} == {
        (bad["raw"], "price_finite,purchase_price_positive", "events", "a.csv")
    }


def test_of_a_refused_row_only_the_rules_are_told(frame: Frame) -> None:
    bad = event("x", price="-1", user_id="Ada Lovelace", session_id="secret")
    found = broken_rules(outcomes({"events": split_events(frame("events", bad, event("z", price="-2")), 3)}))
    assert found == [
        {"source": "shop", "entity": "events", "rule": rule, "rows": 2}
        for rule in ("price_finite", "purchase_price_positive")
    ]


def test_of_one_days_versions_the_one_most_rows_agree_on_is_good(frame: Frame) -> None:
    rows = frame(
        "products",
        product("p", 1, "rare"),
        product("p", 1, "usual", copies=3),
        # The same content in another file of the day counts with it.
        product("q", 1, "one", copies=2),
        product("q", 1, "two"),
        product("q", 1, "two", copies=2, file="b.csv"),
        product("r", 1, "", copies=4),
    )
    split = split_versions("products", rows)
    assert {r["product_id"]: r["title_en"] for r in split.where("state = 'good'").collect()} == {
        "p": "usual",
        "q": "two",
    }
    [count] = counts(outcomes({"products": split}))
    assert (count.good, count.quarantined, count.duplicates) == (2, 1, 10)
    assert count.rows == 13


def test_products_are_as_of_the_date(frame: Frame) -> None:
    rows = frame(
        "products",
        product("p", 1, "old"),
        product("p", 3, "new"),
        product("p", 4, "corrected a day later", arrived=day(5)),
        product("p", 5, "later"),
        product("p", 6, "announced in advance", arrived=day(4)),
        product("q", 5),
    )
    split = split_versions("products", rows)
    found = [
        (r["product_id"], r["title_en"], r["first_seen"], r["ds"])
        for r in as_of("products", split, day(4)).collect()
    ]
    assert found == [("p", "new", day(1), day(4))]


def test_users_are_those_mapped_and_those_who_did_something(frame: Frame, spark: SparkSession) -> None:
    mapped = as_of(
        "users", split_versions("users", frame("users", product("", 3, user_id="a", city="Rome"))), day(5)
    )
    seen = [("a", 2, 2), ("b", 4, 4), ("c", 6, 6), ("late", 4, 6), (None, 4, 4)]
    rows = [(user, day(ds), day(arrived)) for user, ds, arrived in seen]
    events = spark.createDataFrame(rows, "user_id string, ds date, arrived date")
    found = {
        r["user_id"]: (r["city"], r["first_seen"].day, r["ds"])
        for r in known_users(mapped, events, day(5)).collect()
    }
    assert found == {"a": ("Rome", 2, day(5)), "b": (None, 4, day(5))}


EVENTS = st.builds(
    event,
    # Few ids and days: most rows have rivals.
    st.sampled_from("ab"),
    st.integers(1, 3),
    price=st.sampled_from(["1", "2", "3", "-1", "x"]),
    file=st.sampled_from(["a.csv", "b.csv"]),
)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(EVENTS, min_size=10, max_size=25), seed=st.integers(0, 99))
def test_the_order_of_rows_does_not_matter(frame: Frame, rows: list[dict[str, Any]], seed: int) -> None:
    mixed = random.Random(seed).sample(rows, len(rows))

    def result(landed: DataFrame) -> tuple[list[str], list[str]]:
        split = split_events(landed, 2)
        names = ("event_id", "price", "ds", "arrived", "state", "file", "row_hash")
        kept = split.where("state <> 'quarantined'").select(*names).collect()
        refused = quarantine(outcomes({"events": split})).collect()
        return sorted(map(str, kept)), sorted(map(str, refused))

    # Not `repartition`: Spark sorts what it deals out, and would hide the order.
    first = result(frame("events", *rows).coalesce(1))
    assert first == result(frame("events", *mixed))
    assert len(first[0]) + len(first[1]) == len(rows)


def priced(name: str, ds: int, title: str, price: str, **changes: Any) -> dict[str, Any]:
    return product(name, ds, title, price=price, row_hash=f"{name} {title} {price}", **changes)


VERSIONS = st.builds(
    priced,
    st.sampled_from("ab"),
    st.integers(1, 3),
    st.sampled_from(["T", "U", ""]),
    st.sampled_from(["1", "2", "-1", "x"]),
    copies=st.integers(1, 2),
    file=st.sampled_from(["p.csv", "q.csv"]),
)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(VERSIONS, min_size=10, max_size=25), seed=st.integers(0, 99))
def test_the_order_of_versions_does_not_matter(frame: Frame, rows: list[dict[str, Any]], seed: int) -> None:
    """Of products that differ, share a day, and share an id and a hash."""
    mixed = random.Random(seed).sample(rows, len(rows))

    def result(landed: DataFrame) -> list[list[str]]:
        split = split_versions("products", landed)
        kept = as_of("products", split, day(2)).select("product_id", "title_en", "price", "first_seen")
        told = outcomes({"products": split}).select("state", "ds", "file", "copies", "broken", "row_hash")
        return [sorted(map(str, found.collect())) for found in (kept, told)]

    assert result(frame("products", *rows).coalesce(1)) == result(frame("products", *mixed))


def test_refused_rows_do_not_gather_in_one_task(frame: Frame) -> None:
    bad = [event("", product_id=str(n), event_id=None) for n in range(20)]
    split = split_events(frame("events", *bad), 3)
    assert split.select(F.spark_partition_id()).distinct().count() > 1
