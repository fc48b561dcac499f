"""From pasts to finished lists, a few shoppers at a time: scores are never held whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.recommender.base import (
    CATEGORY,
    GRAPH,
    SEQUENCE,
    Floats,
    History,
    Ints,
    Items,
    Longs,
    Recommender,
    mask,
)
from models.recommender.diversity import diversify
from models.recommender.rules import Excluded, Lists, Rules, assert_rules, pick
from models.recommender.topk import top_k

# Scores held at once: 64 MiB of float32, whatever the size of the catalogue.
SCORES_BUDGET = 1 << 24

# Columns of `list_features`.
LIST_FEATURES = 8

SIMILAR_SOURCES = ("item_graph", "category")


@dataclass(frozen=True)
class Block:
    """Finished lists of some shoppers, with the pasts that they came from.

    row: the shoppers' places among those asked for, (shoppers,). logits: (shoppers, k, 2), the log-odds of a
    click and of a purchase; zeros without a ranker.
    """

    row: Longs
    history: History
    lists: Lists
    logits: Floats


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
        scores, ranked = model.rerank(history, scores)
        if rules.policy.diversity:
            diversify(scores, rules)
        lists = pick(scores, rules)
        assert_rules(lists, rules, forbidden)
        ids = lists.ids
        logits = ranked.of(ids) if ranked else np.zeros((*ids.shape, 2), np.float32)
        yield Block(np.arange(low, high), history, lists, logits)


def best_reasons(model: Recommender, block: Block) -> tuple[Ints, Floats, NDArray[np.int8]]:
    """Of each place, the past item that gave most: item (-1: none), its amount, the strongest thing done
    with it.

    All (shoppers, k). What one shopper did with one item on several days is added up first. Nothing is named
    whose going would not lower the place's score.
    """
    ids, history = block.lists.ids, block.history
    k = ids.shape[1]
    item = np.full(ids.shape, -1, np.int32)
    amount = np.zeros(ids.shape, np.float32)
    behaviour = np.full(ids.shape, -1, np.int8)
    if len(history.item) == 0:
        return item, amount, behaviour
    given, _ = model.contributions(history, ids)
    row = history.row
    order = np.lexsort((history.item, row))
    source, owner = history.item[order], row[order]
    first = np.flatnonzero(np.append(True, (owner[1:] != owner[:-1]) | (source[1:] != source[:-1])))
    total = np.add.reduceat(given[order], first, axis=0)
    strongest = np.maximum.reduceat(history.behaviour[order], first)
    owner, source = owner[first], source[first]
    for place in range(k):
        # Written worst to best, so that the best (then the lowest id) is what remains.
        rising = np.lexsort((-source, total[:, place], owner))
        at = rising[total[rising, place] > 0]
        item[owner[at], place] = source[at]
        amount[owner[at], place] = total[at, place]
        behaviour[owner[at], place] = strongest[at]
    named = (item >= 0) & (ids >= 0)
    at_row, at_place = np.nonzero(named)
    named[named] = _needed(model, block, at_row, at_place, item[named])
    return np.where(named, item, -1), np.where(named, amount, 0), np.where(named, behaviour, -1)


def _needed(
    model: Recommender, block: Block, row: NDArray[Any], place: NDArray[Any], item: Ints
) -> NDArray[np.bool_]:
    """Of each (row, place), whether its score falls when the row's past loses the item."""
    n = int(item.max(initial=0)) + 1
    cases, case = np.unique(row * n + item, return_inverse=True)
    falls = np.zeros(len(row), np.bool_)
    listed = block.lists.ids[row, place]
    before = model.score_block(block.history)[row, listed]
    for low, high in chunks(len(cases), model.n_items):
        history = block.history.pick((cases[low:high] // n).astype(np.int64))
        without = history.where(history.item != (cases[low:high] % n)[history.row])
        inside = np.flatnonzero((case >= low) & (case < high))
        after = model.score_block(without)[case[inside] - low, listed[inside]]
        falls[inside] = after < before[inside]
    return falls


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

    Rank, score, source, what the ranker says, and how much and how lately the shopper did anything.
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
        np.isin(source, (GRAPH, SEQUENCE)).astype(np.float32),
        (source == CATEGORY).astype(np.float32),
        block.logits[:, :, 0],
        block.logits[:, :, 1],
        np.broadcast_to(np.log1p(events)[:, None], ids.shape),
        np.broadcast_to(np.log1p(age)[:, None], ids.shape),
    ]
    return np.stack([np.asarray(c, np.float32).ravel() for c in columns], axis=1)
