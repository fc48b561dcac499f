"""A toy night through the real command line: `python -m tests.faults.toy STEP,STEP --ds D --run-id R`.

`clean` stages literal rows of every table instead of making them, and `audit` only marks what is staged; all
else is the real thing: pins, staging, publish, exit codes, failpoints. It takes seconds where a night takes
minutes. Each step's name is told on stdout before it starts.
"""

from __future__ import annotations

import os
import sys
from datetime import date, timedelta
from types import ModuleType
from typing import Any

import pyarrow as pa

from jobs import cli, publish
from jobs.lake.registry import BY_NAME, NIGHTLY, Table
from jobs.night import Night
from tests.expectations.good_rows import good

_DAYS = 3
_EVENTS, _REFUSED, _TWICE = 10, 3, 2
# On an object store, where a table costs dozens of requests, fewer tables make a night.
SMALL = "TOY_SMALL"
_FEW = ("products", "similar_items", "recommendations")


def staged() -> tuple[Table, ...]:
    few = SMALL in os.environ
    return tuple(t for t in NIGHTLY if t.job != "publish" and (t.name in _FEW or not few))


def stage(night: Night) -> dict[str, Any]:
    """Stages three days of events, what was refused and counts, and three rows of every other table."""
    for table in staged():
        days = [night.ds - timedelta(days=n) for n in range(_DAYS)]
        if table.name == "events_clean":
            rows = [_event(day, n) for day in days for n in range(_EVENTS)]
        elif table.name == "intake":
            rows = [_counted(day) for day in days]
        elif table.name == "quarantine":
            rows = [
                good("quarantine", row_hash=f"{n}", arrived=day, ds=day)
                for day in days
                for n in range(_REFUSED)
            ]
        else:
            rows, days = [_row(table, night, n) for n in range(3)], [night.ds]
        night.stage(table.name, pa.Table.from_pylist(rows, schema=table.schema), partitions=days)
    return {"tables": len(staged())}


def mark(night: Night) -> dict[str, Any]:
    for table in staged():
        night.mark_audited(table.name)
    return {}


def _event(day: date, number: int) -> dict[str, Any]:
    when = good("events_clean")["event_time"].replace(year=day.year, month=day.month, day=day.day)
    return good(
        "events_clean",
        event_id=f"{day}-{number}",
        event_time=when,
        arrived=day,
        list_ds=None,
        list_rank=None,
        ds=day,
    )


def _counted(day: date) -> dict[str, Any]:
    counts = {"good": _EVENTS, "quarantined": _REFUSED, "duplicates": _TWICE, "late": 0}
    return good("intake", rows_in=_EVENTS + _REFUSED + _TWICE, ds=day, **counts)


def _row(table: Table, night: Night, number: int) -> dict[str, Any]:
    row = good(table.name)
    for column in table.schema:
        if column.type == BY_NAME["users"].schema.field("ds").type and row[column.name]:
            row[column.name] = min(row[column.name], night.ds)
    row["ds"] = night.ds
    name = table.key[0]
    row[name] = f"{row[name]}-{number}"
    if "model_version" in row:
        row["model_version"] = night.run_id
    return row


def main() -> None:
    steps, *arguments = sys.argv[1:]
    for name, run in (("clean", stage), ("audit", mark)):
        module = ModuleType(f"jobs.{name}")
        module.run = run  # type: ignore[attr-defined]
        sys.modules[f"jobs.{name}"] = module
    if SMALL in os.environ:
        publish.NIGHTLY = tuple(t for t in NIGHTLY if t in staged() or t.job == "publish")
    for step in steps.split(","):
        print(f"step {step}", flush=True)
        sys.argv[1:] = arguments
        try:
            cli.main(step)
        except SystemExit as end:
            if end.code:
                raise


if __name__ == "__main__":
    main()
