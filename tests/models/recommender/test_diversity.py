"""Marginal relevance, by hand."""

from __future__ import annotations

import numpy as np

from models.recommender.diversity import diversify, likeness, mmr
from models.recommender.rules import Policy, Rules
from tests.models.recommender.shops import catalogue

SLOTS = np.array([[1, 5], [1, 5], [1, 6], [2, 7], [0, 0]], np.int32)


def test_likeness_is_the_share_of_attributes_in_common() -> None:
    found = likeness(SLOTS, np.array([[0, 1, 2, 3, 4]]), np.array([0]))
    assert found[0].tolist() == [1, 1, 0.5, 0, 0]


def test_the_unlike_moves_up_and_the_best_stays() -> None:
    worth = np.array([[1.0, 0.9, 0.8, 0.7, 0.0]], np.float32)
    ids = np.arange(5, dtype=np.int32)[None]
    assert mmr(worth, ids, SLOTS, 0.0, 3)[0].tolist() == [0, 1, 2, 3, 4]
    # After item 0: item 1 is worth .45 - .5, item 2 .4 - .25, item 3 .35.
    assert mmr(worth, ids, SLOTS, 0.5, 3)[0].tolist() == [0, 3, 2, 1, 4]


def test_nothing_enters_or_leaves_the_candidates_and_nothing_forbidden_rises() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random((30, 40)).astype(np.float32)
    scores[:, 7] = -np.inf
    before = scores.copy()
    rules = Rules.of(catalogue(4, 10), 5, Policy(diversity=0.5))
    diversify(scores, rules)
    assert not np.array_equal(before, scores)
    assert np.isneginf(scores[:, 7]).all()
    # The same scores in another order, and only those of the first fifteen have moved.
    assert np.array_equal(np.sort(before, axis=1), np.sort(scores, axis=1))
    order = np.argsort(-before, axis=1, kind="stable")
    assert np.array_equal(
        np.take_along_axis(before, order[:, 15:], 1), np.take_along_axis(scores, order[:, 15:], 1)
    )
    categories = rules.items.category[np.argsort(-scores, axis=1, kind="stable")[:, :5]]
    were = rules.items.category[order[:, :5]]
    assert _kinds(categories) > _kinds(were)


def _kinds(groups: np.ndarray) -> float:
    return float(np.mean([len(set(row)) for row in groups.tolist()]))


def test_fewer_candidates_than_places() -> None:
    scores = np.full((2, 3), -np.inf, np.float32)
    scores[0, 1] = 1.0
    diversify(scores, Rules.of(catalogue(1, 3), 5, Policy(diversity=0.5)))
    assert scores[0].tolist() == [-np.inf, 1.0, -np.inf]
