"""For a product or a category, the shoppers most likely to buy it: the lists of the night, turned round.

A shopper is in a product's audience if it stands in the shopper's list, by its calibrated probability. For a
category it is the chance to buy at least one of its listed products, as if those were independent. What
stands in nobody's list has no audience.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from jobs.lake.registry import BY_NAME

PRODUCT, CATEGORY = "product", "category"
COLUMNS = ["user_id", "product_id", "probability"]
# Below so many rows a merge is not worth its sort.
MERGE_ROWS = 250_000


def audiences(
    lists: Iterable[pa.Table], catalogue: pa.Table, cap: int, smallest: int, version: str, ds: pa.Scalar
) -> pa.Table:
    """Rows of `audiences`: at most `cap` shoppers each, best first; one of fewer than `smallest` is left out.

    lists: `COLUMNS` of some shoppers at a time, a shopper's rows in one of them; held are the best of each
    audience, and as many rows again (or `MERGE_ROWS`) that wait for the next merge. catalogue: product_id and
    category.
    """
    best = _best_of_all((_members(rows, catalogue) for rows in lists), cap)
    size = best.group_by(["audience", "target"]).aggregate([([], "count_all")])
    size = size.filter(pc.greater_equal(size["count_all"], smallest)).drop(["count_all"])
    kept = best.join(size, ["audience", "target"], join_type="inner").sort_by(_ORDER)
    columns = {n: kept[n] for n in _SHAPE} | {
        "rank": pa.array(_places(kept) + 1),
        "model_version": pa.repeat(version, len(kept)),
        "ds": pa.repeat(ds, len(kept)),
    }
    schema = BY_NAME["audiences"].schema
    return pa.table({n: columns[n] for n in schema.names}).cast(schema)


_SHAPE = {"audience": pa.string(), "target": pa.string(), "user_id": pa.string(), "probability": pa.float64()}
_ORDER = [
    ("audience", "ascending"),
    ("target", "ascending"),
    ("probability", "descending"),
    ("user_id", "ascending"),
]


def _members(rows: pa.Table, catalogue: pa.Table) -> pa.Table:
    """Every (audience, target, shopper) of some lists, with the probability."""
    product = pa.table(
        {
            "audience": pa.repeat(PRODUCT, len(rows)),
            "target": rows["product_id"],
            "user_id": rows["user_id"],
            "probability": rows["probability"],
        }
    )
    at = pc.index_in(rows["product_id"], value_set=catalogue["product_id"].combine_chunks())
    category = catalogue["category"].take(at)
    # Nobody is so sure that the logarithm would end.
    stays_away = pc.ln(pc.subtract(1.0, pc.min_element_wise(rows["probability"], 1 - 1e-9)))
    within = pa.table({"target": category, "user_id": rows["user_id"], "away": stays_away})
    within = within.filter(pc.and_(pc.is_valid(category), pc.not_equal(category, "")))
    summed = within.group_by(["target", "user_id"]).aggregate([("away", "sum")])
    grouped = pa.table(
        {
            "audience": pa.repeat(CATEGORY, len(summed)),
            "target": summed["target"],
            "user_id": summed["user_id"],
            # Sums come in any order of rows: what they differ in must not decide.
            "probability": pc.round(pc.subtract(1.0, pc.exp(summed["away_sum"])), 9),
        }
    )
    shape = pa.schema(_SHAPE.items())
    return pa.concat_tables([product.cast(shape), grouped.cast(shape)])


def _best_of_all(shards: Iterable[pa.Table], cap: int) -> pa.Table:
    """The `cap` likeliest of each audience over all shards, in order.

    Shards wait until they have as many rows as are held: a sort then takes in as much as it goes over again,
    and all sorts together cost about n log n, however many shards there are.
    """
    best = pa.schema(_SHAPE.items()).empty_table()
    waiting: list[pa.Table] = []
    rows = 0
    for shard in shards:
        waiting.append(shard)
        rows += len(shard)
        if rows >= max(len(best), MERGE_ROWS):
            best, waiting, rows = _best(pa.concat_tables([best, *waiting]), cap), [], 0
    return _best(pa.concat_tables([best, *waiting]), cap)


def _best(members: pa.Table, cap: int) -> pa.Table:
    """The `cap` likeliest of each audience, in order."""
    ordered = members.sort_by(_ORDER)
    return ordered.filter(pa.array(_places(ordered) < cap))


def _places(ordered: pa.Table) -> NDArray[np.int64]:
    """(rows,): each one's place in its audience, from 0."""
    new = np.ones(len(ordered), np.bool_)
    pair = [
        ordered[name].combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
        for name in ("audience", "target")
    ]
    new[1:] = (pair[0][1:] != pair[0][:-1]) | (pair[1][1:] != pair[1][:-1])
    starts = np.flatnonzero(new)
    return np.arange(len(ordered)) - np.repeat(starts, np.diff(np.append(starts, len(ordered))))
