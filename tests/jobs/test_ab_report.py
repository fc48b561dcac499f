"""The A/B report: which events count for which list, a known lift, equal arms, a broken split."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs import ab_report, report, report_lists
from jobs.ab_report import METRICS, compared, outcomes, sums
from jobs.lake.registry import BY_NAME
from jobs.night import Night
from jobs.settings import Experiment
from jobs.spark import spark_schema
from tests.conftest import MakeNight

DS = date(2026, 1, 10)
SHARES = {"control": 0.5, "model": 0.5}


def day(ago: int) -> date:
    return DS - timedelta(days=ago)


def listed(user: str, product: str, ago: int, arm: str = "model", rank: int = 1) -> dict[str, Any]:
    return {
        "user_id": user,
        "product_id": product,
        "rank": rank,
        "bucket": arm,
        "experiment": "x",
        "ds": day(ago),
    }


def done(user: str | None, product: str, ago: int, kind: str = "purchase", **more: Any) -> dict[str, Any]:
    when = datetime.combine(day(ago), datetime.min.time(), UTC) + timedelta(hours=9)
    row = {
        "event_id": f"{user}{product}{ago}{kind}",
        "user_id": user,
        "product_id": product,
        "event_type": kind,
    }
    return {
        **row,
        "event_time": when,
        "price": 2.0,
        "quantity": 3,
        "arrived": day(ago),
        "ds": day(ago),
        **more,
    }


def frame(spark: SparkSession, table: str, rows: list[dict[str, Any]]) -> DataFrame:
    schema = spark_schema(table)
    return spark.createDataFrame([tuple(r.get(n) for n in schema.names) for r in rows], schema)


def seen(spark: SparkSession, lists: list[dict[str, Any]], events: list[dict[str, Any]]) -> dict[str, Any]:
    found = outcomes(frame(spark, "recommendations", lists), frame(spark, "events_clean", events), DS)
    return {r["user_id"]: r.asDict() for r in found.collect()}


def test_what_counts_for_a_list(spark: SparkSession) -> None:
    lists = [
        listed("same-day", "p", 3), listed("next", "p", 3), listed("seventh", "p", 9),
        listed("eighth", "p", 9),
        listed("other", "p", 3), listed("twice", "p", 3), listed("twice", "p", 2), listed("idle", "p", 1),
        listed("future", "p", 0), listed("moved", "p", 3), listed("moved", "p", 2, arm="control"),
        listed("clicks", "p", 3), listed("returns", "p", 3),
    ]  # fmt: skip
    events = [
        done("same-day", "p", 3),  # the list was made from this
        done("next", "p", 2),
        done("seventh", "p", 2),
        done("eighth", "p", 1),
        done("other", "q", 2),  # bought, though not from the list
        done("twice", "p", 1),  # after two lists, and one purchase all the same
        done("stranger", "p", 1),
        done(None, "p", 1),
        done("clicks", "p", 2, "view", list_ds=day(3), list_rank=1),
        done("returns", "p", 2, "return"),
    ]
    found = seen(spark, lists, events)
    assert set(found) == {r["user_id"] for r in lists} - {"future"}
    said = {u: (r["conversion"], r["purchases"], r["revenue"], r["click_through"]) for u, r in found.items()}
    nothing = (0, 0, 0.0, 0)
    assert said == {
        "same-day": nothing,
        "next": (1, 1, 6.0, 0),
        "seventh": (1, 1, 6.0, 0),
        "eighth": nothing,
        "other": (0, 1, 6.0, 0),
        "twice": (1, 1, 6.0, 0),
        "idle": nothing,
        "moved": nothing,
        "clicks": (0, 0, 0.0, 1),
        "returns": nothing,
    }
    assert found["moved"]["arms"] == 2
    assert (found["twice"]["first_list"], found["twice"]["last_list"]) == (day(3), day(2))


def simulated(rate: dict[str, float], users: int, seed: int) -> tuple[list[Any], list[Any]]:
    """Shoppers of two arms, and the purchases of a listed product that some of them made."""
    rng = np.random.default_rng(seed)
    arm = np.where(rng.random(users) < 0.5, "control", "model")
    lists = [listed(f"u{n}", "p", 3, str(arm[n])) for n in range(users)]
    bought = [n for n in range(users) if rng.random() < rate[str(arm[n])]]
    return lists, [done(f"u{n}", "p", 1, price=float(rng.lognormal(1, 1)) + 0.01) for n in bought]


def rows_of(spark: SparkSession, lists: list[Any], events: list[Any], least: int = 5) -> dict[Any, Any]:
    found = sums(outcomes(frame(spark, "recommendations", lists), frame(spark, "events_clean", events), DS))
    return {(r["arm"], r["metric"]): r for r in compared(found, SHARES, least)}


def test_a_known_lift_is_found(spark: SparkSession) -> None:
    rows = rows_of(spark, *simulated({"control": 0.10, "model": 0.15}, 6000, seed=1))
    one = rows["model", "conversion"]
    assert one["lift_low"] < 0.5 < one["lift_high"]
    assert one["lift_low"] > 0
    assert one["p_value"] < 0.001
    assert one["status"] == "ok"
    assert rows["control", "conversion"]["lift"] is None
    assert rows["control", "conversion"]["mean"] == pytest.approx(0.10, abs=0.02)
    assert rows["model", "revenue"]["lift_low"] < 0.5 < rows["model", "revenue"]["lift_high"]
    assert one["users"] + rows["control", "conversion"]["users"] == 6000
    assert ("model", "click_through") not in rows  # no event says which list it came from


def test_equal_arms_show_no_lift_and_a_right_split(spark: SparkSession) -> None:
    rows = rows_of(spark, *simulated({"control": 0.12, "model": 0.12}, 6000, seed=2))
    for metric in ("conversion", "purchases", "revenue"):
        assert rows["model", metric]["lift_low"] < 0 < rows["model", metric]["lift_high"]
        assert rows["model", metric]["p_value"] > 0.05
    assert rows["model", "conversion"]["srm_p_value"] > 0.01
    assert {r["status"] for r in rows.values()} == {"ok"}


def test_a_broken_split_warns(spark: SparkSession) -> None:
    lists, events = simulated({"control": 0.1, "model": 0.1}, 3000, seed=3)
    lost = [r for n, r in enumerate(lists) if r["bucket"] == "model" or n % 5]
    rows = rows_of(spark, lost, events)
    assert all("do not fit their shares (chi-square, p = " in r["detail"] for r in rows.values())
    assert {r["status"] for r in rows.values()} == {"warning"}


def test_a_small_arm_shows_no_number_and_a_crossed_shopper_is_in_no_arm(spark: SparkSession) -> None:
    lists = [listed(f"c{n}", "p", 2, "control") for n in range(4)] + [
        listed(f"m{n}", "p", 2) for n in range(6)
    ]
    lists += [listed("both", "p", 2), listed("both", "p", 3, "control")]
    rows = rows_of(spark, lists, [done("c1", "p", 1)])
    assert rows["control", "conversion"].get("users") is None
    assert rows["control", "conversion"].get("mean") is None
    assert "fewer than 5" in rows["control", "conversion"]["detail"]


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ({"control": 5, "model": 1000}, {"control", "model"}),
        ({"control": 3, "model": 1000}, set()),
        ({"control": 400, "bold": 3, "model": 1000}, {"model"}),
        ({"control": 400, "bold": 3, "model": 300}, {"control"}),
        ({"control": 2, "bold": 3, "model": 1000}, {"model"}),
    ],
)
def test_the_size_of_a_small_arm_cannot_be_worked_out(sizes: dict[str, int], told: set[str]) -> None:
    """From the exact chance, or from the other arms' sizes and the number of all shoppers, it could."""
    one: dict[str, Any] = {f"{m}_{part}": 0.0 for m in METRICS for part in ("total", "squares")}
    one |= {"recorded": 0, "first_list": DS, "last_list": DS}
    found = {arm: {**one, "users": users} for arm, users in sizes.items()}
    rows = compared(found, {arm: 1 / len(sizes) for arm in sizes}, 5)
    small = min(sizes.values()) < 5
    assert {r["srm_p_value"] is None for r in rows} == {small}
    bad = f"the arms' sizes do not fit their shares (chi-square{'): ' if small else ', p = '}"
    assert all(r["detail"].startswith(bad) for r in rows)
    assert {r["arm"] for r in rows if r.get("users") is not None or r.get("mean") is not None} == told
    assert {r["arm"] for r in rows if r.get("lift") is not None or "not reported" not in r["detail"]} == told
    for row in rows:
        assert ("fewer than 5 shoppers" in row["detail"]) == (sizes[row["arm"]] < 5)


