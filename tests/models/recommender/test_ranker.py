"""The ranker on made-up rows, its features by hand, and its place in a list."""

from __future__ import annotations

import numpy as np
import pytest

from models.recommender.base import Behaviour, History, Reranked
from models.recommender.ranker import PURCHASE, SLOTS, Ranker, sigmoid
from models.recommender.ranker_features import DENSE, NEVER_DAYS, Facts, dense_features
from models.recommender.ranking import Candidates, reranked
from tests.models.recommender.shops import AS_OF, catalogue, interactions

BUY, VIEW = Behaviour.PURCHASE, Behaviour.VIEW


def rows(n: int = 12_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clicks follow the first feature; purchases need it and one value of a slot: a cross of both."""
    rng = np.random.default_rng(5)
    dense = rng.standard_normal((n, len(DENSE))).astype(np.float32)
    slots = rng.integers(0, 4, (n, SLOTS)).astype(np.int32)
    click = rng.random(n) < sigmoid(dense[:, 0] * 2 - 1)
    buy = rng.random(n) < np.where(slots[:, 3] == 2, sigmoid(dense[:, 0] * 2 - 1), 0.02)
    return dense, slots, np.stack([click, buy], axis=1).astype(np.float32)


def test_it_learns_a_cross_of_shopper_and_item_and_is_not_far_off_the_truth() -> None:
    dense, slots, labels = rows()
    ranker = Ranker(epochs=12).fit(dense[:8000], slots[:8000], labels[:8000])
    chance = sigmoid(ranker.logits(dense[8000:], slots[8000:])[:, PURCHASE])
    likely = (slots[8000:, 3] == 2) & (dense[8000:, 0] > 1)
    assert chance[likely].mean() == pytest.approx(labels[8000:][likely, 1].mean(), abs=0.12)
    assert chance[slots[8000:, 3] != 2].mean() < 0.06


def test_stored_and_trained_again_it_is_the_same() -> None:
    dense, slots, labels = rows(6000)
    ranker = Ranker(epochs=1).fit(dense, slots, labels)
    again = Ranker(epochs=1).fit(dense, slots, labels)
    twin = Ranker(**ranker.recipe).restore(ranker.state())
    wanted = ranker.logits(dense[:50], slots[:50])
    assert np.array_equal(again.logits(dense[:50], slots[:50]), wanted)
    assert np.array_equal(twin.logits(dense[:50], slots[:50]), wanted)


def test_features_by_hand() -> None:
    day = 86_400
    events = interactions([(0, 0, AS_OF - 2 * day, BUY, 0), (0, 1, AS_OF - day, VIEW, 1)], 1, 4)
    facts = Facts.of(events, catalogue(2, 2), AS_OF)
    past = History(
        np.array([0, 3]),
        np.array([0, 0, 1], np.int32),
        np.array([VIEW, BUY, VIEW], np.int8),
        np.array([2, 1, 0], np.int32),
        np.array([5.0, 2.0, 1.0], np.float32),
    )
    ids = np.array([[0, 2, 1]], np.int32)
    found = dense_features(facts, past, ids, np.ones((1, 3), np.float32), np.zeros((5, 1, 3), np.float32))
    table = {name: found[:, i] for i, name in enumerate(DENSE)}
    np.testing.assert_allclose(table["bought"], np.log1p([1, 0, 0]))
    np.testing.assert_allclose(table["touched"], np.log1p([2, 0, 1]))
    np.testing.assert_allclose(table["days_since_bought"], np.log1p([2, NEVER_DAYS, NEVER_DAYS]), rtol=1e-6)
    np.testing.assert_allclose(table["days_since_touched"], np.log1p([2, NEVER_DAYS, 1]), rtol=1e-6)
    # A view weighs .2 and a purchase 1; items 0 and 1 are of one category.
    np.testing.assert_allclose(table["category_share"], [1, 0, 1])
    np.testing.assert_allclose(table["purchases"], np.log1p([1, 1, 1]))
    assert np.isfinite(found).all()


def test_an_empty_past_has_finite_features() -> None:
    facts = Facts.of(interactions([], 1, 4), catalogue(2, 2), AS_OF)
    found = dense_features(
        facts, History.empty(2), np.array([[0, -1], [1, 2]], np.int32), np.array([[1, -np.inf], [1, 0]]),
        np.zeros((5, 2, 2), np.float32),
    )  # fmt: skip
    assert found.shape == (4, len(DENSE))
    assert np.isfinite(found).all()


class Fixed(Ranker):
    """Likes the last candidates best, and none of them much."""

    def logits(self, dense: np.ndarray, slots: np.ndarray) -> np.ndarray:
        return np.repeat(np.arange(len(dense), dtype=np.float32)[:, None] - 9, 2, axis=1)


def test_candidates_change_places_among_themselves_only() -> None:
    scores = np.array([[5.0, 4.0, 3.0, 2.0, -np.inf]], np.float32)
    found = Candidates(
        np.array([[0, 1, 2]], np.int32), scores[:, :3].copy(), np.zeros((3, 1), np.float32), np.zeros((3, 1))
    )
    result = reranked(Fixed(), 10.0, found, scores)
    assert np.argsort(-scores[0], kind="stable").tolist() == [2, 1, 0, 3, 4]
    assert scores[0, :3].min() >= 3.0
    assert result.logits[0, :, PURCHASE].tolist() == [-9, -8, -7]


def test_what_was_no_candidate_counts_as_the_least_likely() -> None:
    logits = np.array([[[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]]], np.float32)
    found = Reranked(np.array([[7, 8, -1]], np.int32), logits)
    assert found.of(np.array([[8, 3, 7]], np.int32))[0].tolist() == [[3, 4], [1, 2], [1, 2]]
