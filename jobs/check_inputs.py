"""Hold the cleaned rows against the rules and against history, before anything is made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from expectations.anomaly import WEEKDAY_WINDOW_DAYS, Point, judge_share
from expectations.suites import Checks
from jobs import quality
from jobs.cli import main
from jobs.lake.registry import BY_NAME, TABLES
from jobs.night import Night
from jobs.quality import Measure
from jobs.spark import read, spark

INPUTS = tuple(t.name for t in TABLES if t.job == "clean")


def run(night: Night, warning_share: float = 0.05, critical_share: float = 0.5) -> dict[str, Any]:
    """Raises `GateFailed` on a critical rule or anomaly; warnings are noted for the report.

    `warning_share` and `critical_share` bound the share of refused rows of
    each source and entity.
    """
    checks = Checks(spark(night.settings))
    checked = quality.check_tables(night, checks, INPUTS)
    past = quality.history(night)
    accepted = quality.accepts(night, past)
    measures, days = measure_inputs(night, past, warning_share, critical_share)
    docs = quality.push_docs(night, checks, "inputs")
    note = quality.as_note(night, checked, measures + refused_of_rebuilt(night, critical_share), docs)
    # What is recorded for the date must not depend on which other days this run rebuilt.
    note["measures"] = [asdict(m) for m in measures]
    note["days"] = days
    note["accepted"] = accepted
    night.note("quality_inputs", note)
    quality.gate("check_inputs", note)
    return {
        "status": note["status"],
        "warnings": len(note["warnings"]),
        "rows": {c.table: c.rows for c in checked},
        "docs": docs,
    }


def measure_inputs(
    night: Night, past: dict[tuple[str, str], list[Point]], warning_share: float, critical_share: float
) -> tuple[list[Measure], dict[str, list[tuple[str, float]]]]:
    """The inputs' measures, judged; and what the report draws: metric → (day, value) of the events.

    `past` is completed by the days that no night published.
    """
    values, derived = _events(night)
    for metric, points in derived.items():
        # What a night published counts for its day; days before the first night are read from the events.
        known = past.setdefault(("events_clean", metric), [])
        published = {d for d, _ in known}
        known += [p for p in points if p[0] not in published]
    measures = quality.judged(night, "events_clean", values, past)
    found = quality.measure({table: read(night, table) for table in ("products", "users")})
    for table, numbers in found.items():
        measures += quality.judged(night, table, numbers, past)
    drawn = {m: [(d.isoformat(), v) for d, v in sorted(past["events_clean", m])] for m in derived}
    return measures + refused(night, warning_share, critical_share), drawn


def _events(night: Night) -> tuple[dict[str, float], dict[str, list[Point]]]:
    """Today's measures of the events, and those of the days before, both in one pass.

    Only rows that had arrived by the night's date are counted.
    """
    start = night.ds - timedelta(days=WEEKDAY_WINDOW_DAYS)
    frame = read(night, "events_clean", start, night.ds)
    frame = frame.where(frame.arrived <= night.ds)
    days = quality.measure_days(frame, BY_NAME["events_clean"])
    return with_age(days, night.ds)


def with_age(
    days: Mapping[date, dict[str, float]], today: date
) -> tuple[dict[str, float], dict[str, list[Point]]]:
    """Split a day → measures map into today's values and metric → earlier points.

    A day without a row had no event, which is a measure too. `newest` (seconds)
    becomes `age_hours`: from the newest event so far to the end of the day.
    """
    past: dict[str, list[Point]] = {}
    values: dict[str, float] = {}
    newest = None
    day = min(days, default=today)
    while day <= today:
        found = dict(days.get(day, {"rows": 0.0, "users": 0.0, "products": 0.0, "purchases": 0.0}))
        last = found.pop("newest", None)
        newest = max((t for t in (newest, last) if t is not None), default=None)
        if newest is not None:
            end = datetime.combine(day + timedelta(days=1), time(), UTC).timestamp()
            found["age_hours"] = (end - newest) / 3600
        if day == today:
            values = found
        else:
            for metric, value in found.items():
                past.setdefault(metric, []).append((day, value))
        day += timedelta(days=1)
    return values, past


def refused(night: Night, warning: float, critical: float) -> list[Measure]:
    """The share of refused rows of each source and entity, over the days that a late row may still reach.

    Not over the days that this run rebuilt: a second run of the date would
    rebuild fewer, and record another number.
    """
    start = night.ds - timedelta(days=night.settings.lookback_days)
    rows = night.read("intake", start, night.ds).to_pylist()
    return _refused_shares(rows, "", warning, critical)


def refused_of_rebuilt(night: Night, critical: float) -> list[Measure]:
    """As `refused`, over every day that this run rebuilt, and only what is critical.

    A first import is mostly days that lie before the lookback.
    """
    record = night.staging.record("intake")
    rebuilt = {date.fromisoformat(p) for p in record.partitions} if record else set()
    recent = night.ds - timedelta(days=night.settings.lookback_days)
    if all(day >= recent for day in rebuilt):
        return []
    rows = [r for r in night.read("intake", min(rebuilt), max(rebuilt)).to_pylist() if r["ds"] in rebuilt]
    found = _refused_shares(rows, f" in the {len(rebuilt)} days that were rebuilt", 1.0, critical)
    return [m for m in found if m.status == "critical"]


def _refused_shares(rows: list[dict[str, Any]], where: str, warning: float, critical: float) -> list[Measure]:
    """`rows` of `intake`: one a source, entity and day, small at any size of shop."""
    sums: dict[tuple[str, str], tuple[float, float]] = {}
    for row in rows:
        total, bad = sums.get((row["source"], row["entity"]), (0.0, 0.0))
        counts = (total + (row["rows_in"] or 0), bad + (row["quarantined"] or 0))
        sums[row["source"], row["entity"]] = counts
    measures = []
    for (source, entity), (total, bad) in sorted(sums.items()):
        share = bad / total if total else 0.0
        what = f"the share of refused {entity} from {source}{where}"
        found = judge_share(what, share, total, warning, critical)
        metric = f"refused_share.{source}.{entity}"
        measures.append(Measure("intake", metric, share, found.status, found.detail))
    return measures


if __name__ == "__main__":
    main("check_inputs")
