"""Which items may still belong to the lists of some users, while all items pass by in tiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import poisson

from models.recommender import scan
from models.recommender.base import Bools, Doubles, Floats, Ints, Longs
from models.recommender.products import Product, Tile

# Items that the first floor is taken from, at least, and for every place of a list; under one maximum.
FIRST, FIRST_PLACES, GROUP = 4096, 32, 8
# How often a first floor may be too high for a user.
UNLUCKY = 1e-4
# Room for candidates, for every place; more means countless equals.
SPARE = 16
LEAST = np.finfo(np.float32).min


def first_items(items: int, k: int) -> int:
    """How many items the first floor is taken from."""
    return min(items, max(FIRST, FIRST_PLACES * k))


class Scratch:
    """A thread's room for `users` users: a tile of `widest` items, candidates' scores and items."""

    def __init__(self, users: int, widest: int, k: int) -> None:
        self.tile: Floats = np.empty(users * widest, np.float32)
        self.item: Ints = np.empty((users, SPARE * k), np.int32)
        self._score = np.empty((users, SPARE * k), np.float32)

    def scores(self, users: int, of: type) -> Tile:
        """(users, places), of numbers no larger than float32."""
        room: Tile = self._score.reshape(-1).view(of)
        places = self._score.shape[1]
        return room[: users * places].reshape(users, places)


class Race:
    """Candidates of users (margin: (users,), by how much the product may be wrong).

    floor (users,): what a score must reach. hoped (users,): whose floor is not yet known to be low enough.
    left: who takes no part (any more). gave_up: the product is too coarse for these users.
    """

    def __init__(self, product: Product, margin: Doubles, k: int, scratch: Scratch) -> None:
        n = len(margin)
        self.product, self.margin, self.k = product, margin, k
        self.floor = np.full(n, LEAST)
        self.hoped: Bools = np.zeros(n, np.bool_)
        self.left: Bools = np.zeros(n, np.bool_)
        self.gave_up = False
        self._score, self._item = scratch.scores(n, product.kind), scratch.item[:n]
        self._score.fill(product.least)
        self._filled = np.zeros(n, np.int64)

    def leave(self, who: Bools) -> None:
        """These users take no part from here on."""
        self.left |= who
        self.floor[who] = np.inf

    def first_floor(self, tile: Tile, hidden: tuple[Longs, Longs], of: int) -> None:
        """From the scores of the first items (users, items), a random sample `of` so many; hidden: (user,
        column) of what may not be listed.

        How many of the sample belong to a list is close to Poisson; a floor that more of them reach is too
        high for one user in `1 / UNLUCKY`.
        """
        users, items = tile.shape
        grouped = items >= FIRST_PLACES * self.k and items % GROUP == 0
        best = np.empty((users, items // GROUP if grouped else items), tile.dtype)
        scan.maxima(tile, hidden, self.product.least, best)
        enough = 1 + int(poisson.isf(UNLUCKY, self.k * items / of))
        self._raise_to(min(enough, self.k), best)
        if enough < self.k:
            self.hoped[:] = self.floor > LEAST

    def raise_floor(self) -> None:
        """To the k-th best so far, less what rounding could have changed."""
        self._raise_to(self.k, self._score[:, : self._filled.max(initial=0)])

    def _raise_to(self, place: int, scores: Tile) -> None:
        width = scores.shape[1]
        if width < place:
            return
        last = np.partition(scores, width - place, axis=1)[:, width - place]
        lower = (self.product.surely(last) - 2 * self.margin).astype(np.float32)
        lower = np.nextafter(lower, np.float32(-np.inf))
        self.hoped &= lower < self.floor
        np.maximum(self.floor, lower, out=self.floor, where=lower > self.floor)

    def note(self, tile: Tile, start: int, hidden: tuple[Longs, Longs]) -> None:
        """What reaches the floor among items from `start` on; hidden: (user, column) of what may not be
        listed.
        """
        if not self.product.usable(self.floor):
            self.gave_up = True
            return
        crowded = self._scan(tile, np.ones(len(tile), np.bool_), start, hidden)
        if crowded.any():
            self._pack()
            crowded = self._scan(tile, crowded, start, hidden)
            self.gave_up = self.product.coarse and bool(crowded.any())
            self.leave(crowded)

    def _scan(self, tile: Tile, who: Bools, start: int, hidden: tuple[Longs, Longs]) -> Bools:
        """Notes what reaches these users' floors; returns for whom the room does not suffice."""
        room = self._score, self._item, self._filled
        limit, users = self.product.limit(self.floor), np.flatnonzero(who)
        crowded: Bools = scan.note(tile, limit, users, start, hidden, *room, self.product.least)
        return crowded

    def candidates(self) -> tuple[Longs, Longs]:
        """(user, item) of all that reach the floor, by user."""
        width = int(self._filled.max(initial=0))
        at = np.flatnonzero(self._score[:, :width] >= self.product.limit(self.floor)[:, None])
        row = at // max(width, 1)
        return row, self._item[row, at - row * width].astype(np.int64)

    def _pack(self) -> None:
        """Raises the floor and drops what lies below it."""
        self.raise_floor()
        row, column = np.nonzero(self._score >= self.product.limit(self.floor)[:, None])
        score, item = self._score[row, column], self._item[row, column]
        self._filled = np.bincount(row, minlength=len(self.floor))
        self._score.fill(self.product.least)
        place = numbered(self._filled)
        self._score[row, place], self._item[row, place] = score, item


def numbered(counts: NDArray[np.int64]) -> Longs:
    """0, 1, … of every run of `counts`."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
