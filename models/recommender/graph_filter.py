"""A linear filter of the user-item graph: what people with the same things also have. Solved, not trained.

With R the users' things, C = R^T U^-2a R counts common users, one with many things for less (a power of
their number). A score is x (L + s V V^T)(I - t A), with x the shopper's things and
  L = D^-p C D^-q, C between powers of the items' degrees, one for what is owned, one for what is shown;
  V the strongest directions of U^-a R D^-1/2: the ideal low-pass filter of GF-CF (Shen et al., CIKM 2021);
  A = D^-1/2 R^T U^-1 R D^-1/2, and I - t A the sharpening of BSPM (Choi et al., SIGIR 2023), one step.
GF-CF and BSPM use a = p = q = 1/2; that the three powers are free gains most.

The product is folded into one sparse matrix, its strongest `width` entries a row, and one of low rank, both
over items: no shopper is kept. Order, time and behaviour are not looked at.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from models.recommender.base import Behaviour, Floats, History, Interactions, Items, Longs, Recommender
from models.recommender.item_graph import edges_of, edges_state, prune, reindexing
from models.recommender.scoring import chunks

POWER_ITERATIONS = 5
OVERSAMPLING = 32


@dataclass(frozen=True)
class FilterRecipe:
    """user_power, past_power, target_power: a, p and q. smooth: the spread of the low-rank scores, as a
    multiple of the others' (s). sharpen: t. rank: columns of V.
    """

    user_power: float = 0.3
    past_power: float = 0.5
    target_power: float = 0.35
    smooth: float = 0.5
    sharpen: float = 0.7
    rank: int = 512
    width: int = 1000
    seed: int = 1


def user_items(interactions: Interactions) -> sparse.csr_array:
    """(users, items): 1 where a known user had to do with an item, float32."""
    kept = interactions.where((interactions.user >= 0) & (interactions.behaviour != Behaviour.RETURN))
    ones = np.ones(len(kept), np.float32)
    shape = (interactions.n_users, interactions.n_items)
    found = sparse.coo_array((ones, (kept.user, kept.item)), shape=shape).tocsr()
    found.data[:] = 1
    return sparse.csr_array(found)


def owned_block(history: History, n_items: int) -> Floats:
    """(shoppers, items), dense: 1 where the past holds the item."""
    block = np.zeros((len(history), n_items), np.float32)
    block[history.row, history.item] = 1
    return block


def power(degree: Floats, exponent: float) -> Floats:
    """degree^exponent, 0 for what has no degree."""
    return np.where(degree > 0, np.maximum(degree, 1) ** exponent, 0).astype(np.float32)


def scaled(left: Floats, matrix: sparse.csr_array, right: Floats) -> sparse.csr_array:
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    data = matrix.data * left[row] * right[matrix.indices]
    return sparse.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def right_directions(matrix: sparse.csr_array, rank: int, seed: int) -> Floats:
    """(columns, rank): the leading right singular vectors, by subspace iteration (Halko et al., 2011)."""
    wide = min(rank + OVERSAMPLING, min(matrix.shape))
    transposed = sparse.csr_array(matrix.T)
    basis = np.random.default_rng(seed).standard_normal((matrix.shape[1], wide)).astype(np.float32)
    basis = _orthonormal(basis)
    for _ in range(POWER_ITERATIONS):
        basis = _orthonormal(transposed @ (matrix @ basis))
    image = matrix @ basis
    _, turn = np.linalg.eigh((image.T @ image).astype(np.float64))
    found: Floats = basis @ turn[:, ::-1][:, :rank].astype(np.float32)
    return found


def _orthonormal(columns: Floats) -> Floats:
    """Twice Cholesky QR: a tenth of the time of Householder's, and as good after the second round."""
    for _ in range(2):
        gram = (columns.T @ columns).astype(np.float64)
        gram += 1e-9 * np.trace(gram) / len(gram) * np.eye(len(gram))
        factor = np.linalg.cholesky(gram).astype(np.float32)
        columns = linalg.solve_triangular(factor, columns.T, lower=True).T
    return np.ascontiguousarray(columns)


