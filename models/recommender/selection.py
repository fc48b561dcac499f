"""Chooses the night's model: constants of the item graph, length of training, weights of the blend.

Everything by NDCG@10 on the last days of the data that it is given. Whoever calls gives training data only;
the days held out to judge the finished model are never seen here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from models.recommender.attribute_match import AttributeMatch
from models.recommender.base import Interactions, Items, Recommender
from models.recommender.evaluation import AT, Holdout, ndcg
from models.recommender.hybrid import Hybrid
from models.recommender.item_graph import Counts, ItemGraph
from models.recommender.popularity import CategoryPopularity, Popularity
from models.recommender.scoring import chunks
from models.recommender.sequence_model import SequenceModel
from models.recommender.sequences import sequences
from models.recommender.zblend import Pool, choose_weights, joined, standardise

# The first value of each is where the search starts; another is taken only if it is better.
GRAPH_GRID: dict[str, tuple[float, ...]] = {
    "again": (1.0, 4.0, 16.0, 64.0),
    "in_power": (0.25, 0.5, 0.1),
    "out_power": (0.4, 0.7),
    "recency": (0.6, 0.8, 0.95),
    "backward": (0.25, 1.0),
    "decay": (0.8, 0.95),
}
# These change the counts themselves.
COUNTED = ("backward", "decay")
STARTS = (
    {"item_graph": 1.0},
    {"item_graph": 1.0, "sequence": 0.5, "attributes": 0.1},
    {"sequence": 1.0, "item_graph": 0.07},
)
MIN_BUYERS = 20
# Below this a sequence model has too little to learn from to be worth its minute.
MIN_EVENTS = 20_000
# Choosing needs no more evidence than this, and time is the shop's.
MAX_EVENTS = 400_000
MAX_BUYERS = 3_000
MAX_EPOCHS, MEASURE_EVERY, PATIENCE = 8, 2, 2
# A sequence model that reaches less than this part of the graph's NDCG is given up: none so far behind has
# helped a blend.
HOPELESS = 1 / 3
Tried = list[dict[str, Any]]


def choose(past: Interactions, items: Items, as_of: int, days: int, seed: int) -> tuple[Hybrid, Tried]:
    """The chosen model, fitted on the days before the validation days, and what was tried: {what, value,
    ndcg}.

    With fewer than `MIN_BUYERS` buyers in the validation days nothing can be chosen: the start values stand.
    """
    holdout = Holdout.split(_sample(past), items, as_of, days)
    if len(holdout.buyers) < MIN_BUYERS:
        return Hybrid().fit(holdout.past, holdout.items, holdout.cut), []
    step = -(-len(holdout.buyers) // MAX_BUYERS)
    holdout = replace(holdout, buyers=holdout.buyers[::step])
    parts: dict[str, Recommender] = {
        p.kind: p.fit(holdout.past, holdout.items, holdout.cut)
        for p in (AttributeMatch(), CategoryPopularity(), Popularity())
    }
    parts["item_graph"], tried = _graph(holdout, parts)
    epochs: Tried = []
    if len(holdout.past) >= MIN_EVENTS:
        floor = max(t["ndcg"] for t in tried) * HOPELESS
        model, epochs = _sequence(holdout, seed, floor)
        if max(t["ndcg"] for t in epochs) >= floor:
            parts["sequence"] = model
    pool = candidates(holdout, list(parts.values()))
    weights, weighed = choose_weights(pool, STARTS, list(parts), AT)
    chosen = Hybrid.of(parts, weights).refresh(holdout.past, holdout.items, holdout.cut)
    ranked = chosen.rank_after(holdout, seed)
    return chosen, [*tried, *epochs, *weighed, *ranked]


def _graph(holdout: Holdout, behind: dict[str, Recommender]) -> tuple[ItemGraph, Tried]:
    """One constant at a time; what does not depend on it is not counted again."""

    def reached(graph: ItemGraph) -> float:
        return ndcg(Hybrid.of({**behind, "item_graph": graph}, {"item_graph": 1.0}), holdout)

    seq = sequences(holdout.past)
    best = ItemGraph()
    counts = Counts.of(seq, best.constants)
    best.fit_counts(counts)
    value = reached(best)
    tried: Tried = [{"what": "start", "value": 0.0, "ndcg": value}]
    for what, others in GRAPH_GRID.items():
        for other in others[1:]:
            trial = ItemGraph(**{**best.recipe, what: other})
            counted = Counts.of(seq, trial.constants) if what in COUNTED else counts
            found = reached(trial.fit_counts(counted))
            tried.append({"what": what, "value": other, "ndcg": found})
            if found > value:
                best, value, counts = trial, found, counted
    return best, tried


def _sequence(holdout: Holdout, seed: int, floor: float) -> tuple[SequenceModel, Tried]:
    """Trained until the validation days are no longer met better, or it is far behind."""
    tried: Tried = []

    def value(model: SequenceModel) -> float:
        reached = ndcg(model, holdout)
        tried.append({"what": "epochs", "value": MEASURE_EVERY * (len(tried) + 1), "ndcg": reached})
        return reached

    model = SequenceModel(epochs=MAX_EPOCHS, seed=seed)
    model.fit_until(holdout.past, holdout.items, value, MEASURE_EVERY, PATIENCE, floor)
    return model, tried


def candidates(holdout: Holdout, parts: list[Recommender]) -> Pool:
    """What each part names for the holdout's buyers."""
    pools = []
    for low, high in chunks(len(holdout.buyers), len(holdout.items)):
        users = holdout.buyers[low:high]
        history = holdout.histories.pick(users)
        found = [standardise(part.score_block(history)) for part in parts]
        pools.append(Pool.of(found, holdout.excluded.pairs(users), holdout.truth(users)))
    return joined(pools)


def _sample(events: Interactions) -> Interactions:
    """Whole sequences, evenly over shoppers and visits, until about `MAX_EVENTS` are left."""
    if len(events) <= MAX_EVENTS:
        return events
    share = MAX_EVENTS / len(events)
    # Knuth's multiplicative hash spreads neighbouring indices.
    spread = (events.entity().astype(np.uint64) * np.uint64(2_654_435_761)) % np.uint64(1 << 32)
    return events.where(spread < np.uint64(share * (1 << 32)))
