"""A toy night through the real command line: `python -m tests.faults.toy STEP,STEP --ds D --run-id R`.

`clean` stages literal rows of every table instead of making them, and `audit` only marks what is staged; all
else is the real thing: pins, staging, publish, exit codes, failpoints. It takes seconds where a night takes
minutes. After the real `clean`, `features` stages literal rows of every table that is still missing. Each
step's name is told on stdout before it starts.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from types import ModuleType
from typing import Any

import pyarrow as pa

from jobs import cli, publish
from jobs.lake.registry import BY_NAME, NIGHTLY, Table
from jobs.lake.store import Store
from jobs.night import Night
from tests.expectations.good_rows import good

# As long as the bounds in a manifest, which cut longer ids: it must not stand there either.
SHOPPER = "zoe.secret-77"
SECOND = "bob.secret-88"
_NAMED = (SHOPPER, SECOND)
_DAYS = 3
_EVENTS, _REFUSED, _TWICE = 10, 3, 2
Row = dict[str, Any]
# On an object store, where a table costs dozens of requests, fewer tables make a night.
SMALL = "TOY_SMALL"
# As a night of many shards leaves a table: one file a row.
CROWDED = "TOY_CROWDED"
_CROWD = 6
_FEW = ("products", "similar_items", "recommendations")


def staged() -> tuple[Table, ...]:
    few = SMALL in os.environ
    return tuple(t for t in NIGHTLY if t.job != "publish" and (t.name in _FEW or not few))


def stage(night: Night) -> dict[str, Any]:
    """Stages three days of events, what was refused and counts, and three rows of every other table."""
    days = [night.ds - timedelta(days=n) for n in range(_DAYS)]
    came, left_out = landed(night.store, days) if night.store.list("landing") else (literal(days), Counter())
    events = [r["event"] for r in came if "event" in r]
    gone = {*_NAMED} - {e["user_id"] for e in events}
    made = {
        "events_clean": events,
        "quarantine": [r["refused"] for r in came if "refused" in r],
        "intake": [_counted(day, [r for r in came if r["ds"] == day], left_out[day]) for day in days],
    }
    for table in staged():
        rows, partitions = made.get(table.name), days
        if rows is None:
            rows, partitions = [_row(table, night, n) for n in range(3)], [night.ds]
            rows = [r for r in rows if r.get("user_id") not in gone]
        if CROWDED in os.environ and table.name == "recommendations":
            _stage_crowded(night, table, rows)
            continue
        night.stage(table.name, pa.Table.from_pylist(rows, schema=table.schema), partitions=partitions)
    return {"tables": len(staged())}


def fill(night: Night) -> dict[str, Any]:
    """Stages three rows of every table that the real steps before have left out."""
    missing = [t for t in staged() if not night.is_staged(t.name)]
    for table in missing:
        rows = [_row(table, night, n) for n in range(3)]
        night.stage(table.name, pa.Table.from_pylist(rows, schema=table.schema))
    return {"tables": len(missing)}


def _stage_crowded(night: Night, table: Table, rows: list[Row]) -> None:
    folder, keys = night.new_data_dir(table.name), []
    for number, row in enumerate(crowd(rows)):
        keys.append(f"{folder}/part-{number}.parquet")
        night.store.write_parquet(keys[-1], pa.Table.from_pylist([row], schema=table.schema))
    night.stage_files(table.name, keys)


def crowd(rows: list[Row]) -> list[Row]:
    """The rows of a crowded table: those of a plain one again and again, each at a rank of its own."""
    ordered = sorted(rows, key=lambda r: str(r["user_id"]))
    return [dict(ordered[number % len(rows)], rank=number + 1) for number in range(_CROWD)]


def mark(night: Night) -> dict[str, Any]:
    for table in staged():
        night.mark_audited(table.name)
    return {}


def literal(days: Iterable[date]) -> list[Row]:
    """What comes on each of the days: events, refused rows, and copies of an event."""
    rows: list[Row] = []
    for day in days:
        rows += [{"event": _event(day, n), "ds": day} for n in range(_EVENTS)]
        rows += [{"refused": _refused(day, n), "ds": day} for n in range(_REFUSED)]
        rows += [{"ds": day} for _ in range(_TWICE)]
    return rows


def _event(day: date, number: int) -> Row:
    when = good("events_clean")["event_time"].replace(year=day.year, month=day.month, day=day.day)
    return good(
        "events_clean",
        event_id=f"{day}-{number}",
        user_id=_NAMED[number] if number < len(_NAMED) else "u1",
        event_time=when,
        arrived=day,
        list_ds=None,
        list_rank=None,
        ds=day,
    )


def _refused(day: date, number: int) -> Row:
    raw = json.dumps({"who": SHOPPER if number == 0 else "u1", "price": "x"})
    return good("quarantine", row_hash=f"{day}-{number}", raw=raw, arrived=day, ds=day)


def _counted(day: date, rows: list[Row], gone: int) -> Row:
    counts = {"good": sum("event" in r for r in rows), "quarantined": sum("refused" in r for r in rows)}
    counts["duplicates"] = len(rows) - counts["good"] - counts["quarantined"]
    return good("intake", rows_in=len(rows) + gone, ds=day, late=0, forgotten=gone, **counts)


# -- the landing ---------------------------------------------------------------------

_TEXTS = ("event_id", "user_id", "broken", "raw", "row_hash", "file", "source")
_LANDED = pa.schema(
    [(n, pa.string()) for n in _TEXTS]
    + [("copies", pa.int64()), ("arrived", pa.date32()), ("ds", pa.date32())]
)


def land(store: Store, days: Iterable[date]) -> None:
    """Lands the rows of these days as `nightshelf import` does: files, then a manifest that counts them."""
    for day in days:
        rows = [_landed_row(r, n) for n, r in enumerate(literal([day]))]
        folder = f"landing/sample/events/{day}-0"
        store.write_parquet(f"{folder}/part.parquet", pa.Table.from_pylist(rows, schema=_LANDED))
        body = {"folder": folder, "days": [[str(day), str(day), len(rows)]]}
        manifest = {"source": "sample", "mapping": "m", "files": [str(day)], "entities": {"events": body}}
        store.write(f"landing/sample/_batches/{day}.json", json.dumps(manifest).encode())


def _landed_row(row: Row, number: int) -> Row:
    day = row["ds"]
    found = {"source": "sample", "file": "a.csv", "copies": 1, "arrived": day, "ds": day}
    found |= {"row_hash": f"{day}-row-{number}", "raw": "{}", "user_id": "u1"}
    if "event" in row:
        who = row["event"]["user_id"]
        found |= {"event_id": row["event"]["event_id"], "user_id": who, "raw": json.dumps({"who": who})}
    elif "refused" in row:
        refused = row["refused"]
        found |= {"row_hash": refused["row_hash"], "raw": refused["raw"], "broken": refused["rules"]}
        found["user_id"] = json.loads(refused["raw"])["who"]
    return found


def landed(store: Store, days: Iterable[date]) -> tuple[list[Row], Counter[date]]:
    """What the landing still holds of these days, as `literal` gives it, and how many rows it left out."""
    rows: list[Row] = []
    gone: Counter[date] = Counter()
    for day in days:
        key = f"landing/sample/_batches/{day}.json"
        if not store.exists(key):
            continue
        body = json.loads(store.read(key))["entities"]["events"]
        gone[day] = sum(n for _, _, n in body.get("forgotten", []))
        there = [r for k in store.list(body["folder"]) for r in store.read_parquet(k).to_pylist()]
        hashes, ids = {r["row_hash"] for r in there}, {r["event_id"] for r in there}
        rows += [
            r
            for r in literal([day])
            if ("event" not in r or r["event"]["event_id"] in ids)
            and ("refused" not in r or r["refused"]["row_hash"] in hashes)
        ]
    return rows, gone


def _row(table: Table, night: Night, number: int) -> dict[str, Any]:
    row = good(table.name)
    for column in table.schema:
        if column.type == BY_NAME["users"].schema.field("ds").type and row[column.name]:
            row[column.name] = min(row[column.name], night.ds)
    row["ds"] = night.ds
    name = table.key[0]
    row[name] = f"{row[name]}-{number}"
    if "user_id" in row and number < len(_NAMED):
        row["user_id"] = _NAMED[number]
    if "model_version" in row:
        row["model_version"] = night.run_id
    return row


def without(rows: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """Every table's rows that do not name the shopper."""
    return {t: [r for r in found if SHOPPER not in str(r)] for t, found in rows.items()}


def main() -> None:
    steps, *arguments = sys.argv[1:]
    for name, run in (("clean", stage), ("features", fill), ("audit", mark)):
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
