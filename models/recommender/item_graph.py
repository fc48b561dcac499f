"""A directed item graph: what comes after what in the shoppers' sequences. Counted, not trained.

M[a, b] sums decay^(gap - 1) over the moments at which b came `gap` steps after a, each times the weights of
both behaviours, and a part `backward` of the same the other way round; two things of one basket count fully
both ways. Edges are M[a, b] / (out(a)^out_power * in(b)^in_power), and a row keeps its `width` strongest.
This is item co-occurrence in the line of Linden, Smith and York (IEEE Internet Computing, 2003) and
Deshpande and Karypis (TOIS, 2004), with the direction of a session graph.

A shopper's score is the sum, over the past, of behaviour weight * recency^distance * the past item's row:
so every score splits exactly into what each past item gave.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.recommender.base import (
    BEHAVIOUR_WEIGHT,
    Doubles,
    Floats,
    History,
    Interactions,
    Ints,
    Items,
    Longs,
    Recommender,
)
from models.recommender.sequences import Sequences, sequences

# Pairs counted at once: about 0.4 GB at its peak, whatever the number of events.
PAIR_BUDGET = 8_000_000


@dataclass(frozen=True)
class GraphRecipe:
    """The graph's constants. `window` is in events, gaps and distances are in steps."""

    window: int = 50
    decay: float = 0.8
    backward: float = 0.25
    out_power: float = 0.4
    in_power: float = 0.25
    width: int = 200
    recency: float = 0.6
    again: float = 1.0  # the weight of an item's edge to itself: bought once, bought again


