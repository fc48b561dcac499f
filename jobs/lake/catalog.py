"""The Iceberg catalog: what is current, and staging what could become current.

One table is one row of the SQL catalog, and a commit swaps its metadata
pointer. `StagingCatalog` writes the next metadata file and hands it over
instead of swapping, so that the pointers of all tables of a night can be
swapped at once by `publish`. The two private PyIceberg names that this takes
stay in this file; `tests/jobs/lake/test_catalog.py` holds their contract.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog, SqlCatalogBaseTable
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, GreaterThanOrEqual, In, LessThanOrEqual
from pyiceberg.io.pyarrow import _pyarrow_to_schema_without_ids
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.table import CommitTableResponse, StagedTable, StaticTable, Transaction
from pyiceberg.table import Table as IcebergTable
from pyiceberg.transforms import IdentityTransform
from tenacity import Retrying, retry_if_exception, stop_after_attempt

from jobs.causes import catalog_away
from jobs.errors import BadInput
from jobs.lake.evolution import evolve
from jobs.lake.registry import BY_NAME, Table
from jobs.lake.store import Store, make_folder
from jobs.settings import Settings

NAME = "nightshelf"
# In a lake that is a folder, where no other catalog is set.
FILE = "catalog.db"
RUN_PROPERTY = "nightshelf.run-id"
_MARK = "nightshelf.mark"
_TABLE_PROPERTIES = {
    "commit.manifest-merge.enabled": "true",
    "write.metadata.previous-versions-max": "1000",
    "write.parquet.compression-codec": "zstd",
}


@dataclass(frozen=True)
class Swap:
    """One staged commit: `base` is None for a table that does not exist yet."""

    table: str
    base: str | None
    metadata: str


class StagingCatalog(SqlCatalog):  # type: ignore[misc]
    """A catalog whose commits stay invisible: they are collected in `swaps`."""

    def __init__(self, name: str, **properties: str) -> None:
        super().__init__(name, **properties)
        self.swaps: dict[str, Swap] = {}
        # Whether what is staged names the metadata files that came before it.
        self.keeps_log = True

    def create_tables(self) -> None:
        make_tables(SqlCatalogBaseTable.metadata, self.engine)

    def commit_table(
        self, table: IcebergTable, requirements: tuple[Any, ...], updates: tuple[Any, ...]
    ) -> CommitTableResponse:
        # The base is what the transaction read, not what is current by now: `publish` compares, not we.
        identifier = table.name()
        current = None if isinstance(table, StagedTable) else table
        staged = self._update_and_stage_table(current, identifier, requirements, updates)
        if not self.keeps_log:
            staged.metadata.metadata_log.clear()
        self._write_metadata(staged.metadata, staged.io, staged.metadata_location)
        name = Catalog.table_name_from(identifier)
        self.swaps[name] = Swap(
            name, current.metadata_location if current else None, staged.metadata_location
        )
        return CommitTableResponse(metadata=staged.metadata, metadata_location=staged.metadata_location)


def make_tables(tables: sa.MetaData, engine: sa.Engine) -> None:
    """Make those that the database lacks, while other processes may be making the same ones."""
    # One of ours fails for each that another makes between our look and our CREATE.
    trials = Retrying(
        retry=retry_if_exception(_is_there_by_now),
        stop=stop_after_attempt(len(tables.tables) + 1),
        reraise=True,
    )
    trials(tables.create_all, engine)


def _is_there_by_now(error: BaseException) -> bool:
    # PostgreSQL's own names for it; SQLite has but one kind of error for all that goes wrong.
    return isinstance(error, sa.exc.ProgrammingError | sa.exc.IntegrityError) or (
        isinstance(error, sa.exc.OperationalError) and "already exists" in str(error.orig)
    )


def pointers(connection: sa.Connection) -> dict[str, str]:
    """Table → current metadata file, as this connection's transaction sees them."""
    query = sa.text(
        "SELECT table_name, metadata_location FROM iceberg_tables "
        "WHERE catalog_name = :c AND table_namespace = :n"
    )
    return {row[0]: row[1] for row in connection.execute(query, {"c": NAME, "n": NAME})}


