"""What the report shows of the night's lists, read back from the shards as they were written."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.evaluation_note import parts_told
from jobs.night import Night
from jobs.recommender_data import Shop
from models.recommender.base import SOURCES
from models.recommender.metrics import gini

MOST_LISTED, REASONS = 10, 3
NEW_DAYS = 14


def note(night: Night, shop: Shop, lists: list[str], neighbours: list[str], version: str) -> dict[str, Any]:
    """Checks the written rows once more and notes coverage, exposure, sources and what is listed most;
    returns the short form. A note is kept: it holds no shopper's list, no group of fewer than `min_group`.
    """
    ids = shop.catalogue["product_id"].combine_chunks()
    exposure = np.zeros(len(ids), np.int64)
    sources = dict.fromkeys(SOURCES, 0)
    rows = users = full = 0
    chance = 0.0
    arms: Counter[str] = Counter()
    for shard in lists:
        table = night.store.read_parquet(
            shard, ["user_id", "rank", "product_id", "source", "probability", "bucket"]
        )
        item = pc.index_in(table["product_id"].combine_chunks(), value_set=ids).to_numpy(zero_copy_only=False)
        _check(shard, table, shop.items.in_stock[item.astype(np.int64)])
        exposure += np.bincount(item.astype(np.int64), minlength=len(ids))
        for pair in table["source"].value_counts().to_pylist():
            sources[pair["values"]] += pair["counts"]
        first = table["bucket"].filter(pc.equal(table["rank"], 1))
        arms.update({pair["values"]: pair["counts"] for pair in first.value_counts().to_pylist()})
        rows += len(table)
        users += len(table["user_id"].unique())
        full += pc.sum(pc.equal(table["rank"], night.settings.top_k)).as_py() or 0
        chance += pc.sum(table["probability"]).as_py() or 0.0
    in_stock = int(shop.items.in_stock.sum())
    fresh = _share_new(night, shop, exposure)
    short = {
        "shoppers": users,
        "full_lists": full,
        "coverage": round(int((exposure > 0).sum()) / max(in_stock, 1), 4),
    }
    night.note(
        "recommendations",
        {
            **short,
            "model_version": version,
            "rows": rows,
            "products_in_stock": in_stock,
            "largest_brand": _largest(shop.items.brand, exposure),
            "gini": gini(exposure[shop.items.in_stock]),
            "share_new": fresh,
            "new_days": NEW_DAYS,
            "arms": {a: arms[a] for a in sorted(parts_told(arms, night.settings.min_group))},
            "sources": {name: count / max(rows, 1) for name, count in sources.items()},
            "mean_probability": chance / max(rows, 1),
            "exposure_deciles": _deciles(exposure[shop.items.in_stock]),
            "least": night.settings.min_group,
            "most_listed": _most_listed(night, shop, lists, exposure),
            "similar_rows": sum(night.store.rows(k) for k in neighbours),
        },
    )
    return short


def _check(shard: str, table: pa.Table, in_stock: Any) -> None:
    """What can be seen of a shard alone: it was written by this code or by an attempt before it."""
    if not in_stock.all():
        raise AssertionError(f"{shard}: a product that is not in stock stands in a list")
    keys = table.group_by(["user_id", "product_id"]).aggregate([])
    if len(keys) != len(table):
        raise AssertionError(f"{shard}: a product stands twice in one list")


def _share_new(night: Night, shop: Shop, exposure: Any) -> float:
    """Share of places given to products first seen in the last two weeks."""
    since = pa.scalar(night.ds - timedelta(days=NEW_DAYS - 1))
    fresh = pc.fill_null(pc.greater_equal(shop.catalogue["first_seen"], since), False)
    return float(exposure[fresh.to_numpy().astype(bool)].sum() / max(exposure.sum(), 1))


def _largest(group: Any, exposure: Any) -> float | None:
    """Share of all places that the most shown brand takes; None where no product has one."""
    known = group >= 0
    if not known.any():
        return None
    return float(np.bincount(group[known], exposure[known]).max() / max(exposure.sum(), 1))


def _deciles(exposure: Any) -> list[float]:
    """Share of all places that each tenth of the products takes, least shown first."""
    parts = np.array_split(np.sort(exposure), 10)
    return [float(p.sum() / max(exposure.sum(), 1)) for p in parts]


def _most_listed(night: Night, shop: Shop, lists: list[str], exposure: Any) -> list[dict[str, Any]]:
    """The products in the most lists, with the reasons that are read there most often.

    exposure: shoppers per product of the catalogue. A reason names what was bought or looked at: one that
    fewer than `min_group` shoppers read is left out, as is a product in fewer lists.
    """
    least = night.settings.min_group
    top = np.argsort(-exposure, kind="stable")[:MOST_LISTED]
    top = top[exposure[top] >= least]
    titles = shop.catalogue.select(["product_id", "title_en", "title_zh"])
    told: list[dict[str, Any]] = titles.take(pa.array(top)).to_pylist()
    read, chance = _reasons(night, lists, [t["product_id"] for t in told]) if told else ({}, {})
    for product, shoppers in zip(told, exposure[top].tolist(), strict=True):
        product["shoppers"] = shoppers
        product["probability"] = chance[product["product_id"]] / shoppers
        product["reasons"] = [
            {"reason": reason, "reason_zh": reason_zh, "share": count / shoppers}
            for (reason, reason_zh), count in read[product["product_id"]].most_common(REASONS)
            if count >= least
        ]
    return told


def _reasons(
    night: Night, lists: list[str], products: list[str]
) -> tuple[dict[str, Counter[tuple[str, str]]], dict[str, float]]:
    """Of each product: (reason, reason_zh) → shoppers who read it, and the sum of its probabilities."""
    read: dict[str, Counter[tuple[str, str]]] = {product: Counter() for product in products}
    chance = dict.fromkeys(products, 0.0)
    wanted = pa.array(products, pa.string())
    for shard in lists:
        table = night.store.read_parquet(shard, ["product_id", "reason", "reason_zh", "probability"])
        rows = table.filter(pc.is_in(table["product_id"], value_set=wanted))
        groups = rows.group_by(["product_id", "reason", "reason_zh"]).aggregate(
            [([], "count_all"), ("probability", "sum")]
        )
        for row in groups.to_pylist():
            read[row["product_id"]][row["reason"], row["reason_zh"]] += row["count_all"]
            chance[row["product_id"]] += row["probability_sum"] or 0.0
    return read, chance
