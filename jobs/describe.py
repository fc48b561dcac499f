"""Write copy for every product in every language: what a person wrote, what is still true, and the rest anew.

In blocks of products, each a shard under the run's work folder: a rerun after a crash starts at the first
missing one. Only what changed is written; a row that a person wrote is never overwritten by a machine.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from jobs import writer_files as files
from jobs.cli import main
from jobs.copy_alike import limit, save_rows, save_texts
from jobs.copy_reading import ByProduct
from jobs.copy_rows import add_notes, write_block
from jobs.copy_tasks import Desk, Task
from jobs.failpoints import failpoint
from jobs.lake.registry import BY_NAME
from jobs.night import Night
from jobs.reviews import Reviews

TABLE = "product_descriptions"
INPUT = (*files.FACTS, "variant_of", "description_en", "description_zh")


@dataclass(frozen=True)
class Block:
    """A block of products: its number, its first product, what the network may still write, where it goes.

    `base`: key of the block's files without their endings; it holds a hash of all that the block depends on.
    """

    number: int
    start: int
    budget: int | None
    base: str


def run(night: Night) -> dict[str, Any]:
    desk, rows = open_desk(night), products(night)
    shards = _write(desk, rows)
    limited = limit(desk, shards, rows)
    if shards:
        night.stage_files(TABLE, [f"{base}.parquet" for base in limited.shards])
    else:
        night.stage(TABLE, BY_NAME[TABLE].schema.empty_table())
    notes = [json.loads(night.store.read(f"{base}.json")) for base in limited.shards]
    note = add_notes(desk, notes) | {"alike": limited.report}
    night.note("descriptions", note)
    told = ("rows", "tiers", "written", "written_by_model", "carried_over", "model_version")
    return {k: note[k] for k in told}


def _write(desk: Desk, rows: ByProduct) -> list[str]:
    """Writes all blocks, here or in Spark's executors; returns their files' keys, but for the endings."""
    night, size, blocks = desk.night, desk.night.settings.block_size, []
    in_spark = night.settings.writing == "spark"
    starts = range(0, len(rows.ids), size)
    for number, start in enumerate(night.track(starts, "writing copy", len(starts))):
        budget, tasks = desk.budget, desk.tasks(rows.block(start, size))
        blocks.append(Block(number, start, budget, block_base(desk, number, tasks)))
        if not in_spark:
            write_shard(desk, blocks[-1].base, tasks)
    if in_spark:
        from jobs import spark_writing

        spark_writing.write(night, blocks)
    return [block.base for block in blocks]


def products(night: Night) -> ByProduct:
    """The date's products in the order of their ids, which is that of the blocks."""
    return ByProduct(night, "products", night.ds, INPUT)


def open_desk(night: Night) -> Desk:
    """On the run's pinned inputs; every process that opens it decides alike."""
    row = night.model_in_service(files.MODEL)
    writer = files.load(night.store, row["location"], night.settings.writer_preset) if row else None
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


def _newest_earlier(night: Night) -> ByProduct | None:
    """The rows of the newest published day before the date; None on the first night."""
    days: list[date] = [d for d in night.partitions(TABLE) if d < night.ds]
    return ByProduct(night, TABLE, days[-1]) if days else None


def block_base(desk: Desk, number: int, tasks: Sequence[Task]) -> str:
    """Key of the block's files without their endings; it holds a hash of all that the block depends on."""
    return desk.night.work(f"describe/{number:05d}-{desk.fingerprint(tasks)[:24]}")


def write_shard(desk: Desk, base: str, tasks: Sequence[Task]) -> None:
    """The block's texts, note and rows, unless a run that died has left them."""
    if not desk.night.store.exists(f"{base}.parquet"):
        failpoint("before_shard", TABLE)
        rows, texts, note = write_block(desk, tasks)
        save_texts(desk.night.store, base, texts)
        save_rows(desk.night.store, base, rows, note)
        failpoint("after_shard", TABLE)


if __name__ == "__main__":
    main("describe")
