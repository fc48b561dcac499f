"""The filter against the formula written out with dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from models.recommender.base import Behaviour, History
from models.recommender.graph_filter import Filter, FilterRecipe, owned_block, right_directions, user_items
from tests.models.recommender.shops import interactions

RECIPE = {
    "user_power": 0.3,
    "past_power": 0.5,
    "target_power": 0.35,
    "smooth": 0.5,
    "sharpen": 0.7,
    "rank": 8,
}


def owned(users: int = 60, items: int = 25, share: float = 0.2) -> sparse.csr_array:
    """Everybody has something, and every item somebody."""
    found = np.random.default_rng(3).random((users, items)) < share
    found[np.arange(users), np.arange(users) % items] = True
    return sparse.csr_array(found.astype(np.float32))


def past(rows: sparse.csr_array) -> History:
    z = np.zeros(rows.nnz)
    return History(
        rows.indptr.astype(np.int64),
        rows.indices,
        z.astype(np.int8),
        z.astype(np.int32),
        z.astype(np.float32),
    )


def naive(r: NDArray[np.float64], recipe: dict[str, float], smooth: float) -> NDArray[np.float64]:
    u, d = r.sum(axis=1), r.sum(axis=0)
    u_a, d_p = np.diag(u ** -recipe["user_power"]), np.diag(d ** -recipe["past_power"])
    d_q, half = np.diag(d ** -recipe["target_power"]), np.diag(d**-0.5)
    near = d_p @ r.T @ u_a @ u_a @ r @ d_q
    _, _, directions = np.linalg.svd(u_a @ r @ half)
    v = directions[: int(recipe["rank"])].T
    low = half @ v @ v.T @ np.diag(d ** recipe["target_power"])
    a = half @ r.T @ np.diag(1 / u) @ r @ half
    power, sharp = np.eye(len(d)), np.eye(len(d))
    for order in range(1, 5):
        power = power @ a * -recipe["sharpen"] / order
        sharp = sharp + power
    return np.asarray(r @ (near + smooth * low) @ sharp)


def test_scores_are_the_formulas() -> None:
    r = owned()
    found = Filter.of(r, FilterRecipe(**RECIPE))
    wanted = naive(r.toarray().astype(np.float64), RECIPE, found.smooth)
    scores = found.scores(owned_block(past(r), 25))
    np.testing.assert_allclose(scores, wanted, rtol=2e-3, atol=2e-3 * np.abs(wanted).max())


def test_directions_are_the_leading_singular_vectors() -> None:
    r = owned(200, 60)
    found = right_directions(r, 5, seed=1)
    _, _, wanted = np.linalg.svd(r.toarray())
    overlap = np.abs((found * wanted[:5].T).sum(axis=0))
    # The leading one is far from the rest; the others are close to each other, and their space counts.
    assert overlap[0] == pytest.approx(1, abs=1e-3)
    assert np.linalg.norm(wanted[:5] @ found) ** 2 == pytest.approx(5, abs=0.6)


def test_returns_and_strangers_are_nobodys_things() -> None:
    rows = [
        (0, 0, 10, Behaviour.PURCHASE, -1),
        (0, 0, 20, Behaviour.VIEW, -1),
        (0, 1, 30, Behaviour.RETURN, -1),
        (-1, 2, 40, Behaviour.VIEW, 5),
    ]
    assert user_items(interactions(rows, 1, 3)).toarray().tolist() == [[1, 0, 0]]
