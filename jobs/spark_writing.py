"""Writes the blocks of `describe` in Spark's executors instead of in this process: same keys, same bytes.

A task takes numbers of blocks. The process that runs it opens its own desk on the run's pinned inputs with
its first block, decides as the driver decided, and writes each finished block through the store. Nothing but
counts comes back, and what lies there already is kept.
"""

from __future__ import annotations

import atexit
import importlib
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jobs.errors import Transient
from jobs.night import Night
from jobs.settings import Settings
from jobs.spark import spark
from jobs.spark_scoring import MOST_TASKS, SHIPPED, with_our_code

if TYPE_CHECKING:
    from jobs.describe import Block


@dataclass(frozen=True)
class Plan:
    """All that an executor is told. It travels inside the task, and the store's keys with it."""

    settings: Settings
    ds: date
    run_id: str
    blocks: tuple[Block, ...]


def write(night: Night, blocks: Sequence[Block]) -> int:
    """Writes the blocks that are not there yet; returns how many."""
    there = set(night.store.list(night.work("")))
    missing = tuple(block for block in blocks if f"{block.base}.parquet" not in there)
    if not missing:
        return 0
    session = with_our_code(spark(night.settings))
    plan = Plan(night.settings, night.ds, night.run_id, missing)

    def task(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return written(plan, batches)

    from pyspark.errors import PythonException

    try:
        numbers = session.range(0, len(missing), 1, min(len(missing), MOST_TASKS))
        done = numbers.mapInArrow(task, "blocks long").groupBy().sum("blocks").first()
    except PythonException as error:
        if Transient.__name__ in str(error):
            raise Transient(f"an executor could not reach the store: {error}") from error
        raise
    return int(done[0]) if done and done[0] else 0


def written(plan: Plan, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """In an executor: writes the blocks with these numbers and gives their count."""
    unpacked()
    desk = importlib.import_module("jobs.spark_writing").Executor.of(plan)
    for batch in batches:
        for number in batch.column("id").to_pylist():
            desk.write(plan.blocks[number])
            yield pa.RecordBatch.from_pydict({"blocks": pa.array([1], pa.int64())})


def unpacked() -> None:
    """Our code in a folder: executors get it as an archive, and rules are files that are read beside it."""
    archive = next((p for p in Path(__file__).parents if p.suffix == ".zip"), None)
    if archive is None:
        return
    folder = tempfile.mkdtemp(prefix="nightshelf-code-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    for name in [n for n in sys.modules if n.split(".")[0] in SHIPPED]:
        del sys.modules[name]
    sys.path.insert(0, folder)


class Executor:
    """The desk of this process, opened again only for another plan."""

    _opened: tuple[Any, Executor] | None = None

    def __init__(self, plan: Plan) -> None:
        from jobs import describe

        night = Night(plan.settings, plan.ds, plan.run_id)
        self.size = plan.settings.block_size
        self.desk, self.products = describe.open_desk(night), describe.products(night)

    @classmethod
    def of(cls, plan: Plan) -> Executor:
        mark = (plan.settings.lake, plan.run_id, tuple(block.base for block in plan.blocks))
        if cls._opened is None or cls._opened[0] != mark:
            cls._opened = mark, cls(plan)
        return cls._opened[1]

    def write(self, block: Block) -> None:
        """Writes the block; `RuntimeError` where this process sees other inputs than the driver."""
        from jobs import describe

        self.desk.budget = block.budget
        tasks = self.desk.tasks(self.products.block(block.start, self.size))
        found = describe.block_base(self.desk, block.number, tasks)
        if found != block.base:
            raise RuntimeError(f"an executor would write {found} where the driver wants {block.base}")
        describe.write_shard(self.desk, found, tasks)