def put(night: Night, table: str, rows: list[dict[str, Any]]) -> None:
    data = pa.Table.from_pylist(rows, schema=BY_NAME[table].schema)
    night.stage(table, data, sorted({r["ds"] for r in rows}))


def test_the_step_reads_its_days_and_nothing_later(make_night: MakeNight) -> None:
    night = make_night(str(DS), experiment=Experiment(name="x", arms=SHARES), experiment_days=3, min_group=1)
    lists = [listed("u", "p", ago, "control" if ago > 3 else "model") for ago in (0, 1, 3, 4)]
    lists += [listed("v", "p", 1, "control"), {**listed("w", "p", 1, "control"), "experiment": "older"}]
    put(night, "recommendations", lists)
    events = [done("u", "p", 0), done("u", "p", -1), done("v", "p", 0, arrived=day(-1))]
    put(night, "events_clean", events)
    assert ab_report.run(night) == {"experiment": "x", "rows": 6}
    rows = {(r["arm"], r["metric"]): r for r in night.read("experiments").to_pylist()}
    assert rows["model", "purchases"]["mean"] == 1  # tomorrow's is not known yet
    assert rows["model", "purchases"]["first_list"] == day(3)
    assert rows["control", "purchases"]["users"] == 1
    assert rows["control", "purchases"]["mean"] == 0  # has not arrived yet
    assert night.notes()["experiments"]["crossed"] == 0
    assert '"u"' not in str(night.notes())


