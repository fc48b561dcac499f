"""What a difference between two arms is worth: plain numbers in, plain numbers out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from scipy import stats

Z_95 = 1.959963984540054
# Below this the split itself is in doubt, and the lifts are not to be trusted (Fabijan et al., "Diagnosing
# Sample Ratio Mismatch in Online Controlled Experiments", KDD 2019).
SRM_ALPHA = 0.001


@dataclass(frozen=True)
class Sums:
    """One metric of one arm: shoppers, the sum of their values, and the sum of the squares."""

    users: int
    total: float
    squares: float

    @property
    def mean(self) -> float:
        return self.total / self.users

    @property
    def variance_of_mean(self) -> float:
        """Sample variance over the number of shoppers; 0 for a single one."""
        if self.users < 2:
            return 0.0
        spread = max(self.squares - self.users * self.mean**2, 0.0)
        return spread / (self.users - 1) / self.users


@dataclass(frozen=True)
class Lift:
    """An arm's mean over the control's, less 1, with its 95 % interval; `p_value` of the difference."""

    lift: float | None
    low: float | None
    high: float | None
    p_value: float | None


def lift(arm: Sums, control: Sums) -> Lift:
    """The interval by the delta method for a ratio of two independent means (Deng et al., "Applying the
    Delta Method in Metric Analytics", KDD 2018), the p-value by Welch's t-test.

    No lift over a control whose mean is 0; no p-value where no shopper differs from another.
    """
    p_value = _welch(arm, control)
    if control.mean <= 0:
        return Lift(None, None, None, p_value)
    ratio = arm.mean / control.mean
    variance = (arm.variance_of_mean + ratio**2 * control.variance_of_mean) / control.mean**2
    reach = Z_95 * math.sqrt(variance)
    return Lift(ratio - 1, ratio - 1 - reach, ratio - 1 + reach, p_value)


def _welch(arm: Sums, control: Sums) -> float | None:
    a, b = arm.variance_of_mean, control.variance_of_mean
    if a + b <= 0 or min(arm.users, control.users) < 2:
        return None
    freedom = (a + b) ** 2 / (a**2 / (arm.users - 1) + b**2 / (control.users - 1))
    distance = abs(arm.mean - control.mean) / math.sqrt(a + b)
    return float(2 * stats.t.sf(distance, freedom))


def sample_ratio(users: Mapping[str, int], shares: Mapping[str, float]) -> float | None:
    """The chance of arms of these sizes if every shopper was drawn by these shares: Pearson's chi-square.

    An arm of share 0 that has shoppers makes it 0; None with fewer than two arms to compare.
    """
    total = sum(users.values())
    if any(users.get(arm, 0) for arm in set(users) | set(shares) if shares.get(arm, 0.0) <= 0):
        return 0.0
    drawn = [arm for arm, share in shares.items() if share > 0]
    if len(drawn) < 2 or total == 0:
        return None
    wanted = [total * shares[a] for a in drawn]
    distance = sum((users.get(a, 0) - w) ** 2 / w for a, w in zip(drawn, wanted, strict=True))
    return float(stats.chi2.sf(distance, len(drawn) - 1))
