"""The tables without a shopper: which data files hold them, and the files that take their place."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.erasure.person import Person, scrub
from jobs.lake.catalog import LakeCatalog, Swap
from jobs.lake.registry import TABLES
from jobs.lake.rewrite import Change, Doomed, batches, count, rewrite
from jobs.lake.store import Store

QUARANTINE = "quarantine"
PERSONAL = tuple(t.name for t in TABLES if t.pii)
# Each personal table names its shopper in this column, but for `quarantine`, where rows are as they came.
_ID = "user_id"


@dataclass
class Held:
    """What data files hold of a shopper, the older versions included: table → file → rows.

    A file whose rows are all others', but of which one was made from a raw row that names the shopper, has 0.
    """

    files: dict[str, dict[str, int]] = field(default_factory=dict)

    def any(self) -> bool:
        return any(self.files.values())


@dataclass(frozen=True)
class Plan:
    """Swaps that make the tables current without the shopper.

    rows: table → rows that leave the current tables. events: (source, entity, day, late) → rows of
    `events_clean` and `quarantine` that leave; kept: keys of data files that stay as they are.
    """

    swaps: list[Swap]
    rows: dict[str, int]
    good: Counter[tuple[str, str, str, bool]]
    refused: Counter[tuple[str, str, str, bool]]
    kept: set[str]
    rewritten: int


def suspects(store: Store, person: Person) -> set[str]:
    """Hashes of the refused rows that name the shopper in any of their columns, products' left out."""
    found: set[str] = set()
    for key in data_files(store, QUARANTINE):
        # What cannot be read is told by `look`.
        with suppress(pa.ArrowInvalid, FileNotFoundError):
            for batch in batches(store, key, ["entity", "row_hash", "raw"]):
                named = pc.and_(person.named_in(batch.column("raw")), pc.invert(_of_product(batch)))
                found.update(batch.filter(named).column("row_hash").to_pylist())
    return found


def _of_product(batch: pa.RecordBatch) -> pa.Array:
    """Refused products that could be told apart into columns."""
    product = pc.fill_null(pc.equal(batch.column("entity"), "products"), False)
    return pc.and_(
        product, pc.invert(pc.fill_null(pc.match_substring(batch.column("raw"), '"_line"'), False))
    )


def _told(batch: pa.RecordBatch, person: Person) -> pa.Array:
    """Refused rows that stay, a product's or another shopper's, though their raw text names the shopper."""
    named = person.named_in(batch.column("raw"))
    return named if person.telling else pc.and_(named, _of_product(batch))


def change_of(table: str, person: Person, refused: Set[str]) -> Change:
    """A batch of the table without the shopper."""
    which, _ = doomed(table, person, refused)

    def change(batch: pa.RecordBatch) -> pa.RecordBatch:
        rest = batch.filter(pc.invert(which(batch)))
        return scrub(rest, _told(rest, person)) if table == QUARANTINE else rest

    return change


def current_files(catalog: LakeCatalog, base: dict[str, str]) -> set[str]:
    """Keys of the data files that the personal tables have now."""
    found = (f for t in PERSONAL if t in base for f in catalog.files(base[t]))
    return {catalog.store.key_of(f.file_path) for f in found}


def data_files(store: Store, table: str) -> list[str]:
    """Every Parquet file below the table's folder, whether a metadata file names it or not."""
    return [k for k in store.list(f"warehouse/{table}/data") if k.endswith(".parquet")]


def doomed(table: str, person: Person, refused: Set[str]) -> tuple[Doomed, list[str]]:
    """What tells the shopper's rows of a table, and the columns it takes; `refused`: hashes of theirs."""
    if table != QUARANTINE:
        return lambda batch: person.has_id(batch.column(_ID)), [_ID]
    hashes = pa.array(sorted(refused), pa.string())

    def refused_row(batch: pa.RecordBatch) -> pa.Array:
        return pc.and_(pc.is_in(batch.column("row_hash"), value_set=hashes), pc.invert(_of_product(batch)))

    return refused_row, ["row_hash", "entity", "raw"]


def look(store: Store, person: Person, refused: Set[str], current: Set[str]) -> Held:
    """Go through every data file of the personal tables. `current`: keys of those that readers see now."""
    held = Held()
    for table in PERSONAL:
        which, columns = doomed(table, person, refused)
        found = held.files.setdefault(table, {})
        for key in data_files(store, table):
            try:
                if columns[0] == _ID and not _may_hold(store, key, person.user_id):
                    continue
                rows = count(store, key, which, columns)
                if rows or (table == QUARANTINE and _tells(store, key, person)):
                    found[key] = rows
            except (pa.ArrowInvalid, FileNotFoundError):
                # Half written by a run at work or killed, or gone since it was listed: no table names it.
                if key in current:
                    raise
    return held


def _tells(store: Store, key: str, person: Person) -> bool:
    return any(pc.any(_told(b, person)).as_py() for b in batches(store, key, ["entity", "raw"]))


def _may_hold(store: Store, key: str, user_id: str) -> bool:
    """Whether the file's own statistics leave room for the id; most files are settled by their footer."""
    footer = pq.read_metadata(store.open_path(key), filesystem=store.filesystem)
    for group in range(footer.num_row_groups):
        columns = (footer.row_group(group).column(i) for i in range(footer.num_columns))
        stats = next((c.statistics for c in columns if c.path_in_schema == _ID), None)
        if stats is None or not stats.has_min_max or not isinstance(stats.min, str):
            return True
        # Bounds may be cut: compare by bytes, and only as far as they go.
        low, high, wanted = (x.encode() for x in (stats.min, stats.max, user_id))
        if low <= wanted and wanted[: len(high)] <= high:
            return True
    return False


def plan(
    catalog: LakeCatalog, base: dict[str, str], held: Held, person: Person, refused: Set[str], run_id: str
) -> Plan:
    """Write the current tables' files without the shopper, and stage metadata that knows no others."""
    store = catalog.store
    swaps: list[Swap] = []
    rows: dict[str, int] = {}
    good: Counter[tuple[str, str, str, bool]] = Counter()
    bad: Counter[tuple[str, str, str, bool]] = Counter()
    kept: set[str] = set()
    rewritten = 0
    for table in (t for t in PERSONAL if t in base):
        which, _ = doomed(table, person, refused)
        folder = f"warehouse/{table}/data/forget-{uuid.uuid4().hex[:12]}"
        files: list[str] = []
        for number, file in enumerate(sorted(f.file_path for f in catalog.files(base[table]))):
            key = store.key_of(file)
            if key not in held.files[table]:
                kept.add(key)
                files.append(file)
                continue
            rows[table] = rows.get(table, 0) + held.files[table][key]
            if table in ("events_clean", QUARANTINE):
                _count_days(store, key, which, good if table == "events_clean" else bad)
            target = f"{folder}/part-{number:05d}.parquet"
            rewritten += 1
            if rewrite(store, key, target, change_of(table, person, refused)):
                files.append(store.location(target))
        swaps.append(catalog.restart(table, base[table], files, run_id))
    return Plan(swaps, rows, good, bad, kept, rewritten)


def _count_days(store: Store, key: str, which: Doomed, into: Counter[tuple[str, str, str, bool]]) -> None:
    for batch in batches(store, key):
        for row in batch.filter(which(batch)).to_pylist():
            entity, late = row.get("entity", "events"), row["arrived"] and row["arrived"] > row["ds"]
            into[row["source"], entity, row["ds"].isoformat(), bool(late)] += 1
