"""What one run has staged: which partitions of which tables, with which files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from pyiceberg.expressions import In

from jobs.failpoints import failpoint
from jobs.lake.catalog import RUN_PROPERTY, LakeCatalog, partition_value
from jobs.lake.registry import BY_NAME


@dataclass(frozen=True)
class Staged:
    """One table, staged: `partitions` (ISO dates or strings) hold exactly `files`.

    `base` is the metadata file it was built on, `metadata` the staged one,
    and `audited` the staged one that passed the audit.
    """

    table: str
    partitions: tuple[str, ...]
    files: tuple[str, ...]
    rows: int
    base: str | None
    metadata: str
    audited: str | None = None


class Staging:
    """The staging records of one run, kept as JSON files in the run's folder."""

    def __init__(self, catalog: LakeCatalog, run_id: str) -> None:
        self.catalog = catalog
        self.run_id = run_id
        self._cache: dict[str, Staged | None] = {}

    def _key(self, table: str) -> str:
        return f"runs/{self.run_id}/staged/{table}.json"

    def record(self, table: str) -> Staged | None:
        if table not in self._cache:
            try:
                body = json.loads(self.catalog.store.read(self._key(table)))
            except FileNotFoundError:
                self._cache[table] = None
            else:
                body["partitions"], body["files"] = tuple(body["partitions"]), tuple(body["files"])
                self._cache[table] = Staged(**body)
        return self._cache[table]

    def records(self) -> list[Staged]:
        found = (self.record(name) for name in sorted(BY_NAME))
        return [r for r in found if r is not None]

    def reread(self) -> list[Staged]:
        """`records`, as another process may have changed them since."""
        self._cache.clear()
        return self.records()

    def _save(self, record: Staged) -> Staged:
        self.catalog.store.write(self._key(record.table), json.dumps(asdict(record)).encode())
        self._cache[record.table] = record
        return record

    def stage(self, table: str, partitions: Sequence[Any], files: Sequence[str]) -> Staged:
        """Stage `files` (URIs) as the whole content of `partitions`."""
        wanted = tuple(sorted({_text(p) for p in partitions}))
        failpoint("before_stage", table)
        swap = self.catalog.stage(BY_NAME[table], wanted, files, self.run_id)
        record = Staged(table, wanted, tuple(sorted(files)), 0, swap.base, swap.metadata)
        record = replace(record, rows=self._verify(record))
        failpoint("before_record", table)
        self._save(record)
        failpoint("after_stage", table)
        return record

    def restage(self, record: Staged) -> Staged:
        """The same files on what is current now; an audit of them still holds."""
        swap = self.catalog.stage(BY_NAME[record.table], record.partitions, record.files, self.run_id)
        new = replace(record, base=swap.base, metadata=swap.metadata)
        rows = self._verify(new)
        audited = swap.metadata if record.audited == record.metadata else None
        return self._save(replace(new, rows=rows, audited=audited))

    def mark_audited(self, table: str) -> Staged:
        """Record that the staged metadata, as it is now, passed the audit."""
        record = self.record(table)
        if record is None:
            raise LookupError(f"{table} is not staged")
        self._verify(record)
        marked = self._save(replace(record, audited=record.metadata))
        failpoint("after_audit_mark", table)
        return marked

    def shown_by(self, metadata: str, record: Staged) -> bool:
        """Whether this metadata file shows exactly the staged files in the staged partitions."""
        if metadata == record.metadata:
            return True
        return {file.file_path for file in self._held(metadata, record)} == set(record.files)

    def adopt(self, record: Staged, metadata: str) -> None:
        """Record as staged, and audited, what another attempt of this run has published."""
        if metadata == record.metadata == record.audited:
            return
        held = {file.file_path: file.record_count for file in self._held(metadata, record)}
        files, rows = tuple(sorted(held)), sum(held.values())
        self._save(replace(record, files=files, rows=rows, metadata=metadata, audited=metadata))

    def _held(self, metadata: str, record: Staged) -> Iterable[Any]:
        """The data files (PyIceberg `DataFile`) of the record's partitions in a metadata file."""
        if not record.partitions:
            return ()
        column = BY_NAME[record.table].partition
        return self.catalog.files(metadata, In(column, list(record.partitions)))

    def _verify(self, record: Staged) -> int:
        """Check that the staged metadata holds exactly the staged files; returns their rows.

        It reads back what was written, so that a file lost on the way, or a
        partition value that does not fit, is found before anyone can see it.
        """
        spec = BY_NAME[record.table]
        found: dict[str, int] = {}
        for file in self._held(record.metadata, record):
            if _text(partition_value(spec, file)) not in record.partitions:
                raise ValueError(f"{record.table}: {file.file_path} holds another partition")
            found[file.file_path] = file.record_count
        if set(found) != set(record.files):
            odd = sorted(set(found) ^ set(record.files))[:3]
            raise ValueError(f"{record.table}: staged metadata and files differ, for example {odd}")
        run = self.catalog.open(record.metadata).properties.get(RUN_PROPERTY)
        if run != self.run_id:
            raise ValueError(f"{record.table}: staged metadata belongs to run {run}")
        return sum(found.values())


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)
