"""Parquet files of the lake: counted, joined, written again without some of their rows, batch by batch."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.lake.store import Store

# Of a batch, true for each row that is to go; never null.
Doomed = Callable[[pa.RecordBatch], pa.Array]
# A batch as it is to be: rows may be gone from it, or changed.
Change = Callable[[pa.RecordBatch], pa.RecordBatch]
_BATCH_ROWS = 65_536
# Rows that a reader skips or reads at once: a row group of a joined file.
_GROUP_BYTES = 64 << 20


def batches(store: Store, key: str, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The file's record batches; columns that it lacks are left out."""
    with pq.ParquetFile(store.open_path(key), filesystem=store.filesystem) as file:
        names = None if columns is None else [c for c in columns if c in file.schema_arrow.names]
        yield from file.iter_batches(_BATCH_ROWS, columns=names)


def count(store: Store, key: str, doomed: Doomed, columns: list[str]) -> int:
    """Rows of the file that would go."""
    return sum(int(pc.sum(doomed(batch)).as_py() or 0) for batch in batches(store, key, columns))


def join(store: Store, keys: Sequence[str], target: str, schema: pa.Schema) -> int:
    """Write the rows of several files, one file after the other, as one; returns its rows.

    A column that a file lacks is null there. Holds some `_GROUP_BYTES` at a time, however large files are.
    """
    rows = 0
    with tempfile.TemporaryDirectory(prefix="nightshelf-join-") as folder:
        local = Path(folder, "part.parquet")
        with pq.ParquetWriter(local, schema, compression="zstd", coerce_timestamps="us") as writer:
            group: list[pa.RecordBatch] = []
            held = 0
            for batch in (_shaped(b, schema) for key in keys for b in batches(store, key)):
                group.append(batch)
                rows += batch.num_rows
                held += batch.nbytes
                if held >= _GROUP_BYTES:
                    writer.write_table(pa.Table.from_batches(group))
                    group, held = [], 0
            if group:
                writer.write_table(pa.Table.from_batches(group))
        store.push(local, target)
    return rows


def _shaped(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    there = set(batch.schema.names)
    columns = [
        batch.column(f.name).cast(f.type) if f.name in there else pa.nulls(batch.num_rows, f.type)
        for f in schema
    ]
    return pa.record_batch(columns, schema=schema)


def rewrite(store: Store, key: str, target: str, change: Change) -> int:
    """Write the changed file to `target`, which appears whole or not at all; returns its rows.

    Where no row is left nothing is written. Schema and order stay.
    """
    left = 0
    with tempfile.TemporaryDirectory(prefix="nightshelf-rewrite-") as folder:
        local = Path(folder, "part.parquet")
        with pq.ParquetFile(store.open_path(key), filesystem=store.filesystem) as file:
            schema = file.schema_arrow
            with pq.ParquetWriter(local, schema, compression="zstd", coerce_timestamps="us") as writer:
                for batch in file.iter_batches(_BATCH_ROWS):
                    kept = change(batch)
                    left += kept.num_rows
                    writer.write_batch(kept)
        if left:
            store.push(local, target)
    return left
