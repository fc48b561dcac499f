"""From a listed row to the chance that the shopper buys it: a logistic regression, bent straight by
isotonic regression.

The logistic part (Platt, 1999) weighs rank, score, source and the shopper's activity; the isotonic part
(Zadrozny and Elkan, KDD 2002) turns its output into observed shares. Both are fitted on the holdout, on
lists of a model that never saw it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import isotonic_regression

from models.recommender.base import Doubles, Floats

HORIZON_DAYS = 7
RIDGE = 1e-3
MAX_KNOTS = 64


@dataclass(frozen=True)
class Calibration:
    """weights: (features + 1,), the last is the bias; mean, spread: (features,); knots map log-odds to
    probability.
    """

    mean: Doubles
    spread: Doubles
    weights: Doubles
    knots: Doubles
    values: Doubles
    window_days: int = HORIZON_DAYS
    error: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)

    def probability(self, features: Floats) -> Doubles:
        """(rows,): the chance of a purchase within `HORIZON_DAYS`."""
        p = np.interp(self._log_odds(features), self.knots, self.values)
        # A window that is not 7 days long: purchases come at a constant rate.
        return np.asarray(1 - (1 - p) ** (HORIZON_DAYS / self.window_days))

    def _log_odds(self, features: Floats) -> Doubles:
        standard = (features - self.mean) / self.spread
        # Not by matrix product: its last bits depend on how many rows are asked for at once.
        return np.asarray((standard * self.weights[:-1]).sum(axis=1) + self.weights[-1], np.float64)

    def to_json(self) -> dict[str, Any]:
        arrays = {n: getattr(self, n).tolist() for n in ("mean", "spread", "weights", "knots", "values")}
        return {**arrays, "window_days": self.window_days, "error": self.error, "curve": self.curve}

    @classmethod
    def from_json(cls, obj: dict[str, Any]) -> Calibration:
        arrays = {n: np.asarray(obj[n], np.float64) for n in ("mean", "spread", "weights", "knots", "values")}
        return cls(**arrays, window_days=obj["window_days"], error=obj["error"], curve=obj["curve"])


def calibrate(features: Floats, label: Doubles, group: Doubles, window_days: int) -> Calibration:
    """Fits on all rows; `error` and `curve` come from a two-fold cross-fit, so that no row judges itself.

    features: (rows, features). label: 0 or 1. group: the shopper of each row; a shopper stays in one fold.
    """
    if len(label) == 0:
        features, label, group = np.zeros((1, features.shape[1]), np.float32), np.zeros(1), np.zeros(1)
    fold = group.astype(np.int64) % 2
    held_out = np.zeros(len(label))
    for side in (0, 1):
        learn, judge = fold != side, fold == side
        if learn.any() and judge.any():
            held_out[judge] = _fit(features[learn], label[learn], HORIZON_DAYS).probability(features[judge])
    final = _fit(features, label, window_days)
    error, curve = reliability(held_out, label)
    return Calibration(
        final.mean, final.spread, final.weights, final.knots, final.values, window_days, error, curve
    )


def _fit(features: Floats, label: Doubles, window_days: int) -> Calibration:
    mean, spread = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    spread = np.where(spread > 1e-9, spread, 1.0)
    weights = logistic((features - mean) / spread, label)
    odds = ((features - mean) / spread) @ weights[:-1] + weights[-1]
    order = np.argsort(odds, kind="stable")
    # Equal-sized bins first: isotonic steps that rest on single rows would promise 0 or 1.
    bins = np.array_split(order, min(MAX_KNOTS, max(1, len(order) // 50)))
    size = np.array([len(b) for b in bins], np.float64)
    knots = np.array([odds[b].mean() for b in bins])
    shares = isotonic_regression(np.array([label[b].mean() for b in bins]), weights=size).x
    return Calibration(mean, spread, weights, knots, shares, window_days)


def logistic(x: Doubles, label: Doubles, steps: int = 25) -> Doubles:
    """Ridge logistic regression by Newton's method: (features + 1,), the last is the bias."""
    design = np.column_stack([x, np.ones(len(x))]).astype(np.float64)
    share = np.clip(label.mean(), 1e-6, 1 - 1e-6)
    weights = np.zeros(design.shape[1])
    weights[-1] = np.log(share / (1 - share))
    ridge = np.full(design.shape[1], RIDGE * len(x) * share * (1 - share) + 1e-9)
    ridge[-1] = 1e-9
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (p - label) + ridge * weights
        curvature = (design * (p * (1 - p) + 1e-12)[:, None]).T @ design + np.diag(ridge)
        move = np.linalg.solve(curvature, slope)
        weights = weights - np.clip(move, -2, 2)
        if np.abs(move).max() < 1e-8:
            break
    return weights


def reliability(probability: Doubles, label: Doubles, bins: int = 10) -> tuple[float, list[dict[str, float]]]:
    """Expected calibration error over equally full bins (Naeini et al., AAAI 2015), and the points of the
    curve.
    """
    if len(label) == 0:
        return 0.0, []
    parts = [p for p in np.array_split(np.argsort(probability, kind="stable"), bins) if len(p)]
    curve = [
        {"predicted": float(probability[p].mean()), "observed": float(label[p].mean()), "rows": len(p)}
        for p in parts
    ]
    gaps = [abs(c["predicted"] - c["observed"]) * c["rows"] for c in curve]
    return float(sum(gaps) / len(label)), curve
