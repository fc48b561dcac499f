"""What sells now: exponentially decayed counts. Cold shoppers, the back-fill, and the gate's baseline."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from models.recommender.base import (
    BEHAVIOUR_WEIGHT,
    DAY,
    Doubles,
    Floats,
    History,
    Interactions,
    Ints,
    Items,
    Longs,
    Recommender,
)

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


class CategoryPopularity(Popularity):
    """What sells in the shopper's categories: the past's share of a category times an item's count over the
    greatest there.
    """

    kind: ClassVar[str] = "category_popularity"

    def __init__(self, half_life_days: float = 7.0, recency: float = 0.8) -> None:
        super().__init__(half_life_days)
        self.recency = recency
        self.category: Ints = np.zeros(0, np.int32)

    @property
    def recipe(self) -> dict[str, Any]:
        return {**super().recipe, "recency": self.recency}

    def fit(self, interactions: Interactions, items: Items, as_of: int) -> Self:
        self.category = items.category
        return super().fit(interactions, items, as_of)

    @property
    def n_categories(self) -> int:
        return int(self.category.max(initial=-1)) + 1

    def _shares(self, history: History) -> Floats:
        """(entries,): each one's part of the shopper's weighted past; 0 without a category."""
        weight = BEHAVIOUR_WEIGHT[history.behaviour] * np.float32(self.recency) ** history.distance
        weight = np.where(self.category[history.item] >= 0, weight, 0).astype(np.float64)
        total = np.bincount(history.row, weight, minlength=len(history))[history.row]
        share = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
        return np.asarray(share, np.float32)

    def score_block(self, history: History) -> Floats:
        width = self.n_categories + 1
        cell = history.row * width + self.category[history.item] % width
        sums = np.bincount(cell, self._shares(history), minlength=len(history) * width)
        taste = np.asarray(sums.reshape(len(history), width), np.float32)
        within = self.within(self.category, self.n_categories)
        return np.asarray(taste[:, self.category] * within, np.float32)

    def contributions(self, history: History, ids: Ints) -> tuple[Floats, Floats]:
        """Exact: a score is a sum over the past."""
        within, shares = self.within(self.category, self.n_categories), self._shares(history)
        listed, mine = ids[history.row], self.category[history.item]
        same = (self.category[np.maximum(listed, 0)] == mine[:, None]) & (listed >= 0)
        total = np.bincount(self.category % (self.n_categories + 1), within, minlength=self.n_categories + 1)
        mean = total[mine] / max(self.n_items, 1)
        given = np.where(same, within[np.maximum(listed, 0)], 0) * shares[:, None]
        return given.astype(np.float32), (shares * mean).astype(np.float32)

    def state(self) -> dict[str, NDArray[Any]]:
        return {**super().state(), "category": self.category}

    def restore(self, state: dict[str, NDArray[Any]]) -> Self:
        self.category = state["category"].astype(np.int32)
        return super().restore(state)

    def reindex(self, mapping: Longs) -> Self:
        self.category = np.append(self.category, np.int32(-1))[mapping]
        return super().reindex(mapping)
