"""Intervals of many means at once: shoppers are drawn again with replacement, and every measure follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from models.recommender.base import Bools, Doubles, Ints, Longs

DRAWS = 500


def resamples(users: int, seed: int, draws: int = DRAWS) -> Iterator[Longs]:
    """How often each of the users stands in each resample, (users,) a draw (Efron, 1979)."""
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        yield np.bincount(rng.integers(0, users, users), minlength=users)


def mean_intervals(
    values: Mapping[str, Doubles], groups: Mapping[str, Bools], seed: int
) -> dict[str, dict[str, tuple[float, float, float]]]:
    """group → measure → (mean, low, high): 95 % percentile intervals of means over users.

    values: (users,) each, nan where a user has no such measure. groups: (users,) masks. All groups share
    the draws. A measure that nobody of a group has is left out.
    """
    names = list(values)
    table = np.stack([values[n] for n in names], axis=1) if names else np.zeros((0, 0))
    users, known = len(table), ~np.isnan(table)
    filled = np.where(known, table, 0.0)
    found: dict[str, dict[str, tuple[float, float, float]]] = {g: {} for g in groups}
    if users == 0:
        return found
    member = np.stack([groups[g] for g in groups]).astype(np.float64)
    means = np.array([_means(member * w, filled, known) for w in resamples(users, seed)])
    exact = _means(member, filled, known)
    for at, group in enumerate(groups):
        for column, name in enumerate(names):
            drawn = means[:, at, column]
            drawn = drawn[~np.isnan(drawn)]
            if not np.isnan(exact[at, column]):
                low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (exact[at, column],) * 2
                found[group][name] = (float(exact[at, column]), float(low), float(high))
    return found


def counts(values: Mapping[str, Doubles], groups: Mapping[str, Bools]) -> dict[str, dict[str, int]]:
    """group → measure → users of the group who have it; arguments as for `mean_intervals`."""
    return {g: {n: int((who & ~np.isnan(values[n])).sum()) for n in values} for g, who in groups.items()}


def _means(weight: Doubles, filled: Doubles, known: Bools) -> Doubles:
    """(groups, measures): nan where no user counts."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((weight @ filled) / (weight @ known))


def exposure_interval(
    ids: Ints, n_items: int, of: Callable[[Longs], float], seed: int, draws: int = 200
) -> tuple[float, float, float]:
    """(value, low, high) of a measure of how often items are shown; ids is (users, k), -1 for no item.

    Resampled users show fewer different items than all of them do: that is bias and no uncertainty. So the
    percentiles are moved by it, until their mean is the value (the bias-corrected interval), inside [0, 1].
    """
    users, k = ids.shape
    shown = ids.ravel() >= 0
    item = ids.ravel()[shown]
    exact = of(np.bincount(item, minlength=n_items))
    if users == 0:
        return exact, exact, exact
    owner = np.repeat(np.arange(users), k)[shown]
    drawn = np.array([
        of(np.bincount(item, weights[owner], minlength=n_items).astype(np.int64))
        for weights in resamples(users, seed, draws)
    ])  # fmt: skip
    low, high = np.clip(np.percentile(drawn, [2.5, 97.5]) - drawn.mean() + exact, 0.0, 1.0)
    return exact, float(min(low, exact)), float(max(high, exact))