class Pairs:
    """The pairs of events within a window: counts rows of M a block at a time, exactly."""

    def __init__(self, seq: Sequences, recipe: GraphRecipe) -> None:
        self.seq, self.recipe = seq, recipe
        self.weight = BEHAVIOUR_WEIGHT[seq.behaviour].astype(np.float64)
        self.n = seq.n_items
        self._by_item = np.argsort(seq.item, kind="stable")
        self._starts = np.searchsorted(seq.item[self._by_item], np.arange(self.n + 1))

    def _along(self, at: Longs, offset: int) -> tuple[Longs, Longs, Doubles]:
        """Pairs (at, at + offset) of the same entity: both positions, and what the pair adds to M."""
        seq, recipe = self.seq, self.recipe
        other = at + offset
        inside = (other >= 0) & (other < len(seq))
        at, other = at[inside], other[inside]
        same = seq.entity[at] == seq.entity[other]
        at, other = at[same], other[same]
        gap = seq.step[other] - seq.step[at]
        weight = self.weight[at] * self.weight[other] * recipe.decay ** np.maximum(np.abs(gap) - 1, 0)
        if offset < 0:
            weight = np.where(gap == 0, weight, weight * recipe.backward)
        return at, other, weight

    def _offsets(self) -> Iterator[int]:
        for offset in range(1, self.recipe.window + 1):
            yield offset
            yield -offset

    def degrees(self) -> tuple[Doubles, Doubles]:
        """Sums of the rows and of the columns of M."""
        out, into = np.zeros(self.n), np.zeros(self.n)
        step = max(1, PAIR_BUDGET)
        for start in range(0, len(self.seq), step):
            at = np.arange(start, min(start + step, len(self.seq)))
            for offset in self._offsets():
                a, b, weight = self._along(at, offset)
                out += np.bincount(self.seq.item[a], weight, minlength=self.n)
                into += np.bincount(self.seq.item[b], weight, minlength=self.n)
        return out, into

    def rows(self, low: int, high: int) -> sparse.csr_array:
        """M[low:high], (high - low, items)."""
        at = self._by_item[self._starts[low] : self._starts[high]]
        # A best seller alone has more pairs than the budget: they are summed a slice of its events at a time.
        step = self._events_at_once()
        counts = self._counted(at[:step], low, high)
        for start in range(step, len(at), step):
            counts = sparse.csr_array(counts + self._counted(at[start : start + step], low, high))
        return counts

    def _counted(self, at: Longs, low: int, high: int) -> sparse.csr_array:
        """What the pairs of the events `at` add to M[low:high]."""
        parts = [self._along(at, offset) for offset in self._offsets()]
        row = np.concatenate([self.seq.item[a] for a, _, _ in parts]) - low
        col = np.concatenate([self.seq.item[b] for _, b, _ in parts])
        data = np.concatenate([w for _, _, w in parts])
        counts = sparse.coo_array((data, (row, col)), shape=(high - low, self.n)).tocsr()
        counts.sum_duplicates()
        return counts

    def _events_at_once(self) -> int:
        return max(1, PAIR_BUDGET // (2 * self.recipe.window))

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Ranges of items whose pairs fit the budget (or single items)."""
        events = self._events_at_once()
        low = 0
        while low < self.n:
            high = int(np.searchsorted(self._starts, self._starts[low] + events, side="right")) - 1
            high = min(max(high, low + 1), self.n)
            yield low, high
            low = high


def prune(rows: sparse.csr_array, width: int) -> sparse.csr_array:
    """Keeps the `width` largest entries of each row; ties go to the lower column. Columns end up sorted."""
    rows.sort_indices()
    keep = np.ones(rows.nnz, np.bool_)
    # Row by row, and only long rows: selection is linear, a sort of all entries took ten times as long.
    for row in np.flatnonzero(np.diff(rows.indptr) > width):
        start, end = rows.indptr[row], rows.indptr[row + 1]
        values = rows.data[start:end]
        last = np.partition(values, len(values) - width)[len(values) - width]
        above = values > last
        equal = np.flatnonzero(values == last)[: width - int(above.sum())]
        above[equal] = True
        keep[start:end] = above
    ends = np.append(0, np.cumsum(keep))[rows.indptr]
    return sparse.csr_array((rows.data[keep], rows.indices[keep], ends), shape=rows.shape)


def scale(
    rows: sparse.csr_array, first: int, out: Doubles, into: Doubles, recipe: GraphRecipe
) -> sparse.csr_array:
    """Divides by powers of the degrees (items,), weighs the diagonal. Row 0 is item `first`. Drops empty
    edges.
    """
    row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    safe_out, safe_in = np.where(out > 0, out, 1.0), np.where(into > 0, into, 1.0)
    factor = safe_out[row + first] ** -recipe.out_power * safe_in[rows.indices] ** -recipe.in_power
    factor = np.where(rows.indices == row + first, factor * recipe.again, factor)
    scaled = sparse.csr_array(
        ((rows.data * factor).astype(np.float32), rows.indices, rows.indptr), shape=rows.shape
    )
    scaled.eliminate_zeros()
    return scaled


@dataclass(frozen=True)
class Counts:
    """M whole and unscaled, with its degrees: for trying powers without counting again. Memory grows with
    M.
    """

    rows: sparse.csr_array
    out: Doubles
    into: Doubles

    @classmethod
    def of(cls, seq: Sequences, recipe: GraphRecipe) -> Counts:
        pairs = Pairs(seq, recipe)
        blocks = [pairs.rows(low, high) for low, high in pairs.blocks()]
        shape = (seq.n_items, seq.n_items)
        stacked = sparse.vstack(blocks, format="csr") if blocks else sparse.csr_array(shape)
        return cls(sparse.csr_array(stacked, shape=shape), *pairs.degrees())


def edges_state(edges: sparse.csr_array) -> dict[str, NDArray[Any]]:
    """Square edges as plain arrays."""
    indices, indptr = edges.indices.astype(np.int32), edges.indptr.astype(np.int64)
    return {"data": edges.data, "indices": indices, "indptr": indptr}


def edges_of(state: dict[str, NDArray[Any]]) -> sparse.csr_array:
    """The inverse of `edges_state`."""
    n = len(state["indptr"]) - 1
    return sparse.csr_array((state["data"], state["indices"], state["indptr"]), shape=(n, n))


def reindexing(mapping: Longs, old: int) -> sparse.csr_array:
    """(new items, old items): 1 where new item j is old item mapping[j]; an unknown one has an empty row."""
    known = np.flatnonzero(mapping >= 0)
    ones = np.ones(len(known), np.float32)
    found = sparse.coo_array((ones, (known, mapping[known])), shape=(len(mapping), old))
    return sparse.csr_array(found.tocsr())


class ItemGraph(Recommender):
    """Scores what follows a shopper's past. `edges` is (items, items), at most `recipe.width` a row."""

    kind: ClassVar[str] = "item_graph"

    def __init__(self, **recipe: Any) -> None:
        self.constants = replace(GraphRecipe(), **recipe)
        self.edges: sparse.csr_array = sparse.csr_array((0, 0), dtype=np.float32)

    @property
    def recipe(self) -> dict[str, Any]:
        return asdict(self.constants)

    @property
    def n_items(self) -> int:
        return int(self.edges.shape[0])

    def neighbours(self, source: Longs) -> sparse.csr_array:
        return self.edges[source]

    def fit(self, interactions: Interactions, items: Items, as_of: int) -> Self:
        pairs = Pairs(sequences(interactions), self.constants)
        out, into = pairs.degrees()
        blocks = [
            prune(scale(pairs.rows(low, high), low, out, into, self.constants), self.constants.width)
            for low, high in pairs.blocks()
        ]
        shape = (interactions.n_items, interactions.n_items)
        stacked = sparse.vstack(blocks, format="csr") if blocks else sparse.csr_array(shape, dtype=np.float32)
        self.edges = sparse.csr_array(stacked, shape=shape)
        return self

    def fit_counts(self, counts: Counts) -> Self:
        """As `fit`, from counts of the same window, decay and backward part."""
        scaled = scale(counts.rows, 0, counts.out, counts.into, self.constants)
        self.edges = prune(scaled, self.constants.width)
        return self

    def past_weight(self, history: History) -> Floats:
        """(entries,): behaviour weight * recency^distance."""
        decay = np.float32(self.constants.recency) ** history.distance.astype(np.float32)
        return (BEHAVIOUR_WEIGHT[history.behaviour] * decay).astype(np.float32)

    def score_sparse(self, history: History) -> sparse.csr_array:
        """(shoppers, items), only what the graph reaches."""
        shape = (len(history), self.edges.shape[0])
        past = sparse.csr_array((self.past_weight(history), history.item, history.indptr), shape=shape)
        return sparse.csr_array(past @ self.edges)

    def score_block(self, history: History) -> Floats:
        return np.asarray(self.score_sparse(history).toarray(), dtype=np.float32)

    def contributions(self, history: History, ids: Ints) -> tuple[Floats, Floats]:
        """Exact: a score is a sum over the past."""
        listed = ids[history.row]
        source = np.repeat(history.item, ids.shape[1])
        edge = self.weights_of(source, np.maximum(listed, 0).ravel()).reshape(listed.shape)
        weight = self.past_weight(history)
        total = np.asarray(self.edges.sum(axis=1), np.float32).ravel()
        mean = total[history.item] / np.float32(max(self.n_items, 1))
        return np.where(listed >= 0, edge, 0) * weight[:, None], mean * weight

    def weights_of(self, source: NDArray[np.int32], target: NDArray[np.int32]) -> Floats:
        """The edges source -> target, 0 where there is none."""
        n = self.edges.shape[1]
        if self.edges.nnz == 0 or len(source) == 0:
            return np.zeros(len(source), np.float32)
        keys = self._keys()
        wanted = source.astype(np.int64) * n + target
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[at] == wanted, self.edges.data[at], np.float32(0)).astype(np.float32)

    def _keys(self) -> Longs:
        """row * items + column of every edge, ascending; kept, since every block of shoppers asks for it."""
        if getattr(self, "_keys_of", None) is not self.edges:
            row = np.repeat(np.arange(self.edges.shape[0], dtype=np.int64), np.diff(self.edges.indptr))
            self._key_cache: Longs = row * self.edges.shape[1] + self.edges.indices
            self._keys_of = self.edges
        return self._key_cache

    def state(self) -> dict[str, NDArray[Any]]:
        return edges_state(self.edges)

    def restore(self, state: dict[str, NDArray[Any]]) -> Self:
        self.edges = edges_of(state)
        return self

    def reindex(self, mapping: Longs) -> Self:
        moved = reindexing(mapping, self.n_items)
        self.edges = sparse.csr_array(moved @ self.edges @ moved.T)
        self.edges.sort_indices()
        return self
