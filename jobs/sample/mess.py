"""What goes wrong on the way: rows sent twice, rows that come late, rows that are broken."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.sample.catalogue import Ints

LATE_SHARE = 0.012  # 1 to 3 days late
TOO_LATE_SHARE = 0.0015  # 4 or 5 days late: beyond the usual lookback
DUPLICATE_SHARE = 0.01
BAD_SHARE = 0.01
LOOKBACK = 3

BAD_KINDS = (
    "negative_price",
    "nan_price",
    "zero_quantity",
    "unknown_event",
    "unreadable_time",
    "year_1970",
    "year_2099",
    "missing_product",
    "missing_event_id",
    "garbage",
    "huge_text",
)
# Valid UTF-8 and valid CSV, and still nothing that anybody meant: quotes, commas, controls, half a euro sign.
GARBAGE = '\u0001\ufffd"\u00ff,\u20ac\u0007;\ufffd\ufffd=\u0085\u200b'


@dataclass
class Tally:
    """How many rows of each kind one file carries; clean ones also by type and by the day they belong to."""

    rows: int = 0
    clean: int = 0
    duplicates: int = 0
    late: int = 0
    too_late: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    clean_by_kind: Counter[str] = field(default_factory=Counter)
    clean_by_day: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        for name in ("rows", "clean", "duplicates", "late", "too_late"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("bad", "clean_by_kind", "clean_by_day"):
            getattr(self, name).update(getattr(other, name))

    def counts(self) -> dict[str, Any]:
        return {name: dict(v) if isinstance(v, Counter) else v for name, v in vars(self).items()}


class Post:
    """Carries the events of each day to the file of the day on which they arrive.

    Call `send` for day 0, 1, 2 … in order, and `deliver` once after each. Tables have string columns of the
    raw format, and `at`, the second of the day at which a row reaches the shop, which orders the file.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.waiting: dict[int, list[pa.Table]] = defaultdict(list)
        self.tallies: dict[int, Tally] = defaultdict(Tally)
        self.bad_rows = 0

    def send(self, day: int, date: str, events: pa.Table) -> None:
        rng = np.random.default_rng([self.seed, 5, day])
        n = len(events)
        fate = rng.random(n)
        delay = np.zeros(n, np.int64)
        is_late = fate < LATE_SHARE
        is_too_late = (fate >= LATE_SHARE) & (fate < LATE_SHARE + TOO_LATE_SHARE)
        delay[is_late] = rng.integers(1, LOOKBACK + 1, is_late.sum())
        delay[is_too_late] = rng.integers(LOOKBACK + 1, LOOKBACK + 3, is_too_late.sum())
        for days in range(LOOKBACK + 3):
            rows = np.flatnonzero(delay == days)
            if days > LOOKBACK:
                self._post(day + days, events, rows, Tally(too_late=len(rows)))
                continue
            tally = Tally(clean=len(rows), late=len(rows) if days else 0)
            kinds = events["event"].take(pa.array(rows)).value_counts().to_pylist()
            tally.clean_by_kind.update({k["values"]: k["counts"] for k in kinds})
            tally.clean_by_day.update({date: len(rows)} if len(rows) else {})
            self._post(day + days, events, rows, tally)
        twice = np.flatnonzero((delay == 0) & (rng.random(n) < DUPLICATE_SHARE))
        same_day = rng.random(len(twice)) < 0.5
        for days, rows in ((0, twice[same_day]), (1, twice[~same_day])):
            self._post(day + days, events, rows, Tally(duplicates=len(rows)))
        self._break(rng, day, events, round(n * BAD_SHARE))

    def deliver(self, day: int) -> tuple[pa.Table, Tally]:
        """All rows that arrive on a day, in the order in which they came, and what they are."""
        table = pa.concat_tables(self.waiting.pop(day))
        order = pc.sort_indices(table, [("at", "ascending"), ("event_id", "ascending")])
        return table.take(order).drop_columns(["at"]), self.tallies.pop(day)

    def _post(self, day: int, events: pa.Table, rows: Ints, tally: Tally) -> None:
        tally.rows = len(rows)
        self.tallies[day].add(tally)
        self.waiting[day].append(events.take(pa.array(rows)))

    def _break(self, rng: np.random.Generator, day: int, events: pa.Table, count: int) -> None:
        """Posts copies of some rows, each under an id of its own and each broken in one way."""
        sample = events.take(pa.array(rng.integers(len(events), size=count))).to_pylist()
        kinds = [BAD_KINDS[i] for i in rng.integers(len(BAD_KINDS), size=count)]
        for row, kind in zip(sample, kinds, strict=True):
            self.bad_rows += 1
            row["event_id"] = f"x{self.bad_rows:09d}"
            row.update(_broken(kind, row))
        table = pa.Table.from_pylist(sample, schema=events.schema)
        self._post(day, table, np.arange(count), Tally(bad=Counter(kinds)))


def _broken(kind: str, row: dict[str, str]) -> dict[str, str]:
    """The fields that make a good row bad."""
    changes: dict[str, dict[str, str]] = {
        "negative_price": {"price": "-" + row["price"]},
        "nan_price": {"price": "NaN"},
        "zero_quantity": {"quantity": "0"},
        "unknown_event": {"event": "hover"},
        "unreadable_time": {"time": "31/02/26 at noon"},
        "year_1970": {"time": "1970-01-01T00:00:00Z"},
        "year_2099": {"time": "2099-12-31T23:59:59Z"},
        "missing_product": {"product_id": ""},
        "missing_event_id": {"event_id": ""},
        "garbage": {"event": GARBAGE, "time": GARBAGE[::-1], "price": GARBAGE},
        "huge_text": {"event": "buy now " * 1_280},
    }
    return changes[kind]
