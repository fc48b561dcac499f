"""Novelty, variety, head and tail: known answers, and a slow version that must agree."""

from itertools import combinations

import numpy as np
import pytest

from models.recommender.base import DAY, Behaviour, Items
from models.recommender.beyond import diversity, head, novelty, self_information
from models.recommender.bootstrap import counts, exposure_interval, mean_intervals, resamples
from models.recommender.evaluation import Holdout, measure, segments
from models.recommender.item_graph import ItemGraph
from models.recommender.metrics import coverage, gini
from models.recommender.popularity import Popularity
from tests.models.recommender.shops import AS_OF, interactions, toy_shop

VIEW, BUY, RETURN = Behaviour.VIEW, Behaviour.PURCHASE, Behaviour.RETURN


def events(*rows):
    """(user, item, behaviour)."""
    return interactions([(u, i, AS_OF - DAY, b, 0) for u, i, b in rows], 8, 6)


def test_self_information_is_in_bits_of_the_share_of_shoppers():
    rows = [(u, 0, VIEW) for u in range(8)] + [
        (0, 1, BUY),
        (1, 1, VIEW),
        (1, 1, BUY),
        (2, 2, BUY),
        (3, 3, RETURN),
    ]
    assert self_information(events(*rows)).tolist() == [
        0,
        2,
        3,
        3,
        3,
        3,
    ]  # untouched counts as touched by one


def test_novelty_is_the_mean_over_what_is_shown():
    bits = np.array([0.0, 2.0, 3.0])
    found = novelty(np.array([[0, 1], [2, -1], [-1, -1]], np.int32), bits)
    assert found[:2].tolist() == [1.0, 3.0]
    assert np.isnan(found[2])


def test_diversity_of_known_lists():
    category, brand = np.array([0, 0, 0, 1, -1, -1], np.int32), np.array([0, 0, 1, 1, -1, -1], np.int32)
    n = len(category)
    items = Items(np.arange(n).astype(str), category, brand, np.arange(n, dtype=np.int32), np.ones(n, bool))
    found = diversity(np.array([[0, 1], [0, 2], [1, 3], [4, 5], [0, -1], [0, 4]], np.int32), items)
    # Alike; one value of three in common; nothing; nothing known of either; no pair; nothing in common.
    assert found[:3].tolist() == [0.0, pytest.approx(2 / 3), 1.0]
    assert np.isnan(found[3:5]).all()
    assert found[5] == 1.0


def test_diversity_agrees_with_sets():
    rng = np.random.default_rng(0)
    attributes = np.array([rng.permutation(30)[:6] + 1 for _ in range(50)], np.int32)
    attributes[rng.random(attributes.shape) < 0.4] = 0
    plain = Items.plain(50)
    items = Items(plain.product_id, plain.category, plain.brand, plain.parent, plain.in_stock, attributes)
    ids = np.array([rng.permutation(50)[:7] for _ in range(40)], np.int32)
    ids[rng.random(ids.shape) < 0.2] = -1
    for row, found in zip(ids, diversity(ids, items), strict=True):
        sets = [{*attributes[i]} - {0} for i in row if i >= 0]
        distances = [1 - len(a & b) / len(a | b) for a, b in combinations(sets, 2) if a | b]
        assert found == pytest.approx(np.mean(distances))


def test_the_head_takes_half_of_the_purchases():
    bought = [0] * 5 + [1] * 3 + [2] * 2 + [3]  # 11 purchases: 5 are less than half, 8 are more
    past = events(*[(n % 8, item, BUY) for n, item in enumerate(bought)], *[(n, 4, VIEW) for n in range(8)])
    assert head(past).tolist() == [True, True, False, False, False, False]
    assert not head(events((0, 0, VIEW))).any()


def test_intervals_hold_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(200):
        values = rng.exponential(2.0, 150)
        told = mean_intervals({"m": values}, {"all": np.ones(150, bool)}, seed)["all"]["m"]
        assert told[0] == pytest.approx(values.mean())
        held += told[1] < 2.0 < told[2]
    assert 0.89 < held / 200 <= 0.99


