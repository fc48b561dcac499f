"""The models of the benchmark: each chooses its constants on the validation split, by one rule."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.protocols import Protocol, Split
from models.recommender.attribute_match import AttributeMatch
from models.recommender.base import Recommender
from models.recommender.graph_filter import Filter, FilterRecipe, owned_block, user_items
from models.recommender.item_graph import Counts, ItemGraph
from models.recommender.popularity import Popularity
from models.recommender.selection import COUNTED, GRAPH_GRID
from models.recommender.sequence_model import SequenceModel
from models.recommender.sequences import sequences
from models.recommender.zblend import (
    Pool,
    Score,
    blended_scores,
    choose_weights,
    joined,
    standardise,
)

# Where the search for a blend's weights starts.
STARTS: tuple[dict[str, float], ...] = (
    {"sequence": 1.0, "item_graph": 0.07},
    {"item_graph": 1.0, "sequence": 0.2},
)
# One round of coordinate search; the first value is the start. The graph filter starts as BSPM.
FILTER_GRID: dict[str, tuple[float, ...]] = {
    "sharpen": (2.5, 1.2, 0.0),
    "target_power": (0.5, 0.35, 0.2),
    "user_power": (0.5, 0.3, 0.15),
    "past_power": (0.5, 0.35),
    "smooth": (0.35, 0.7, 0.0),
}
# What the filter's constants are chosen by: a solution for a few thousand users takes as long as for all.
FILTER_USERS = 2000
# A sequence model's epochs: so many, or fewer over a long past, so that training ends within the hour.
MAX_EPOCHS, MIN_EPOCHS, MAX_STEPS = 60, 6, 20_000_000
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

    model = SequenceModel(epochs=most_epochs(len(protocol.testing.past)), seed=seed)
    model.fit_until(protocol.testing.past, choosing.items, value)
    return Contender("sequence", model.score_block, chosen=model.recipe, tried=tried)


def most_epochs(events: int) -> int:
    """How often a past of so many events may be gone through."""
    return max(MIN_EPOCHS, min(MAX_EPOCHS, MAX_STEPS // max(events, 1)))


def attributes(protocol: Protocol, seed: int) -> Contender:
    testing = protocol.testing
    model = AttributeMatch().fit(testing.past, testing.items, testing.as_of)
    return Contender("attributes", model.score_block, chosen=model.recipe)


def blend(protocol: Protocol, parts: Mapping[str, Contender]) -> Contender:
    """Weights are chosen on the validation users' candidates."""
    pool = joined(_pools(protocol.choosing, [part.score for part in parts.values()]))
    weights, tried = choose_weights(pool, STARTS, list(parts), protocol.k)
    used = [(parts[name].score, weight) for name, weight in weights.items()]
    return Contender("blend", partial(blended_scores, used), chosen=weights, tried=tried)


def _pools(split: Split, scores: Sequence[Score]) -> Iterator[Pool]:
    for users in split.blocks():
        seen, truth = split.seen.pick(users), split.truth[users].tocoo()
        row, item = truth.coords
        past = split.asked.pick(users)
        found = [standardise(score(past)) for score in scores]
        yield Pool.of(found, (seen.row, seen.item), (row.astype(np.int64), item.astype(np.int32)))


def graph_filter(protocol: Protocol, seed: int, alone: bool = False) -> Contender:
    """BSPM as published and the filter that the validation prefers, with equal weight.

    The pair is kept unless the validation finds it worse than the better of the two by more than one standard
    error (Breiman et al., 1984): a random split of the training items is not how the test items were drawn,
    and of models that it cannot tell apart it must not pick the most particular one. `alone`: only the filter
    that the validation prefers.
    """
    choosing, testing = protocol.choosing, protocol.testing
    choosing = replace(choosing, users=choosing.users[:: max(1, len(choosing.users) // FILTER_USERS)])
    solved = _Filters(user_items(choosing.past), seed)

    def value(recipe: dict[str, Any]) -> float:
        return choosing.measure(solved.score(recipe), protocol.k)["ndcg"]

    start = {name: values[0] for name, values in FILTER_GRID.items()}
    chosen, tried = search({}, FILTER_GRID, value)
    both = [start, chosen] if chosen != start else [start]
    if len(both) == 2:
        single, pair = (
            choosing.per_user(score, protocol.k)["ndcg"]
            for score in (solved.score(chosen), solved.pair(both))
        )
        tried.append({"what": "pair", "ndcg": float(pair.mean())})
        if alone or single.mean() - pair.mean() > single.std() / np.sqrt(len(single)):
            both = [chosen]
    final = _Filters(user_items(testing.past), seed)
    name = "graph_filter_alone" if alone else "graph_filter"
    return Contender(name, final.pair(both), chosen={"filters": both}, tried=tried)


@dataclass
class _Filters:
    """Filters of one matrix; those with the same user power share their directions."""

    owned: Any
    seed: int
    directions: dict[float, Any] = field(default_factory=dict)

    def score(self, recipe: dict[str, Any]) -> Score:
        constants = FilterRecipe(**recipe, seed=self.seed)
        found = Filter.of(self.owned, constants, self.directions.get(constants.user_power))
        if constants.smooth:
            self.directions[constants.user_power] = found.directions
        return lambda past: found.scores(owned_block(past, self.owned.shape[1]))

    def pair(self, recipes: Sequence[dict[str, Any]]) -> Score:
        return partial(blended_scores, [(self.score(recipe), 1.0) for recipe in recipes])


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
        if name == "blend":
            continue
        if wanted in ("all", "blend", name):
            parts[name] = timed(partial(BUILD[name], protocol, seed))
            if wanted != "blend":
                yield parts[name]
    if "blend" in names(protocol) and wanted in ("all", "blend"):
        whole = timed(partial(blend, protocol, parts))
        whole.seconds += sum(part.seconds for part in parts.values())
        yield whole


def names(protocol: Protocol) -> tuple[str, ...]:
    if not protocol.ordered:
        return ("popularity", "graph_filter", "graph_filter_alone")
    known = protocol.testing.items.attributes is not None
    return ("popularity", "item_graph", *(("attributes",) if known else ()), "sequence", "blend")


BUILD = {
    "popularity": popularity,
    "item_graph": item_graph,
    "attributes": attributes,
    "sequence": sequence,
    "graph_filter": graph_filter,
    "graph_filter_alone": partial(graph_filter, alone=True),
}
