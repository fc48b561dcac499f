"""Publishing outside of a night: the tables are changed, run and date stay those of what is current."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from jobs.lake.catalog import NAME, Swap
from jobs.lake.publish import Published, Publisher, _Conflict, _publishes

Conflict = _Conflict


class Amender(Publisher):
    """Swaps some tables' pointers at once, if nothing has moved since they were read."""

    def newest(self) -> Published | None:
        """The newest publish; None where nothing was ever published."""
        with self.engine.connect() as connection:
            return self._newest(connection)

    def amend(self, kind: str, swaps: Iterable[Swap], base: Mapping[str, str]) -> Published:
        """Publish `swaps` over the tables as `base` has them (table → metadata file), as one publish.

        Before the first night there is no run to name, and no `current.json`.
        Raises `Conflict` when any pointer is another by now: the caller plans again.
        """
        with self.engine.begin() as connection:
            seq = self._lock(connection) + 1
            newest = self._newest(connection)
            if self._pointers(connection) != dict(base):
                raise Conflict("the tables have moved")
            for swap in swaps:
                self._swap_one(connection, swap)  # type: ignore[arg-type]
            tables = self._pointers(connection)
            run_id, ds = (newest.run_id, newest.ds) if newest else ("", "")
            done = self._record(connection, Published(seq, run_id, ds, kind, tables))
        if ds:
            self.write_current()
        return done

    @staticmethod
    def _newest(connection: sa.Connection) -> Published | None:
        row = connection.execute(sa.select(_publishes).order_by(_publishes.c.seq.desc()).limit(1)).first()
        return Published(row.seq, row.run_id, row.ds, row.kind, json.loads(row.tables)) if row else None

    @staticmethod
    def _pointers(connection: sa.Connection) -> dict[str, str]:
        query = sa.text(
            "SELECT table_name, metadata_location FROM iceberg_tables "
            "WHERE catalog_name = :c AND table_namespace = :n"
        )
        rows = connection.execute(query, {"c": NAME, "n": NAME})
        return {row[0]: row[1] for row in rows}