@dataclass(frozen=True)
class Filter:
    """The unfolded filter of one recipe, to be applied to dense blocks of owned items."""

    recipe: FilterRecipe
    weighted: sparse.csr_array  # U^-a R, (users, items)
    sharpener: sparse.csr_array  # U^-1/2 R D^-1/2, (users, items)
    past: Floats
    target: Floats
    degree: Floats
    directions: Floats
    smooth: float

    @classmethod
    def of(cls, owned: sparse.csr_array, recipe: FilterRecipe, directions: Floats | None = None) -> Filter:
        users: Floats = np.asarray(owned.sum(axis=1), np.float32).ravel()
        items: Floats = np.asarray(owned.sum(axis=0), np.float32).ravel()
        weighted = scaled(power(users, -recipe.user_power), owned, np.ones_like(items))
        if directions is None and recipe.smooth:
            balanced = scaled(np.ones_like(users), weighted, power(items, -0.5))
            directions = right_directions(balanced, recipe.rank, recipe.seed)
        found = cls(
            recipe,
            weighted,
            scaled(power(users, -0.5), owned, power(items, -0.5)),
            power(items, -recipe.past_power),
            power(items, -recipe.target_power),
            items,
            directions if directions is not None else np.zeros((len(items), 0), np.float32),
            0.0,
        )
        return replace(found, smooth=found._smooth_weight(owned)) if recipe.smooth else found

    def _smooth_weight(self, owned: sparse.csr_array) -> float:
        """What makes the low-rank scores spread `smooth` times as wide as the others, over some users."""
        some = np.linspace(0, owned.shape[0] - 1, min(500, owned.shape[0])).astype(np.int64)
        block = owned[some].toarray()
        return float(self.recipe.smooth * self.near(block).std() / max(self.low(block).std(), 1e-12))

    def near(self, block: Floats) -> Floats:
        """Dense (rows, items) owned → its scores by L."""
        seen = self.weighted @ (block * self.past).T
        return np.asarray((self.weighted.T @ seen).T * self.target, np.float32)

    def low(self, block: Floats) -> Floats:
        """The same by V V^T."""
        inner = (block * power(self.degree, -0.5)) @ self.directions
        return np.asarray(
            (inner @ self.directions.T) * power(self.degree, self.recipe.target_power), np.float32
        )

    def sharp(self, scores: Floats) -> Floats:
        """Scores times I - t A."""
        if not self.recipe.sharpen:
            return scores
        again = (self.sharpener.T @ (self.sharpener @ scores.T)).T
        return np.asarray(scores - np.float32(self.recipe.sharpen) * again, np.float32)

    def scores(self, block: Floats) -> Floats:
        found = self.near(block)
        if self.smooth:
            found += np.float32(self.smooth) * self.low(block)
        return self.sharp(found)


class GraphFilter(Recommender):
    """`edges` (items, items) and `left` @ `right`.T, both items by rank: the folded filter."""

    kind: ClassVar[str] = "graph_filter"

    def __init__(self, **recipe: Any) -> None:
        self.constants = replace(FilterRecipe(), **recipe)
        self.edges: sparse.csr_array = sparse.csr_array((0, 0), dtype=np.float32)
        self.left: Floats = np.zeros((0, 0), np.float32)
        self.right: Floats = np.zeros((0, 0), np.float32)

    @property
    def recipe(self) -> dict[str, Any]:
        return asdict(self.constants)

    @property
    def n_items(self) -> int:
        return int(self.edges.shape[0])

    def neighbours(self, source: Longs) -> sparse.csr_array:
        return self.edges[source]

    def fit(self, interactions: Interactions, items: Items, as_of: int) -> Self:
        return self.fit_owned(user_items(interactions))

    def fit_owned(self, owned: sparse.csr_array) -> Self:
        """From (users, items) of 1."""
        found = Filter.of(owned, self.constants)
        n = owned.shape[1]
        blocks = [self._folded(found, low, high) for low, high in chunks(n, n)]
        self.edges = sparse.csr_array(sparse.vstack(blocks, format="csr"), shape=(n, n))
        half = power(found.degree, -0.5)[:, None]
        self.left = half * found.directions
        shown = power(found.degree, self.constants.target_power)[:, None] * found.directions
        self.right = np.float32(found.smooth) * found.sharp(np.ascontiguousarray(shown.T)).T
        return self

    def _folded(self, found: Filter, low: int, high: int) -> sparse.csr_array:
        """Rows low to high of L (I - t A), pruned."""
        owned = np.zeros((high - low, len(found.degree)), np.float32)
        owned[np.arange(high - low), np.arange(low, high)] = 1
        rows = sparse.csr_array(found.sharp(found.near(owned)))
        return prune(rows, self.constants.width)

    def score_block(self, history: History) -> Floats:
        shape = (len(history), self.n_items)
        past = sparse.csr_array(
            (np.ones(len(history.item), np.float32), history.item, history.indptr), shape=shape
        )
        # Once is enough: what was had again counts no more.
        past.sum_duplicates()
        past.data[:] = 1
        scores = np.asarray((past @ self.edges).toarray(), np.float32)
        scores += (past @ self.left) @ self.right.T
        return scores

    def state(self) -> dict[str, NDArray[Any]]:
        return {**edges_state(self.edges), "left": self.left, "right": self.right}

    def restore(self, state: dict[str, NDArray[Any]]) -> Self:
        self.edges = edges_of(state)
        self.left, self.right = state["left"], state["right"]
        return self

    def reindex(self, mapping: Longs) -> Self:
        moved = reindexing(mapping, self.n_items)
        self.edges = sparse.csr_array(moved @ self.edges @ moved.T)
        self.left, self.right = moved @ self.left, moved @ self.right
        return self
