"""What resembles a shopper's past by its attributes alone: a new product is not cold, and needs no buyer.

An item is the unit vector of its attributes, each weighed by its inverse document frequency (Sparck Jones,
1972); a shopper is the sum of the past's items, recent ones more; a score is their dot product: content-based
filtering in the line of Lops, de Gemmis and Semeraro (2011). Nothing is trained.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.recommender.base import (
    BEHAVIOUR_WEIGHT,
    Floats,
    History,
    Interactions,
    Ints,
    Items,
    Longs,
    Recommender,
)
from models.recommender.item_graph import reindexing


@dataclass(frozen=True)
class MatchRecipe:
    """recency: how much a step back in the past counts, in (0, 1]."""

    recency: float = 0.7


class AttributeMatch(Recommender):
    """`vectors` is (items, attributes), rows of length 1 or, without attributes, 0."""

    kind: ClassVar[str] = "attributes"

    def __init__(self, **recipe: Any) -> None:
        self.constants = replace(MatchRecipe(), **recipe)
        self.vectors: sparse.csr_array = sparse.csr_array((0, 1), dtype=np.float32)

    @property
    def recipe(self) -> dict[str, Any]:
        return asdict(self.constants)

    @property
    def n_items(self) -> int:
        return int(self.vectors.shape[0])

    def fit(self, interactions: Interactions, items: Items, as_of: int) -> Self:
        self.vectors = unit_vectors(items.attribute_slots())
        return self

    def refresh(self, interactions: Interactions, items: Items, as_of: int) -> Self:
        return self.fit(interactions, items, as_of)

    def profile(self, history: History) -> sparse.csr_array:
        """(shoppers, attributes)."""
        shape = (len(history), self.n_items)
        past = sparse.csr_array((self._weight(history), history.item, history.indptr), shape=shape)
        return sparse.csr_array(past @ self.vectors)

    def _weight(self, history: History) -> Floats:
        decay = np.float32(self.constants.recency) ** history.distance.astype(np.float32)
        return (BEHAVIOUR_WEIGHT[history.behaviour] * decay).astype(np.float32)

    def score_block(self, history: History) -> Floats:
        return np.asarray((self.profile(history) @ self.vectors.T).toarray(), np.float32)

    def contributions(self, history: History, ids: Ints) -> tuple[Floats, Floats]:
        """Exact: a score is a sum over the past."""
        listed, weight = ids[history.row], self._weight(history)
        past = self.vectors[history.item]
        given = np.zeros(listed.shape, np.float32)
        for place in range(ids.shape[1]):
            shown = self.vectors[np.maximum(listed[:, place], 0)]
            given[:, place] = np.asarray((past * shown).sum(axis=1)).ravel()
        centre = np.asarray(self.vectors.mean(axis=0), np.float32).ravel()
        return np.where(listed >= 0, given, 0) * weight[:, None], (past @ centre) * weight

    def state(self) -> dict[str, NDArray[Any]]:
        vectors = self.vectors
        shape = np.array(vectors.shape, np.int64)
        return {"data": vectors.data, "indices": vectors.indices, "indptr": vectors.indptr, "shape": shape}

    def restore(self, state: dict[str, NDArray[Any]]) -> Self:
        rows, columns = (int(n) for n in state["shape"])
        self.vectors = sparse.csr_array(
            (state["data"], state["indices"], state["indptr"]), shape=(rows, columns)
        )
        return self

    def reindex(self, mapping: Longs) -> Self:
        self.vectors = sparse.csr_array(reindexing(mapping, self.n_items) @ self.vectors)
        return self


def unit_vectors(slots: Ints) -> sparse.csr_array:
    """(items, attributes) of length 1 from (items, slots) of attribute numbers, 0 for none."""
    n = len(slots)
    row, column = np.nonzero(slots)
    attribute = slots[row, column]
    there = sparse.coo_array(
        (np.ones(len(row), np.float32), (row, attribute)), shape=(n, int(slots.max(initial=0)) + 1)
    ).tocsr()
    there.data[:] = 1
    carried = np.bincount(there.indices, minlength=there.shape[1])
    rarity = np.log((n + 1) / np.maximum(carried, 1)).astype(np.float32)
    weighed = sparse.csr_array((rarity[there.indices], there.indices, there.indptr), shape=there.shape)
    length = np.sqrt(np.asarray((weighed * weighed).sum(axis=1))).ravel()
    weighed.data /= np.maximum(np.repeat(length, np.diff(weighed.indptr)), 1e-12).astype(np.float32)
    return weighed
