"""Step `ab_report`: what the arms of the experiment made of their lists.

A list of date D is made from events up to the end of D, so it can be followed from D + 1 on: an event counts
if its shopper had a list one to seven days before, and never one later than the night's date. Shoppers are
compared by the arm they were drawn into, whatever they saw (intention to treat), and each is one
observation, for it was shoppers who were drawn.

| metric | per shopper |
|---|---|
| conversion | 1 if a product was bought that stood in a list of the shopper's |
| purchases | lines bought on days that followed a list, of any product |
| revenue | price × quantity of those |
| click_through | 1 if an event says that it came from a list; only where the shop records that |

Lists of what sells anyway convert well without moving anything. `purchases` and `revenue` count all products
and are the metrics to decide by.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import functions as F

from jobs import spark
from jobs.ab_stats import SRM_ALPHA, Lift, Sums, lift, sample_ratio
from jobs.arms import CONTROL
from jobs.cli import main
from jobs.evaluation_note import parts_told
from jobs.event_sums import amount, is_kind
from jobs.lake.registry import BY_NAME

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from jobs.night import Night

FOLLOWED_DAYS = 7
METRICS = ("conversion", "purchases", "revenue", "click_through")
# Above what the rules let any sum of money be; its square still fits a decimal.
_MOST = 1e15


def run(night: Night) -> dict[str, Any]:
    """Stages `experiments`; returns the experiment's name and the rows."""
    experiment = night.settings.experiment
    rows: list[dict[str, Any]] = []
    if experiment.on:
        first = night.ds - timedelta(days=night.settings.experiment_days)
        last = night.ds - timedelta(days=1)
        lists = spark.read(night, "recommendations", first, last).where(
            F.col("experiment") == experiment.name
        )
        events = spark.read(night, "events_clean", first, night.ds).where(F.col("arrived") <= F.lit(night.ds))
        found = sums(outcomes(lists, events, night.ds))
        rows = [{**row, "experiment": experiment.name, "ds": night.ds} for row in compared(
            found, experiment.arms, night.settings.min_group
        )]  # fmt: skip
        night.note("experiments", _note(
            experiment.name, experiment.arms, found, rows, night.settings.min_group
        ))  # fmt: skip
    night.stage("experiments", pa.Table.from_pylist(rows, schema=BY_NAME["experiments"].schema))
    return {"experiment": experiment.name or None, "rows": len(rows)}


# What each shopper did ---------------------------------------------------------------------------


def outcomes(lists: DataFrame, events: DataFrame, ds: date) -> DataFrame:
    """One row per shopper with a list: `arm`, the four metrics, `arms` (how many the shopper was seen in),
    `first_list`, `last_list`, and `recorded`: 1 if any event of the shopper's says which list it came from.

    lists: rows of `recommendations` of one experiment. events: rows of `events_clean`.
    """
    lists = lists.select("user_id", "product_id", "bucket", F.col("ds").alias("list_day"))
    lists = lists.where(F.col("list_day") < F.lit(ds))
    shoppers = lists.groupBy("user_id").agg(
        F.min("bucket").alias("arm"),
        F.count_distinct("bucket").alias("arms"),
        F.min("list_day").alias("first_list"),
        F.max("list_day").alias("last_list"),
    )
    done = events.where(F.col("user_id").isNotNull() & (F.col("ds") <= F.lit(ds))).select(
        "user_id", "product_id", "event_type", "price", "quantity", "list_ds", "ds"
    )
    bought = done.where(is_kind("purchase"))
    after = bought.join(lists.select("user_id", "list_day").distinct(), _followed(bought, lists), "left_semi")
    spent = after.groupBy("user_id").agg(
        F.count("*").alias("purchases"), F.sum(amount()).cast("double").alias("revenue")
    )
    hits = bought.join(
        lists, _followed(bought, lists) & (bought["product_id"] == lists["product_id"]), "left_semi"
    )
    came = done.where(F.col("list_ds").isNotNull() & ~is_kind("return"))
    opened = came.join(
        lists,
        (came["user_id"] == lists["user_id"])
        & (came["product_id"] == lists["product_id"])
        & (came["list_ds"] == lists["list_day"]),
        "left_semi",
    )
    return (
        shoppers.join(spent, "user_id", "left")
        .join(_flag(hits, "conversion"), "user_id", "left")
        .join(_flag(opened, "click_through"), "user_id", "left")
        .join(_flag(came, "recorded"), "user_id", "left")
        .fillna(0, [*METRICS, "recorded"])
    )


