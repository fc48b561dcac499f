"""Which items may still belong to the lists of some users, while all items pass by in tiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import poisson

from models.recommender import scan
from models.recommender.base import Bools, Floats, Ints, Longs
from models.recommender.products import Product, Tiles, between
from models.recommender.scan import Room, Tile

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
    """Candidates of some users, whose `tiles` are of `product`; hidden: (user, item), by item, of what may
    not be listed.

    floor (users,): what a score must reach. margin (users,): by how much a score may be wrong. hoped
    (users,): whose floor is not yet known to be low enough. left: who takes no part (any more). gave_up: the
    product is too coarse for these users.
    """

    def __init__(
        self, product: Product, tiles: Tiles, hidden: tuple[Longs, Longs], k: int, scratch: Scratch
    ) -> None:
        self.product, self.tiles, self.hidden, self.k = product, tiles, hidden, k
        self.margin = tiles.margin + 1e-37
        n = len(self.margin)
        self.floor = np.full(n, LEAST)
        self.hoped: Bools = np.zeros(n, np.bool_)
        self.left: Bools = np.zeros(n, np.bool_)
        self.gave_up = False
        score = scratch.scores(n, product.kind)
        score.fill(product.least)
        self._room = Room(score, scratch.item[:n], np.zeros(n, np.int64), product.least)

    def leave(self, who: Bools) -> None:
        """These users take no part from here on."""
        self.left |= who
        self.floor[who] = np.inf

    def start(self, items: int, of: int) -> None:
        """Look at the first items, a random sample `of` so many, and take the first floor from them."""
        tile = self.tiles.made(0, items)
        barred = between(self.hidden, 0, items)
        self._first_floor(tile, barred, of)
        if self._usable():
            limit = self.product.limit(self.floor)
            self._relieve(0, items, scan.note(tile, limit, self._everybody(), 0, barred, self._room))

    def look(self, low: int, high: int) -> None:
        """Note what reaches the floor among items low to high."""
        while self._usable() and low < high:
            limit = self.product.limit(self.floor)
            low, crowded = self.tiles.note((low, high), limit, self._everybody(), self.hidden, self._room)
            stop = min(low + self.tiles.width, high)
            self._relieve(low, stop, crowded)
            low = stop

    def _relieve(self, low: int, high: int, crowded: Bools) -> None:
        """Look at these items once more for whom there was no room, under a higher floor. Whoever has none
        even so takes no part any more.
        """
        if not crowded.any():
            return
        self._pack()
        while low < high:
            limit = self.product.limit(self.floor)
            users = np.flatnonzero(crowded & ~self.left)
            low, still = self.tiles.note((low, high), limit, users, self.hidden, self._room)
            self.gave_up |= self.product.coarse and bool(still.any())
            self.leave(still)
            low = min(low + self.tiles.width, high)

    def _usable(self) -> bool:
        self.gave_up |= not self.product.usable(self.floor)
        return not self.gave_up

    def _everybody(self) -> Longs:
        return np.arange(len(self.floor))

    def _first_floor(self, tile: Tile, hidden: tuple[Longs, Longs], of: int) -> None:
        """How many of a sample belong to a list is close to Poisson; a floor that more of them reach is too
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
        self._raise_to(self.k, self._room.score[:, : self._room.filled.max(initial=0)])

    def _raise_to(self, place: int, scores: Tile) -> None:
        width = scores.shape[1]
        if width < place:
            return
        last = np.partition(scores, width - place, axis=1)[:, width - place]
        lower = (self.product.surely(last) - 2 * self.margin).astype(np.float32)
        lower = np.nextafter(lower, np.float32(-np.inf))
        self.hoped &= lower < self.floor
        np.maximum(self.floor, lower, out=self.floor, where=lower > self.floor)

    def candidates(self) -> tuple[Longs, Longs]:
        """(user, item) of all that reach the floor, by user."""
        score, item, filled, _ = self._room
        width = int(filled.max(initial=0))
        at = np.flatnonzero(score[:, :width] >= self.product.limit(self.floor)[:, None])
        row = at // max(width, 1)
        return row, item[row, at - row * width].astype(np.int64)

    def _pack(self) -> None:
        """Raises the floor and drops what lies below it."""
        self.raise_floor()
        score, item, filled, none = self._room
        row, column = np.nonzero(score >= self.product.limit(self.floor)[:, None])
        kept = score[row, column], item[row, column]
        filled[:] = np.bincount(row, minlength=len(filled))
        score.fill(none)
        place = numbered(filled)
        score[row, place], item[row, place] = kept


def numbered(counts: NDArray[np.int64]) -> Longs:
    """0, 1, … of every run of `counts`."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