def test_segments_are_measured_by_their_own_and_what_nobody_has_is_absent():
    values = {"m": np.array([1.0, 3.0, 10.0, np.nan]), "none": np.full(4, np.nan)}
    groups = {"a": np.array([1, 1, 0, 0], bool), "b": np.array([0, 0, 0, 1], bool)}
    told = mean_intervals(values, groups, seed=3)
    assert told["a"]["m"][0] == 2.0
    assert told["a"]["m"][1:] == (1.0, 3.0)
    assert told["b"] == {}
    assert set(told["a"]) == {"m"}
    assert mean_intervals({"m": np.zeros(0)}, {"all": np.zeros(0, bool)}, 1) == {"all": {}}


def test_the_interval_of_coverage_lies_around_it():
    rng = np.random.default_rng(2)
    ids = rng.integers(0, 400, (300, 4)).astype(np.int32)
    value, low, high = exposure_interval(ids, 400, lambda e: float((e > 0).mean()), seed=1)
    assert value == coverage(ids, 400)
    assert low < value < high
    # The plain percentile interval would lie below the value altogether.
    plain = [coverage(np.repeat(ids, w, axis=0), 400) for w in resamples(300, 1, 50)]
    assert max(plain) < value
    assert exposure_interval(ids, 400, gini, seed=1)[0] == gini(np.bincount(ids.ravel(), minlength=400))


def test_a_personal_model_is_told_from_popularity_in_every_respect():
    shop = toy_shop()
    holdout = Holdout.split(shop.events, shop.items, AS_OF, 7)

    def measured(model):
        return measure(model.fit(holdout.past, holdout.items, holdout.cut), holdout, 10, seed=1)

    graph, popular = measured(ItemGraph()), measured(Popularity())
    assert graph.recall_tail > popular.recall_tail
    assert graph.novelty > popular.novelty
    assert graph.diversity < popular.diversity  # its shoppers stay in one category
    assert graph.table["all"]["coverage"][0] > popular.table["all"]["coverage"][0]
    assert graph.table["all"]["gini"][0] < popular.table["all"]["gini"][0]
    sizes = {name: int(who.sum()) for name, who in segments(holdout).items()}
    assert graph.sizes == sizes
    assert sum(sizes.values()) == 2 * sizes["all"]
    for told in graph.table.values():
        for value, low, high in told.values():
            assert low <= value <= high
    light = segments(holdout)["light"]
    assert light.any()
    names = {"ndcg", "recall", "precision", "f1", "hr", "map", "mrr", "novelty", "diversity"}
    assert names | {"recall_head", "recall_tail", "coverage", "gini"} == set(graph.table["all"])
    # Head and tail are parts of the whole: what is bought lies in one or the other.
    low, high = sorted((graph.recall_head, graph.recall_tail))
    assert low - 0.05 < graph.recall < high + 0.05


def test_without_buyers_there_is_nothing_to_tell():
    shop = toy_shop(n_users=3)
    early = shop.events.before(AS_OF - 20 * DAY)
    holdout = Holdout.split(early, shop.items, AS_OF, 7)
    found = measure(Popularity().fit(holdout.past, holdout.items, holdout.cut), holdout, 10, seed=1)
    assert found.ndcg == found.novelty == 0.0
    assert found.sizes["all"] == 0


def test_how_many_have_a_measure_is_counted_by_segment():
    values = {"m": np.array([1.0, np.nan, 0.0]), "n": np.full(3, np.nan)}
    groups = {"all": np.ones(3, bool), "a": np.array([1, 1, 0], bool), "none": np.zeros(3, bool)}
    assert counts(values, groups) == {
        "all": {"m": 2, "n": 0}, "a": {"m": 1, "n": 0}, "none": {"m": 0, "n": 0}
    }  # fmt: skip


def test_of_a_holdout_the_buyers_of_best_sellers_and_of_the_rest_are_counted():
    shop = toy_shop()
    holdout = Holdout.split(shop.events, shop.items, AS_OF, 7)
    found = measure(Popularity().fit(holdout.past, holdout.items, holdout.cut), holdout, 10, seed=1)
    user, item = holdout.truth(holdout.buyers)
    best = head(holdout.past)[item]
    known = found.known["all"]
    assert known["ndcg"] == found.users
    assert known["recall_head"] == len(np.unique(user[best]))
    assert known["recall_tail"] == len(np.unique(user[~best]))
