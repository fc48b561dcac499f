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
from jobs.copy_alike import limit, save_rows, save_texts
from jobs.copy_rows import add_notes, write_block
from jobs.copy_tasks import Desk, Task
from jobs.lake.registry import BY_NAME
from jobs.night import Night
from jobs.reviews import Reviews

TABLE = "product_descriptions"
INPUT = (*files.FACTS, "variant_of", "description_en", "description_zh")


def run(night: Night) -> dict[str, Any]:
    desk = open_desk(night)
    products = night.read("products", columns=list(INPUT)).sort_by("product_id")
    size = night.settings.block_size
    starts = range(0, products.num_rows, size)
    shards = []
    for number, start in enumerate(night.track(starts, "writing copy", len(starts))):
        shards.append(_shard(desk, number, desk.tasks(products.slice(start, size).to_pylist())))
    limited = limit(desk, shards, products)
    if shards:
        night.stage_files(TABLE, [f"{base}.parquet" for base in limited.shards])
    else:
        night.stage(TABLE, BY_NAME[TABLE].schema.empty_table())
    notes = [json.loads(night.store.read(f"{base}.json")) for base in limited.shards]
    note = add_notes(desk, notes) | {"alike": limited.report}
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


def _shard(desk: Desk, number: int, tasks: Sequence[Task]) -> str:
    """Key of the block's files, but for their endings; they are there already after a crash behind them."""
    base = desk.night.work(f"describe/{number:05d}-{desk.fingerprint(tasks)[:24]}")
    if not desk.night.store.exists(f"{base}.parquet"):
        rows, texts, note = write_block(desk, tasks)
        save_texts(desk.night.store, base, texts)
        save_rows(desk.night.store, base, rows, note)
    return base


if __name__ == "__main__":
    main("describe")
