"""Publishing outside of a night: the tables are changed, run and date stay those of what is current."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from jobs.failpoints import failpoint
from jobs.lake.catalog import LakeCatalog, Swap, pointers
from jobs.lake.publish import Conflict, Published, Publisher


@dataclass
class Attempt:
    """What one plan has written: swaps to publish, and all keys, for when nobody wants them."""

    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    swaps: list[Swap] = field(default_factory=list)
    written: list[str] = field(default_factory=list)

    def add(self, catalog: LakeCatalog, swap: Swap) -> None:
        """Take a swap that was staged with this mark."""
        self.swaps.append(swap)
        # Now, while it can be read: an erasure removes what it finds.
        self.written += [catalog.store.key_of(m) for m in catalog.own_metadata(swap, self.mark)]


class Amender(Publisher):
    """Swaps some tables' pointers at once, if nothing has moved since they were read."""

    def newest(self) -> Published | None:
        """The newest publish; None where nothing was ever published."""
        with self.engine.connect() as connection:
            return self._newest(connection)

    def settled_log(self) -> list[Published]:
        """Every publish, once none is under way: one whose reply was lost is among them, or never will be.

        Raises SQLAlchemy's `DBAPIError` where the catalog cannot be asked.
        """
        with self.alone() as connection:
            return self._log(connection)

    def amend(self, kind: str, swaps: Iterable[Swap], base: Mapping[str, str]) -> Published:
        """Publish `swaps` over the tables as `base` has them (table → metadata file), as one publish.

        Before the first night there is no run to name, and no `current.json`.
        Raises `Conflict` when any pointer is another by now: the caller plans again.
        """
        failpoint("before_swap")
        with self.engine.begin() as connection:
            seq = self._lock(connection) + 1
            newest = self._newest(connection)
            if pointers(connection) != dict(base):
                raise Conflict("the tables have moved")
            for swap in swaps:
                self._swap_one(connection, swap)
                failpoint("mid_swap")
            tables = pointers(connection)
            run_id, ds = (newest.run_id, newest.ds) if newest else ("", "")
            done = self._record(connection, Published(seq, run_id, ds, kind, tables))
        failpoint("after_swap")
        self.refresh_current()
        failpoint("after_current")
        return done

    def refresh_current(self) -> None:
        """Bring `current.json` up to the newest publish, which a killed call may have left undone."""
        newest = self.newest()
        if newest is not None and newest.ds:
            self.write_current()
