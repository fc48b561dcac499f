"""Business rules, last and on every fallback: what may stand in a list, whatever scored it.

Hard rules: in stock; not bought already, unless it is a thing that people buy again; no product twice; at
most one variant of a product. Caps per category and per brand give way, and only for the shopper whose list
would otherwise stay short: they double until the list is full. What was bought already gives way only for the
shopper who has bought all that is in stock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.recommender.base import DAY, Behaviour, Bools, Doubles, Floats, Interactions, Ints, Items, Longs
from models.recommender.sequences import sent_back
from models.recommender.topk import top_k

# An item may be shown again where at least this share of its buyers bought it on a second day. With few
# buyers the category's share speaks for it, as if that many more buyers had been seen.
AGAIN_SHARE, AGAIN_PRIOR = 0.10, 20.0

NEVER = 1 << 20


class RuleBroken(AssertionError):
    """A finished list breaks a rule: a bug, and nothing of it may be written."""


@dataclass(frozen=True)
class Policy:
    """What the shop wants of its lists. category_share, brand_share: the largest part of a list that may be
    of one category or brand, and so of all places shown. diversity: how much unlikeness to what stands above
    counts beside the score, from 0 to 1.
    """

    category_share: float = 0.5
    brand_share: float = 0.5
    diversity: float = 0.0


PLAIN = Policy()


@dataclass(frozen=True)
class Rules:
    """k products a list; at most these many of one category and of one brand, before caps give way."""

    items: Items
    k: int
    category_cap: int
    brand_cap: int
    policy: Policy = PLAIN

    @classmethod
    def of(cls, items: Items, k: int, policy: Policy = PLAIN) -> Rules:
        category = max(1, math.ceil(k * policy.category_share))
        brand = max(1, math.ceil(k * policy.brand_share))
        return cls(items, k, category, brand, policy)

    def caps(self, level: int) -> tuple[int, int]:
        grown = (self.category_cap << level, self.brand_cap << level)
        return (grown[0] if grown[0] < self.k else NEVER, grown[1] if grown[1] < self.k else NEVER)

    @property
    def last_level(self) -> int:
        level = 0
        while self.caps(level) != (NEVER, NEVER):
            level += 1
        return level

    @cached_property
    def first_level(self) -> int:
        """The first level at which what is in stock could fill a list: below it none can be full, whatever
        the scores, and looking for one walks the whole catalogue.
        """
        for level in range(self.last_level):
            caps = self.caps(level)
            groups = (self.items.category, self.items.brand)
            if all(self._room(group, cap) >= self.k for group, cap in zip(groups, caps, strict=True)):
                return level
        return self.last_level

    def _room(self, group: Ints, cap: int) -> int:
        """Products that a list can hold at most with this cap for each group of them."""
        stocked = self.items.in_stock
        parent, mine = self.items.parent[stocked].astype(np.int64), group[stocked].astype(np.int64)
        width = int(group.max(initial=-1)) + 2
        # Unknown groups have no cap.
        cells = np.unique(parent * width + mine + 1)
        count = np.bincount(cells % width, minlength=1)
        capped = count[0] + np.minimum(count[1:], cap).sum()
        return int(min(capped, len(np.unique(cells // width))))


@dataclass(frozen=True)
class Excluded:
    """What each shopper may not be shown: shopper u owns item[indptr[u]:indptr[u + 1]]."""

    indptr: Longs
    item: Ints

    def pairs(self, users: Longs) -> tuple[Longs, Ints]:
        """(place in `users`, item) of everything these shoppers may not be shown."""
        lengths = np.diff(self.indptr)[users]
        place = np.repeat(np.arange(len(users), dtype=np.int64), lengths)
        offset = np.cumsum(lengths) - lengths
        at = np.arange(len(place)) + np.repeat(self.indptr[:-1][users] - offset, lengths)
        return place, self.item[at]


def bought_again(interactions: Interactions, items: Items) -> Bools:
    """(items,): things that people buy again."""
    return again_share(interactions, items) >= AGAIN_SHARE


def again_share(interactions: Interactions, items: Items) -> Doubles:
    """(items,): the share of buyers who bought on two days or more, smoothed by the category's."""
    bought = interactions.of(Behaviour.PURCHASE)
    bought = bought.where(bought.user >= 0)
    pair = bought.user.astype(np.int64) * len(items) + bought.item
    day = bought.time // DAY
    order = np.lexsort((day, pair))
    pair, day = pair[order], day[order]
    fresh = np.ones(len(pair), np.bool_)
    fresh[1:] = (pair[1:] != pair[:-1]) | (day[1:] != day[:-1])
    pairs, days = np.unique(pair[fresh], return_counts=True)
    item = pairs % max(len(items), 1)
    buyers = np.bincount(item, minlength=len(items)).astype(np.float64)
    again = np.bincount(item, days > 1, minlength=len(items))
    group = items.category + 1
    size = items.n_categories + 1
    total = np.bincount(group, buyers, minlength=size)
    share = np.divide(np.bincount(group, again, minlength=size), total, out=np.zeros(size), where=total > 0)
    return np.asarray((again + AGAIN_PRIOR * share[group]) / (buyers + AGAIN_PRIOR))


