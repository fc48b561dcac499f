"""What the ranker reads of a candidate: who asks, what it is, and what the two had to do with each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.recommender.base import (
    BEHAVIOUR_WEIGHT,
    DAY,
    SOURCES,
    Behaviour,
    Doubles,
    Floats,
    History,
    Interactions,
    Ints,
    Items,
    Longs,
)
from models.recommender.popularity import decayed_counts
from models.recommender.rules import again_share

# Numbers of categorical values are folded to this many; they are hashes of names already.
BUCKETS = 512
ITEM_SLOTS = 3
NEVER_DAYS = 365.0

DENSE = (
    *SOURCES, "score", "rank", "bought", "touched", "days_since_bought", "days_since_touched",
    "popularity_7d", "popularity_30d", "trend", "bought_again", "item_days",
    "events", "purchases", "days_away", "category_share", "brand_share", "price", "price_gap",
)  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """What is known of every item at a moment, (items,) each. slots: (items, `ITEM_SLOTS`) hashed values."""

    week: Floats
    month: Floats
    again: Floats
    days: Floats
    price: Floats
    slots: Ints
    items: Items

    @classmethod
    def of(cls, events: Interactions, items: Items, as_of: int) -> Facts:
        first = np.full(len(items), as_of, np.int64)
        np.minimum.at(first, events.item, events.time)
        slots = items.attribute_slots()[:, :ITEM_SLOTS] % BUCKETS
        price = items.price if items.price is not None else np.zeros(len(items), np.float32)
        return cls(
            week=np.log1p(decayed_counts(events, as_of, 7.0)).astype(np.float32),
            month=np.log1p(decayed_counts(events, as_of, 30.0)).astype(np.float32),
            again=again_share(events, items).astype(np.float32),
            days=np.log1p((as_of - first) / DAY).astype(np.float32),
            price=np.log1p(np.maximum(np.nan_to_num(price), 0)).astype(np.float32),
            slots=np.pad(slots, ((0, 0), (0, ITEM_SLOTS - slots.shape[1]))),
            items=items,
        )


def dense_features(facts: Facts, history: History, ids: Ints, scores: Floats, parts: Floats) -> Floats:
    """(shoppers * k, features) in the order of `DENSE`; rows in order of shopper and place.

    ids, scores: (shoppers, k), best first; parts: (sources, shoppers, k), what each gave to the score.
    """
    shoppers, k = ids.shape
    shown = np.maximum(ids, 0)
    row = np.repeat(np.arange(shoppers), k)
    pairs = _pair_features(history, row, shown.ravel(), len(facts.items))
    mine = _own_features(facts, history)
    price = facts.price[shown]
    columns: list[Floats] = [
        *parts,
        np.where(np.isfinite(scores), scores, 0),
        np.broadcast_to(np.log2(np.arange(2, k + 2)), ids.shape),
        *pairs,
        facts.week[shown],
        facts.month[shown],
        facts.week[shown] - facts.month[shown],
        facts.again[shown],
        facts.days[shown],
        *(np.broadcast_to(values[:, None], ids.shape) for values in mine[:3]),
        _share(history, facts.items.category, shown),
        _share(history, facts.items.brand, shown),
        price,
        np.where(mine[3][:, None] > 0, price - mine[3][:, None], 0),
    ]
    return np.stack([np.asarray(c, np.float32).ravel() for c in columns], axis=1)


def _pair_features(history: History, row: Longs, item: Ints, n_items: int) -> list[Floats]:
    """Of each (shopper, item): how often it was bought, and touched; how long ago, each."""
    key = history.row * n_items + history.item
    wanted = row * n_items + item
    found: list[Floats] = []
    ages: list[Floats] = []
    for chosen in (history.behaviour == Behaviour.PURCHASE, history.behaviour >= 0):
        keys, at = np.unique(key[chosen], return_inverse=True)
        count = np.bincount(at, minlength=len(keys)).astype(np.float32)
        age = np.full(len(keys), NEVER_DAYS, np.float32)
        np.minimum.at(age, at, history.age[chosen])
        place = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
        there = keys[place] == wanted if len(keys) else np.zeros(len(wanted), np.bool_)
        count, age = np.append(count, 0), np.append(age, np.float32(NEVER_DAYS))
        place = np.where(there, place, len(keys))
        found.append(np.log1p(count[place]))
        ages.append(np.log1p(np.maximum(age[place], 0)))
    return [*found, *ages]


def _own_features(facts: Facts, history: History) -> list[Floats]:
    """Of each shopper: events, purchases, days away (all logs), and the mean log price of the past."""
    n = len(history)
    events = np.diff(history.indptr)
    bought = np.bincount(history.row, history.behaviour == Behaviour.PURCHASE, minlength=n)
    away = np.full(n, NEVER_DAYS)
    some = events > 0
    away[some] = history.age[history.indptr[1:][some] - 1]
    weight = BEHAVIOUR_WEIGHT[history.behaviour]
    total = np.bincount(history.row, weight, minlength=n)
    spent = np.bincount(history.row, weight * facts.price[history.item], minlength=n)
    mean: Doubles = np.divide(spent, total, out=np.zeros(n), where=total > 0)
    columns = (np.log1p(events), np.log1p(bought), np.log1p(np.maximum(away, 0)), mean)
    return [np.asarray(c, np.float32) for c in columns]


def _share(history: History, group: Ints, shown: Ints) -> Floats:
    """(shoppers, k): the part of a shopper's past that is of the shown item's group; 0 without a group."""
    n, width = len(history), int(group.max(initial=-1)) + 2
    weight = BEHAVIOUR_WEIGHT[history.behaviour]
    cell = history.row * width + group[history.item] % width
    sums = np.bincount(cell, weight, minlength=n * width).reshape(n, width)
    sums[:, -1] = 0
    total = np.maximum(np.bincount(history.row, weight, minlength=n), 1e-9)
    found: Floats = (np.take_along_axis(sums, group[shown] % width, 1) / total[:, None]).astype(np.float32)
    return found
