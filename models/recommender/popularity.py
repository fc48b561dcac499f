"""What sells now: exponentially decayed counts. Cold shoppers, the back-fill, and the gate's baseline."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from models.recommender.base import DAY, Doubles, Floats, History, Interactions, Items, Longs, Recommender

# A purchase counts whole. The rest only orders what nobody bought, and a return takes its purchase back.
POPULARITY_WEIGHT: Doubles = np.array([0.01, 0.02, 0.05, 1.0, -1.0])


def decayed_counts(interactions: Interactions, as_of: int, half_life_days: float) -> Doubles:
    """(items,): the sum of behaviour weights, each halved every `half_life_days` before `as_of`; never
    below 0.
    """
    age = (as_of - interactions.time) / DAY
    weight = POPULARITY_WEIGHT[interactions.behaviour] * np.exp2(-age / half_life_days)
    counts = np.bincount(interactions.item, weight, minlength=interactions.n_items).astype(np.float64)
    return np.maximum(counts, 0.0)


class Popularity(Recommender):
    """Everybody gets the same list: the items with the greatest decayed count.

    `counts` is (items,); `scores` is the same scaled to at most 1.
    """

    kind: ClassVar[str] = "popularity"

    def __init__(self, half_life_days: float = 7.0) -> None:
        self.half_life_days = half_life_days
        self.counts: Doubles = np.zeros(0)

    @property
    def recipe(self) -> dict[str, Any]:
        return {"half_life_days": self.half_life_days}

    @property
    def n_items(self) -> int:
        return len(self.counts)

    @property
    def scores(self) -> Floats:
        return (self.counts / max(float(self.counts.max(initial=0.0)), 1e-12)).astype(np.float32)

    def within(self, groups: NDArray[np.int32], n_groups: int) -> Floats:
        """(items,): each item's count over the greatest in its group; 0 where the group is unknown."""
        top = np.zeros(n_groups + 1)
        np.maximum.at(top, groups, self.counts)
        top[-1] = 0.0
        best = top[groups]
        return np.divide(self.counts, best, out=np.zeros(len(groups)), where=best > 0).astype(np.float32)

    def fit(self, interactions: Interactions, items: Items, as_of: int) -> Self:
        self.counts = decayed_counts(interactions, as_of, self.half_life_days)
        return self

    def refresh(self, interactions: Interactions, items: Items, as_of: int) -> Self:
        return self.fit(interactions, items, as_of)

    def score_block(self, history: History) -> Floats:
        return np.repeat(self.scores[None, :], len(history), axis=0)

    def state(self) -> dict[str, NDArray[Any]]:
        return {"counts": self.counts}

    def restore(self, state: dict[str, NDArray[Any]]) -> Self:
        self.counts = state["counts"]
        return self

    def reindex(self, mapping: Longs) -> Self:
        self.counts = np.append(self.counts, 0.0)[mapping]
        return self
