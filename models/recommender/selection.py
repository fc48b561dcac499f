"""Chooses the blend's constants: one constant at a time, by NDCG@10 on the last days of the data that it is
given.

Whoever calls gives training data only; the days held out to judge the finished model are never seen here.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from models.recommender.base import Interactions, Items
from models.recommender.blend import Blend
from models.recommender.evaluation import Holdout, ndcg
from models.recommender.item_graph import ItemGraph

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
    blend = Blend()
    if len(holdout.buyers) < MIN_BUYERS:
        return blend.recipe, []
    blend.fit(holdout.past, holdout.items, holdout.cut)
    best = ndcg(blend, holdout)
    tried: list[dict[str, Any]] = [{"what": "start", "value": 0.0, "ndcg": best}]
    for what, values in {**GRAPH_GRID, **BLEND_GRID}.items():
        for value in values[1:]:
            trial = _changed(blend, what, value, holdout)
            reached = ndcg(trial, holdout)
            tried.append({"what": what, "value": value, "ndcg": reached})
            if reached > best:
                best, blend = reached, trial
    return blend.recipe, tried


def _changed(blend: Blend, what: str, value: float, holdout: Holdout) -> Blend:
    """The same blend with one constant changed; what does not depend on it is not counted again."""
    recipe = {**blend.recipe, what: value} if what in BLEND_GRID else blend.recipe
    trial = Blend(**recipe)
    trial.refresh(holdout.past, holdout.items, holdout.cut)
    trial.graph = blend.graph
    if what in GRAPH_GRID:
        changed: dict[str, Any] = {what: value}
        constants = replace(blend.graph.constants, **changed)
        trial.graph = ItemGraph(**asdict(constants))
        if what == "recency":
            trial.graph.edges = blend.graph.edges
        else:
            trial.graph.fit(holdout.past, holdout.items, holdout.cut)
    return trial


def _sample(events: Interactions) -> Interactions:
    """Whole sequences, evenly over shoppers and visits, until about `MAX_EVENTS` are left."""
    if len(events) <= MAX_EVENTS:
        return events
    share = MAX_EVENTS / len(events)
    # Knuth's multiplicative hash spreads neighbouring indices.
    spread = (events.entity().astype(np.uint64) * np.uint64(2_654_435_761)) % np.uint64(1 << 32)
    return events.where(spread < np.uint64(share * (1 << 32)))