@pytest.mark.parametrize(
    ("moved", "noted", "says"),
    [(0, 0, None), (1, None, "Fewer than 5"), (4, None, "Fewer than 5"), (5, 5, "5")],
)
def test_a_small_number_of_crossed_shoppers_is_told_nowhere(
    make_night: MakeNight, moved: int, noted: int | None, says: str | None
) -> None:
    night = make_night(str(DS), experiment=Experiment(name="x", arms=SHARES), min_group=5)
    lists = [
        listed(f"u{n}", "p", ago, arm) for n in range(moved) for ago, arm in ((2, "model"), (3, "control"))
    ]
    put(night, "recommendations", [*lists, *(listed(f"v{n}", "p", 2) for n in range(7))])
    put(night, "events_clean", [done("v1", "p", 1)])
    ab_report.run(night)
    note = night.notes()["experiments"]
    assert note["crossed"] == noted
    told = report_lists.experiments(note)
    assert told
    assert told["crossed"] == says
    page = report.render(report.story(night))
    assert ("shoppers were seen in two arms" in page) is bool(says)
    assert not says or f">{says} shoppers were seen in two arms" in page


def test_without_an_experiment_the_table_is_empty(night: Night) -> None:
    assert ab_report.run(night) == {"experiment": None, "rows": 0}
    assert night.is_staged("experiments")
    assert night.read("experiments").num_rows == 0
    assert "experiments" not in night.notes()
