"""What every recommender is given, and what it must do.

Models know arrays: users and items are indices, times are UTC seconds. A model keeps nothing about a
shopper. Whoever asks for scores brings the shoppers' histories, so that forgetting a shopper never touches
a model's files.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.recommender.topk import top_k

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]

DAY = 86_400


class Behaviour(IntEnum):
    """What a shopper did, weakest first."""

    VIEW = 0
    FAVOURITE = 1
    CART = 2
    PURCHASE = 3
    RETURN = 4


# Where a row of a list came from, as the `source` column names it.
SOURCES = ("item_graph", "sequence", "attributes", "category_popularity", "popularity")
GRAPH, SEQUENCE, ATTRIBUTES, CATEGORY, POPULAR = range(len(SOURCES))
# Of these a product of the past can be named as the reason.
PERSONAL = (GRAPH, SEQUENCE, ATTRIBUTES)

# A view is cheap and a purchase is meant. A return says nothing good of the product, and is no taste.
BEHAVIOUR_WEIGHT: Floats = np.array([0.2, 0.4, 0.6, 1.0, 0.0], np.float32)


@dataclass(frozen=True)
class Interactions:
    """Events as columns of equal length, in any order.

    user: index below `n_users`, or -1 for an anonymous visit. session: index, or -1. item: index below
    `n_items`. time: UTC seconds. behaviour: a `Behaviour`. shoppers: (n_users, slots), numbers of what is
    known of each, such as an age band; 0 for unknown.
    """

    user: Ints
    item: Ints
    time: Longs
    behaviour: NDArray[np.int8]
    session: Ints
    n_users: int
    n_items: int
    shoppers: Ints | None = None

    def __len__(self) -> int:
        return len(self.item)

    def where(self, mask: Bools) -> Interactions:
        return replace(
            self,
            user=self.user[mask],
            item=self.item[mask],
            time=self.time[mask],
            behaviour=self.behaviour[mask],
            session=self.session[mask],
        )

    def before(self, time: int) -> Interactions:
        return self.where(self.time < time)

    def between(self, start: int, end: int) -> Interactions:
        """Events with start <= time < end."""
        return self.where((self.time >= start) & (self.time < end))

    def of(self, *behaviours: Behaviour) -> Interactions:
        return self.where(np.isin(self.behaviour, behaviours))

    def entity(self) -> Longs:
        """Whose sequence each event belongs to: the shopper's, else the visit's, else nobody's (-1)."""
        visit = np.where(self.session >= 0, self.session.astype(np.int64) + self.n_users, -1)
        return np.where(self.user >= 0, self.user.astype(np.int64), visit)


@dataclass(frozen=True)
class Items:
    """The catalogue, one entry per item index; groups are indices, -1 for unknown.

    `parent` is the group of variants (colours, sizes) an item belongs to; an item alone is its own group.
    `attributes` (items, slots) numbers values from 1 on, 0 where a slot is empty; None: category and brand.
    `attribute_size` is above every number that there may ever be; 0: above those of today.
    """

    product_id: NDArray[np.str_]
    category: Ints
    brand: Ints
    parent: Ints
    in_stock: Bools
    attributes: Ints | None = None
    attribute_size: int = 0
    price: Floats | None = None

    def __len__(self) -> int:
        return len(self.product_id)

    def attribute_slots(self) -> Ints:
        """(items, slots): what a model may know of an item besides its name."""
        if self.attributes is not None:
            return self.attributes
        brand = np.where(self.brand >= 0, self.brand + self.n_categories + 1, 0)
        return np.stack([self.category + 1, brand], axis=1).astype(np.int32)

    @property
    def n_attributes(self) -> int:
        """Above every number in `attribute_slots`."""
        return max(self.attribute_size, int(self.attribute_slots().max(initial=0)) + 1)

    @property
    def n_categories(self) -> int:
        return int(self.category.max(initial=-1)) + 1

    @classmethod
    def plain(cls, n: int) -> Items:
        """A catalogue of which nothing is known but its size."""
        none = np.full(n, -1, np.int32)
        ids = np.array([f"{i:09d}" for i in range(n)], np.str_).reshape(n)
        return cls(ids, none, none, np.arange(n, dtype=np.int32), np.ones(n, np.bool_))


@dataclass(frozen=True)
class History:
    """The pasts of some shoppers: shopper i owns entries indptr[i] to indptr[i + 1], oldest first.

    distance: steps back from the shopper's last one; events of the same moment (a basket) share a step.
    age: days before the moment of asking. shoppers: as in `Interactions`.
    """

    indptr: Longs
    item: Ints
    behaviour: NDArray[np.int8]
    distance: Ints
    age: Floats
    shoppers: Ints | None = None

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def row(self) -> Longs:
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.indptr))

    def pick(self, rows: Longs) -> History:
        """The pasts of these shoppers, in this order."""
        lengths = np.diff(self.indptr)[rows]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        at = np.arange(indptr[-1]) + np.repeat(self.indptr[:-1][rows] - indptr[:-1], lengths)
        who = None if self.shoppers is None else self.shoppers[rows]
        return History(indptr, self.item[at], self.behaviour[at], self.distance[at], self.age[at], who)

    def where(self, keep: Bools) -> History:
        """The same shoppers with only these entries; distances stay as they were."""
        kept = np.bincount(self.row[keep], minlength=len(self))
        indptr = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
        columns = (self.item[keep], self.behaviour[keep], self.distance[keep], self.age[keep])
        return History(indptr, *columns, self.shoppers)

    @classmethod
    def empty(cls, n: int) -> History:
        z = np.zeros(0)
        return cls(
            np.zeros(n + 1, np.int64),
            z.astype(np.int32),
            z.astype(np.int8),
            z.astype(np.int32),
            z.astype(np.float32),
        )


