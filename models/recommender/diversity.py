"""Lists that are not all of a kind: maximal marginal relevance over attributes.

Carbonell and Goldstein, SIGIR 1998: the next place goes to what is best after a part of its likeness to what
stands above is taken off. Scores are brought to [0, 1] within a shopper's candidates before that.
"""

from __future__ import annotations

import numpy as np

from models.recommender.base import Floats, Ints
from models.recommender.rules import Rules
from models.recommender.topk import top_k

# Candidates that may move up, in lengths of a list.
DEPTH = 3


def likeness(slots: Ints, item: Ints, other: Ints) -> Floats:
    """Share of attributes in common, of the longer of both: (rows, c) items against (rows,) others."""
    mine, theirs = slots[np.maximum(item, 0)], slots[np.maximum(other, 0)][:, None, :]
    same = ((mine == theirs) & (mine > 0)).sum(axis=2)
    most = np.maximum((mine > 0).sum(axis=2), (theirs > 0).sum(axis=2))
    return np.asarray(np.divide(same, most, out=np.zeros(same.shape), where=most > 0), np.float32)


def diversify(scores: Floats, rules: Rules) -> None:
    """Gives each row's best candidates their own scores in another order, in place."""
    ids, best = top_k(scores, DEPTH * rules.k)
    there = ids >= 0
    low = np.where(there, best, np.inf).min(axis=1, initial=np.inf)
    span = np.maximum(best[:, 0] - low, 1e-9) if ids.shape[1] else np.ones(len(ids))
    worth = np.where(there, (best - low[:, None]) / span[:, None], -np.inf)
    order = mmr(worth, ids, rules.items.attribute_slots(), rules.policy.diversity, rules.k)
    row, place = np.nonzero(np.take_along_axis(there, order, 1))
    scores[row, np.take_along_axis(ids, order, 1)[row, place]] = best[row, place]


def mmr(worth: Floats, ids: Ints, slots: Ints, diversity: float, k: int) -> Ints:
    """(rows, c): the order of the candidates, the first k by marginal relevance, the rest as they were.

    worth: (rows, c), best first, in [0, 1], -inf where there is no candidate.
    """
    rows, width = ids.shape
    like = np.zeros((rows, width), np.float32)
    left = np.where(np.isfinite(worth), worth, -1e9)
    taken = np.zeros((rows, width), np.bool_)
    order = np.zeros((rows, width), np.int64)
    steps = min(k, width)
    for step in range(steps):
        value = np.where(taken, -np.inf, (1 - diversity) * left - diversity * like)
        chosen = value.argmax(axis=1)
        order[:, step] = chosen
        taken[np.arange(rows), chosen] = True
        like = np.maximum(like, likeness(slots, ids, ids[np.arange(rows), chosen]))
    rest = np.argsort(taken, axis=1, kind="stable")[:, : width - steps]
    order[:, steps:] = rest
    return order.astype(np.int32)
