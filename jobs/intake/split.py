"""Judged rows → good, quarantined, duplicate; and what is known as of a date."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.intake.mapped import LANDING, distinct_versions
from jobs.intake.mapping import EntityName, contract_columns
from jobs.intake.typed import judged

GOOD, QUARANTINED, DUPLICATE = "good", "quarantined", "duplicate"
_KEY = {"products": "product_id", "users": "user_id"}


@dataclass(frozen=True)
class Count:
    """Where the rows of one source, entity and day went; `forgotten`: left out, as their shopper asked."""

    source: str
    entity: EntityName
    ds: date
    good: int
    quarantined: int
    duplicates: int
    late: int
    forgotten: int = 0

    @property
    def rows(self) -> int:
        return self.good + self.quarantined + self.duplicates + self.forgotten


def neighbours(days: Collection[date], lookback_days: int) -> set[date]:
    """The days whose landed rows decide which rows of `days` are duplicates.

    A row arrives at most `lookback_days` after its day, and is compared with
    rows that arrived at most that long before it.
    """
    reach = range(-2 * lookback_days, lookback_days + 1)
    return {day + timedelta(days=step) for day in days for step in reach}


def split_events(landed: DataFrame, lookback_days: int) -> DataFrame:
    """Events with their `state`; `landed` holds the `neighbours` of the days that are wanted.

    Of good rows with one event id, one that comes within `lookback_days` of
    an earlier arrival is a duplicate. The earliest arrival wins (then day,
    then row hash), so that a row never loses its place to one that comes
    later, and a day that was built once does not change with its neighbours.
    """
    rows = judged("events", landed)
    # Refused rows compete with none: a bad copy must not shadow a good one.
    key = F.when(F.col("refused"), F.col("row_hash")).otherwise(F.col("event_id"))
    order = Window.partitionBy("refused", key).orderBy("arrived", "ds", "row_hash", "file", "source")
    before = F.lag("arrived").over(order)
    again = F.coalesce(F.datediff("arrived", before) <= lookback_days, F.lit(False))
    return rows.withColumn("state", _state(again))


def split_versions(entity: EntityName, landed: DataFrame) -> DataFrame:
    """Products or users with their `state`: good is the version of a day that most rows agree on."""
    merged = distinct_versions(entity, landed.select(*LANDING[entity].names))
    rows = judged(entity, merged)
    key = F.when(F.col("refused"), F.col("row_hash")).otherwise(F.col(_KEY[entity]))
    order = Window.partitionBy("source", "ds", "refused", key).orderBy(
        F.desc("copies"), "row_hash", "arrived"
    )
    return rows.withColumn("state", _state(F.row_number().over(order) > 1))


def _state(again: Column) -> Column:
    state = F.when(F.col("refused"), F.lit(QUARANTINED)).when(again, F.lit(DUPLICATE))
    return state.otherwise(F.lit(GOOD))


def as_of(entity: EntityName, rows: DataFrame, ds: date) -> DataFrame:
    """The latest good version of each product or user up to a date, and the day it was first seen."""
    key = _KEY[entity]
    columns = [c for c in contract_columns(entity) if c != key]
    known = rows.where(
        (F.col("state") == GOOD) & (F.col("ds") <= F.lit(ds)) & (F.col("arrived") <= F.lit(ds))
    )
    latest = F.max(F.struct("ds", "arrived", "copies", "row_hash", "source", *columns)).alias("latest")
    grouped = known.groupBy(key).agg(F.min("ds").alias("first_seen"), latest)
    return grouped.select(key, *[F.col(f"latest.{c}") for c in columns], "first_seen", F.lit(ds).alias("ds"))


def known_users(mapped: DataFrame, events: DataFrame, ds: date) -> DataFrame:
    """Mapped users, and everyone who did something up to the date, with the day each was first seen."""
    seen = events.where(
        F.col("user_id").isNotNull() & (F.col("ds") <= F.lit(ds)) & (F.col("arrived") <= F.lit(ds))
    )
    active = seen.groupBy("user_id").agg(F.min("ds").alias("active_from"))
    first = F.least("first_seen", "active_from")
    joined = mapped.drop("ds").join(active, "user_id", "full_outer").withColumn("first_seen", first)
    return joined.select(*contract_columns("users"), "first_seen", F.lit(ds).alias("ds"))


def outcomes(frames: Mapping[EntityName, DataFrame]) -> DataFrame:
    """What became of every row, all entities under each other, without the contract's columns."""
    columns = ["source", "state", "copies", "broken", "raw", "row_hash", "file", "arrived", "ds"]
    parts = [rows.select(F.lit(entity).alias("entity"), *columns) for entity, rows in frames.items()]
    return reduce(DataFrame.unionByName, parts)


def quarantine(rows: DataFrame) -> DataFrame:
    """Refused rows of `outcomes`, as the table has them; equal rows are told apart by their place."""
    order = Window.partitionBy("source", "entity", "ds", "row_hash").orderBy("arrived", "file")
    refused = rows.where(F.col("state") == QUARANTINED).withColumn("place", F.row_number().over(order))
    numbered = F.sha2(F.concat_ws("#", "row_hash", "place"), 256)
    return refused.select(
        "source",
        "entity",
        F.when(F.col("place") == 1, F.col("row_hash")).otherwise(numbered).alias("row_hash"),
        F.array_join("broken", ",").alias("rules"),
        "raw",
        "file",
        "arrived",
        "ds",
    )


def counts(rows: DataFrame) -> list[Count]:
    """Where the rows of `outcomes` went, per source, entity and day; further copies are duplicates."""
    state = F.col("state")
    good = state == GOOD
    extra = F.when(state == DUPLICATE, F.col("copies")).otherwise(F.col("copies") - 1)
    found = rows.groupBy("source", "entity", "ds").agg(
        F.count_if(good).alias("good"),
        F.count_if(state == QUARANTINED).alias("quarantined"),
        F.sum(extra).alias("duplicates"),
        F.count_if(good & (F.col("arrived") > F.col("ds"))).alias("late"),
    )
    listed = [Count(**r.asDict()) for r in found.collect()]
    return sorted(listed, key=lambda c: (c.source, c.entity, c.ds))


def broken_rules(rows: DataFrame) -> list[dict[str, Any]]:
    """Broken rules, most frequent first, each with how often: of no row is anything told but that."""
    each = rows.where(F.col("state") == QUARANTINED).withColumn("rule", F.explode("broken"))
    listed = each.groupBy("source", "entity", "rule").agg(F.count("*").alias("rows")).collect()
    return sorted(
        (r.asDict() for r in listed), key=lambda r: (-r["rows"], r["source"], r["entity"], r["rule"])
    )
