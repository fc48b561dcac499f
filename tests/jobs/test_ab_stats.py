"""Lifts whose truth is known, equal arms, and a split that went wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from jobs.ab_stats import SRM_ALPHA, Sums, lift, sample_ratio


def sums(values: np.ndarray) -> Sums:
    return Sums(len(values), float(values.sum()), float((values**2).sum()))


def spent(rng: np.random.Generator, users: int, rate: float) -> np.ndarray:
    """Revenue as shops see it: most shoppers nothing, a few a lot."""
    return (rng.random(users) < rate) * rng.lognormal(3, 1, users)


def test_the_interval_holds_the_true_lift_about_95_times_in_100() -> None:
    rng = np.random.default_rng(1)
    found = [lift(sums(spent(rng, 4000, 0.12)), sums(spent(rng, 2000, 0.10))) for _ in range(400)]
    held = np.mean([one.low < 0.2 < one.high for one in found])
    assert 0.92 < held < 0.98
    # A true lift of a fifth is seen more often than chance would show one.
    assert np.mean([one.p_value < 0.05 for one in found]) > 0.2


def test_equal_arms_differ_one_time_in_twenty() -> None:
    rng = np.random.default_rng(2)
    found = [lift(sums(spent(rng, 4000, 0.1)), sums(spent(rng, 2000, 0.1))) for _ in range(400)]
    assert 0.92 < np.mean([one.low < 0 < one.high for one in found]) < 0.98
    assert 0.02 < np.mean([one.p_value < 0.05 for one in found]) < 0.08


def test_the_p_value_is_welchs() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(1, 2, 40), rng.normal(1.5, 1, 25)
    assert lift(sums(a), sums(b)).p_value == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)


def test_the_interval_is_that_of_a_bootstrap_over_shoppers() -> None:
    rng = np.random.default_rng(4)
    a, b = spent(rng, 3000, 0.12), spent(rng, 3000, 0.1)
    draws = [rng.choice(a, len(a)).mean() / rng.choice(b, len(b)).mean() - 1 for _ in range(2000)]
    low, high = np.percentile(draws, [2.5, 97.5])
    found = lift(sums(a), sums(b))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.04)


def test_nothing_is_claimed_where_nothing_can_be() -> None:
    nothing, all_alike = sums(np.zeros(10)), sums(np.ones(10))
    assert lift(all_alike, nothing).lift is None
    assert lift(all_alike, all_alike).p_value is None
    assert lift(all_alike, all_alike).lift == 0
    assert Sums(1, 5.0, 25.0).variance_of_mean == 0
    assert sums(np.full(7, 19.99)).spread == 0


def buyers(users: int, bought: int) -> np.ndarray:
    return np.repeat([1.0, 0.0], [bought, users - bought])


def test_a_small_arm_whose_shoppers_all_did_the_same_proves_nothing() -> None:
    """None of five bought where a fifth does: that happens once in three times."""
    few, many = buyers(5, 0), buyers(1000, 200)
    found = lift(sums(few), sums(many))
    assert found.p_value == pytest.approx(stats.ttest_ind(few, many).pvalue)
    assert found.p_value > 0.2
    assert (found.lift, found.low) == (-1, -1)
    assert found.high > 0
    turned = lift(sums(many), sums(few))
    assert turned.lift is None
    assert turned.p_value == pytest.approx(found.p_value)


def test_an_interval_is_not_taken_from_one_arm_alone() -> None:
    all_bought = lift(sums(buyers(1000, 200)), sums(buyers(5, 5)))
    assert all_bought.high - all_bought.low > 0.1
    assert all_bought.low < all_bought.lift < all_bought.high


def test_a_large_arm_without_buyers_is_found_to_be_worse() -> None:
    found = lift(sums(buyers(1000, 0)), sums(buyers(1000, 200)))
    assert found.p_value < 1e-10
    assert found.high < -0.7


def test_nobody_buys_less_than_nothing() -> None:
    found = lift(Sums(50, 2.0, 2.0), Sums(50, 3.0, 3.0))
    assert found.low == -1
    assert found.low <= found.lift <= found.high


def test_sample_ratio() -> None:
    shares = {"control": 0.1, "model": 0.9}
    assert sample_ratio({"control": 103, "model": 897}, shares) == pytest.approx(0.7518, abs=1e-3)
    assert sample_ratio({"control": 160, "model": 840}, shares) < SRM_ALPHA
    assert sample_ratio({"model": 1000}, shares) < SRM_ALPHA  # an arm that is missing altogether
    assert sample_ratio({"control": 10, "model": 90, "old": 1}, shares) == 0
    assert sample_ratio({"model": 90}, {"model": 1.0}) is None
