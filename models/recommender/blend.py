"""The item graph, with what sells in a shopper's categories and in the shop behind it, so that every list
is full.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.recommender.base import (
    CATEGORY,
    GRAPH,
    POPULAR,
    Floats,
    History,
    Interactions,
    Ints,
    Items,
    Longs,
    Recommender,
)
from models.recommender.item_graph import ItemGraph
from models.recommender.popularity import Popularity


class Blend(Recommender):
    """score = graph / (the shopper's greatest) + by_category * affinity * popularity in category + popular
    * popularity.

    Each part lies in [0, 1] before its weight. Without a past only the last is left.
    """

    kind: ClassVar[str] = "graph_blend"

    def __init__(
        self,
        graph: dict[str, Any] | None = None,
        half_life_days: float = 7.0,
        by_category: float = 0.001,
        popular: float = 0.0001,
    ) -> None:
        self.graph = ItemGraph(**(graph or {}))
        self.popularity = Popularity(half_life_days)
        self.by_category, self.popular = by_category, popular
        self.category: Ints = np.zeros(0, np.int32)
        self.n_categories = 0

    @property
    def recipe(self) -> dict[str, Any]:
        return {
            "graph": self.graph.recipe,
            "half_life_days": self.popularity.half_life_days,
            "by_category": self.by_category,
            "popular": self.popular,
        }

    @property
    def n_items(self) -> int:
        return self.graph.n_items

    def neighbours(self, source: Longs) -> sparse.csr_array:
        return self.graph.neighbours(source)

    def fit(self, interactions: Interactions, items: Items, as_of: int) -> Self:
        self.graph.fit(interactions, items, as_of)
        return self.refresh(interactions, items, as_of)

    def refresh(self, interactions: Interactions, items: Items, as_of: int) -> Self:
        self.popularity.fit(interactions, items, as_of)
        self.category, self.n_categories = items.category, items.n_categories
        return self

    def score_block(self, history: History) -> Floats:
        scores = self.graph.score_block(history)
        scores /= self._greatest(history)[:, None]
        if self.n_categories:
            within = self.popularity.within(self.category, self.n_categories) * np.float32(self.by_category)
            scores += self.affinity(history)[:, self.category] * within
        scores += self.popularity.scores * np.float32(self.popular)
        return scores

    def affinity(self, history: History) -> Floats:
        """(shoppers, categories + 1): each category's share of the weighted past; the last column (unknown)
        is 0.
        """
        width = self.n_categories + 1
        cell = history.row * width + self.category[history.item]
        known = self.category[history.item] >= 0
        weight = self.graph.past_weight(history)
        sums = np.bincount(cell[known], weight[known], minlength=len(history) * width).astype(np.float64)
        sums = sums.reshape(len(history), width)
        total = sums.sum(axis=1, keepdims=True)
        share: Floats = np.divide(sums, total, out=np.zeros_like(sums), where=total > 0).astype(np.float32)
        return share

    def sources(self, history: History, ids: Ints) -> NDArray[np.int8]:
        """Whichever part gave most; what got nothing from the past counts as popularity."""
        shown = np.maximum(ids, 0)
        row = np.arange(len(history))[:, None]
        graph = np.zeros(ids.shape, np.float32)
        _, place, amount = self.explain(history, ids)
        graph.ravel()[:] = np.bincount(place, amount, minlength=ids.size)
        within = self.popularity.within(self.category, self.n_categories)
        category = (
            self.affinity(history)[row, self.category[shown]] * within[shown] * np.float32(self.by_category)
        )
        popular = self.popularity.scores[shown] * np.float32(self.popular)
        # Ties fall to the later, humbler source.
        parts = np.stack([popular, category, graph])
        greatest: NDArray[np.int8] = np.array([POPULAR, CATEGORY, GRAPH], np.int8)[parts.argmax(axis=0)]
        return greatest

    def explain(self, history: History, ids: Ints) -> tuple[Longs, Longs, Floats]:
        past, place, amount = self.graph.explain(history, ids)
        if len(past) == 0:
            return past, place, amount
        return past, place, amount / self._greatest(history)[history.row[past]]

    def _greatest(self, history: History) -> Floats:
        """(shoppers,): each one's best graph score over the whole catalogue, 1 where the graph reaches
        nothing.
        """
        best = self.graph.score_sparse(history).max(axis=1).toarray().ravel()
        return np.where(best > 0, best, 1.0).astype(np.float32)

    def state(self) -> dict[str, NDArray[Any]]:
        return {
            **{f"graph_{name}": value for name, value in self.graph.state().items()},
            **{f"popularity_{name}": value for name, value in self.popularity.state().items()},
            "category": self.category,
        }

    def restore(self, state: dict[str, NDArray[Any]]) -> Self:
        self.graph.restore({n.removeprefix("graph_"): v for n, v in state.items() if n.startswith("graph_")})
        self.popularity.restore({"counts": state["popularity_counts"]})
        self.category = state["category"].astype(np.int32)
        self.n_categories = int(self.category.max(initial=-1)) + 1
        return self

    def reindex(self, mapping: Longs) -> Self:
        self.graph.reindex(mapping)
        self.popularity.reindex(mapping)
        self.category = np.append(self.category, np.int32(-1))[mapping]
        return self
