"""Estimates against simulated shoppers whose every click on any list can be worked out."""

import numpy as np
import pytest

from models.recommender.offpolicy import MIN_CLICKS, Logged, examination, prior, snips

K, POOL = 8, 8


class World:
    """Shoppers who like some of a few items, and look at rank r with a chance of 1 / r."""

    def __init__(self, seed: int, shoppers: int = 1500, items: int = 60) -> None:
        self.rng = np.random.default_rng(seed)
        self.items, self.shoppers = items, shoppers
        self.pool = np.argsort(self.rng.random((shoppers, items)), axis=1)[:, :POOL].astype(np.int32)
        self.liked = np.clip(
            self.rng.beta(1, 4, items)[self.pool], 0.01, 0.9
        )  # by item: popular ones everywhere
        self.looked = 1 / np.arange(1, K + 1)

    def show(self, noise: float) -> Logged:
        """Two lists a shopper: everything in the pool, in an order that follows the liking only loosely."""
        rows = []
        for visit in range(2):
            order = np.argsort(-self.liked + noise * self.rng.random(self.liked.shape), axis=1)
            item, liked = np.take_along_axis(self.pool, order, 1), np.take_along_axis(self.liked, order, 1)
            click = self.rng.random(liked.shape) < liked * self.looked
            owner = np.repeat(np.arange(self.shoppers), K)
            rank = np.tile(np.arange(1, K + 1), self.shoppers)
            rows.append((owner, owner * 2 + visit, item.ravel(), rank, click.ravel()))
        owner, visit, item, rank, click = (np.concatenate(c) for c in zip(*rows, strict=True))
        return Logged(owner, visit, item, rank.astype(np.int32), click)

    def truth(self, order: np.ndarray) -> float:
        liked = np.take_along_axis(self.liked, order, 1)
        return float((liked * self.looked[: order.shape[1]]).sum(axis=1).mean())

    def lists(self, order: np.ndarray) -> np.ndarray:
        return np.take_along_axis(self.pool, order, 1)


@pytest.mark.parametrize(("sign", "length"), [(-1, K), (1, K), (-1, 3), (1, 3)])
def test_the_truth_lies_in_the_interval_and_counting_clicks_is_far_off(sign, length):
    """The best order and the worst, whole and cut short, from one log of a middling order."""
    world = World(seed=1, shoppers=20_000)
    logged = world.show(noise=0.6)
    order = np.argsort(sign * world.liked, axis=1)[:, :length]
    truth = world.truth(order)
    found = snips(logged, world.lists(order), world.items, world.looked, seed=1)
    assert found.low < truth < found.high
    # Naive: the clicks that the new list's products got where they happened to stand.
    key = np.arange(world.shoppers)[:, None] * world.items + world.lists(order)
    kept = np.isin(logged.shopper * world.items + logged.item, key)
    naive = logged.clicked[kept].sum() / (2 * world.shoppers)
    assert abs(found.value - truth) < 0.25 * abs(naive - truth)
    assert found.overlap == pytest.approx(1)
    assert 0 < found.effective < len(logged)


def test_the_logged_lists_themselves_are_worth_what_they_earned():
    world = World(seed=2)
    logged = world.show(noise=0.0)  # both lists of a shopper are the same
    found = snips(logged, world.lists(np.argsort(-world.liked, axis=1)), world.items, world.looked, seed=1)
    assert found.value == pytest.approx(found.logged)
    assert found.effective == pytest.approx(len(logged))


@pytest.mark.parametrize("short", [np.ones(2000, np.bool_), np.arange(2000) % 2 == 0])
def test_short_lists_are_worth_their_places_alone(short):
    """The caps of a small shop leave places empty: lists as they were shown are worth what they earned."""
    world = World(seed=7, shoppers=2000)
    logged = world.show(noise=0.0)
    new = world.lists(np.argsort(-world.liked, axis=1))
    new[short, 3:] = -1
    kept = ~short[logged.shopper] | (logged.rank <= 3)
    shown = Logged(*(getattr(logged, f)[kept] for f in ("shopper", "visit", "item", "rank", "clicked")))
    found = snips(shown, new, world.items, world.looked, seed=1)
    assert found.value == pytest.approx(found.logged)
    assert found.low < found.value < found.high
    assert found.overlap == pytest.approx(1)


def test_no_click_on_any_of_its_products_is_no_estimate_of_none():
    world = World(seed=8, shoppers=100)
    logged = world.show(noise=0.6)
    new = world.lists(np.argsort(-world.liked, axis=1))[:, :1]
    first = logged.item == new[logged.shopper, 0]
    unloved = Logged(logged.shopper, logged.visit, logged.item, logged.rank, logged.clicked & ~first)
    assert unloved.clicked.any()
    assert snips(unloved, new, world.items, world.looked, seed=1) is None


def test_intervals_hold_the_truth_about_95_times_in_100():
    held = 0
    for seed in range(60):
        world = World(seed, shoppers=250)
        order = np.argsort(-world.liked, axis=1)
        found = snips(world.show(0.8), world.lists(order), world.items, world.looked, seed)
        held += found.low < world.truth(order) < found.high
    assert held >= 51


def test_examination_is_learnt_where_items_stand_at_several_ranks():
    world = World(seed=3, shoppers=6000)
    looked, estimated = examination(world.show(noise=5.0), K)
    assert estimated
    assert looked[0] == 1
    error, of_prior = np.abs(looked - world.looked).max(), np.abs(prior(K) - world.looked).max()
    assert error < 0.3 * of_prior


def test_few_clicks_leave_the_prior():
    logged = World(seed=4, shoppers=100).show(noise=5.0)
    assert logged.clicked.sum() < MIN_CLICKS
    looked, estimated = examination(logged, K)
    assert not estimated
    assert looked.tolist() == prior(K).tolist()
    assert prior(3).tolist() == pytest.approx([1, 0.6309, 0.5], abs=1e-4)


def test_what_no_logged_list_held_is_not_guessed():
    world = World(seed=5, shoppers=50)
    logged = world.show(noise=1.0)
    strange = np.full((50, 3), -1, np.int32)
    assert snips(logged, strange, world.items, world.looked, 1) is None
    order = np.argsort(-world.liked, axis=1)
    half = world.lists(order)
    half[:, 1:] = np.arange(world.items, world.items + K - 1)  # seven products that nobody was shown
    found = snips(logged, half, world.items + K, world.looked, 1)
    assert found.overlap == pytest.approx(1 / world.looked.sum())
