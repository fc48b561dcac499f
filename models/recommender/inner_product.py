"""The best k items of many users by inner product: exact, streamed, close to the speed of the product alone.

Scores are made in tiles that stay in the cache and are never stored. Items pass in a random order, the same
every time, so that the first few thousand are a sample of all: a floor that all but surely k items reach is
taken from them. What reaches it is noted, and every time twice as many items have passed, the floor is raised
to the k-th best that was noted. Whose floor was too high after all is served alone.

The answer does not depend on blocks, threads or the matrix product's order of summing. A score is the inner
product of two float32 vectors in float64, rounded once to float32; the product of `products.py` only finds
candidates, with a margin for all that its rounding could have changed.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from models.recommender.base import Bools, Floats, Ints, Longs
from models.recommender.products import TILE, BFloat16, Float32, Product, has_bfloat16, longest
from models.recommender.race import FIRST, Race, Scratch, first_items, numbered
from models.recommender.rules import Excluded

# Users of a block.
MOST_USERS = 512
# Scores of the first items: 32 MiB of float32 a thread, whatever the length of lists.
SCORES_BUDGET = 1 << 23
# Users whose candidates are scored again at once: their vectors stay in the cache.
RESCORED = 8
NOBODY = np.uint64(2**64 - 1)

Vectors = Callable[[int, int], Floats]


@dataclass(frozen=True)
class Best:
    """Lists of users low to low + n. ids, scores (n, k): best first, equals in order of id; -1 and -inf where
    a list ends early.
    """

    low: int
    ids: Ints
    scores: Floats


class InnerProduct:
    """Item vectors, ready to be asked. `allowed` (items,) hides items from everybody."""

    def __init__(self, items: Floats, allowed: Bools | None = None) -> None:
        # Place → id; id → place, or -1.
        self._id: Longs = np.arange(len(items)) if allowed is None else np.flatnonzero(allowed)
        if len(self._id) > FIRST:
            self._id = np.random.default_rng(0).permutation(self._id)
        self._place: Longs = np.full(len(items), -1)
        self._place[self._id] = np.arange(len(self._id))
        table = np.ascontiguousarray(items[self._id], np.float32)
        self.count = len(table)
        self._norm = longest(table)
        if not np.isfinite(self._norm):
            raise ValueError("an item's vector is not finite")
        self._table = table
        self._fine = Float32(table)
        self._coarse = BFloat16(table) if has_bfloat16() and len(table) > TILE else None

    def block(self, k: int) -> int:
        """Users scored at once by a thread."""
        return max(1, min(MOST_USERS, SCORES_BUDGET // max(first_items(self.count, k), 1)))

    def best(
        self, users: Floats, k: int, seen: Excluded | None = None, threads: int | None = None
    ) -> tuple[Ints, Floats]:
        """Ids and scores (users, k) of all rows of `users` (users, width); as `Best` describes them."""
        ids = np.empty((len(users), k), np.int32)
        scores = np.empty((len(users), k), np.float32)
        for part in self.blocks(len(users), lambda low, high: users[low:high], k, seen, threads):
            ids[part.low : part.low + len(part.ids)] = part.ids
            scores[part.low : part.low + len(part.ids)] = part.scores
        return ids, scores

    def blocks(
        self, n: int, vectors: Vectors, k: int, seen: Excluded | None = None, threads: int | None = None
    ) -> Iterator[Best]:
        """The lists of users 0 to n, in order, a block at a time; memory does not grow with n.

        `vectors(low, high)` gives their vectors and is called by the caller's thread. `seen` holds what each
        user may not be shown. Raises `ValueError` for vectors that are not finite.
        """
        if k < 1:
            raise ValueError(f"k is {k}: a list has at least one place")
        workers = threads or len(os.sched_getaffinity(0))
        size = self.block(k)
        # Used again and again: fresh memory costs more than writing to it.
        scratch: SimpleQueue[Scratch] = SimpleQueue()
        for _ in range(workers):
            scratch.put(Scratch(min(size, n), max(first_items(self.count, k), TILE), k))
        waiting: deque[Future[Best]] = deque()
        # A product on one thread each: workers then wait for nobody, which matters where cores are shared.
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(workers) as pool:
            for low in range(0, n, size):
                high = min(low + size, n)
                users = np.ascontiguousarray(vectors(low, high), np.float32)
                hidden = self._hidden(seen, low, high)
                waiting.append(pool.submit(self._borrowing, scratch, low, users, k, hidden))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _hidden(self, seen: Excluded | None, low: int, high: int) -> tuple[Longs, Longs]:
        """(user's place in the block, item's place) of everything seen, by item."""
        if seen is None:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        row, item = seen.pairs(np.arange(low, high))
        place = self._place[item]
        kept = place >= 0
        order = np.argsort(place[kept])
        return row[kept][order], place[kept][order]

    def _borrowing(
        self, scratch: SimpleQueue[Scratch], low: int, users: Floats, k: int, hidden: tuple[Longs, Longs]
    ) -> Best:
        mine = scratch.get()
        try:
            return self._block(mine, low, users, k, hidden)
        finally:
            scratch.put(mine)

    def _block(self, scratch: Scratch, low: int, users: Floats, k: int, hidden: tuple[Longs, Longs]) -> Best:
        if not longest(users) * self._norm < 1e38:
            raise ValueError("a user's vector is not finite, or its scores do not fit float32")
        race = None
        if self._coarse is not None:
            race = self._raced(self._coarse, scratch, users, k, hidden)
        if race is None or race.gave_up:
            race = self._raced(self._fine, scratch, users, k, hidden)
        found = np.full((len(users), k), -1, np.int32)
        values = np.full((len(users), k), -np.inf, np.float32)
        row, item = race.candidates()
        if len(row):
            found[:], values[:] = self._ranked(users, row, item, k)
        # Whoever left is served alone, and costs nobody else memory.
        for user in np.flatnonzero(race.left):
            mine = users[user : user + 1]
            scores = self._table @ mine[0]
            scores[hidden[1][hidden[0] == user]] = -np.inf
            item = self._near_best(scores, k, float(race.margin[user]), bool(mine.any()))
            found[user], values[user] = self._ranked(mine, np.zeros(len(item), np.int64), item, k)
        return Best(low, found, values)

    def _raced(
        self, product: Product, scratch: Scratch, users: Floats, k: int, hidden: tuple[Longs, Longs]
    ) -> Race:
        """All items have passed by, in tiles; the floor rose whenever twice as many had passed."""
        race = Race(product, product.tiles(users, scratch.tile), hidden, k, scratch)
        # A vector of zeros makes equals of all items.
        idle = ~users.any(axis=1)
        race.leave(np.asarray(idle))
        stop = first_items(self.count, k)
        if stop:
            race.start(stop, self.count)
        while stop < self.count and not race.gave_up:
            race.raise_floor()
            start, stop = stop, min(2 * stop, self.count)
            race.look(start, stop)
        race.raise_floor()
        race.leave(race.hoped)
        return race

    def _ranked(self, users: Floats, row: Longs, item: Longs, k: int) -> tuple[Ints, Floats]:
        """Ids and scores of the best k candidates of each user; `item` are their places, `row` ascends."""
        counts = np.bincount(row, minlength=len(users))
        width = max(k, int(counts.max(initial=0)))
        places = np.zeros((len(users), width), np.int64)
        places[row, numbered(counts)] = item
        scores = np.empty(places.shape, np.float32)
        for low in range(0, len(users), RESCORED):
            some = slice(low, low + RESCORED)
            vectors = self._table.take(places[some], axis=0).astype(np.float64)
            scores[some] = np.einsum("ukd,ud->uk", vectors, users[some].astype(np.float64))
        keys = _keys(scores, self._id[places])
        keys[np.arange(width) >= counts[:, None]] = NOBODY
        keys.sort(axis=1)
        return _unpacked(keys[:, :k])

    def _near_best(self, scores: Floats, k: int, margin: float, any_taste: bool) -> Longs:
        """Places of all items of one user that may belong to the list."""
        there = np.flatnonzero(scores > -np.inf)
        if len(there) <= k:
            return there
        if not any_taste:
            first: Longs = there[np.argpartition(self._id[there], k - 1)[:k]]
            return first
        mine = scores[there]
        last = np.partition(mine, len(mine) - k)[len(mine) - k]
        near: Longs = there[mine >= last - 2 * margin]
        return near


def _keys(scores: Floats, ids: Longs) -> NDArray[np.uint64]:
    """Ascending keys are scores descending, then ids ascending."""
    # Adding zero makes one zero of two.
    bits = (scores + np.float32(0)).view(np.uint32)
    rising = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return ((~rising).astype(np.uint64) << np.uint64(32)) | ids.astype(np.uint64)


def _unpacked(keys: NDArray[np.uint64]) -> tuple[Ints, Floats]:
    """The inverse of `_keys`; -1 and -inf for the largest key."""
    rising = ~(keys >> np.uint64(32)).astype(np.uint32)
    bits = np.where(rising >> 31, rising & np.uint32(2**31 - 1), ~rising)
    none = keys == NOBODY
    ids = np.where(none, -1, (keys & np.uint64(2**32 - 1)).astype(np.int64)).astype(np.int32)
    return ids, np.where(none, np.float32(-np.inf), bits.view(np.float32))
