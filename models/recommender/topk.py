"""Exact best-k selection with one answer: score descending, then item index ascending."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def top_k(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Ids and scores of the best k of every row, (rows, k); -1 and -inf where a row has fewer above -inf.

    The catalogue is sorted by product id, so the lower index is the lower id.
    """
    rows, n = scores.shape
    width = min(k, n)
    ids = np.full((rows, k), -1, np.int32)
    values = np.full((rows, k), -np.inf, np.float32)
    if rows == 0 or width == 0:
        return ids, values
    chosen = _members(scores, width)
    got = np.take_along_axis(scores, chosen, 1)
    # `chosen` ascends in a row, so a stable sort on the score alone leaves equal scores in order of id.
    order = np.argsort(-got, axis=1, kind="stable")
    ids[:, :width] = np.take_along_axis(chosen, order, 1)
    values[:, :width] = np.take_along_axis(got, order, 1)
    ids[np.isneginf(values)] = -1
    return ids, values


def _members(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Indices of each row's best k, ascending; ties for the last places go to the lower index."""
    rows, n = scores.shape
    if k == n:
        return np.broadcast_to(np.arange(n), (rows, n)).copy()
    chosen = np.sort(np.argpartition(scores, n - k, axis=1)[:, n - k :], axis=1)
    last = np.take_along_axis(scores, chosen, 1).min(axis=1)
    # argpartition breaks ties as it likes. Only a row with more ties than places is done again.
    tied = np.flatnonzero((scores >= last[:, None]).sum(axis=1) > k)
    for row in tied:
        above = np.flatnonzero(scores[row] > last[row])
        equal = np.flatnonzero(scores[row] == last[row])[: k - len(above)]
        chosen[row] = np.sort(np.concatenate([above, equal]))
    return chosen
