"""Compiled loops over tiles of scores: nothing of a tile's size is written, and threads run side by side."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

# What `np.dot` calls in a compiled loop: loaded here, so that limits to its threads find it.
import scipy.linalg.cython_blas  # noqa: F401
from numpy.typing import NDArray

from models.recommender.base import Bools, Floats, Ints, Longs

# Scores as they compare: float32, or the bits of bfloat16.
Tile = NDArray[Any]

# Scores that are looked at together, as vectors: mostly none of them matters.
TOGETHER = 128


class Room(NamedTuple):
    """Candidates: score and item (users, room); filled (users,), how much of a row is in use; `none` stands
    in `score` behind it.
    """

    score: Tile
    item: Ints
    filled: Longs
    none: Any


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def note(tile: Tile, limit: Tile, users: Longs, start: int, hidden: tuple[Longs, Longs], into: Room) -> Bools:
    """Append what reaches a user's limit to the user's candidates.

    tile: (users, items), of items from `start` on. users: rows to look at. hidden: (user, item) of what may
    not be listed. Returns for whom the room does not suffice, (users,): their rows stay as they were.
    """
    score, item, filled, none = into
    room, items = score.shape[1], tile.shape[1]
    # Loops without branches are compiled to vectors; eight answers are then one word.
    reached = np.empty(TOGETHER, np.bool_)
    eights = reached.view(np.uint64)
    before = filled.copy()
    for user in users:
        row, least, n = tile[user], limit[user], filled[user]
        for group in range(-(-items // TOGETHER)):
            size = min(TOGETHER, items - group * TOGETHER)
            if size == TOGETHER:
                some = False
                for i in range(TOGETHER):
                    some |= row[group * TOGETHER + i] >= least
                if not some:
                    continue
                for i in range(TOGETHER):
                    reached[i] = row[group * TOGETHER + i] >= least
            else:
                reached[:] = False
                for i in range(size):
                    reached[i] = row[group * TOGETHER + i] >= least
            for eight in range(TOGETHER // 8):
                if eights[eight]:
                    for i in range(8 * eight, 8 * eight + 8):
                        if reached[i]:
                            if n < room:
                                column = group * TOGETHER + i
                                score[user, n], item[user, n] = row[column], start + column
                            n += 1
        filled[user] = n
    for i in range(len(hidden[0])):
        user, place = hidden[0][i], hidden[1][i]
        for n in range(before[user], min(filled[user], room)):
            if item[user, n] == place and filled[user] <= room:
                filled[user] -= 1
                last = filled[user]
                score[user, n], item[user, n] = score[user, last], item[user, last]
                score[user, last] = none
                break
    crowded: Bools = filled > room
    for user in np.flatnonzero(crowded):
        filled[user] = before[user]
        score[user, before[user] :] = none
    return crowded


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def walk(
    factors: Floats,
    table: Floats,
    tile: Floats,
    width: int,
    limit: Tile,
    users: Longs,
    span: tuple[int, int],
    hidden: tuple[Longs, Longs],
    into: Room,
) -> tuple[int, Bools]:
    """`note` for items span[0] to span[1], whose scores are made here, `width` items at a time in the memory
    of `tile`: factors (users, d), table (items, d); hidden as in `note`, by item.

    Ends early where the room does not suffice for somebody. Returns the first item of the tile where that
    was, else span[1], and for whom.
    """
    low, high = span
    here = np.searchsorted(hidden[1], low)
    while low < high:
        stop = min(low + width, high)
        scores = tile[: len(factors) * (stop - low)].reshape(len(factors), stop - low)
        np.dot(factors, table[low:stop].T, scores)
        there = here + np.searchsorted(hidden[1][here:], stop)
        barred = (hidden[0][here:there], hidden[1][here:there])
        crowded = note(scores, limit, users, low, barred, into)
        if crowded.any():
            return low, crowded
        low, here = stop, there
    return high, np.zeros(len(factors), np.bool_)


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def maxima(tile: Tile, hidden: tuple[Longs, Longs], least: Any, out: Tile) -> None:
    """Into `out` (users, groups): the largest of each group of a row of `tile` (users, items), without what
    is hidden (user, column). Column c belongs to group c modulo `groups`; there are as many in each.
    """
    users, items = tile.shape
    groups = out.shape[1]
    starts = np.zeros(users + 1, np.int64)
    for user in hidden[0]:
        starts[user + 1] += 1
    starts = np.cumsum(starts)
    columns, at = np.empty(len(hidden[0]), np.int64), starts.copy()
    for i in range(len(hidden[0])):
        columns[at[hidden[0][i]]] = hidden[1][i]
        at[hidden[0][i]] += 1
    row = np.empty(items, tile.dtype)
    for user in range(users):
        row[:] = tile[user]
        for i in range(starts[user], starts[user + 1]):
            row[columns[i]] = least
        for group in range(groups):
            out[user, group] = row[group]
        for low in range(groups, items, groups):
            for group in range(groups):
                value = row[low + group]
                if value > out[user, group]:
                    out[user, group] = value
