"""Measures of ranked lists against what was really bought. Ties are pessimistic: a hit stands last among
its equals.

Lists are (users, k) arrays of item ids, -1 for no item, best first, with their scores. Truth is a pair of
arrays (user, item), without repeats. Every measure is per user, so that callers can average by segment and
bootstrap.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.recommender.base import Bools, Doubles, Floats, Ints, Longs


def pessimistic_ranks(scores: Floats) -> Longs:
    """(users, k): 1-based rank of each place when everything with an equal score goes first.

    Equal scores that reach the list's end may go on beyond it: their rank is k + 1.
    """
    users, k = scores.shape
    ranks = np.empty((users, k), np.int64)
    if k == 0:
        return ranks
    ranks[:, k - 1] = k
    for place in range(k - 2, -1, -1):
        tied = scores[:, place] == scores[:, place + 1]
        ranks[:, place] = np.where(tied, ranks[:, place + 1], place + 1)
    if k > 1:
        endless = (ranks == k) & (scores[:, -2] == scores[:, -1])[:, None]
        ranks[endless] = k + 1
    return ranks


def hits(ids: Ints, user: Longs, item: Ints, n_items: int) -> Bools:
    """(users, k): which places hold an item that the user bought."""
    truth = np.unique(np.asarray(user, np.int64) * n_items + item)
    keys = np.arange(len(ids), dtype=np.int64)[:, None] * n_items + ids
    return np.isin(keys, truth) & (ids >= 0)


def per_user(ids: Ints, scores: Floats, user: Longs, item: Ints, k: int, n_items: int) -> dict[str, Doubles]:
    """recall, precision, f1, hr, ndcg, map and mrr at k of every user, (users,); nan for users who bought
    nothing.

    NDCG has binary gains and an ideal list cut at k; MAP divides by min(k, bought) (Manning et al., 2008,
    ch. 8). F1 is the harmonic mean of a user's precision and recall: 2 hits / (k + bought).
    """
    bought = np.bincount(user, minlength=len(ids)).astype(np.float64)
    rank = pessimistic_ranks(scores)
    hit = hits(ids, user, item, n_items) & (rank <= k)
    ideal = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
    at_most = np.minimum(bought, k).astype(np.int64)
    found = hit.sum(axis=1)
    gain = np.where(hit, 1 / np.log2(rank + 1), 0.0).sum(axis=1)
    precise = np.where(hit, np.cumsum(hit, axis=1) / rank, 0.0).sum(axis=1)
    first = np.where(hit, 1 / rank, 0.0).max(axis=1, initial=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        table = {
            "recall": found / bought,
            "precision": np.where(bought > 0, found / k, np.nan),
            "f1": np.where(bought > 0, 2 * found / (k + bought), np.nan),
            "hr": np.where(bought > 0, found > 0, np.nan).astype(np.float64),
            "ndcg": gain / ideal[at_most],
            "map": precise / at_most,
            "mrr": np.where(bought > 0, first, np.nan),
        }
    return table


def coverage(ids: Ints, n_items: int) -> float:
    """Share of the catalogue that stands in at least one list."""
    return len(np.unique(ids[ids >= 0])) / n_items if n_items else 0.0


def gini(exposure: NDArray[np.int64]) -> float:
    """0: every item is shown equally often; towards 1: one item takes it all. `exposure` is (items,)."""
    total, n = exposure.sum(), len(exposure)
    if total == 0 or n == 0:
        return 0.0
    ordered = np.sort(exposure).astype(np.float64)
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * total))


def overlap(ids: Ints, k: int, pairs: int = 2_000) -> float:
    """Mean share of equal items in the first k of two users' lists, over fixed pairs of users."""
    n = len(ids)
    if n < 2:
        return 0.0
    step = max(1, n // pairs)
    left = np.arange(0, n, step)
    right = (left + max(1, n // 2)) % n
    a, b = ids[left, :k], ids[right, :k]
    same = ((a[:, :, None] == b[:, None, :]) & (a >= 0)[:, :, None]).sum(axis=(1, 2))
    return float((same / np.maximum((a >= 0).sum(axis=1), 1)).mean())


def bootstrap_interval(values: Doubles, seed: int, draws: int = 500) -> tuple[float, float]:
    """95 % percentile interval of the mean over users (Efron, 1979); nan values are left out."""
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return (0.0, 0.0)
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(draws)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
