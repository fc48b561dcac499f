"""Write a list for every shopper and neighbours for every product.

Shoppers are scored in blocks; each block is a shard under `work/`, and a step that died starts at the first
shard that is missing. Shards are built in this process or, where the settings say so, by Spark.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs import recommender_files as files
from jobs.arms import CONTROL, Served, control, draw, names
from jobs.audiences import COLUMNS, audiences
from jobs.cli import main
from jobs.errors import GateFailed
from jobs.failpoints import failpoint
from jobs.lake.registry import BY_NAME
from jobs.lake.store import Store
from jobs.night import Night
from jobs.reasons import Reasons
from jobs.recommend_note import note
from jobs.recommender_data import Shop, load, policy
from jobs.settings import Settings
from models.recommender.base import PERSONAL, SOURCES, History, Recommender
from models.recommender.calibration import Calibration
from models.recommender.rules import Excluded, Rules, already_bought
from models.recommender.scoring import (
    SIMILAR_SOURCES,
    Block,
    best_reasons,
    chunks,
    finished,
    list_features,
    similar,
)
from models.recommender.sequences import histories

Build = Callable[[int, int], pa.Table]


@dataclass(frozen=True)
class Shard:
    """Rows low to high of one table, and the key they are written to."""

    table: str
    key: str
    low: int
    high: int


class Lister:
    """All that a block of lists needs, loaded once."""

    def __init__(
        self,
        settings: Settings,
        ds: date,
        shop: Shop,
        model: Recommender,
        calibration: Calibration,
        version: str,
    ) -> None:
        self.ds, self.shop, self.model, self.version = ds, shop, model, version
        self.own = Served(model, calibration, version)
        self.experiment = settings.experiment
        self.arms = pa.array(names(self.experiment))
        controlled = self.experiment.on and self.experiment.arms[CONTROL] > 0
        self.control = control(shop, settings) if controlled else None
        self.rules = Rules.of(shop.items, settings.top_k, policy(settings))
        self.histories: History = histories(shop.events, shop.as_of)
        self.excluded: Excluded = already_bought(shop.events, shop.items)
        self.reasons = Reasons.of(shop)
        self.similar_k = settings.similar_k

    def recommendations(self, low: int, high: int) -> pa.Table:
        """The rows of shoppers low to high."""
        arm = self.arms.take(pa.array(draw(self.shop.users.slice(low, high - low), self.experiment)))
        controlled = np.asarray(arm) == CONTROL if self.control else np.zeros(high - low, np.bool_)
        tables = []
        for served, members in ((self.own, ~controlled), (self.control, controlled)):
            if served is None:
                continue
            users = low + np.flatnonzero(members)
            blocks = finished(served.model, self.histories, users, self.rules, self.excluded)
            tables += [self._rows(block, served, users, arm.filter(pa.array(members))) for block in blocks]
        found = pa.concat_tables(tables) if tables else BY_NAME["recommendations"].schema.empty_table()
        # Two arms were written one after the other; shoppers are known in the order of their ids.
        return found.sort_by([("user_id", "ascending"), ("rank", "ascending")]) if self.control else found

    def _rows(self, block: Block, served: Served, users: NDArray[np.int64], arm: pa.Array) -> pa.Table:
        """The rows of a block; `users` and `arm` are of all for whom `served` makes lists."""
        ids = block.lists.ids
        source = served.model.sources(block.history, ids)
        past, _, behaviour = best_reasons(served.model, block)
        past = np.where(np.isin(source, PERSONAL), past, -1)
        listed = ids.ravel() >= 0
        item, why = ids.ravel()[listed], past.ravel()[listed]
        kind = source.ravel()[listed]
        user, rank = np.nonzero(ids >= 0)
        reason, reason_zh = self.reasons.sentences(item, why, behaviour.ravel()[listed], kind)
        probability = served.calibration.probability(list_features(block, source)[listed])
        products = self.shop.catalogue["product_id"]
        rows = len(item)
        return _table(
            "recommendations",
            user_id=self.shop.users.take(pa.array(users[block.row[user]])),
            rank=rank + 1,
            product_id=products.take(pa.array(item)),
            score=block.lists.scores.ravel()[listed].astype(np.float64),
            probability=probability,
            reason=reason,
            reason_zh=reason_zh,
            reason_product_id=products.take(_or_null(why)),
            source=pa.array(SOURCES).take(pa.array(kind)),
            model_version=pa.repeat(served.version, rows),
            experiment=pa.repeat(pa.scalar(self.experiment.name or None, pa.string()), rows),
            bucket=arm.take(pa.array(block.row[user])),
            ds=pa.repeat(pa.scalar(self.ds), rows),
        )

    def similar(self, low: int, high: int) -> pa.Table:
        """The rows of the catalogue's products low to high."""
        wanted = np.flatnonzero(self.shop.listed)[low:high]
        popular = self.reasons.popular
        tables = []
        for start, stop in chunks(len(wanted), len(self.shop.items)):
            source = wanted[start:stop]
            lists, kind = similar(self.model, source, popular, self.shop.items, self.similar_k)
            tables.append(self._similar_rows(source, lists.ids, lists.scores, kind))
        return pa.concat_tables(tables) if tables else BY_NAME["similar_items"].schema.empty_table()

    def _similar_rows(self, source: Any, ids: Any, scores: Any, kind: Any) -> pa.Table:
        row, rank = np.nonzero(ids >= 0)
        products = self.shop.catalogue["product_id"]
        return _table(
            "similar_items",
            product_id=products.take(pa.array(source[row])),
            rank=rank + 1,
            similar_id=products.take(pa.array(ids[row, rank])),
            score=scores[row, rank].astype(np.float64),
            source=pa.array(SIMILAR_SOURCES).take(pa.array(kind[row, rank])),
            model_version=pa.repeat(self.version, len(row)),
            ds=pa.repeat(pa.scalar(self.ds), len(row)),
        )


