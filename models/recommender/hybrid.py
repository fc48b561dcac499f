"""The night's model: item graph, sequence model, attributes and popularity, standardised and weighed.

Whatever knows nothing of a shopper has no say for that shopper: an unknown one is shown what sells, a new
product stands where its attributes put it.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.recommender import ranking
from models.recommender.attribute_match import AttributeMatch
from models.recommender.base import (
    POPULAR,
    SOURCES,
    Floats,
    History,
    Interactions,
    Ints,
    Items,
    Longs,
    Recommender,
    Reranked,
)
from models.recommender.evaluation import Holdout
from models.recommender.item_graph import ItemGraph
from models.recommender.popularity import CategoryPopularity, Popularity
from models.recommender.ranker import Ranker
from models.recommender.ranker_features import Facts
from models.recommender.sequence_model import SequenceModel
from models.recommender.zblend import standardise

# In the order of `SOURCES`.
PARTS: tuple[type[Recommender], ...] = (
    ItemGraph,
    SequenceModel,
    AttributeMatch,
    CategoryPopularity,
    Popularity,
)
# Behind everything else: a list is filled up even where nothing else has an opinion.
BACKGROUND = {"category_popularity": 1e-3, "popularity": 1e-4}
START = {"item_graph": 1.0}


class Hybrid(Recommender):
    """score = sum over parts of weight * (score - its mean over the catalogue) / its deviation.

    parts: kind → recipe; weights: kind → weight. A part without a weight is neither fitted nor stored.
    ranker: its recipe, with the weight of its log-odds in the order of the best candidates, and the days it
    is trained on; none: no ranker.
    """

    kind: ClassVar[str] = "hybrid"

    def __init__(
        self,
        parts: dict[str, dict[str, Any]] | None = None,
        weights: dict[str, float] | None = None,
        ranker: dict[str, Any] | None = None,
    ) -> None:
        given = START if weights is None else {k: w for k, w in weights.items() if w}
        self.weights = {c.kind: {**BACKGROUND, **given}.get(c.kind, 0.0) for c in PARTS}
        recipes = parts or {}
        self.parts = {c.kind: c(**recipes.get(c.kind, {})) for c in PARTS if self.weights[c.kind]}
        self.ranking = ranker
        self.ranker: Ranker | None = None
        self.facts: Facts | None = None
        self._seen: tuple[History, dict[str, Floats], dict[str, Floats]] | None = None

    @classmethod
    def of(cls, parts: dict[str, Recommender], weights: dict[str, float]) -> Hybrid:
        """From fitted parts."""
        made = cls({k: p.recipe for k, p in parts.items()}, weights)
        made.parts = {k: parts[k] for k in made.parts}
        return made

    @property
    def recipe(self) -> dict[str, Any]:
        return {
            "parts": {k: p.recipe for k, p in self.parts.items()},
            "weights": {k: w for k, w in self.weights.items() if w},
            "ranker": self.ranking,
        }

    @property
    def n_items(self) -> int:
        return self.parts["popularity"].n_items

    def fit(self, interactions: Interactions, items: Items, as_of: int) -> Self:
        days = int(self.ranking["days"]) if self.ranking else 0
        holdout = Holdout.split(interactions, items, as_of, days)
        if self.ranking is None or len(holdout.buyers) == 0:
            # Nobody bought anything in those days: there is nothing that a ranker could learn.
            self.ranking = self.ranker = None
            for part in self.parts.values():
                part.fit(interactions, items, as_of)
            return self.refresh(interactions, items, as_of)
        for part in self.parts.values():
            part.fit(holdout.past, holdout.items, holdout.cut)
        self.rank_after(holdout, int(self.ranking["seed"]), float(self.ranking["weight"]))
        return self.update(interactions, items, as_of)

    def rank_after(self, holdout: Holdout, seed: int, weight: float | None = None) -> list[dict[str, Any]]:
        """Trains the ranker on the holdout's days, with parts that know only the days before; chooses its
        weight there if none is given, and returns what was tried.
        """
        self.ranker, chosen, tried = ranking.trained(self, holdout, seed, weight)
        self.ranking = {"weight": chosen, "days": holdout.days, "seed": seed}
        return tried

    def update(self, interactions: Interactions, items: Items, as_of: int) -> Self:
        for part in self.parts.values():
            part.update(interactions, items, as_of)
        return self.refresh(interactions, items, as_of)

    def resume(self, interactions: Interactions, items: Items, as_of: int) -> Self:
        """Restored from an earlier night, it counts again over these events, and keeps what was trained: the
        sequence model and the ranker. `update` then trains on from there.
        """
        for kind, part in self.parts.items():
            if kind != SequenceModel.kind:
                part.fit(interactions, items, as_of)
        return self.refresh(interactions, items, as_of)

    def trained_part(self) -> dict[str, NDArray[Any]]:
        """A copy of what `update` changes and `resume` does not count again; nothing without a sequence
        model.
        """
        part = self.parts.get(SequenceModel.kind)
        return {name: np.array(v) for name, v in part.state().items()} if part else {}

    def rewind(self, earlier: dict[str, NDArray[Any]]) -> Self:
        """With an earlier `trained_part`."""
        if SequenceModel.kind in self.parts:
            self.parts[SequenceModel.kind].restore(earlier)
        return self

    def refresh(self, interactions: Interactions, items: Items, as_of: int) -> Self:
        for part in self.parts.values():
            part.refresh(interactions, items, as_of)
        self.facts = Facts.of(interactions, items, as_of)
        self._seen = None
        return self

    def rerank(self, history: History, scores: Floats) -> tuple[Floats, Reranked | None]:
        if self.ranker is None or self.facts is None or self.ranking is None:
            return scores, None
        found = ranking.candidates(self, self.facts, history, scores)
        return scores, ranking.reranked(self.ranker, float(self.ranking["weight"]), found, scores)

    def score_block(self, history: History) -> Floats:
        parts, _ = self._standardised(history)
        total = np.zeros((len(history), self.n_items), np.float32)
        for kind, scores in parts.items():
            total += np.float32(self.weights[kind]) * scores
        return total

    def _standardised(self, history: History) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """Each part's standardised scores, and their deviations before, (shoppers,).

        The last block's are kept: whoever asked for scores asks next where they came from.
        """
        if self._seen is None or self._seen[0] is not history:
            found, spread = {}, {}
            for kind, part in self.parts.items():
                scores = part.score_block(history)
                spread[kind] = scores.std(axis=1)
                found[kind] = standardise(scores)
            self._seen = (history, found, spread)
        return self._seen[1], self._seen[2]

    def part_scores(self, history: History, ids: Ints) -> Floats:
        """(parts, shoppers, k): what each of `SOURCES` gave to the listed items, weighed; 0 for a part left
        out.
        """
        parts, _ = self._standardised(history)
        at = np.maximum(ids, 0).astype(np.int64)
        found = np.zeros((len(SOURCES), *ids.shape), np.float32)
        for number, kind in enumerate(SOURCES):
            if kind in parts:
                found[number] = np.float32(self.weights[kind]) * np.take_along_axis(parts[kind], at, 1)
        return found

    def sources(self, history: History, ids: Ints) -> NDArray[np.int8]:
        """Whichever part gave most; ties fall to the later, humbler source. What no part raises above the
        catalogue's mean is there because something had to be: popularity.
        """
        given = self.part_scores(history, ids)[::-1]
        best = np.where(given.max(axis=0) > 0, POPULAR - given.argmax(axis=0), POPULAR)
        return np.asarray(best, np.int8)

    def contributions(self, history: History, ids: Ints) -> tuple[Floats, Floats]:
        """Of each part's, in units of the blended score: they sum to what all parts but popularity gave."""
        _, spread = self._standardised(history)
        row = history.row
        total = np.zeros((len(row), ids.shape[1]), np.float32)
        for kind, part in self.parts.items():
            given, mean = part.contributions(history, ids)
            deviation = spread[kind][row]
            unit = np.divide(
                np.float32(self.weights[kind]), deviation, out=np.zeros_like(deviation), where=deviation > 0
            )
            total += (given - mean[:, None]) * unit[:, None]
        return np.where(ids[row] >= 0, total, 0).astype(np.float32), np.zeros(len(row), np.float32)

    def neighbours(self, source: Longs) -> sparse.csr_array:
        if "item_graph" in self.parts:
            return self.parts["item_graph"].neighbours(source)
        return super().neighbours(source)

    def state(self) -> dict[str, NDArray[Any]]:
        learnt: dict[str, Any] = dict(self.parts)
        if self.ranker is not None:
            learnt["ranker"] = self.ranker
        return {f"{k}:{name}": v for k, p in learnt.items() for name, v in p.state().items()}

    def restore(self, state: dict[str, NDArray[Any]]) -> Self:
        learnt: dict[str, Any] = dict(self.parts)
        if self.ranking is not None:
            learnt["ranker"] = self.ranker = Ranker(seed=self.ranking["seed"])
        self._seen = None
        for kind, part in learnt.items():
            start = f"{kind}:"
            part.restore({n.removeprefix(start): v for n, v in state.items() if n.startswith(start)})
        return self

    def reindex(self, mapping: Longs) -> Self:
        for part in self.parts.values():
            part.reindex(mapping)
        self._seen = None
        return self
