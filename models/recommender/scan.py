"""Compiled loops over tiles of scores: nothing of a tile's size is written, and threads run side by side."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from models.recommender.base import Bools, Ints, Longs
from models.recommender.products import Tile

# Scores that are looked at together: one comparison of vectors says that none of them matters.
TOGETHER = 16


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def note(
    tile: Tile,
    limit: Tile,
    users: Longs,
    start: int,
    hidden: tuple[Longs, Longs],
    score: Tile,
    item: Ints,
    filled: Longs,
    none: Any,
) -> Bools:
    """Append what reaches a user's limit to the user's row of `score` and `item` (users, room).

    tile: (users, items), of items from `start` on. users: rows to look at. hidden: (user, column) of what
    may not be listed. filled: (users,), how much of a row is in use; `none` stands behind it. Returns for
    whom the room does not suffice, (users,): their rows stay as they were.
    """
    room, items = score.shape[1], tile.shape[1]
    groups = -(-items // TOGETHER)
    # Two loops: the first has no branch, and is compiled to vectors.
    worth = np.ones(groups, np.bool_)
    before = filled.copy()
    for user in users:
        least, n = limit[user], filled[user]
        for group in range(items // TOGETHER):
            largest = tile[user, group * TOGETHER]
            for i in range(1, TOGETHER):
                value = tile[user, group * TOGETHER + i]
                largest = value if value > largest else largest
            worth[group] = largest >= least
        for group in range(groups):
            if worth[group]:
                for column in range(group * TOGETHER, min((group + 1) * TOGETHER, items)):
                    if tile[user, column] >= least:
                        if n < room:
                            score[user, n], item[user, n] = tile[user, column], start + column
                        n += 1
        filled[user] = n
    for i in range(len(hidden[0])):
        user, column = hidden[0][i], hidden[1][i]
        for n in range(before[user], min(filled[user], room)):
            if item[user, n] == start + column and filled[user] <= room:
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
