import math

import numpy as np
import pytest

from models.recommender import metrics


def one(ids, scores, bought, k):
    table = metrics.per_user(
        np.array([ids], np.int32), np.array([scores], np.float32), np.zeros(len(bought), np.int64),
        np.array(bought, np.int32), k, 100,
    )  # fmt: skip
    return {name: float(value[0]) for name, value in table.items()}


def test_known_answers():
    # Hits on ranks 1 and 3; three things were bought.
    m = one([7, 8, 9, 6, 5], [5, 4, 3, 2, 1], [7, 9, 50], k=4)
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert m["recall"] == pytest.approx(2 / 3)
    assert m["precision"] == pytest.approx(2 / 4)
    assert m["hr"] == 1
    assert m["mrr"] == 1
    assert m["ndcg"] == pytest.approx((1 + 1 / 2) / ideal)
    assert m["map"] == pytest.approx((1 + 2 / 3) / 3)


def test_a_perfect_list_is_one_and_a_missed_one_nothing():
    assert one([1, 2, 3, 4], [4, 3, 2, 1], [1, 2], k=2)["ndcg"] == pytest.approx(1)
    assert set(one([1, 2, 3, 4], [4, 3, 2, 1], [50], k=3).values()) == {0.0}


def test_a_hit_stands_last_among_its_equals():
    assert one([1, 2, 3, 4], [9, 5, 5, 1], [2], k=3)["mrr"] == pytest.approx(1 / 3)
    assert one([1, 2, 3, 4], [9, 5, 5, 1], [2], k=2)["hr"] == 0


def test_equals_that_reach_the_lists_end_may_go_on_beyond_it():
    scores = np.array([[3, 2, 2], [1, 1, 1], [3, 2, 1]], np.float32)
    assert metrics.pessimistic_ranks(scores).tolist() == [[1, 4, 4], [4, 4, 4], [1, 2, 3]]


def test_who_bought_nothing_has_no_measure():
    ids = np.array([[1, 2], [1, 2]], np.int32)
    table = metrics.per_user(ids, np.array([[2, 1], [2, 1]], np.float32), np.array([0]), np.array([1]), 2, 10)
    assert np.isnan(table["ndcg"][1])
    assert np.isnan(table["hr"][1])
    assert table["ndcg"][0] == 1


def test_empty_places_are_no_hits():
    assert one([-1, -1], [-np.inf, -np.inf], [99], k=2)["hr"] == 0


def test_coverage_gini_and_overlap():
    ids = np.array([[0, 1], [0, 2], [0, -1]], np.int32)
    assert metrics.coverage(ids, 6) == 0.5
    assert metrics.gini(np.array([5, 5, 5, 5])) == pytest.approx(0)
    assert metrics.gini(np.array([0, 0, 0, 9])) == pytest.approx(3 / 4)
    same, apart = np.tile([[1, 2]], (4, 1)), np.arange(8).reshape(4, 2)
    assert metrics.overlap(same.astype(np.int32), 2) == 1
    assert metrics.overlap(apart.astype(np.int32), 2) == 0


def test_the_interval_holds_the_mean_and_is_the_same_for_a_seed():
    values = np.append(np.random.default_rng(0).random(400), np.nan)
    low, high = metrics.bootstrap_interval(values, seed=5)
    assert low < np.nanmean(values) < high
    assert high - low < 0.08
    assert (low, high) == metrics.bootstrap_interval(values, seed=5)
