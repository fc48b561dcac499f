"""Write copy for every product in every language: what a person wrote, what is still true, and the rest anew.

In blocks of products, each a shard under the run's work folder: a rerun after a crash starts at the first
missing one. Only what changed is written; a row that a person wrote is never overwritten by a machine.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

import pyarrow as pa

from jobs import writer_files as files
from jobs.cli import main
from jobs.copy_rows import add_notes, write_block
from jobs.copy_tasks import Desk, Row, Task
from jobs.lake.registry import BY_NAME
from jobs.night import Night
from jobs.reviews import Reviews

TABLE = "product_descriptions"
INPUT = (*files.FACTS, "variant_of", "description_en", "description_zh")


def run(night: Night) -> dict[str, Any]:
    desk = open_desk(night)
    products = night.read("products", columns=list(INPUT)).sort_by("product_id")
    size = night.settings.block_size
    shards, notes = [], []
    starts = range(0, products.num_rows, size)
    for number, start in enumerate(night.track(starts, "writing copy", len(starts))):
        tasks = desk.tasks(products.slice(start, size).to_pylist())
        shard, note = _shard(desk, number, tasks)
        shards.append(shard)
        notes.append(note)
    if shards:
        night.stage_files(TABLE, shards)
    else:
        night.stage(TABLE, BY_NAME[TABLE].schema.empty_table())
    note = add_notes(desk, notes)
    night.note("descriptions", note)
    told = ("rows", "tiers", "written", "written_by_model", "carried_over", "model_version")
    return {k: note[k] for k in told}


def open_desk(night: Night) -> Desk:
    row = night.model_in_service(files.MODEL)
    writer = files.load(night.store, row["location"]) if row else None
    return Desk(
        night=night,
        channels=files.channels(night),
        judges=files.verifiers(night),
        version=row["version"] if row and writer else None,
        writer=writer,
        earlier=_newest_earlier(night),
        reviews=Reviews.as_of(night),
        code=files.code_hash(),
        budget=night.options.max_products,
    )


def _newest_earlier(night: Night) -> pa.Table:
    """The rows of the newest published day before the date, by product; none on the first night."""
    days: list[date] = [d for d in night.partitions(TABLE) if d < night.ds]
    if not days:
        return BY_NAME[TABLE].schema.empty_table()
    return night.read(TABLE, start=days[-1], end=days[-1]).sort_by("product_id")


def _shard(desk: Desk, number: int, tasks: Sequence[Task]) -> tuple[str, Row]:
    """Key of the block's Parquet file, and its note; both are there already after a crash behind them."""
    store = desk.night.store
    base = desk.night.work(f"describe/{number:05d}-{desk.fingerprint(tasks)[:24]}")
    if not store.exists(f"{base}.parquet"):
        rows, note = write_block(desk, tasks)
        store.write(f"{base}.json", json.dumps(note, ensure_ascii=False, sort_keys=True).encode())
        # Last: its presence says that the block is done.
        store.write_parquet(f"{base}.parquet", pa.Table.from_pylist(rows, schema=BY_NAME[TABLE].schema))
    note = json.loads(store.read(f"{base}.json"))
    return f"{base}.parquet", note


if __name__ == "__main__":
    main("describe")
