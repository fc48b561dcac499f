"""What is published now, for commands that are no step of a night: no run, no pins, nothing is written."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date
from typing import Any

from pyiceberg.expressions import And, BooleanExpression, EqualTo, In

from jobs.errors import BadInput
from jobs.lake.catalog import LakeCatalog, partition_value
from jobs.lake.registry import BY_NAME
from jobs.lake.store import Store
from jobs.settings import Settings

NOTHING_YET = "nothing is published yet: run 'nightshelf nightly --ds YYYY-MM-DD' first"
Row = dict[str, Any]


class Published:
    """The tables as one look at the catalog finds them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store.of(settings)
        self.catalog = LakeCatalog(settings, self.store)
        self._pointers = self.catalog.pointers()

    def days(self, table: str) -> list[date]:
        """Dates that have rows, oldest first; `BadInput` where the table was never published."""
        if table not in self._pointers:
            raise BadInput(NOTHING_YET)
        files = self.catalog.files(self._pointers[table])
        return sorted({partition_value(BY_NAME[table], f) for f in files})

    def rows(
        self, table: str, ds: date, columns: Sequence[str] = ("*",), products: Collection[str] | None = None
    ) -> Iterator[Row]:
        """Rows of one date, a batch at a time: of these products, by default of all."""
        if table not in self._pointers:
            raise BadInput(NOTHING_YET)
        wanted: BooleanExpression = EqualTo("ds", ds.isoformat())
        if products is not None:
            wanted = And(wanted, In("product_id", products))
        scan = self.catalog.open(self._pointers[table]).scan(wanted, selected_fields=tuple(columns))
        for batch in scan.to_arrow_batch_reader():
            yield from batch.to_pylist()
