from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.recommender.base import DAY, History, mask
from models.recommender.evaluation import Holdout, ndcg
from models.recommender.popularity import Popularity
from models.recommender.rules import Excluded
from models.recommender.sequence_model import SequenceModel
from models.recommender.sequences import histories
from models.recommender.topk import top_k
from tests.models.recommender.shops import AS_OF, toy_shop

pytest.importorskip("keras")

SMALL = {"width": 16, "length": 12, "time": 24, "rows": 16, "negatives": 64, "rate": 5e-3, "epochs": 12}


@pytest.fixture(scope="module")
def shop() -> Holdout:
    made = toy_shop()
    return Holdout.split(made.events, made.items, AS_OF, 8)


@pytest.fixture(scope="module")
def model(shop: Holdout) -> SequenceModel:
    return SequenceModel(**SMALL).fit(shop.past, shop.items, shop.cut)


def test_it_learns_what_comes_next(shop: Holdout, model: SequenceModel) -> None:
    popular = Popularity().fit(shop.past, shop.items, shop.cut)
    assert ndcg(model, shop) > 2 * ndcg(popular, shop)


def test_who_has_no_past_has_no_taste(model: SequenceModel) -> None:
    assert not model.score_block(History.empty(3)).any()


def test_a_score_depends_on_its_own_past_only(shop: Holdout, model: SequenceModel) -> None:
    together = model.score_block(shop.histories.pick(np.arange(20)))
    for user in (0, 7, 19):
        alone = model.score_block(shop.histories.pick(np.array([user])))
        np.testing.assert_allclose(alone[0], together[user], rtol=1e-4, atol=1e-5)


def test_a_state_is_what_the_network_says_at_the_end_of_the_past(shop: Holdout, model: SequenceModel) -> None:
    length = model.constants.length
    some = shop.histories.pick(np.argsort(-np.diff(shop.histories.indptr))[:3])
    lengths = (1, 7, 8, 9, length)
    assert np.diff(some.indptr).min() > length, "no past is longer than what is read of it"
    for user in range(3):
        for size in lengths:
            end = some.indptr[user] + length + 1
            item = some.item[end - size : end]
            past = History(
                np.array([0, size]), item, some.behaviour[end - size : end], np.zeros(size), np.zeros(size)
            )
            back = np.arange(size)[::-1].astype(np.int32)
            there = np.ones(size, np.int32)
            rows = (item + 1, past.behaviour.astype(np.int32), back, there)
            wanted = np.asarray(model.network.encode(*(values[None] for values in rows)))[0, -1]
            np.testing.assert_allclose(model.states(past)[0], wanted, rtol=1e-4, atol=1e-5)


def test_a_state_does_not_depend_on_who_is_encoded_beside_it(shop: Holdout, model: SequenceModel) -> None:
    everyone = model.states(shop.histories)
    for rows in (np.array([3]), np.arange(5, 40), np.arange(len(shop.histories))[::-3]):
        np.testing.assert_array_equal(model.states(shop.histories.pick(rows)), everyone[rows])
    assert not model.states(History.empty(2)).any()


def test_best_items_are_those_of_the_whole_block_of_scores(shop: Holdout, model: SequenceModel) -> None:
    some = shop.histories.pick(np.arange(60))
    allowed = np.random.default_rng(1).random(model.n_items) < 0.8
    wanted = mask(model.score_block(some), allowed, (some.row, some.item))
    ids = np.concatenate([b.ids for b in model.best(some, 10, allowed, Excluded(some.indptr, some.item))])
    # Scores of equal rank may differ in the last bits between two ways of adding up.
    np.testing.assert_allclose(
        np.take_along_axis(wanted, ids.astype(np.int64), 1), top_k(wanted, 10)[1], rtol=1e-5, atol=1e-6
    )


def test_pasts_in_one_row_do_not_see_each_other(model: SequenceModel) -> None:
    def states(item: list[int], place: list[int], segment: list[int]) -> np.ndarray:
        rows = [np.array([values], np.int32) for values in (item, [3] * len(item), place, segment)]
        return np.asarray(model.network.encode(*rows))[0]

    packed = states([5, 6, 7, 30, 31], [2, 1, 0, 1, 0], [1, 1, 1, 2, 2])
    np.testing.assert_allclose(packed[:3], states([5, 6, 7], [2, 1, 0], [1, 1, 1]), atol=1e-5)
    np.testing.assert_allclose(packed[3:], states([30, 31], [1, 0], [1, 1]), atol=1e-5)
    # Nor does an event see what came after it.
    assert not np.allclose(packed[4], states([30, 32], [1, 0], [1, 1])[1], atol=1e-3)
    np.testing.assert_allclose(packed[3], states([30, 32], [1, 0], [1, 1])[0], atol=1e-5)


def test_stored_and_over_another_catalogue_it_scores_the_same(shop: Holdout, model: SequenceModel) -> None:
    some = shop.histories.pick(np.arange(10))
    before = model.score_block(some)
    again = SequenceModel(**model.recipe).restore(model.state())
    np.testing.assert_array_equal(again.score_block(some), before)
    n = model.n_items
    # An unknown item in front, and all others one further.
    moved = again.reindex(np.arange(-1, n))
    found = moved.score_block(replace(some, item=some.item + 1))
    np.testing.assert_allclose(found[:, 1:], before, rtol=1e-4, atol=1e-5)


def test_training_stops_where_it_no_longer_helps_and_keeps_the_best(shop: Holdout) -> None:
    values = iter([0.1, 0.3, 0.2, 0.25, 0.1, 0.9])
    seen = []

    def measure(trained: SequenceModel) -> float:
        seen.append(trained.table.copy())
        return next(values)

    found = SequenceModel(**SMALL).fit_until(shop.past, shop.items, measure, every=1, patience=2)
    assert len(seen) == 4
    assert found.constants.epochs == 2
    np.testing.assert_allclose(found.table, seen[1], atol=1e-6)


def test_the_same_seed_gives_the_same_model(shop: Holdout) -> None:
    past = shop.past.before(shop.cut - 20 * DAY)
    few = {**SMALL, "epochs": 1}
    one, two, other = (SequenceModel(**few, seed=seed).fit(past, shop.items, shop.cut) for seed in (4, 4, 5))
    some = histories(past, shop.cut).pick(np.arange(10))
    np.testing.assert_array_equal(one.score_block(some), two.score_block(some))
    assert not np.array_equal(one.score_block(some), other.score_block(some))
