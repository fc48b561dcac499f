"""Chooses the blend's constants: one constant at a time, by NDCG@10 on the last days of the data that it is
given.

Whoever calls gives training data only; the days held out to judge the finished model are never seen here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from models.recommender.base import Interactions, Items
from models.recommender.blend import Blend
from models.recommender.evaluation import Holdout, ndcg
from models.recommender.item_graph import Counts, ItemGraph
from models.recommender.sequences import sequences

# The first value of each is where the search starts; another is taken only if it is better.
GRAPH_GRID: dict[str, tuple[float, ...]] = {
    "again": (1.0, 4.0, 16.0, 64.0),
    "in_power": (0.25, 0.5, 0.1),
    "out_power": (0.4, 0.7),
    "recency": (0.6, 0.8, 0.95),
    "backward": (0.25, 1.0),
    "decay": (0.8, 0.95),
}
BLEND_GRID: dict[str, tuple[float, ...]] = {
    "by_category": (0.001, 0.1, 0.3),
    "popular": (0.0001, 0.03, 0.1),
}
# These change the counts themselves.
COUNTED = ("backward", "decay")
MIN_BUYERS = 20
# Choosing needs no more evidence than this, and time is the shop's.
MAX_EVENTS = 400_000


def choose(
    past: Interactions, items: Items, as_of: int, days: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The recipe of the best `Blend`, and what was tried: a list of {what, value, ndcg}.

    With fewer than `MIN_BUYERS` buyers in the validation days nothing can be chosen: the start values stand.
    """
    holdout = Holdout.split(_sample(past), items, as_of, days)
    if len(holdout.buyers) < MIN_BUYERS:
        return Blend().recipe, []
    best = _Trial.start(holdout)
    tried: list[dict[str, Any]] = [{"what": "start", "value": 0.0, "ndcg": best.ndcg}]
    for what, values in {**GRAPH_GRID, **BLEND_GRID}.items():
        for value in values[1:]:
            trial = best.changed(what, value, holdout)
            tried.append({"what": what, "value": value, "ndcg": trial.ndcg})
            if trial.ndcg > best.ndcg:
                best = trial
    return best.blend.recipe, tried


@dataclass(frozen=True)
class _Trial:
    """A fitted blend, the pairs it was counted from, and what it reached."""

    blend: Blend
    counts: Counts
    ndcg: float

    @classmethod
    def start(cls, holdout: Holdout) -> _Trial:
        blend = Blend().refresh(holdout.past, holdout.items, holdout.cut)
        counts = Counts.of(sequences(holdout.past), blend.graph.constants)
        blend.graph.fit_counts(counts)
        return cls(blend, counts, ndcg(blend, holdout))

    def changed(self, what: str, value: float, holdout: Holdout) -> _Trial:
        """One constant changed; what does not depend on it is not counted again."""
        recipe = {**self.blend.recipe, what: value} if what in BLEND_GRID else self.blend.recipe
        blend = Blend(**recipe).refresh(holdout.past, holdout.items, holdout.cut)
        counts, graph = self.counts, self.blend.graph
        if what in GRAPH_GRID:
            graph = ItemGraph(**{**graph.recipe, what: value})
            if what in COUNTED:
                counts = Counts.of(sequences(holdout.past), graph.constants)
            graph.fit_counts(counts)
        blend.graph = graph
        return _Trial(blend, counts, ndcg(blend, holdout))


def _sample(events: Interactions) -> Interactions:
    """Whole sequences, evenly over shoppers and visits, until about `MAX_EVENTS` are left."""
    if len(events) <= MAX_EVENTS:
        return events
    share = MAX_EVENTS / len(events)
    # Knuth's multiplicative hash spreads neighbouring indices.
    spread = (events.entity().astype(np.uint64) * np.uint64(2_654_435_761)) % np.uint64(1 << 32)
    return events.where(spread < np.uint64(share * (1 << 32)))
