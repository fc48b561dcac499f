"""Making a night visible: all of its tables at once, or none.

The pointers of all staged tables are compared and swapped in one SQL
transaction, together with a row in `nightshelf_publishes`. `current.json` is
derived from that row under the same lock, so it never goes back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from jobs.causes import catalog_away
from jobs.errors import BadInput, GateFailed, Transient
from jobs.failpoints import failpoint
from jobs.lake.catalog import NAME, LakeCatalog, Swap, make_tables, pointers
from jobs.lake.reach import missing
from jobs.lake.registry import NIGHTLY, TABLES
from jobs.lake.staging import Staged, Staging

CURRENT = "current.json"
_ATTEMPTS = 30
_INSERT = (
    "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location, "
    "previous_metadata_location) VALUES (:c, :n, :t, :new, NULL)"
)
_DELETE = "DELETE FROM iceberg_tables WHERE catalog_name = :c AND table_namespace = :n AND table_name = :t"
_UPDATE = (
    "UPDATE iceberg_tables SET previous_metadata_location = metadata_location, metadata_location = :new "
    "WHERE catalog_name = :c AND table_namespace = :n AND table_name = :t"
)

_meta = sa.MetaData()
_head = sa.Table(
    "nightshelf_head",
    _meta,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
)
_publishes = sa.Table(
    "nightshelf_publishes",
    _meta,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("run_id", sa.String(250), nullable=False, index=True),
    sa.Column("ds", sa.String(10), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("tables", sa.Text, nullable=False),
)


# Kinds of publishes. A rollback may not go to before a `FORGET`, nor may a night that was pinned before it
# be published after it: either would bring a forgotten shopper back.
NIGHT = "night"
FORGET = "forget"
ROLLBACK = "rollback"
# Tables that no night stages: they stay as they are when a night, or a rollback, is published.
_LASTING = tuple(t.name for t in TABLES if t not in NIGHTLY)
# Each attempt at `publish` stages these anew: they do not tell whether two attempts show the same night.
_BY_PUBLISH = tuple(t.name for t in NIGHTLY if t.job == "publish")


class Conflict(Exception):
    """Another publish moved a pointer since this one was staged."""


class Twice(Conflict):
    """Another attempt at the same run published since this one looked."""


class Outdated(GateFailed):
    """What was staged may hold a shopper who was forgotten since the run was pinned."""


@dataclass(frozen=True)
class Published:
    """One line of the publish log; `tables` maps a table to its metadata file."""

    seq: int
    run_id: str
    ds: str
    kind: str
    tables: dict[str, str]


class Publisher:
    def __init__(self, catalog: LakeCatalog) -> None:
        self.catalog = catalog
        self.engine = catalog.engine
        self._prepare()

    def _prepare(self) -> None:
        make_tables(_meta, self.engine)
        with self.engine.begin() as connection:
            if connection.execute(sa.select(_head.c.seq)).first() is None:
                try:
                    with connection.begin_nested():
                        connection.execute(_head.insert().values(id=1, seq=0))
                except sa.exc.IntegrityError:
                    pass

    def log(self) -> list[Published]:
        """Every publish, oldest first."""
        with self.engine.connect() as connection:
            return self._log(connection)

    @staticmethod
    def _log(connection: sa.Connection) -> list[Published]:
        rows = connection.execute(sa.select(_publishes).order_by(_publishes.c.seq))
        return [_published(row) for row in rows]

    @staticmethod
    def _newest(connection: sa.Connection) -> Published | None:
        """The newest publish; None where nothing was ever published."""
        row = connection.execute(sa.select(_publishes).order_by(_publishes.c.seq.desc()).limit(1)).first()
        return _published(row) if row else None

    def sequence(self) -> int:
        """The number of the newest publish; 0 before the first."""
        with self.engine.connect() as connection:
            return int(connection.execute(sa.select(_head.c.seq)).scalar_one())

    def publish(self, staging: Staging, ds: str, pinned: int | None = None) -> Published:
        """Make everything that `staging` holds visible; safe to call again, and by two processes at once.

        `pinned`: the newest publish when the run was pinned. Raises `Outdated`
        when a shopper was forgotten since, `GateFailed` when a table lacks an audit of exactly its staged
        metadata, or a file of it is gone, `Transient` when other publishes keep winning.
        """
        records = staging.records()
        for attempt in range(_ATTEMPTS):
            try:
                looked_at = self.sequence()
                done = self._already(staging, records)
                if done is None:
                    records = self._rebased(staging, records, ds, pinned)
                    _require_audit(records)
                    failpoint("before_swap")
                    done = self._swap(staging.run_id, ds, records, pinned, looked_at)
                failpoint("after_swap")
                self.write_current()
            except Twice:
                # It may have been at work on what a later attempt has staged anew since.
                records = staging.reread()
                continue
            except Conflict:
                time.sleep(0.05 * (attempt + 1))
                continue
            except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
                # The transaction may have landed although its reply was lost: the next round looks.
                if attempt == _ATTEMPTS - 1:
                    raise catalog_away(error) from error
                time.sleep(0.2 * (attempt + 1))
                continue
            failpoint("after_current")
            return done
        raise Transient(f"other runs published first, {_ATTEMPTS} times in a row; try again")

    def finished(self, staging: Staging) -> Published | None:
        """What this run has published, by an attempt that died after its swap; None where nothing is.

        Brings `current.json` up to the newest publish, which is what that attempt may have left undone.
        """
        done = self._already(staging, staging.records())
        if done is not None:
            self.write_current()
            failpoint("after_current")
        return done

    def _already(self, staging: Staging, records: list[Staged]) -> Published | None:
        """The publish of exactly these files by this run, if it is done; the records say so afterwards."""
        past = (p for p in self.log() if p.run_id == staging.run_id)
        done = next((p for p in past if self._shows(staging, p, records)), None)
        if done is not None:
            for record in records:
                staging.adopt(record, done.tables[record.table])
        return done

    @staticmethod
    def _shows(staging: Staging, publish: Published, records: list[Staged]) -> bool:
        """Whether a publish of this run holds these files, if by metadata that another attempt wrote."""
        if set(_nightly(publish.tables)) != {r.table for r in records}:
            return False
        made = (r for r in records if r.table not in _BY_PUBLISH)
        try:
            return all(staging.shown_by(publish.tables[r.table], r) for r in made)
        except FileNotFoundError:
            return False  # too long ago: maintenance has removed it

    def _rebased(self, staging: Staging, records: list[Staged], ds: str, pinned: int | None) -> list[Staged]:
        """Records whose base is what is current now; the files stay the same."""
        # Files that an erasure has removed cannot be staged again.
        self.require_fresh(staging.run_id, ds, pinned)
        current = self.catalog.pointers()
        # What is staged again is read again, and found to be there by that.
        kept = (r for r in records if current.get(r.table) == r.base)
        self._require_there(staging.run_id, ds, kept, pinned)
        try:
            return [r if current.get(r.table) == r.base else staging.restage(r) for r in records]
        except FileNotFoundError:
            self.require_fresh(staging.run_id, ds, pinned)
            self._require_there(staging.run_id, ds, records, pinned)
            raise

    def _require_there(self, run_id: str, ds: str, records: Iterable[Staged], pinned: int | None) -> None:
        """Refuse what would leave readers with pointers to files that are no longer there."""
        for record in records:
            gone = missing(self.catalog, record.metadata, record.files)
            if gone:
                self.require_fresh(run_id, ds, pinned)
                raise removed(run_id, ds, gone[0])

    def require_fresh(self, run_id: str, ds: str, pinned: int | None) -> None:
        """Raise `Outdated` where a shopper was forgotten since the run was pinned."""
        with self.engine.connect() as connection:
            self._refuse_outdated(connection, run_id, ds, pinned)

    def _swap(
        self, run_id: str, ds: str, records: list[Staged], pinned: int | None, looked_at: int
    ) -> Published:
        with self.engine.begin() as connection:
            seq = self._lock(connection) + 1
            self._refuse_outdated(connection, run_id, ds, pinned)
            if self._published_since(connection, run_id, looked_at):
                raise Twice(run_id)
            for record in records:
                self._swap_one(connection, record)
                failpoint("mid_swap")
            tables = _pointers(records) | self._lasting(connection)
            return self._record(connection, Published(seq, run_id, ds, NIGHT, tables))

    def _refuse_outdated(self, connection: sa.Connection, run_id: str, ds: str, pinned: int | None) -> None:
        if pinned is not None and self._forgotten_since(connection, pinned):
            raise Outdated(
                f"a shopper was forgotten after run '{run_id}' was pinned, so what it made is not published: "
                f"run {ds} again, from its first step"
            )

    @staticmethod
    def _forgotten_since(connection: sa.Connection, seq: int) -> bool:
        query = sa.select(_publishes.c.seq).where(_publishes.c.seq > seq, _publishes.c.kind == FORGET)
        return connection.execute(query.limit(1)).first() is not None

    @staticmethod
    def _published_since(connection: sa.Connection, run_id: str, seq: int) -> bool:
        mine = (_publishes.c.seq > seq, _publishes.c.run_id == run_id, _publishes.c.kind == NIGHT)
        return connection.execute(sa.select(_publishes.c.seq).where(*mine).limit(1)).first() is not None

    @staticmethod
    def _lasting(connection: sa.Connection) -> dict[str, str]:
        """Current pointers of the tables that no night stages."""
        return {table: metadata for table, metadata in pointers(connection).items() if table in _LASTING}

    @staticmethod
    def _lock(connection: sa.Connection) -> int:
        """Take the one lock of publishing; returns the last sequence number."""
        connection.execute(_head.update().where(_head.c.id == 1).values(seq=_head.c.seq + 1))
        seq = connection.execute(sa.select(_head.c.seq).where(_head.c.id == 1)).scalar_one()
        return int(seq) - 1

    @staticmethod
    def _hold(connection: sa.Connection) -> None:
        """Take the same lock without a new number: whoever is publishing has ended by then."""
        connection.execute(_head.update().where(_head.c.id == 1).values(seq=_head.c.seq))

    @staticmethod
    def _record(connection: sa.Connection, entry: Published) -> Published:
        connection.execute(
            _publishes.insert().values(
                seq=entry.seq,
                run_id=entry.run_id,
                ds=entry.ds,
                kind=entry.kind,
                tables=json.dumps(entry.tables, sort_keys=True),
            )
        )
        return entry

    @staticmethod
    def _swap_one(connection: sa.Connection, record: Staged | Swap) -> None:
        names = {"c": NAME, "n": NAME, "t": record.table, "new": record.metadata, "old": record.base}
        if record.base is None:
            statement = _INSERT
            names.pop("old")
        else:
            statement = (
                "UPDATE iceberg_tables SET metadata_location = :new, previous_metadata_location = :old "
                "WHERE catalog_name = :c AND table_namespace = :n AND table_name = :t "
                "AND metadata_location = :old"
            )
        try:
            if connection.execute(sa.text(statement), names).rowcount != 1:
                raise Conflict(record.table)
        except sa.exc.IntegrityError as error:
            raise Conflict(record.table) from error

    def require_kept(self, run_id: str) -> None:
        """Raise `BadInput` for a run that a rollback could not go back to."""
        target = self._newest_of(run_id)
        with self.engine.connect() as connection:
            self._require_kept(connection, target)

    def _newest_of(self, run_id: str) -> Published:
        """The newest publish of a run."""
        past = [p for p in self.log() if p.run_id == run_id and _nightly(p.tables)]
        if not past:
            known = ", ".join(dict.fromkeys(p.run_id for p in self.log()[-5:])) or "none yet"
            raise BadInput(f"run '{run_id}' was never published; the latest are: {known}")
        return past[-1]

    def rollback(self, run_id: str) -> Published:
        """Make the tables as `run_id` published them current again, as a new publish."""
        target = self._newest_of(run_id)
        failpoint("before_swap")
        with self.engine.begin() as connection:
            seq = self._lock(connection) + 1
            self._require_kept(connection, target)
            wanted = _nightly(target.tables)
            names = {"c": NAME, "n": NAME}
            for table in pointers(connection):
                if table not in wanted and table not in _LASTING:
                    connection.execute(sa.text(_DELETE), names | {"t": table})
            for table, metadata in wanted.items():
                values = names | {"t": table, "new": metadata}
                if connection.execute(sa.text(_UPDATE), values).rowcount == 0:
                    # A rollback to a run before the table's first one had taken it away.
                    connection.execute(sa.text(_INSERT), values)
                failpoint("mid_swap")
            tables = wanted | self._lasting(connection)
            done = self._record(connection, Published(seq, run_id, target.ds, ROLLBACK, tables))
        failpoint("after_swap")
        self.write_current()
        failpoint("after_current")
        return done

    def _require_kept(self, connection: sa.Connection, target: Published) -> None:
        """Refuse what may show a forgotten shopper, or would leave pointers to files that are gone."""
        if self._forgotten_since(connection, target.seq):
            raise BadInput(_gone(target.run_id, "a shopper was forgotten since"))
        store = self.catalog.store
        if not all(store.exists(store.key_of(m)) for m in _nightly(target.tables).values()):
            raise BadInput(_gone(target.run_id, "its files were removed by maintenance"))

    @contextmanager
    def alone(self) -> Iterator[sa.Connection]:
        """Keep everybody else from publishing, and from holding this lock."""
        with self.engine.begin() as connection:
            self._hold(connection)
            yield connection

    @contextmanager
    def no_rollback_since(self, seq: int) -> Iterator[None]:
        """`alone`; raises `Conflict` where a rollback came after the publish `seq`."""
        with self.alone() as connection:
            query = sa.select(_publishes.c.seq).where(_publishes.c.seq > seq, _publishes.c.kind == ROLLBACK)
            if connection.execute(query.limit(1)).first() is not None:
                raise Conflict("a rollback came between")
            yield

    def write_current(self) -> None:
        """Write `current.json` from the newest publish, under the publish lock."""
        # The lock keeps a slower writer from putting an older publish over a newer one.
        with self.alone() as connection:
            newest = self._newest(connection)
            if newest is None:
                return
            body: dict[str, Any] = {
                "run_id": newest.run_id,
                "ds": newest.ds,
                "sequence": newest.seq,
                "tables": newest.tables,
            }
            self.catalog.store.write(CURRENT, json.dumps(body, indent=2, sort_keys=True).encode())


def _published(row: Any) -> Published:
    return Published(row.seq, row.run_id, row.ds, row.kind, json.loads(row.tables))


def _nightly(tables: dict[str, str]) -> dict[str, str]:
    return {table: metadata for table, metadata in tables.items() if table not in _LASTING}


def _gone(run_id: str, why: str) -> str:
    return (
        f"run '{run_id}' cannot be made current again: {why}. Choose a later run, or run its date again with "
        "'nightshelf nightly --ds'"
    )


def removed(run_id: str, ds: str, what: str) -> GateFailed:
    """The error for a run that waited to be published for longer than its files stay."""
    return GateFailed(
        f"run '{run_id}' is not published, for {what} is gone; what it staged was removed by maintenance: "
        f"run {ds} again, from its first step"
    )


def _pointers(records: Iterable[Staged]) -> dict[str, str]:
    return {r.table: r.metadata for r in records}


def _require_audit(records: Iterable[Staged]) -> None:
    missing = [r.table for r in records if r.audited != r.metadata]
    if missing:
        raise GateFailed(f"not audited as staged, so not published: {', '.join(sorted(missing))}")
