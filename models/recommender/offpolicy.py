"""What other lists would have earned, from clicks on the lists that were shown.

The estimate is self-normalised inverse propensity scoring (SNIPS; Swaminathan and Joachims, NeurIPS 2015)
under the item-position click model (Li et al., "Offline Evaluation of Ranking Policies with Click Models",
KDD 2018): a click needs a place that is looked at and a product that is liked. Of a product shown at rank r,
which the new list puts at rank s, a click counts examination(s) / examination(r), and 0 where the new list
leaves it out. These ratios are not ratios of propensities, so that their mean says nothing; the weights are
normalised by the examination that they stand for, whose expectation is known:

    clicks a list = sum over s of examination(s) × (sum of weight × click) / (sum of weight × examination(r))

with s over the places that a new list fills: one that is short is looked at less than a whole one.
It says nothing of products that no logged list held; `overlap` tells how much of the new lists that is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.recommender.base import Bools, Doubles, Ints, Longs
from models.recommender.bootstrap import resamples

# Fewer clicks say too little of the places; each place's prior weighs as much as so many clicks.
MIN_CLICKS, PRIOR_CLICKS = 200, 20.0
ROUNDS = 200


@dataclass(frozen=True)
class Logged:
    """Every place of the lists that were shown, one entry a place.

    shopper: index of the shopper. visit: index of the list. item: index. rank: from 1. clicked: whether an
    event came from it.
    """

    shopper: Longs
    visit: Longs
    item: Ints
    rank: Ints
    clicked: Bools

    def __len__(self) -> int:
        return len(self.item)


@dataclass(frozen=True)
class Estimate:
    """Clicks a list: of the new lists (95 % interval by bootstrap over shoppers) and of the logged ones.

    effective: logged places that the weights are worth (Kish). overlap: share of the new lists' examination
    that falls on products which the logged lists held.
    """

    value: float
    low: float
    high: float
    logged: float
    effective: float
    overlap: float


def prior(k: int) -> Doubles:
    """(k,): examination of ranks 1 to k where nothing is known of them: 1 / log2(rank + 1), as in DCG."""
    return np.asarray(1 / np.log2(np.arange(2, k + 2)))


def examination(logged: Logged, k: int) -> tuple[Doubles, bool]:
    """(k,): how often each rank is looked at, the first being 1; and whether it was estimated at all.

    Clicks at a rank are Poisson with mean (sum over shown items of relevance) × examination(rank), fitted by
    alternating maximum likelihood; one item at several ranks tells the two apart (the position-based model;
    Richardson et al., WWW 2007). Each rank is drawn to the prior with the weight of `PRIOR_CLICKS`; with
    fewer than `MIN_CLICKS` clicks in all, it is the prior. Where a list is personal its first places also
    hold what the shopper likes best, which makes the estimate steeper than the truth.
    """
    first = prior(k)
    inside = logged.rank <= k
    if int(logged.clicked[inside].sum()) < MIN_CLICKS:
        return first, False
    items, item = np.unique(logged.item[inside], return_inverse=True)
    rank = logged.rank[inside] - 1
    cell, shown = np.unique(item.astype(np.int64) * k + rank, return_counts=True)
    row, column = cell // k, cell % k
    clicks = logged.clicked[inside].astype(np.float64)
    per_item = np.bincount(item, clicks, minlength=len(items))
    per_rank = np.bincount(rank, clicks, minlength=k)
    looked = first.copy()
    for _ in range(ROUNDS):
        relevance = per_item / np.bincount(row, shown * looked[column], minlength=len(items))
        expected = np.bincount(column, shown * relevance[row], minlength=k)
        found = (per_rank + PRIOR_CLICKS) / (expected + PRIOR_CLICKS / first)
        found /= found[0]
        moved = float(np.abs(found - looked).max())
        looked = found
        if moved < 1e-6:
            break
    return looked, True


def snips(logged: Logged, new: Ints, n_items: int, looked: Doubles, seed: int) -> Estimate | None:
    """The estimate for the lists `new`, (shoppers, k), -1 for no item; `looked` is (k,) or longer.

    None where no logged place holds a product of the new lists, or none of those was clicked: that nobody
    ever will does not follow, and the bootstrap of zeros would say that it is certain.
    """
    k = new.shape[1]
    at = _new_rank(logged, new, n_items)
    rank = np.minimum(logged.rank, len(looked)) - 1
    weight = np.where(at >= 0, looked[np.maximum(at, 0)] / looked[rank], 0.0)
    shoppers = len(new)
    lists = np.bincount(np.unique(np.stack([logged.shopper, logged.visit]), axis=1)[0], minlength=shoppers)
    sums = np.stack([
        np.bincount(logged.shopper, weight * logged.clicked, minlength=shoppers),
        np.bincount(logged.shopper, weight * looked[rank], minlength=shoppers),
        np.bincount(logged.shopper, logged.clicked, minlength=shoppers),
        lists,
        lists * ((new >= 0) @ looked[:k]),
    ], axis=1)  # fmt: skip
    total = sums.sum(axis=0)
    if total[0] <= 0:
        return None
    seen = sums[sums[:, 3] > 0]
    drawn = np.array(
        [_value(np.asarray(weights @ seen, np.float64)) for weights in resamples(len(seen), seed)]
    )
    low, high = np.percentile(drawn[~np.isnan(drawn)], [2.5, 97.5])
    return Estimate(
        value=_value(total),
        low=float(low),
        high=float(high),
        logged=float(total[2] / total[3]),
        effective=float(weight.sum() ** 2 / (weight**2).sum()),
        overlap=float(total[1] / total[4]),
    )


def _value(sums: Doubles) -> float:
    """Clicks a list: of the sums over shoppers, as `snips` orders them."""
    weighed, known, _, lists, possible = sums
    return float(possible / lists * weighed / known) if known > 0 else float("nan")


def _new_rank(logged: Logged, new: Ints, n_items: int) -> Longs:
    """Of each logged place, where the shopper's new list puts its product, from 0; -1 where it does not."""
    shopper, place = np.nonzero(new >= 0)
    key = shopper.astype(np.int64) * n_items + new[shopper, place]
    order = np.argsort(key)
    wanted = logged.shopper * n_items + logged.item
    if len(key) == 0:
        return np.full(len(wanted), -1, np.int64)
    found = np.minimum(np.searchsorted(key[order], wanted), len(key) - 1)
    return np.where(key[order][found] == wanted, place[order][found], -1)
