"""The models of the benchmark: each chooses its constants on the validation split, by one rule."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from benchmarks.protocols import Protocol, Score
from models.recommender.base import Recommender
from models.recommender.graph_filter import Filter, FilterRecipe, GraphFilter, owned_block, user_items
from models.recommender.item_graph import Counts, ItemGraph
from models.recommender.popularity import Popularity
from models.recommender.selection import COUNTED, GRAPH_GRID
from models.recommender.sequence_model import SequenceModel
from models.recommender.sequences import sequences
from models.recommender.zblend import blended_scores

# How much of a blend is the item graph; the rest is the sequence model.
BLEND_WEIGHTS = (0.0, 0.02, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0)
# One round of coordinate search each; the first value is the start. The graph filter starts as GF-CF.
FILTER_GRID: dict[str, tuple[float, ...]] = {
    "smooth": (0.5, 0.0, 1.0),
    "target_power": (0.5, 0.35, 0.2),
    "user_power": (0.5, 0.3, 0.15),
    "past_power": (0.5, 0.35),
    "sharpen": (0.0, 0.7, 1.4),
}
MAX_EPOCHS = 60
Tried = list[dict[str, Any]]


@dataclass
class Contender:
    """Fitted to a protocol's training data. `seconds`: choosing and fitting, wall."""

    name: str
    score: Score
    seconds: float = 0.0
    chosen: dict[str, Any] = field(default_factory=dict)
    tried: Tried = field(default_factory=list)


def search(
    start: Mapping[str, Any], grid: Mapping[str, Sequence[Any]], value: Callable[[dict[str, Any]], float]
) -> tuple[dict[str, Any], Tried]:
    """The best recipe of one round of coordinate search, and what was tried."""
    best = {**start, **{name: values[0] for name, values in grid.items()}}
    reached = value(best)
    tried: Tried = [{"what": "start", "ndcg": reached}]
    for name, values in grid.items():
        for other in values[1:]:
            found = value({**best, name: other})
            tried.append({"what": name, "value": other, "ndcg": found})
            if found > reached:
                best, reached = {**best, name: other}, found
    return best, tried


def popularity(protocol: Protocol, seed: int) -> Contender:
    split = protocol.testing
    # Published counts do not decay.
    model = Popularity(half_life_days=1e9).fit(split.past, split.items, split.as_of)
    return Contender("popularity", model.score_block)


def item_graph(protocol: Protocol, seed: int) -> Contender:
    choosing, testing = protocol.choosing, protocol.testing
    seq = sequences(choosing.past)
    counted: dict[tuple[Any, ...], Counts] = {}

    def value(recipe: dict[str, Any]) -> float:
        model = ItemGraph(**recipe)
        key = tuple(recipe[name] for name in COUNTED)
        if key not in counted:
            # Only the newest: counts are large.
            counted.clear()
            counted[key] = Counts.of(seq, model.constants)
        return choosing.measure(model.fit_counts(counted[key]).score_block, protocol.k)["ndcg"]

    # An item that was had already is never listed here, so its edge to itself has no say.
    grid = {name: values for name, values in GRAPH_GRID.items() if name != "again"}
    chosen, tried = search({}, grid, value)
    counted.clear()
    model = ItemGraph(**chosen).fit(testing.past, testing.items, testing.as_of)
    return Contender("item_graph", model.score_block, chosen=chosen, tried=tried)


def sequence(protocol: Protocol, seed: int) -> Contender:
    """Stops where the validation item is no longer found better; it is in no target and no input."""
    choosing = protocol.choosing
    tried: Tried = []

    def value(model: Recommender) -> float:
        reached = choosing.measure(model.score_block, protocol.k)["ndcg"]
        tried.append({"what": "epochs", "ndcg": reached})
        return reached

    model = SequenceModel(epochs=MAX_EPOCHS, seed=seed)
    model.fit_until(protocol.testing.past, choosing.items, value)
    return Contender("sequence", model.score_block, chosen=model.recipe, tried=tried)


def blend(protocol: Protocol, graph: Contender, model: Contender) -> Contender:
    def score(weight: float) -> Score:
        return partial(blended_scores, [(model.score, 1 - weight), (graph.score, weight)])

    values = {w: protocol.choosing.measure(score(w), protocol.k)["ndcg"] for w in BLEND_WEIGHTS}
    weight = max(values, key=lambda w: values[w])
    tried = [{"what": "graph", "value": w, "ndcg": v} for w, v in values.items()]
    return Contender("blend", score(weight), chosen={"graph": weight}, tried=tried)


def graph_filter(protocol: Protocol, seed: int) -> Contender:
    """Constants are chosen with the filter unfolded, which is quicker for a few thousand users."""
    choosing, testing = protocol.choosing, protocol.testing
    owned = user_items(choosing.past)
    directions: dict[float, Any] = {}

    def value(recipe: dict[str, Any]) -> float:
        constants = FilterRecipe(**recipe, seed=seed)
        known = directions.get(constants.user_power)
        found = Filter.of(owned, constants, known)
        directions[constants.user_power] = found.directions
        reached = choosing.measure(lambda past: found.scores(owned_block(past, owned.shape[1])), protocol.k)
        return reached["ndcg"]

    chosen, tried = search({}, FILTER_GRID, value)
    model = GraphFilter(**chosen, seed=seed).fit(testing.past, testing.items, testing.as_of)
    return Contender("graph_filter", model.score_block, chosen=chosen, tried=tried)


def timed(build: Callable[[], Contender]) -> Contender:
    start = time.monotonic()
    found = build()
    found.seconds += time.monotonic() - start
    return found


def contenders(protocol: Protocol, wanted: str, seed: int) -> Iterator[Contender]:
    """The models asked for, in the order in which they build on each other.

    A blend's seconds are those of its parts, too.
    """
    parts: dict[str, Contender] = {}
    for name in names(protocol):
        needed = wanted in ("all", name) or (wanted == "blend" and name in PARTS)
        if name in BUILD and needed:
            parts[name] = timed(partial(BUILD[name], protocol, seed))
            if wanted != "blend":
                yield parts[name]
    if "blend" in names(protocol) and wanted in ("all", "blend"):
        graph, model = (parts[name] for name in PARTS)
        whole = timed(partial(blend, protocol, graph, model))
        whole.seconds += graph.seconds + model.seconds
        yield whole


def names(protocol: Protocol) -> tuple[str, ...]:
    return ORDERED if protocol.ordered else UNORDERED


BUILD = {
    "popularity": popularity,
    "item_graph": item_graph,
    "sequence": sequence,
    "graph_filter": graph_filter,
}
ORDERED = ("popularity", "item_graph", "sequence", "blend")
PARTS = ("item_graph", "sequence")
UNORDERED = ("popularity", "graph_filter")
