"""Several recommenders as one: each shopper's scores are standardised over the catalogue, then weighed.

Standardised scores can be added whatever the parts' own scales are; of ranks, probabilities and their
logarithms none did better. The weights are chosen on a pool of candidates, so that a trial costs
milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.recommender.base import Floats, History, Ints, Longs
from models.recommender.topk import top_k

Score = Callable[[History], Floats]
# What a part may weigh; only ratios count. 0 leaves it out.
GRID = (0.0, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 4.0)
ROUNDS = 3
# Candidates that each part names for a shopper; what stands lower in every part is in nobody's first places.
NAMED = 100


def standardise(scores: Floats) -> Floats:
    """Every row to mean 0 and deviation 1 over all items; a row without any difference becomes 0."""
    centred = scores - scores.mean(axis=1, keepdims=True)
    deviation = centred.std(axis=1, keepdims=True)
    found: Floats = np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 0)
    return found


def blended_scores(parts: Sequence[tuple[Score, float]], history: History) -> Floats:
    """(shoppers, items): the weighted sum of the parts' standardised scores."""
    total: Floats | None = None
    for score, weight in parts:
        if weight:
            part = np.float32(weight) * standardise(score(history))
            total = part if total is None else total + part
    if total is None:
        raise ValueError("no part of the blend has a weight")
    return total


@dataclass(frozen=True)
class Pool:
    """Candidates of some shoppers, (shoppers, width): every part's best, without repeats.

    ids: -1 for none. scores: (parts, shoppers, width), standardised. owner, place: where in the pool the
    things stand that the shoppers took. taken: how many each took, (shoppers,), in the pool or not.
    """

    ids: Ints
    scores: Floats
    owner: Longs
    place: Longs
    taken: Longs

    @classmethod
    def of(cls, scores: Sequence[Floats], banned: tuple[Longs, Ints], truth: tuple[Longs, Ints]) -> Pool:
        """From every part's standardised (shoppers, items), the (shopper, item) pairs that may not be shown,
        and those that were taken.
        """
        shoppers, n = scores[0].shape
        named = np.zeros((shoppers, n), np.bool_)
        for part in scores:
            open_part = part.copy()
            open_part[banned] = -np.inf
            best, _ = top_k(open_part, NAMED)
            row, column = np.nonzero(best >= 0)
            named[row, best[row, column]] = True
        row, item = np.nonzero(named)
        count = named.sum(axis=1)
        column = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        shape = (shoppers, int(count.max(initial=1)))
        ids = np.full(shape, -1, np.int32)
        ids[row, column] = item
        values = np.zeros((len(scores), *shape), np.float32)
        for number, part in enumerate(scores):
            values[number, row, column] = part[row, item]
        place_of = np.full((shoppers, n), -1, np.int32)
        place_of[row, item] = column
        found = place_of[truth]
        there = found >= 0
        taken = np.bincount(truth[0], minlength=shoppers)
        return cls(ids, values, truth[0][there], found[there].astype(np.int64), taken)

    def ndcg(self, weights: Sequence[float], k: int) -> float:
        """Mean over shoppers who took something; ties are pessimistic."""
        return float(self.ndcg_of(self.blend(weights), k).mean())

    def blend(self, weights: Sequence[float]) -> Floats:
        """(shoppers, width); -inf where there is no candidate."""
        total = np.einsum("p,psw->sw", np.asarray(weights, np.float32), self.scores)
        return np.where(self.ids >= 0, total, -np.inf).astype(np.float32)

    def ndcg_of(self, scores: Floats, k: int) -> Floats:
        """(shoppers who took something,)."""
        mine = scores[self.owner, self.place]
        rank = (scores[self.owner] >= mine[:, None]).sum(axis=1)
        gain = np.where(rank <= k, 1 / np.log2(rank + 1), 0.0)
        total = np.bincount(self.owner, gain, minlength=len(self.ids))
        ideal = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
        some = self.taken > 0
        return np.asarray(total[some] / ideal[np.minimum(self.taken[some], k)], np.float32)


def joined(pools: Iterable[Pool]) -> Pool:
    """Pools of one list of parts, one below the other."""
    parts = list(pools)
    width = max(p.ids.shape[1] for p in parts)
    offset = np.cumsum([0, *(len(p.ids) for p in parts[:-1])])
    wider = [width - p.ids.shape[1] for p in parts]
    return Pool(
        ids=np.concatenate(
            [np.pad(p.ids, ((0, 0), (0, w)), constant_values=-1) for p, w in zip(parts, wider, strict=True)]
        ),
        scores=np.concatenate(
            [np.pad(p.scores, ((0, 0), (0, 0), (0, w))) for p, w in zip(parts, wider, strict=True)], axis=1
        ),
        owner=np.concatenate([p.owner + o for p, o in zip(parts, offset, strict=True)]),
        place=np.concatenate([p.place for p in parts]),
        taken=np.concatenate([p.taken for p in parts]),
    )


def choose_weights(
    pool: Pool, starts: Iterable[Mapping[str, float]], names: Sequence[str], k: int
) -> tuple[dict[str, float], list[dict[str, object]]]:
    """The weights with the best NDCG, and what was tried: coordinate ascent from each start, best kept."""
    tried: list[dict[str, object]] = []
    best: dict[str, float] = {}
    reached = -1.0
    for start in starts:
        weights = {name: float(start.get(name, 0.0)) for name in names}
        value = pool.ndcg(list(weights.values()), k)
        for _ in range(ROUNDS):
            before = value
            for name in names:
                for other in GRID:
                    trial = {**weights, name: other}
                    if other == weights[name] or not any(trial.values()):
                        continue
                    found = pool.ndcg(list(trial.values()), k)
                    if found > value:
                        weights, value = trial, found
            tried.append({"what": "weights", "value": weights, "ndcg": value})
            if value <= before:
                break
        if value > reached:
            best, reached = weights, value
    return best, tried
