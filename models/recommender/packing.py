"""Pasts packed into rows of equal length, so that no step of training is spent on padding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.recommender.base import Ints, Longs
from models.recommender.sequences import Sequences

# Windows packed at once: what is held does not grow with the number of shoppers.
CHUNK = 1 << 16


@dataclass(frozen=True)
class Rows:
    """Packed windows, all (rows, time); item and target count from 1, 0 is nothing.

    place counts steps back from a window's end; segment numbers a row's windows from 1.
    """

    item: Ints
    behaviour: Ints
    place: Ints
    segment: Ints
    target: Ints

    def __len__(self) -> int:
        return len(self.item)


def windows(seq: Sequences, length: int) -> tuple[Longs, Longs]:
    """(first event, events) of every stretch to learn from: at most `length` + 1 events, the last a target.

    A longer past is cut from its end; neighbouring stretches share one event, so each event but an entity's
    first is a target exactly once.
    """
    new = np.ones(len(seq), np.bool_)
    new[1:] = seq.entity[1:] != seq.entity[:-1]
    start = np.flatnonzero(new)
    size = np.diff(np.append(start, len(seq)))
    start, size = start[size > 1], size[size > 1]
    pieces = -(-(size - 1) // length)
    owner = np.repeat(np.arange(len(start)), pieces)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    end = start[owner] + size[owner] - number * length
    first = np.maximum(end - length - 1, start[owner])
    return first.astype(np.int64), (end - first).astype(np.int64)


def pack(seq: Sequences, first: Longs, size: Longs, time: int) -> Rows:
    """Windows in their order, each into the current row or, where it does not fit, the next."""
    tokens = size - 1
    row, offset, segment = _next_fit(tokens, time)
    shape = (int(row[-1]) + 1 if len(row) else 0, time)
    inside = np.arange(tokens.sum()) - np.repeat(np.cumsum(tokens) - tokens, tokens)
    cell = np.repeat(row * time + offset, tokens) + inside
    at = np.repeat(first, tokens) + inside

    def laid(values: np.ndarray) -> Ints:
        out = np.zeros(shape, np.int32)
        out.ravel()[cell] = values
        return out

    return Rows(
        item=laid(seq.item[at] + 1),
        behaviour=laid(seq.behaviour[at]),
        place=laid(np.repeat(tokens, tokens) - 1 - inside),
        segment=laid(np.repeat(segment, tokens)),
        target=laid(seq.item[at + 1] + 1),
    )


def _next_fit(tokens: Longs, time: int) -> tuple[Longs, Longs, Longs]:
    row, used, count = 0, 0, 0
    places = np.zeros((3, len(tokens)), np.int64)
    for i, n in enumerate(tokens.tolist()):
        if used + n > time:
            row, used, count = row + 1, 0, 0
        count += 1
        places[:, i] = row, used, count
        used += n
    return places[0], places[1], places[2]


def epoch(seq: Sequences, length: int, time: int, batch: int, rng: np.random.Generator) -> Iterator[Rows]:
    """Every window once, in random order, `batch` rows at a time; what fills no batch is left out."""
    first, size = windows(seq, length)
    order = rng.permutation(len(first))
    for low in range(0, len(order), CHUNK):
        some = order[low : low + CHUNK]
        rows = pack(seq, first[some], size[some], time)
        for start in range(0, max(len(rows) - batch + 1, 1), batch):
            yield _slice(rows, start, batch)


def _slice(rows: Rows, start: int, batch: int) -> Rows:
    def part(values: Ints) -> Ints:
        cut = values[start : start + batch]
        return np.pad(cut, ((0, batch - len(cut)), (0, 0)))

    return Rows(*(part(v) for v in (rows.item, rows.behaviour, rows.place, rows.segment, rows.target)))
