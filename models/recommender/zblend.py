"""Several recommenders as one: each shopper's scores are standardised over the catalogue, then weighed.

Standardised scores can be added whatever the parts' own scales are; of ranks, probabilities and their
logarithms none did better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from models.recommender.base import Floats, History


def standardise(scores: Floats) -> Floats:
    """Every row to mean 0 and deviation 1 over all items; a row without any difference becomes 0."""
    centred = scores - scores.mean(axis=1, keepdims=True)
    deviation = centred.std(axis=1, keepdims=True)
    found: Floats = np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 0)
    return found


Score = Callable[[History], Floats]


def blended_scores(parts: Sequence[tuple[Score, float]], history: History) -> Floats:
    """(shoppers, items): the weighted sum of the parts' standardised scores."""
    total: Floats | None = None
    for score, weight in parts:
        if weight:
            part = np.float32(weight) * standardise(score(history))
            total = part if total is None else total + part
    if total is None:
        raise ValueError("no part of the blend has a weight")
    return total
