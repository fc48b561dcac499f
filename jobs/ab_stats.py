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
    def spread(self) -> float:
        """The sum of squared distances from the mean; what rounding leaves of none is none."""
        found = self.squares - self.users * self.mean**2
        return found if found > 1e-12 * self.squares else 0.0

    @property
    def variance_of_mean(self) -> float:
        """Sample variance over the number of shoppers; 0 for a single one."""
        return self.spread / (self.users - 1) / self.users if self.users > 1 else 0.0


@dataclass(frozen=True)
class Lift:
    """An arm's mean over the control's, less 1, with its 95 % interval; `p_value` of the difference."""

    lift: float | None
    low: float | None
    high: float | None
    p_value: float | None


def lift(arm: Sums, control: Sums) -> Lift:
    """The interval by the delta method for a ratio of two independent means (Deng et al., "Applying the
    Delta Method in Metric Analytics", KDD 2018), the p-value by Welch's t-test. No metric is below 0, so no
    lift is below -1.

    No lift over a control whose mean is 0; no p-value where no shopper differs from another.
    """
    a, b, freedom = _variances(arm, control)
    p_value = None
    if a + b > 0:
        distance = abs(arm.mean - control.mean) / math.sqrt(a + b)
        p_value = float(2 * stats.t.sf(distance, freedom))
    if control.mean <= 0:
        return Lift(None, None, None, p_value)
    ratio = arm.mean / control.mean
    reach = Z_95 * math.sqrt(a + ratio**2 * b) / control.mean
    return Lift(ratio - 1, max(ratio - 1 - reach, -1.0), ratio - 1 + reach, p_value)


def _variances(arm: Sums, control: Sums) -> tuple[float, float, float]:
    """Of the two means, and the degrees of freedom of their difference.

    Shoppers of one arm who all did the same say nothing of how much such shoppers differ: none of five
    bought, and the next five may. Then the variance is that of both arms together, as Student's t-test has
    it; else such an arm would count as known without doubt, and every difference as proven.
    """
    a, b = arm.variance_of_mean, control.variance_of_mean
    if min(a, b) > 0:
        freedom = (a + b) ** 2 / (a**2 / (arm.users - 1) + b**2 / (control.users - 1))
        return a, b, freedom
    freedom = arm.users + control.users - 2
    pooled = (arm.spread + control.spread) / max(freedom, 1)
    return pooled / arm.users, pooled / control.users, freedom


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
