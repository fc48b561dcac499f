import json

import numpy as np
import pytest

from models.recommender.calibration import Calibration, calibrate, logistic, reliability


def draw(rows=20_000, seed=0):
    """Labels whose true chance is a bent function of the score."""
    rng = np.random.default_rng(seed)
    features = rng.random((rows, 6)).astype(np.float32)
    chance = np.where(features[:, 1] > 0.7, 0.3, 0.02 + 0.05 * features[:, 0])
    return features, (rng.random(rows) < chance).astype(float), np.arange(rows) // 20, chance


def test_probabilities_come_near_the_truth_and_the_error_is_small():
    features, label, group, _ = draw()
    fitted = calibrate(features, label, group, window_days=7)
    assert fitted.error < 0.01
    fresh, _, _, truth = draw(seed=9)
    p = fitted.probability(fresh)
    assert ((p >= 0) & (p <= 1)).all()
    assert p.mean() == pytest.approx(truth.mean(), rel=0.05)
    assert p[fresh[:, 1] > 0.9].mean() > 3 * p[fresh[:, 1] < 0.3].mean()


def test_the_reported_error_is_of_rows_that_were_not_fitted():
    # Pure noise: a fit that judged itself would look better than chance.
    rng = np.random.default_rng(1)
    features, label = rng.random((400, 6)).astype(np.float32), (rng.random(400) < 0.3).astype(float)
    fitted = calibrate(features, label, np.arange(400), 7)
    own_error, _ = reliability(fitted.probability(features), label)
    assert fitted.error > own_error


def test_a_window_of_another_length_is_brought_to_seven_days():
    features, label, group, _ = draw()
    week = calibrate(features, label, group, 7).probability(features)
    fortnight = calibrate(features, label, group, 14).probability(features)
    assert np.allclose(1 - (1 - fortnight) ** 2, week)


@pytest.mark.parametrize("label", [np.zeros(50), np.ones(50), np.zeros(0)])
def test_nothing_to_learn_is_no_error(label):
    features = np.ones((len(label), 6), np.float32)
    fitted = calibrate(features, label, np.arange(len(label)), 7)
    p = fitted.probability(np.ones((3, 6), np.float32))
    assert np.isfinite(p).all()
    assert p == pytest.approx(np.full(3, label.mean() if len(label) else 0.0))


def test_it_survives_json():
    features, label, group, _ = draw(2000)
    fitted = calibrate(features, label, group, 7)
    again = Calibration.from_json(json.loads(json.dumps(fitted.to_json())))
    assert np.array_equal(again.probability(features), fitted.probability(features))


def test_logistic_finds_the_odds_of_a_known_world():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(50_000, 2))
    chance = 1 / (1 + np.exp(-(x @ [1.0, -0.5] - 1.0)))
    weights = logistic(x, (rng.random(50_000) < chance).astype(float))
    assert weights == pytest.approx([1.0, -0.5, -1.0], abs=0.06)


def test_reliability_known_answer():
    error, curve = reliability(np.array([0.2, 0.2, 0.8, 0.8]), np.array([0, 1, 1, 1.0]), bins=2)
    assert error == pytest.approx((0.3 + 0.2) / 2)
    assert [c["observed"] for c in curve] == [0.5, 1.0]
