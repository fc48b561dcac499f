"""The best k items of many users by inner product: exact, streamed, close to the speed of the product alone.

Scores of a block of users are kept while the maximum of every eight items is taken, as long as those scores
are in the cache. From the maxima follows a bound below which no listed item can lie, and only the few items
above it are looked at again.

The answer does not depend on blocks, threads or the matrix product's order of summing. A score is the inner
product of two float32 vectors in float64, rounded once to float32; the float32 product only finds candidates,
with a margin for all that its rounding could have changed (N. J. Higham, Accuracy and Stability of Numerical
Algorithms, 2002, §3.1).
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

from models.recommender.base import Bools, Doubles, Floats, Ints, Longs
from models.recommender.rules import Excluded

# Scores held by a thread: 64 MiB of float32. More users at once are no faster.
SCORES_BUDGET, MOST_USERS = 1 << 24, 256
# Items whose scores are multiplied and reduced while they are in the cache.
TILE = 2048
# Items under one maximum; and so many maxima for every place of a list.
GROUP, SPARE = 8, 4
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
        table = np.ascontiguousarray(items, np.float32)
        # Place → id, the last entry for no place; id → place. None: they are the same.
        self._named: Ints | None = None
        self._place: Longs | None = None
        if allowed is not None:
            self._named = np.append(np.flatnonzero(allowed), -1).astype(np.int32)
            self._place = np.where(allowed, np.cumsum(allowed) - 1, -1)
            table = table[allowed]
        self.count, width = table.shape
        self._norm = _longest(table)
        self._table = np.zeros((-(-self.count // TILE) * TILE, width), np.float32)
        self._table[: self.count] = table

    @property
    def block(self) -> int:
        """Users scored at once by a thread."""
        return max(1, min(MOST_USERS, SCORES_BUDGET // max(len(self._table), 1)))

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
        # Used again and again: fresh memory of this size costs as much as a third of the product.
        scratch: SimpleQueue[Floats] = SimpleQueue()
        for _ in range(workers):
            rows = len(self._table) * (GROUP + 1) // GROUP + TILE
            scratch.put(np.empty(rows * min(self.block, n), np.float32))
        waiting: deque[Future[Best]] = deque()
        # A product on one thread each: workers then wait for nobody, which matters where cores are shared.
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(workers) as pool:
            for low in range(0, n, self.block):
                high = min(low + self.block, n)
                users = np.ascontiguousarray(vectors(low, high), np.float32)
                hidden = self._hidden(seen, low, high)
                waiting.append(pool.submit(self._borrowing, scratch, low, users, k, hidden))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _hidden(self, seen: Excluded | None, low: int, high: int) -> tuple[Longs, Longs]:
        """(item's place, user's place in the block) of everything seen, by item."""
        if seen is None:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        row, item = seen.pairs(np.arange(low, high))
        place = item.astype(np.int64) if self._place is None else self._place[item]
        kept = place >= 0
        order = np.argsort(place[kept])
        return place[kept][order], row[kept][order]

    def _borrowing(
        self, scratch: SimpleQueue[Floats], low: int, users: Floats, k: int, hidden: tuple[Longs, Longs]
    ) -> Best:
        mine = scratch.get()
        try:
            return self._block(mine, low, users, k, hidden)
        finally:
            scratch.put(mine)

    def _block(self, scratch: Floats, low: int, users: Floats, k: int, hidden: tuple[Longs, Longs]) -> Best:
        margin = self._margin(users)
        group = GROUP if len(self._table) >= SPARE * GROUP * k else 1
        scores, maxima = self._scores(scratch, users, hidden, group)
        floor = (_floor(maxima, k) - 2 * margin).astype(np.float32)
        floor = np.nextafter(floor, np.float32(-np.inf))
        found = np.full((len(users), k), -1, np.int32)
        values = np.full((len(users), k), -np.inf, np.float32)
        above = maxima >= floor
        # Someone with countless equals (a vector of zeros) is served alone, and costs nobody else memory.
        alone = above.sum(axis=0) > 2 * SPARE * k
        above &= ~alone
        row, item = _above(scores, above, floor, group)
        if len(row):
            found[:], values[:] = self._ranked(users, row, item, k)
        for user in np.flatnonzero(alone):
            item = self._candidates(scores[:, user], k, float(margin[user]), bool(users[user].any()))
            mine = users[user : user + 1]
            found[user], values[user] = self._ranked(mine, np.zeros(len(item), np.int64), item, k)
        if self._named is not None:
            found = self._named[found]
        return Best(low, found, values)

    def _margin(self, users: Floats) -> Doubles:
        """(users,): no rounding moves a score by more than this."""
        width = self._table.shape[1]
        norm = np.sqrt(np.einsum("ud,ud->u", users, users, dtype=np.float64))
        largest = norm * self._norm
        if not (np.isfinite(norm).all() and largest.max(initial=0) < 1e38):
            raise ValueError("a user's vector is not finite, or its scores do not fit float32")
        margin: Doubles = (width + 3) * 2.0**-24 * largest + 1e-37
        return margin

    def _scores(
        self, scratch: Floats, users: Floats, hidden: tuple[Longs, Longs], group: int
    ) -> tuple[Floats, Floats]:
        """(items, users) with what is hidden at -inf, and the maximum of every `group` items."""
        n, size = len(self._table), len(self._table) * len(users)
        scores = scratch[:size].reshape(n, len(users))
        maxima = scores
        if group > 1:
            maxima = scratch[size : size + size // group].reshape(n // group, len(users))
        halves = scratch[-TILE * len(users) :].reshape(TILE, len(users))
        place, row = hidden
        starts = np.searchsorted(place, np.arange(0, n + TILE, TILE))
        for number, start in enumerate(range(0, n, TILE)):
            tile = scores[start : start + TILE]
            np.matmul(self._table[start : start + TILE], users.T, out=tile)
            mine = slice(starts[number], starts[number + 1])
            tile[place[mine] - start, row[mine]] = -np.inf
            tile[max(self.count - start, 0) :] = -np.inf
            if group > 1:
                _reduce(tile, halves, maxima[start // group : (start + TILE) // group])
        return scores, maxima

    def _candidates(self, scores: Floats, k: int, margin: float, any_taste: bool) -> Longs:
        """Places of all items of one user that may belong to the list."""
        there = np.flatnonzero(scores > -np.inf)
        if len(there) <= k or not any_taste:
            return there[:k]
        mine = scores[there]
        last = np.partition(mine, len(mine) - k)[len(mine) - k]
        near: Longs = there[mine >= last - 2 * margin]
        return near

    def _ranked(self, users: Floats, row: Longs, item: Longs, k: int) -> tuple[Ints, Floats]:
        """The best k candidates of each user; `row` ascends."""
        counts = np.bincount(row, minlength=len(users))
        column = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        width = max(k, int(counts.max(initial=0)))
        places = np.zeros((len(users), width), np.int64)
        places[row, column] = item
        scores = np.empty(places.shape, np.float32)
        for low in range(0, len(users), RESCORED):
            some = slice(low, low + RESCORED)
            vectors = self._table.take(places[some], axis=0).astype(np.float64)
            scores[some] = np.einsum("ukd,ud->uk", vectors, users[some].astype(np.float64))
        keys = _keys(scores, places)
        keys[np.arange(width) >= counts[:, None]] = NOBODY
        keys.sort(axis=1)
        return _unpacked(keys[:, :k])


def _longest(table: Floats) -> float:
    norm = float(np.sqrt(np.einsum("id,id->i", table, table, dtype=np.float64).max(initial=0)))
    if not np.isfinite(norm):
        raise ValueError("an item's vector is not finite")
    return norm


def _reduce(tile: Floats, halves: Floats, out: Floats) -> None:
    """The maximum of items that lie TILE / GROUP apart: halves of a tile against each other, long rows all
    the way. `halves` is room for them.
    """
    while len(tile) > 2 * len(out):
        half = len(tile) // 2
        room, halves = halves[:half], halves[half:]
        tile = np.maximum(tile[:half], tile[half:], out=room)
    np.maximum(tile[: len(out)], tile[len(out) :], out=out)


def _floor(maxima: Floats, k: int) -> Doubles:
    """(users,): at least k items score this or more; -inf where there are fewer."""
    n, users = maxima.shape
    if n < k:
        return np.full(users, -np.inf)
    # The k-th largest of few maxima lies little below that of many, and is found sooner.
    joined = max(1, n // (SPARE * k))
    whole = n // joined * joined
    few = np.maximum.reduce(maxima[:whole].reshape(-1, joined, users), axis=1) if joined > 1 else maxima
    few = np.ascontiguousarray(few.T)
    return np.partition(few, few.shape[1] - k, axis=1)[:, few.shape[1] - k].astype(np.float64)


def _above(scores: Floats, above: Bools, floor: Floats, group: int) -> tuple[Longs, Longs]:
    """(user, item) of every score that reaches its user's floor, by user; `above` says in which groups."""
    users = above.shape[1]
    which, user = np.divmod(np.flatnonzero(above), users)
    # The items of a group lie `apart` from each other, within one tile.
    apart = TILE // group
    first = which // apart * TILE + which % apart
    items = first[:, None] + np.arange(group) * apart
    values = scores.ravel().take(items * users + user[:, None])
    which, offset = np.nonzero((values >= floor[user][:, None]) & (values > -np.inf))
    row, item = user[which], items[which, offset]
    order = np.argsort(row.astype(np.uint16), kind="stable")
    return row[order], item[order]


def _keys(scores: Floats, places: Longs) -> NDArray[np.uint64]:
    """Ascending keys are scores descending, then places ascending."""
    # Adding zero makes one zero of two.
    bits = (scores + np.float32(0)).view(np.uint32)
    rising = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return ((~rising).astype(np.uint64) << np.uint64(32)) | places.astype(np.uint64)


def _unpacked(keys: NDArray[np.uint64]) -> tuple[Ints, Floats]:
    """The inverse of `_keys`; -1 and -inf for the largest key."""
    rising = ~(keys >> np.uint64(32)).astype(np.uint32)
    bits = np.where(rising >> 31, rising & np.uint32(2**31 - 1), ~rising)
    none = keys == NOBODY
    ids = np.where(none, -1, (keys & np.uint64(2**32 - 1)).astype(np.int64)).astype(np.int32)
    return ids, np.where(none, np.float32(-np.inf), bits.view(np.float32))