def already_bought(interactions: Interactions, items: Items) -> Excluded:
    """Every variant of what a shopper bought and kept, and what was sent back, but not its other variants:
    another size may be the right one. Things that people buy again are no part of it.

    Nothing of the one who would be left without a list: whose purchases are all that is in stock.
    """
    once = ~bought_again(interactions, items)
    returned = sent_back(interactions)
    known = (interactions.user >= 0) & once[interactions.item]
    back = interactions.where(returned & known)
    bought = interactions.where(~returned & known).of(Behaviour.PURCHASE)
    n_parents = int(items.parent.max(initial=-1)) + 1
    key = np.unique(bought.user.astype(np.int64) * max(n_parents, 1) + items.parent[bought.item])
    user, parent = key // max(n_parents, 1), key % max(n_parents, 1)
    by_parent = np.argsort(items.parent, kind="stable")
    starts = np.searchsorted(items.parent[by_parent], np.arange(n_parents + 1))
    lengths = starts[parent + 1] - starts[parent]
    at = np.arange(lengths.sum()) + np.repeat(starts[parent] - (np.cumsum(lengths) - lengths), lengths)
    owner, item = np.repeat(user, lengths), by_parent[at].astype(np.int32)
    owner, item = owner[once[item]], item[once[item]]
    n, n_users = max(len(items), 1), interactions.n_users
    pair = np.unique(np.append(owner * n + item, back.user.astype(np.int64) * n + back.item))
    owner, item = pair // n, (pair % n).astype(np.int32)
    left = items.in_stock.sum() - np.bincount(owner, items.in_stock[item], minlength=n_users)
    keep = left[owner] > 0
    per_user = np.bincount(owner[keep], minlength=n_users)
    return Excluded(np.append(0, np.cumsum(per_user)).astype(np.int64), item[keep])


@dataclass(frozen=True)
class Lists:
    """ids and scores (shoppers, k), -1 and -inf where a list ends early; level: how far the caps gave way."""

    ids: Ints
    scores: Floats
    level: Ints


def pick(scores: Floats, rules: Rules) -> Lists:
    """The best k of each row that break no rule. `scores` is (shoppers, items), forbidden items at -inf."""
    rows, n = scores.shape
    ids = np.full((rows, rules.k), -1, np.int32)
    values = np.full((rows, rules.k), -np.inf, np.float32)
    level = np.zeros(rows, np.int32)
    open_rows, depth, step = np.arange(rows), min(n, 3 * rules.k), rules.first_level
    while len(open_rows):
        got, got_scores = top_k(scores[open_rows], depth)
        taken = _greedy(got, rules, step)
        ids[open_rows], values[open_rows] = _compact(got, got_scores, taken, rules.k)
        level[open_rows] = step
        # A row is done when it is full, or when nothing more of it could be taken.
        full = taken.sum(axis=1) >= rules.k
        exhausted = got[:, -1] < 0 if depth and depth < n else np.ones(len(open_rows), np.bool_)
        hopeless = exhausted & np.bool_(step == rules.last_level)
        open_rows = open_rows[~(full | hopeless)]
        if depth < n:
            depth = min(n, depth * 8)
        elif step < rules.last_level:
            depth, step = min(n, 3 * rules.k), step + 1
    return Lists(ids, values, level)


