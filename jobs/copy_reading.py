"""A day's rows of a table, read by ranges of product ids: memory holds a range's row groups, not the day.

Where a table lies in the order of its ids, a range touches a row group or two. Where it does not, the rows
are the same, and more is held.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from jobs.lake.registry import BY_NAME
from jobs.night import Night

_ID = "product_id"


@dataclass(frozen=True)
class _Group:
    """A row group and its bounds, as its file's footer knows them; without bounds it may hold any id."""

    rows: pads.ParquetFileFragment
    bounds: tuple[str, str] | None

    @staticmethod
    def of(rows: pads.ParquetFileFragment) -> _Group:
        known = (rows.row_groups[0].statistics or {}).get(_ID)
        return _Group(rows, (known["min"], known["max"]) if known else None)

    def meets(self, first: str, last: str) -> bool:
        return self.bounds is None or (self.bounds[0] <= last and first <= self.bounds[1])


class ByProduct:
    """The rows of one day of a table that has a `product_id`; `columns`: by default all."""

    def __init__(self, night: Night, table: str, day: date, columns: Sequence[str] | None = None) -> None:
        self._schema = BY_NAME[table].schema
        self._columns = list(columns or self._schema.names)
        self._groups = [_Group.of(rows) for rows in night.row_groups(table, day)]
        self._held: dict[int, pa.Table] = {}

    @cached_property
    def ids(self) -> pa.Array:
        """All product ids, sorted, each once."""
        found = [g.rows.to_table(schema=self._schema, columns=[_ID])[_ID] for g in self._groups]
        chunks = [chunk for column in found for chunk in column.chunks]
        unique = pa.chunked_array(chunks, pa.string()).unique()
        return unique.take(pc.sort_indices(unique))

    def block(self, start: int, size: int) -> list[dict[str, Any]]:
        """The rows of `size` products from the one at `start` on, in the order of their ids."""
        ids = self.ids[start : start + size]
        return self.between(ids[0].as_py(), ids[-1].as_py()) if len(ids) else []

    def between(self, first: str, last: str) -> list[dict[str, Any]]:
        """The rows from one id to another, both included, in the order of their ids."""
        wanted = [i for i, group in enumerate(self._groups) if group.meets(first, last)]
        # Blocks come in the order of ids: what this one needs of a row group, the next may need as well.
        self._held = {i: self._held[i] if i in self._held else self._read(i) for i in wanted}
        found = [row for table in self._held.values() for row in _range(table, first, last).to_pylist()]
        return sorted(found, key=itemgetter(_ID))

    def _read(self, number: int) -> pa.Table:
        return self._groups[number].rows.to_table(schema=self._schema, columns=self._columns).sort_by(_ID)


def _range(rows: pa.Table, first: str, last: str) -> pa.Table:
    """The part of a table that is sorted by id from one id to another, both included."""
    ids = rows[_ID]
    start = bisect_left(ids, first, key=pa.StringScalar.as_py)
    return rows.slice(start, bisect_right(ids, last, key=pa.StringScalar.as_py) - start)