@dataclass(frozen=True)
class Reranked:
    """The candidates that a ranker looked at: ids (shoppers, c), -1 for none; logits (shoppers, c, 2), the
    log-odds of a click and of a purchase.
    """

    ids: Ints
    logits: Floats

    def of(self, ids: Ints) -> Floats:
        """(shoppers, k, 2): of listed items; what was no candidate counts as the least likely one."""
        known = np.where(self.ids[:, :, None] >= 0, self.logits, np.inf).min(axis=1)
        found = np.repeat(np.where(np.isfinite(known), known, 0)[:, None], ids.shape[1], axis=1)
        for place in range(ids.shape[1]):
            same = (self.ids == ids[:, place, None]) & (self.ids >= 0)
            row = np.flatnonzero(same.any(axis=1))
            found[row, place] = self.logits[row, same[row].argmax(axis=1)]
        return found.astype(np.float32)


class Recommender(ABC):
    """The whole contract. A subclass names its `kind`, counts in `fit`, and scores a block of pasts."""

    kind: ClassVar[str]

    @abstractmethod
    def fit(self, interactions: Interactions, items: Items, as_of: int) -> Self:
        """Learns from events, all of them before `as_of` (UTC seconds)."""

    @abstractmethod
    def score_block(self, history: History) -> Floats:
        """(shoppers, items): higher is better. The caller keeps blocks small enough to hold."""

    @property
    @abstractmethod
    def recipe(self) -> dict[str, Any]:
        """Hyper-parameters as JSON: with the kind, all that is needed to fit the same model on other days."""

    @abstractmethod
    def state(self) -> dict[str, NDArray[Any]]:
        """What was learnt, as plain arrays."""

    @abstractmethod
    def restore(self, state: dict[str, NDArray[Any]]) -> Self:
        """The inverse of `state`."""

    @abstractmethod
    def reindex(self, mapping: Longs) -> Self:
        """The same model over another catalogue: new item j is old item mapping[j], or unknown (-1)."""

    def update(self, interactions: Interactions, items: Items, as_of: int) -> Self:
        """Fitted already, it learns from more days of the same catalogue; by default all over again."""
        return self.fit(interactions, items, as_of)

    def refresh(self, interactions: Interactions, items: Items, as_of: int) -> Self:
        """Brings counts that describe the present (what is popular now) up to date; learns nothing."""
        return self

    def rerank(self, history: History, scores: Floats) -> tuple[Floats, Reranked | None]:
        """Masked scores (shoppers, items) with the best candidates in a better order, in place; and how
        likely those are to be clicked and bought. As they are by default.
        """
        return scores, None

    def sources(self, history: History, ids: Ints) -> NDArray[np.int8]:
        """(shoppers, k): for each listed item, the index in `SOURCES` of what gave most of its score."""
        return np.full(ids.shape, POPULAR, np.int8)

    def contributions(self, history: History, ids: Ints) -> tuple[Floats, Floats]:
        """What each past entry gave: to each of its shopper's listed items, (entries, k), and to an item on
        average over the catalogue, (entries,). Over a shopper's entries both sum to what the past gave to
        the scores: nothing by default.
        """
        n = len(history.item)
        return np.zeros((n, ids.shape[1]), np.float32), np.zeros(n, np.float32)

    def neighbours(self, source: Longs) -> sparse.csr_array:
        """(sources, items): how strongly each item is linked to these. Nothing by default."""
        return sparse.csr_array((len(source), self.n_items), dtype=np.float32)

    @property
    @abstractmethod
    def n_items(self) -> int:
        """Items of the catalogue that it was fitted to."""

    def recommend(
        self,
        history: History,
        k: int,
        allowed: Bools | None = None,
        exclude: tuple[Longs, Ints] | None = None,
    ) -> tuple[Ints, Floats]:
        """The best k items of each shopper: ids and scores, (shoppers, k), best first.

        `allowed` (items,) hides items from everybody; `exclude` holds (shopper, item) pairs. Where fewer than
        k are left, the id is -1 and the score -inf.
        """
        scores = mask(self.score_block(history), allowed, exclude)
        return top_k(scores, k)

    def save(self, folder: Path) -> None:
        """model.json (kind, recipe) and arrays.npz; never a pickle."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = self.state()
        np.savez_compressed(folder / "arrays.npz", **arrays)
        text = json.dumps({"kind": self.kind, "recipe": self.recipe}, indent=1, sort_keys=True)
        (folder / "model.json").write_text(text, encoding="utf-8")


def mask(scores: Floats, allowed: Bools | None, exclude: tuple[Longs, Ints] | None) -> Floats:
    """Sets what may not be shown to -inf, in place."""
    if allowed is not None:
        scores[:, ~allowed] = -np.inf
    if exclude is not None:
        scores[exclude[0], exclude[1]] = -np.inf
    return scores