def _greedy(ids: Ints, rules: Rules, level: int) -> Bools:
    """(rows, depth): walks each row from its best item, taking what the rules still allow, up to k."""
    caps = rules.caps(level)
    groups = (rules.items.category, rules.items.brand, rules.items.parent)
    taken = np.zeros(ids.shape, np.bool_)
    held = [np.full((len(ids), rules.k), -1, np.int32) for _ in groups]
    count = np.zeros(len(ids), np.int64)
    for place in range(ids.shape[1]):
        item = ids[:, place]
        fits = (item >= 0) & (count < rules.k)
        if not fits.any():
            break
        mine = [group[np.maximum(item, 0)] for group in groups]
        for group, kept, cap in zip(mine, held, (*caps, 1), strict=True):
            if cap < NEVER:
                fits &= (group < 0) | ((kept == group[:, None]).sum(axis=1) < cap)
        row = np.flatnonzero(fits)
        for group, kept in zip(mine, held, strict=True):
            kept[row, count[row]] = group[row]
        taken[row, place] = True
        count[row] += 1
    return taken


def _compact(ids: Ints, scores: Floats, taken: Bools, k: int) -> tuple[Ints, Floats]:
    """What was taken, moved to the left of (rows, k)."""
    out_ids = np.full((len(ids), k), -1, np.int32)
    out_scores = np.full((len(ids), k), -np.inf, np.float32)
    row, place = np.nonzero(taken)
    column = taken.cumsum(axis=1)[row, place] - 1
    out_ids[row, column] = ids[row, place]
    out_scores[row, column] = scores[row, place]
    return out_ids, out_scores


def assert_rules(lists: Lists, rules: Rules, forbidden: tuple[Longs, Ints]) -> None:
    """Raises `RuleBroken` unless every list obeys every rule, and is full where the shop allows it.

    `forbidden` holds (row, item) pairs, as `Excluded.pairs` gives them.
    """
    ids, items = lists.ids, rules.items
    shown = ids >= 0
    row, _ = np.nonzero(shown)
    item = ids[shown]
    n = max(len(items), 1)
    key = row * n + item
    if not items.in_stock[item].all():
        raise RuleBroken("a product that is not in stock stands in a list")
    if len(np.unique(row * n + items.parent[item])) < len(key):
        raise RuleBroken("two variants of one product stand in a list")
    if np.isin(key, forbidden[0] * n + forbidden[1]).any():
        raise RuleBroken("a product that the shopper has already bought stands in a list")
    for name, group, which in (("category", items.category, 0), ("brand", items.brand, 1)):
        width = int(group.max(initial=-1)) + 1
        known = group[item] >= 0
        cells, count = np.unique(row[known] * max(width, 1) + group[item][known], return_counts=True)
        cap = np.array([rules.caps(int(level))[which] for level in range(rules.last_level + 1)])
        if (count > cap[lists.level[cells // max(width, 1)]]).any():
            raise RuleBroken(f"a list holds more products of one {name} than its cap")
    _assert_full(lists, rules, forbidden)


def _assert_full(lists: Lists, rules: Rules, forbidden: tuple[Longs, Ints]) -> None:
    items = rules.items
    length = (lists.ids >= 0).sum(axis=1)
    whole_shop = len(np.unique(items.parent[items.in_stock]))
    for row in np.flatnonzero(length < min(rules.k, whole_shop)):
        allowed = items.in_stock.copy()
        allowed[forbidden[1][forbidden[0] == row]] = False
        possible = len(np.unique(items.parent[allowed]))
        if length[row] < min(possible, rules.k):
            raise RuleBroken(
                f"a list has {length[row]} products where {min(possible, rules.k)} were possible"
            )
