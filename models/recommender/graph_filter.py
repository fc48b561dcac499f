"""A linear filter of the user-item graph: what people with the same things also have. Solved, not trained.

With R the users' things, C = R^T U^-2a R counts common users, one with many things for less (a power of
their number). A score is x (L + s V V^T) e(A), with x the shopper's things and
  L = D^-p C D^-q, C between powers of the items' degrees, one for what is owned, one for what is shown;
  V the strongest directions of U^-a R D^-1/2: the ideal low-pass filter of GF-CF (Shen et al., CIKM 2021);
  A = D^-1/2 R^T U^-1 R D^-1/2, and e(A) the sharpening of BSPM (Choi et al., SIGIR 2023): dx/dt = -x A for a
  time t, solved by one Runge-Kutta step, which is the exponential series up to its fourth power.
GF-CF and BSPM use a = p = q = 1/2. Order, time and behaviour are not looked at.

It keeps who has what, so it is no model of a night, which keeps nothing about a shopper.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numba
import numpy as np
from scipy import linalg, sparse

from models.recommender.base import Behaviour, Floats, History, Interactions, Ints

POWER_ITERATIONS = 5
OVERSAMPLING = 32
# Powers of the sharpening's series: one step of the classical Runge-Kutta method.
SERIES = 4
# Shoppers who pass through all products of a filter together: two lines of a cache for every item.
TOGETHER = 32


@dataclass(frozen=True)
class FilterRecipe:
    """user_power, past_power, target_power: a, p and q. smooth: the spread of the low-rank scores, as a
    multiple of the others' (s). sharpen: t. rank: columns of V. As they stand, BSPM's.
    """

    user_power: float = 0.5
    past_power: float = 0.5
    target_power: float = 0.5
    smooth: float = 0.35
    sharpen: float = 2.5
    rank: int = 448
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


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _add_rows(indptr: Ints, indices: Ints, data: Floats, dense: Floats, into: Floats) -> None:
    for row in range(len(indptr) - 1):
        total = into[row]
        for entry in range(indptr[row], indptr[row + 1]):
            value, other = data[entry], dense[indices[entry]]
            for column in range(len(total)):
                total[column] += value * other[column]


def times(matrix: sparse.csr_array, dense: Floats) -> Floats:
    """matrix @ dense, dense (columns, width) in C order. Other threads go on meanwhile, unlike SciPy's."""
    found = np.zeros((matrix.shape[0], dense.shape[1]), np.float32)
    _add_rows(matrix.indptr, matrix.indices, matrix.data, dense, found)
    return found


def right_directions(matrix: sparse.csr_array, rank: int, seed: int) -> Floats:
    """(columns, rank): the leading right singular vectors, by subspace iteration (Halko et al., 2011)."""
    wide = min(rank + OVERSAMPLING, min(matrix.shape))
    turned = sparse.csr_array(matrix.T)
    basis = np.random.default_rng(seed).standard_normal((matrix.shape[1], wide)).astype(np.float32)
    basis = _orthonormal(basis)
    for _ in range(POWER_ITERATIONS):
        basis = _orthonormal(turned @ (matrix @ basis))
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
    """The filter of one recipe, to be applied to dense blocks of owned items."""

    recipe: FilterRecipe
    weighted: sparse.csr_array  # U^-a R, (users, items)
    weighted_turned: sparse.csr_array  # its transpose
    sharpener: sparse.csr_array  # U^-1/2 R D^-1/2, (users, items)
    sharpener_turned: sparse.csr_array
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
        sharpener = scaled(power(users, -0.5), owned, power(items, -0.5))
        found = cls(
            recipe,
            weighted,
            sparse.csr_array(weighted.T),
            sharpener,
            sparse.csr_array(sharpener.T),
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
        block = np.ascontiguousarray(owned[some].toarray().T)
        return float(self.recipe.smooth * self.near(block).std() / max(self.low(block).std(), 1e-12))

    def near(self, owned: Floats) -> Floats:
        """(items, shoppers), 1 where owned → their scores by L."""
        seen = times(self.weighted, owned * self.past[:, None])
        return times(self.weighted_turned, seen) * self.target[:, None]

    def low(self, owned: Floats) -> Floats:
        """The same by V V^T."""
        inner = self.directions.T @ (owned * power(self.degree, -0.5)[:, None])
        found: Floats = (self.directions @ inner) * power(self.degree, self.recipe.target_power)[:, None]
        return found

    def sharp(self, scores: Floats) -> Floats:
        """e(A) times scores, (items, shoppers)."""
        if not self.recipe.sharpen:
            return scores
        term, total = scores, scores.copy()
        for order in range(1, SERIES + 1):
            term = times(self.sharpener_turned, times(self.sharpener, term))
            term *= np.float32(-self.recipe.sharpen / order)
            total += term
        return total

    def scores(self, block: Floats) -> Floats:
        """(shoppers, items), 1 where owned → their scores, a few shoppers at a time on every core."""
        found = np.empty_like(block)
        turned = np.ascontiguousarray(block.T)
        # For all at once: the directions are large, and read once.
        low_rank = self.low(turned) * np.float32(self.smooth) if self.smooth else None

        def score(low: int) -> None:
            some = slice(low, low + TOGETHER)
            scores = self.near(np.ascontiguousarray(turned[:, some]))
            if low_rank is not None:
                scores += low_rank[:, some]
            found[some] = self.sharp(scores).T

        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
            list(threads.map(score, range(0, len(block), TOGETHER)))
        return found