def expired(table: Any, keep: Collection[int]) -> list[int]:
    """Snapshots of a PyIceberg table that are neither current nor in `keep`."""
    current = table.current_snapshot()
    kept = {*keep, current.snapshot_id} if current else {*keep}
    return [s.snapshot_id for s in table.snapshots() if s.snapshot_id not in kept]


class LakeCatalog:
    """The catalog of one lake, for reading what is current and staging what comes next."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings = settings
        self.store = store

    @property
    def io_properties(self) -> dict[str, str]:
        s = self.settings
        if not s.on_s3:
            return {}
        properties = {
            "s3.region": s.s3_region,
            "s3.endpoint": s.s3_endpoint,
            "s3.access-key-id": s.s3_access_key.get_secret_value(),
            "s3.secret-access-key": s.s3_secret_key.get_secret_value(),
        }
        return {k: v for k, v in properties.items() if v}

    @property
    def url(self) -> str:
        """SQLAlchemy URL; SQLite waits a minute for another writer's lock."""
        if self.settings.catalog:
            return self.settings.catalog
        if self.settings.on_s3:
            folder = Path.home() / ".nightshelf"
            path = folder / f"catalog-{quote(self.settings.lake, safe='')}.db"
        else:
            path = Path(self.settings.lake, FILE)
        make_folder(path.parent, "catalog" if self.settings.on_s3 else "lake")
        return f"sqlite:///{path}?timeout=60"

    @cached_property
    def iceberg(self) -> StagingCatalog:
        try:
            return StagingCatalog(
                NAME, uri=self.url, warehouse=self.store.location("warehouse"), **self.io_properties
            )
        except sa.exc.OperationalError as error:
            raise catalog_away(error) from error
        except (sa.exc.ArgumentError, ValueError):
            # Neither the URL nor the cause is told: a password stands in the one, and may in the other.
            raise BadInput(
                "setting 'catalog': not a URL that SQLAlchemy can read; write it as "
                "postgresql+psycopg2://user:password@host:port/database, the password percent-encoded"
            ) from None

    @property
    def engine(self) -> sa.Engine:
        engine: sa.Engine = self.iceberg.engine
        return engine

    def pointers(self) -> dict[str, str]:
        """Table → current metadata file, all of one moment: one SQL statement."""
        with self.engine.connect() as connection:
            return pointers(connection)

    def open(self, metadata: str) -> StaticTable:
        """The table as one metadata file describes it."""
        return StaticTable.from_metadata(metadata, properties=self.io_properties)

    def files(self, metadata: str, row_filter: BooleanExpression | None = None) -> Iterator[Any]:
        """The data files (PyIceberg `DataFile`) of one metadata file."""
        table = self.open(metadata)
        if table.current_snapshot() is None:
            return
        for task in table.scan(row_filter=row_filter or AlwaysTrue()).plan_files():
            yield task.file

    def stage(
        self, table: Table, partitions: Sequence[Any], files: Iterable[str], run_id: str, mark: str = ""
    ) -> Swap:
        """Write the metadata in which `partitions` hold exactly `files`; show it to nobody.

        `mark` is kept with its snapshots, so that whoever staged them finds them again (`own_metadata`).
        """
        catalog = self.iceberg
        catalog.swaps.pop(table.name, None)
        with self._transaction(table) as transaction:
            snapshot = {RUN_PROPERTY: run_id} | ({_MARK: mark} if mark else {})
            if partitions and transaction.table_metadata.current_snapshot() is not None:
                doomed = In(table.partition, [_literal(p) for p in partitions])
                if any(True for _ in self._planned(transaction, doomed)):
                    transaction.delete(doomed, snapshot_properties=snapshot)
            paths = list(files)
            if paths:
                transaction.add_files(paths, snapshot_properties=snapshot, check_duplicate_files=False)
            transaction.set_properties({RUN_PROPERTY: run_id})
        return catalog.swaps.pop(table.name)

    def run_of(self, metadata: str) -> str:
        """The run that made what this metadata file shows; empty where none is named."""
        return str(self.open(metadata).properties.get(RUN_PROPERTY, ""))

    def own_metadata(self, swap: Swap, mark: str) -> Iterator[str]:
        """Locations of all metadata files that staging with this mark wrote: nobody else's are among them."""
        table = self.open(swap.metadata)
        own = [
            s for s in table.snapshots() if s.summary and s.summary.additional_properties.get(_MARK) == mark
        ]
        ids = {s.snapshot_id for s in own}
        for snapshot in own:
            yield from (m.manifest_path for m in snapshot.manifests(table.io) if m.added_snapshot_id in ids)
            yield snapshot.manifest_list
        yield swap.metadata

    def restart(self, name: str, base: str, files: Sequence[str], run_id: str) -> Swap:
        """Stage metadata in which the table holds exactly `files` and has no past: one snapshot.

        Schema, ids, properties and the table's identity stay as they are in `base`.
        """
        old = self.open(base)
        nothing: dict[str, Any] = {"snapshots": [], "snapshot_log": [], "metadata_log": [], "refs": {}}
        nothing |= {"current_snapshot_id": None, "statistics": [], "partition_statistics": []}
        catalog = self.iceberg
        empty = IcebergTable((NAME, name), old.metadata.model_copy(update=nothing), base, old.io, catalog)
        catalog.keeps_log = False
        try:
            with empty.transaction() as transaction:
                if files:
                    run = {RUN_PROPERTY: run_id}
                    transaction.add_files(list(files), snapshot_properties=run, check_duplicate_files=False)
                transaction.set_properties({RUN_PROPERTY: run_id})
        finally:
            catalog.keeps_log = True
        return catalog.swaps.pop(name)

    def expire(self, name: str, keep: Collection[int]) -> Swap | None:
        """Stage metadata without the snapshots that are neither current nor in `keep`; None without such."""
        table = self.iceberg.load_table((NAME, name))
        old = expired(table, keep)
        if not old:
            return None
        table.maintenance.expire_snapshots().by_ids(old).commit()
        return self.iceberg.swaps.pop(name)

    @staticmethod
    def _planned(transaction: Transaction, row_filter: BooleanExpression) -> Iterable[Any]:
        planned: Iterable[Any] = transaction._scan(row_filter=row_filter).plan_files()
        return planned

    def _transaction(self, table: Table) -> Transaction:
        identifier = (NAME, table.name)
        try:
            transaction = self.iceberg.load_table(identifier).transaction()
        except NoSuchTableError:
            pass
        else:
            evolve(transaction, table)
            return transaction
        # Another first night may make it between our look and our INSERT.
        with contextlib.suppress(sa.exc.IntegrityError):
            self.iceberg.create_namespace_if_not_exists(NAME)
        transaction = self.iceberg.create_table_transaction(
            identifier,
            schema=_pyarrow_to_schema_without_ids(table.schema),
            location=self.store.location(f"warehouse/{table.name}"),
            partition_spec=UNPARTITIONED_PARTITION_SPEC,
            properties=_TABLE_PROPERTIES,
        )
        with transaction.update_spec() as spec:
            spec.add_field(table.partition, IdentityTransform(), table.partition)
        return transaction


def between(column: str, start: date | None, end: date | None) -> BooleanExpression:
    """The filter `start <= column <= end`; None leaves a side open."""
    expression: BooleanExpression = AlwaysTrue()
    if start is not None:
        expression = And(expression, GreaterThanOrEqual(column, start.isoformat()))
    if end is not None:
        expression = And(expression, LessThanOrEqual(column, end.isoformat()))
    return expression


def partition_value(table: Table, data_file: Any) -> Any:
    """The partition of a data file: a `date` for `ds`, else a string."""
    value = data_file.partition[0]
    if table.schema.field(table.partition).type == BY_NAME["events_clean"].schema.field("ds").type:
        return date.fromordinal(date(1970, 1, 1).toordinal() + value) if isinstance(value, int) else value
    return value


def _literal(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