def _followed(events: DataFrame, lists: DataFrame) -> Column:
    days = F.date_diff(events["ds"], lists["list_day"])
    return (events["user_id"] == lists["user_id"]) & days.between(1, FOLLOWED_DAYS)


def _flag(rows: DataFrame, name: str) -> DataFrame:
    return rows.select("user_id").distinct().withColumn(name, F.lit(1))


def sums(shoppers: DataFrame) -> dict[str, dict[str, Any]]:
    """Arm → users, per metric its sum and sum of squares, days; a shopper seen in two arms is in neither.

    Summed as decimals: the rows must not depend on the order in which Spark adds.
    """
    parts = []
    for metric in METRICS:
        value = F.least(F.col(metric).cast("double"), F.lit(_MOST))
        parts.append(F.sum(value.cast("decimal(24,4)")).cast("double").alias(f"{metric}_total"))
        parts.append(F.sum((value * value).cast("decimal(37,4)")).cast("double").alias(f"{metric}_squares"))
    arm = F.when(F.col("arms") == 1, F.col("arm")).otherwise("")
    days = [F.min("first_list").alias("first_list"), F.max("last_list").alias("last_list")]
    found = shoppers.groupBy(arm.alias("arm")).agg(
        F.count("*").alias("users"), F.max("recorded").alias("recorded"), *parts, *days
    )
    return {row["arm"]: row.asDict() for row in sorted(found.collect(), key=lambda r: r["arm"])}


# What the arms are worth -------------------------------------------------------------------------


def compared(
    found: Mapping[str, Mapping[str, Any]], shares: Mapping[str, float], least: int
) -> list[dict[str, Any]]:
    """Rows of `experiments` without name and date; `found` as `sums` gives it."""
    arms = {arm: row for arm, row in found.items() if arm}
    sizes = {arm: row["users"] for arm, row in arms.items()}
    shown = parts_told(sizes, least)
    srm = sample_ratio(sizes, shares)
    # From the exact chance and the other arms a small one's size could be worked out.
    told = srm if shown == set(arms) else None
    control = arms[CONTROL] if CONTROL in shown else None
    recorded = any(row["recorded"] for row in arms.values())
    rows = []
    for arm, row in arms.items():
        for metric in METRICS:
            if metric == "click_through" and not recorded:
                continue
            given = {"arm": arm, "metric": metric, "srm_p_value": told}
            days = {name: row[name] for name in ("first_list", "last_list")}
            rows.append(
                {
                    **given,
                    **days,
                    **(_numbers(arm, row, control, metric) if arm in shown else {}),
                    **_warning(srm, told, _withheld(row["users"], least) if arm not in shown else ""),
                }
            )
    return rows


def _numbers(
    arm: str, row: Mapping[str, Any], control: Mapping[str, Any] | None, metric: str
) -> dict[str, Any]:
    mine = _of(row, metric)
    against = Lift(None, None, None, None)
    if arm != CONTROL and control is not None:
        against = lift(mine, _of(control, metric))
    return {
        "users": mine.users,
        "mean": mine.mean,
        "lift": against.lift,
        "lift_low": against.low,
        "lift_high": against.high,
        "p_value": against.p_value,
    }


def _of(row: Mapping[str, Any], metric: str) -> Sums:
    return Sums(row["users"], row[f"{metric}_total"], row[f"{metric}_squares"])


def _withheld(users: int, least: int) -> str:
    if users < least:
        return f"fewer than {least} shoppers: not reported"
    return "not reported: the size of a smaller arm would follow from it"


def _warning(srm: float | None, told: float | None, withheld: str) -> dict[str, Any]:
    said = []
    if srm is not None and srm < SRM_ALPHA:
        chance = "" if told is None else f", p = {told:.2g}"
        said.append(f"the arms' sizes do not fit their shares (chi-square{chance}): do not trust the lifts")
    if withheld:
        said.append(withheld)
    return {"status": "warning" if said else "ok", "detail": "; ".join(said) or None}


def _note(
    name: str,
    shares: Mapping[str, float],
    found: Mapping[str, Mapping[str, Any]],
    rows: list[dict[str, Any]],
    least: int,
) -> dict[str, Any]:
    """`crossed`: shoppers seen in two arms; None for some, but fewer than `least`."""
    crossed = found.get("", {}).get("users", 0)
    return {
        "experiment": name,
        "shares": dict(shares),
        "rows": rows,
        "crossed": None if 0 < crossed < least else crossed,
        "least": least,
        "warnings": list(dict.fromkeys(r["detail"] for r in rows if r["detail"])),
    }


if __name__ == "__main__":
    main("ab_report")
