"""Builds the shards of `recommend` in Spark's executors instead of in this process: same keys, same rows.

The shop's arrays are written once as files under the run's work folder. A task takes numbers of shards; the
process that runs it loads the model and the shop on its first one and writes each finished shard through the
store. Nothing but counts comes back to the driver.
"""

from __future__ import annotations

import atexit
import hashlib
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from jobs.errors import Transient
from jobs.lake.store import Store
from jobs.night import Night
from jobs.recommender_data import Shop
from jobs.settings import ROOT, Settings
from jobs.spark import spark
from models.recommender.base import Interactions, Items

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.recommend import Build, Shard

# What executors need of ours; third-party packages they have.
SHIPPED = ("jobs", "models", "expectations")
MOST_TASKS = 4096


@dataclass(frozen=True)
class Plan:
    """All that an executor is told: where the shop and the model lie, and what is to be built.

    It travels inside the task, and the store's keys with it, as Spark's own connections carry it.
    """

    settings: Settings
    ds: date
    shop: str
    location: str
    version: str
    shards: tuple[Shard, ...]


def build(night: Night, shop: Shop, model: Mapping[str, Any], prefix: str, wanted: Sequence[Shard]) -> int:
    """Builds the shards that are not there yet; returns their rows.

    model: the row of `models` to score with. prefix: key under which the shop's files may be written; they
    name shoppers and are gone when this returns.
    """
    there = set(night.store.list(night.work("")))
    missing = tuple(shard for shard in wanted if shard.key not in there)
    if not missing:
        return 0
    session = with_our_code(spark(night.settings))
    save_shop(night.store, prefix, shop)
    plan = Plan(night.settings, night.ds, prefix, model["location"], model["version"], missing)

    def task(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return score(plan, batches)

    from pyspark.errors import PythonException

    try:
        numbers = session.range(0, len(missing), 1, min(len(missing), MOST_TASKS))
        rows = numbers.mapInArrow(task, "rows long").groupBy().sum("rows").first()
    except PythonException as error:
        if Transient.__name__ in str(error):
            raise Transient(f"an executor could not reach the store: {error}") from error
        raise
    finally:
        night.store.delete(night.store.list(prefix))
    return int(rows[0]) if rows and rows[0] else 0


def score(plan: Plan, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """In an executor: builds the shards with these numbers and gives the rows of each."""
    store = Store.of(plan.settings)
    for batch in batches:
        for number in batch.column("id").to_pylist():
            shard = plan.shards[number]
            table = _builders(plan)[shard.table](shard.low, shard.high)
            store.write_parquet(shard.key, table)
            yield pa.RecordBatch.from_pydict({"rows": pa.array([len(table)], pa.int64())})


_loaded: tuple[tuple[str, str], dict[str, Build]] | None = None


def _builders(plan: Plan) -> dict[str, Build]:
    """Of this process; loaded again only for another shop or lake."""
    global _loaded
    mark = (plan.settings.lake, plan.shop)
    if _loaded is None or _loaded[0] != mark:
        from jobs.recommend import builders

        store = Store.of(plan.settings)
        shop = load_shop(store, plan.shop)
        _loaded = mark, builders(plan.settings, plan.ds, store, shop, plan.location, plan.version)
    return _loaded[1]


_EVENTS = tuple(f.name for f in fields(Interactions) if not f.name.startswith("n_"))
_ITEMS = tuple(f.name for f in fields(Items) if f.name != "attribute_size")


def save_shop(store: Store, prefix: str, shop: Shop) -> None:
    """The shop as files: arrays without pickles, tables as Parquet."""
    arrays = {f"event_{n}": v for n in _EVENTS if (v := getattr(shop.events, n)) is not None}
    arrays |= {f"item_{n}": v for n in _ITEMS if (v := getattr(shop.items, n)) is not None}
    data = io.BytesIO()
    np.savez(data, listed=shop.listed, **arrays)
    store.write(f"{prefix}/arrays.npz", data.getvalue())
    store.write_parquet(f"{prefix}/catalogue.parquet", shop.catalogue)
    store.write_parquet(f"{prefix}/users.parquet", pa.table({"user_id": shop.users}))
    about = {
        "known": shop.known,
        "as_of": shop.as_of,
        "n_users": shop.events.n_users,
        "n_items": shop.events.n_items,
        "attribute_size": shop.items.attribute_size,
    }
    store.write(f"{prefix}/shop.json", json.dumps(about).encode())


def load_shop(store: Store, prefix: str) -> Shop:
    """The inverse of `save_shop`."""
    about = json.loads(store.read(f"{prefix}/shop.json"))
    with np.load(io.BytesIO(store.read(f"{prefix}/arrays.npz")), allow_pickle=False) as file:
        arrays = dict(file)
    events = {n: arrays.get(f"event_{n}") for n in _EVENTS}
    items = {n: arrays.get(f"item_{n}") for n in _ITEMS}
    return Shop(
        events=Interactions(**events, n_users=about["n_users"], n_items=about["n_items"]),  # type: ignore[arg-type]
        items=Items(**items, attribute_size=about["attribute_size"]),  # type: ignore[arg-type]
        catalogue=store.read_parquet(f"{prefix}/catalogue.parquet"),
        listed=arrays["listed"],
        users=_whole(store.read_parquet(f"{prefix}/users.parquet")["user_id"]),
        known=about["known"],
        as_of=about["as_of"],
    )


def _whole(column: pa.ChunkedArray) -> pa.StringArray:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.string())


def with_our_code(session: SparkSession) -> SparkSession:
    """Executors run the code of this process, whatever lies on their machine."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for package in SHIPPED:
            for file in sorted((ROOT / package).rglob("*.*")):
                if "__pycache__" in file.parts:
                    continue
                # Without times of change: the same code is the same file.
                archive.writestr(zipfile.ZipInfo(str(file.relative_to(ROOT))), file.read_bytes())
    name = f"nightshelf-{hashlib.sha256(data.getvalue()).hexdigest()[:16]}.zip"
    context = session.sparkContext
    if name not in (context._python_includes or []):
        # Executors fetch it whenever they start: it must last as long as this process.
        folder = Path(tempfile.mkdtemp(prefix="nightshelf-code-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        (folder / name).write_bytes(data.getvalue())
        context.addPyFile(str(folder / name))
    return session
