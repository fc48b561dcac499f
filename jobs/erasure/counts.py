"""`intake` after an erasure: the shopper's rows move from good, refused and duplicate to forgotten.

What came in stays what came in, so that every day goes on adding up and no later night builds it again.
"""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

import pyarrow as pa

from jobs.erasure.landing import Day, Landed
from jobs.erasure.tables import Plan
from jobs.lake.catalog import LakeCatalog, Swap, between
from jobs.lake.registry import BY_NAME

_INTAKE = "intake"


def restate(
    catalog: LakeCatalog, base: dict[str, str], plan: Plan, landed: Landed, run_id: str
) -> Swap | None:
    """Stage the days of `intake` that the shopper was counted in; None where there is none."""
    moved = _per_day(plan, landed.days)
    if _INTAKE not in base or not moved:
        return None
    store, spec = catalog.store, BY_NAME[_INTAKE]
    days = sorted({day for _, _, day in moved})
    files = list(catalog.files(base[_INTAKE], between("ds", _date(days[0]), _date(days[-1]))))
    rows: dict[str, list[dict[str, Any]]] = {}
    for file in files:
        # One row a source, entity and day: small at any size of shop.
        for row in store.read_parquet(store.key_of(file.file_path)).to_pylist():
            rows.setdefault(row["ds"].isoformat(), []).append(row)
    folder = f"warehouse/{_INTAKE}/data/forget-{uuid.uuid4().hex[:12]}"
    staged = []
    for day in (d for d in days if d in rows):
        changed = []
        for row in rows[day]:
            whose = row["source"], row["entity"], day
            changed.append(_moved(row, None if _is_restated(row, whose, plan, landed) else moved.get(whose)))
        key = f"{folder}/{day}.parquet"
        store.write_parquet(key, pa.Table.from_pylist(changed, schema=spec.schema))
        staged.append(store.location(key))
    return catalog.stage(spec, [d for d in days if d in rows], staged, run_id) if staged else None


def _is_restated(row: dict[str, Any], whose: Day, plan: Plan, landed: Landed) -> bool:
    """Whether the row counts the shopper as forgotten already.

    So it is after an erasure that was killed between its publish and its end, and on a day that a night
    counted again after the tombstone: the tables hold none of the rows that lie in the landing still.
    """
    held = any(key[:3] == whose for key in (*plan.good, *plan.refused))
    return not held and (row.get("forgotten") or 0) >= landed.gone[whose] + landed.days[whose]


def _per_day(plan: Plan, landed: Counter[Day]) -> dict[Day, Counter[str]]:
    """Rows that leave, by the column of `intake` that counted them."""
    moved: dict[Day, Counter[str]] = {}
    for source, name in ((plan.good, "good"), (plan.refused, "quarantined")):
        for (shop, entity, day, late), rows in source.items():
            counted = moved.setdefault((shop, entity, day), Counter())
            counted[name] += rows
            if name == "good" and late:
                counted["late"] += rows
    for key, rows in landed.items():
        counted = moved.setdefault(key, Counter())
        rest = rows - counted["good"] - counted["quarantined"]
        if key[1] == "users" and rest > 0:
            # Of a shopper's rows of one day one is good; `users` itself does not tell its source.
            counted["good"] += 1
            rest -= 1
        counted["duplicates"] += max(rest, 0)
    return moved


def _moved(row: dict[str, Any], counted: Counter[str] | None) -> dict[str, Any]:
    row = {**row, "forgotten": row.get("forgotten") or 0}
    if counted is None:
        return row
    for name in ("good", "quarantined", "duplicates"):
        # Rows that landed since the day was counted are in no column yet.
        rows = min(counted[name], row[name] or 0)
        row[name] -= rows
        row["forgotten"] += rows
    row["late"] = min(row["good"], (row["late"] or 0) - min(counted["late"], row["late"] or 0))
    return row


def _date(day: str) -> Any:
    from datetime import date

    return date.fromisoformat(day)