def _table(name: str, **columns: Any) -> pa.Table:
    schema = BY_NAME[name].schema
    arrays = {n: v if isinstance(v, pa.Array | pa.ChunkedArray) else pa.array(v) for n, v in columns.items()}
    return pa.table({n: arrays[n] for n in schema.names}).cast(schema)


def _or_null(index: NDArray[np.int32]) -> pa.Array:
    return pa.array(index, mask=index < 0)


def run(night: Night) -> dict[str, Any]:
    row = night.model_in_service("recommender")
    if row is None:
        raise GateFailed(
            f"no recommender is in service on {night.ds}: run train_recommender of this run first"
        )
    shop = load(night)
    key = _digest(night, shop, row["version"])
    users = min(shop.known, night.options.max_users or shop.known)
    wanted = {"recommendations": users, "similar_items": int(shop.listed.sum())}
    if night.settings.scoring == "spark":
        from jobs import spark_scoring

        planned = [shard for name, n in wanted.items() for shard in plan(night, name, key, n)]
        spark_scoring.build(night, shop, row, f"{night.work('scoring')}/{key}", planned)
        lists, neighbours = ([s.key for s in planned if s.table == name] for name in wanted)
    else:
        build = builders(night.settings, night.ds, night.store, shop, row["location"], row["version"])
        lists, neighbours = (shards(night, name, key, n, build[name]) for name, n in wanted.items())
    summary = note(night, shop, lists, neighbours, row["version"])
    turned = audiences(
        (night.store.read_parquet(key, COLUMNS) for key in lists),
        shop.catalogue,
        night.settings.audience_cap,
        night.settings.min_group,
        row["version"],
        pa.scalar(night.ds),
    )
    night.stage("audiences", turned)
    staged = {
        "audiences": len(turned),
        "recommendations": night.stage_files("recommendations", lists),
        "similar_items": night.stage_files("similar_items", neighbours),
    }
    # They name shoppers, and what is staged is a copy.
    night.store.delete([*lists, *neighbours])
    return {"model_version": row["version"], "rows": staged, **summary}


def _digest(night: Night, shop: Shop, version: str) -> str:
    s = night.settings
    parts = [
        version,
        shop.fingerprint(),
        files.code_hash(),
        s.top_k,
        s.similar_k,
        s.block_size,
        s.holdout_days,
        night.options.max_users,
        s.experiment.model_dump(),
        [s.category_share, s.brand_share, s.diversity],
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def builders(
    settings: Settings, ds: date, store: Store, shop: Shop, location: str, version: str
) -> dict[str, Build]:
    """table → what makes its rows low to high, over the model at this location."""
    model, calibration = files.load(store, location, shop.items)
    model.refresh(shop.events, shop.items, shop.as_of)
    lister = Lister(settings, ds, shop, model, calibration, version)
    return {"recommendations": lister.recommendations, "similar_items": lister.similar}


def plan(night: Night, name: str, key: str, n: int) -> list[Shard]:
    """The shards of n rows of a table, in order."""
    prefix, size = f"{night.work(name)}/{key}", night.settings.block_size
    return [
        Shard(name, f"{prefix}/shard-{number:05d}.parquet", low, min(low + size, n))
        for number, low in enumerate(range(0, n, size))
    ]


def shards(night: Night, name: str, key: str, n: int, build: Build) -> list[str]:
    """The keys of all shards of n rows, built where they are missing. A shard is whole or absent."""
    there = set(night.store.list(f"{night.work(name)}/{key}"))
    planned = plan(night, name, key, n)
    for shard in night.track(planned, name, total=len(planned)):
        if shard.key not in there:
            failpoint("before_shard", name)
            night.store.write_parquet(shard.key, build(shard.low, shard.high))
            failpoint("after_shard", name)
    return [shard.key for shard in planned]


if __name__ == "__main__":
    main("recommend")
