"""From pasts to finished lists, a few shoppers at a time: scores are never held whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.recommender.base import Floats, History, Ints, Items, Longs, Recommender, mask
from models.recommender.rules import Excluded, Lists, Rules, assert_rules, pick
from models.recommender.topk import top_k

# Scores held at once: 64 MiB of float32, whatever the size of the catalogue.
SCORES_BUDGET = 1 << 24

SIMILAR_SOURCES = ("item_graph", "category")


@dataclass(frozen=True)
class Block:
    """Finished lists of some shoppers, with the pasts that they came from.

    row: the shoppers' places among those asked for, (shoppers,).
    """

    row: Longs
    history: History
    lists: Lists


def chunks(n: int, n_items: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows whose scores over all items fit the budget."""
    step = max(1, SCORES_BUDGET // max(n_items, 1))
    for low in range(0, n, step):
        yield low, min(low + step, n)


def finished(
    model: Recommender, histories: History, users: Longs, rules: Rules, excluded: Excluded
) -> Iterator[Block]:
    """The lists of these shoppers under the rules, checked, chunk by chunk in order."""
    for low, high in chunks(len(users), len(rules.items)):
        wanted = users[low:high]
        history = histories.pick(wanted)
        forbidden = excluded.pairs(wanted)
        scores = mask(model.score_block(history), rules.items.in_stock, forbidden)
        lists = pick(scores, rules)
        assert_rules(lists, rules, forbidden)
        yield Block(np.arange(low, high), history, lists)


def best_reasons(model: Recommender, block: Block) -> tuple[Ints, Floats, NDArray[np.int8]]:
    """Of each place, the past item that gave most: item (-1: none), its amount, the strongest thing done
    with it.

    All (shoppers, k). What one shopper did with one item on several days is added up first.
    """
    ids, history = block.lists.ids, block.history
    item = np.full(ids.size, -1, np.int32)
    amount = np.zeros(ids.size, np.float32)
    behaviour = np.full(ids.size, -1, np.int8)
    past, place, given = model.explain(history, ids)
    if len(past):
        order = np.lexsort((history.item[past], place))
        past, place, given = past[order], place[order], given[order]
        source = history.item[past]
        first = np.flatnonzero(np.append(True, (place[1:] != place[:-1]) | (source[1:] != source[:-1])))
        total = np.add.reduceat(given, first)
        strongest = np.maximum.reduceat(history.behaviour[past], first)
        # Written worst to best, so that the best (then the lowest id) is what remains.
        order = np.lexsort((-source[first], total, place[first]))
        at = place[first][order]
        item[at], amount[at], behaviour[at] = source[first][order], total[order], strongest[order]
    return item.reshape(ids.shape), amount.reshape(ids.shape), behaviour.reshape(ids.shape)


def similar(
    model: Recommender, source: Longs, popular: Floats, items: Items, k: int
) -> tuple[Lists, NDArray[np.int8]]:
    """Neighbours of each source item: lists (sources, k), and the index in `SIMILAR_SOURCES` of every place.

    In stock, never the item itself nor its variant. Graph edges first, scaled so that an item's strongest
    is 1; then what sells in its category, below any edge. `popular` is (items,), in [0, 1].
    """
    hidden = ~items.in_stock | (items.parent[source][:, None] == items.parent)
    scores = np.asarray(model.neighbours(source).toarray(), np.float32)
    scores[hidden] = 0
    scores /= np.maximum(scores.max(axis=1, keepdims=True, initial=0), np.float32(1e-30))
    linked = scores > 0
    same = items.category[source][:, None] == items.category
    floor = np.float32(1e-6) * (np.float32(1e-3) + popular)
    scores = np.where(linked, scores + np.float32(2e-6), np.where(same, floor, -np.inf)).astype(np.float32)
    scores[hidden] = -np.inf
    ids, values = top_k(scores, k)
    if linked.shape[1] == 0:
        return Lists(ids, values, np.zeros(len(ids), np.int32)), np.zeros(ids.shape, np.int8)
    from_graph = np.take_along_axis(linked, np.maximum(ids, 0).astype(np.int64), 1)
    return Lists(ids, values, np.zeros(len(ids), np.int32)), np.where(from_graph, 0, 1).astype(np.int8)


def list_features(block: Block, source: NDArray[np.int8]) -> Floats:
    """What calibration reads of each listed row, (shoppers * k, features), rows in order of shopper and rank.

    Rank, score, source, and how much and how lately the shopper did anything.
    """
    ids = block.lists.ids
    users, k = ids.shape
    history = block.history
    events = np.diff(history.indptr)
    age = np.full(users, 365.0, np.float32)
    some = events > 0
    age[some] = history.age[history.indptr[1:][some] - 1]
    rank = np.log2(np.arange(1, k + 1) + 1)
    score = np.where(ids >= 0, block.lists.scores, 0)
    columns = [
        np.broadcast_to(rank, ids.shape),
        score,
        (source == 0).astype(np.float32),
        (source == 1).astype(np.float32),
        np.broadcast_to(np.log1p(events)[:, None], ids.shape),
        np.broadcast_to(np.log1p(age)[:, None], ids.shape),
    ]
    return np.stack([np.asarray(c, np.float32).ravel() for c in columns], axis=1)
