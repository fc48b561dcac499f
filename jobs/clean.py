"""Landed rows → `events_clean`, `products`, `users`, `quarantine`, `intake`.

A day of events is a pure function of what landed for it and its neighbours.
A night rebuilds its own day, and each earlier day for which more has landed
than the table `intake` records; it touches no other day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.cli import main
from jobs.intake.forgotten import scrubbed, theirs
from jobs.intake.landing import Part, forgotten_counts, landed, parts, row_counts
from jobs.intake.mapping import ENTITIES, EntityName
from jobs.intake.split import (
    GOOD,
    Count,
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
from jobs.lake.catalog import between
from jobs.lake.forgotten import Forgotten, load
from jobs.lake.registry import BY_NAME
from jobs.night import Night
from jobs.spark import read, spark, stage

Key = tuple[str, EntityName, date]
_TOP_RULES = 20


def run(night: Night) -> dict[str, Any]:
    found = parts(night.store)
    horizon = max([night.ds, *night.partitions("events_clean")])
    arrived = row_counts(found, horizon)
    days = days_to_rebuild(night.ds, arrived, recorded(night))
    known = load(night.store)
    frames, left_out = split(night, found, days, horizon, known)
    for frame in frames.values():
        frame.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        in_days = F.col("ds").isin(days)
        rows = outcomes(frames).where(in_days)
        went = with_forgotten(counts(rows), left_out + forgotten_counts(found, horizon), days)
        conserve(days, arrived, went)
        rules = broken_rules(rows)
        good = frames["events"].where(in_days & (F.col("state") == GOOD))
        stage(night, "events_clean", good, days)
        stage(night, "products", as_of("products", frames["products"], night.ds))
        users = as_of("users", frames["users"], night.ds)
        everyone = known_users(users, read(night, "events_clean", date.min, night.ds), night.ds)
        stage(night, "users", everyone)
        refused = quarantine(rows)
        if known.hashes:
            refused = refused.withColumn("raw", scrubbed(F.col("entity"), known))
        stage(night, "quarantine", refused, days)
    finally:
        for frame in frames.values():
            frame.unpersist()
    night.stage("intake", intake_rows(went), days)
    return summarise(night, days, went, rules)


def recorded(night: Night) -> Counter[Key]:
    """Rows in, per source, entity and day, as the pinned `intake` has them.

    Pinned, not staged: an attempt after another must rebuild the same days.
    """
    metadata = night.pins.get("intake")
    if metadata is None:
        return Counter()
    files = night.catalog.files(metadata, between("ds", date.min, night.ds))
    paths = [night.store.open_path(night.store.key_of(f.file_path)) for f in files]
    schema = BY_NAME["intake"].schema
    table = pads.dataset(paths, schema=schema, format="parquet", filesystem=night.store.filesystem).to_table(
        columns=["source", "entity", "ds", "rows_in"]
    )
    return Counter({(r["source"], r["entity"], r["ds"]): r["rows_in"] for r in table.to_pylist()})


def days_to_rebuild(ds: date, arrived: Counter[Key], known: Counter[Key]) -> list[date]:
    """The night's own day, and earlier days whose landed rows are not those on record; sorted."""
    changed = {key[2] for key in {*arrived, *known} if arrived[key] != known[key]}
    return sorted({ds, *(day for day in changed if day <= ds)})


def split(
    night: Night, found: Sequence[Part], days: Sequence[date], horizon: date, known: Forgotten
) -> tuple[dict[EntityName, DataFrame], Counter[Key]]:
    """Each entity's rows with their state: events around the rebuilt days, products and users of all days;
    and how many landed rows of the rebuilt days are left out, as their shoppers are to be forgotten.
    """
    session = spark(night.settings)
    lookback = night.settings.lookback_days
    frames: dict[EntityName, DataFrame] = {}
    left_out: Counter[Key] = Counter()
    for entity in ENTITIES:
        wanted = {day for part in found if part.entity == entity for day, _ in part.days if day <= night.ds}
        if entity == "events":
            wanted = neighbours(days, lookback)
        rows = landed(session, night.store, found, entity, wanted, horizon)
        if known.hashes:
            # Landing leaves them out, and erasure takes them out: this is for a landing restored by hand.
            doomed = theirs(entity, known)
            gone = rows.where(doomed & F.col("ds").isin(days)).groupBy("source", "ds")
            for row in gone.agg(F.sum("copies").alias("n")).collect():
                left_out[row["source"], entity, row["ds"]] += row["n"]
            rows = rows.where(~doomed)
        frames[entity] = split_events(rows, lookback) if entity == "events" else split_versions(entity, rows)
    return frames, left_out


def with_forgotten(went: Sequence[Count], left_out: Counter[Key], days: Sequence[date]) -> list[Count]:
    """The counts with what was left out of the rebuilt days, also where nothing else is left."""
    found = {(c.source, c.entity, c.ds): c for c in went}
    for key, rows in left_out.items():
        if rows and key[2] in set(days):
            one = found.get(key) or Count(*key, good=0, quarantined=0, duplicates=0, late=0)
            found[key] = replace(one, forgotten=rows)
    return [found[key] for key in sorted(found)]


def conserve(days: Sequence[date], arrived: Counter[Key], went: Sequence[Count]) -> None:
    """Rows in = good + quarantined + duplicates + forgotten, per source, entity and rebuilt day."""
    out = Counter({(c.source, c.entity, c.ds): c.rows for c in went})
    wanted = set(days)
    for key in sorted({*arrived, *out}):
        if key[2] in wanted and arrived[key] != out[key]:
            raise RuntimeError(
                f"rows were lost or made: {key}: {arrived[key]} landed, {out[key]} accounted for"
            )


def intake_rows(went: Sequence[Count]) -> pa.Table:
    rows = [
        {
            "source": c.source,
            "entity": c.entity,
            "rows_in": c.rows,
            "good": c.good,
            "quarantined": c.quarantined,
            "duplicates": c.duplicates,
            "late": c.late,
            "forgotten": c.forgotten,
            "ds": c.ds,
        }
        for c in went
    ]
    return pa.Table.from_pylist(rows, schema=BY_NAME["intake"].schema)


def summarise(
    night: Night, days: Sequence[date], went: Sequence[Count], rules: list[dict[str, Any]]
) -> dict[str, Any]:
    """Note what the report shows; returns the step's summary."""
    totals = {
        name: sum(getattr(c, name) for c in went)
        for name in ("rows", "good", "quarantined", "duplicates", "late")
    }
    totals["rows_in"] = totals.pop("rows")
    left_out = sum(c.forgotten for c in went)
    if left_out:
        totals["forgotten"] = left_out
    by_source: dict[str, Counter[str]] = {}
    for c in went:
        counted = by_source.setdefault(f"{c.source}/{c.entity}", Counter())
        counted.update(
            rows_in=c.rows, good=c.good, quarantined=c.quarantined, duplicates=c.duplicates, late=c.late
        )
    night.note(
        "intake",
        {
            "totals": totals,
            "sources": {name: dict(counted) for name, counted in sorted(by_source.items())},
            "rules": rules[:_TOP_RULES],
            "days": [day.isoformat() for day in days],
        },
    )
    return {"days": len(days), **totals}


if __name__ == "__main__":
    main("clean")
