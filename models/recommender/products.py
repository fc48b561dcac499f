"""Tiles of the product of users and items: fast, and wrong by no more than they say.

In float32, or in bfloat16 by TensorFlow where the processor multiplies that: half the time, and a
coarser answer. Both only find candidates; what is listed is scored again exactly.
"""

from __future__ import annotations

import platform
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from models.recommender import scan
from models.recommender.base import Bools, Doubles, Floats, Longs
from models.recommender.scan import Room, Tile

# Items whose scores with a block of users stay in the cache: of calls from Python, and of a compiled loop, to
# which small ones cost nothing more.
TILE, WALKED = 1024, 512


class Tiles(ABC):
    """Scores of some users, `width` items at a time. margin (users,): by how much a sum may be wrong before
    it is rounded to a tile's number.
    """

    width = TILE
    margin: Doubles

    @abstractmethod
    def made(self, low: int, high: int) -> Tile:
        """(users, high - low) of items low to high, for reading only; gone when the next tile is made."""

    def note(
        self, span: tuple[int, int], limit: Tile, users: Longs, hidden: tuple[Longs, Longs], into: Room
    ) -> tuple[int, Bools]:
        """`scan.note` for items span[0] to span[1], `width` at a time, until there is no room for somebody:
        the first item of the tile where that was, else span[1], and for whom. hidden: by item.
        """
        for low in range(*span, self.width):
            high = min(low + self.width, span[1])
            tile = self.made(low, high)
            crowded = scan.note(tile, limit, users, low, between(hidden, low, high), into)
            # Its memory, still in the cache, is the next one's.
            del tile
            if crowded.any():
                return low, crowded
        return span[1], np.zeros(len(limit), np.bool_)


class Product(ABC):
    """`kind` and `least`: of a tile's numbers, and what stands for -inf among them."""

    kind: type
    least: Any
    coarse = False

    @abstractmethod
    def tiles(self, users: Floats, room: Floats) -> Tiles:
        """Of these users (users, width). room: memory for a tile's numbers."""

    @abstractmethod
    def surely(self, scores: Tile) -> Floats:
        """The least sums that these numbers may stand for."""

    @abstractmethod
    def limit(self, floor: Floats) -> Tile:
        """What sums that reach the floor compare with, as a tile's numbers."""

    @abstractmethod
    def usable(self, floor: Floats) -> bool:
        """Whether a tile's numbers compare rightly with these floors."""


class Float32(Product):
    """table: (items, width)."""

    kind, least = np.float32, np.float32(-np.inf)

    def __init__(self, table: Floats) -> None:
        self._table, self._norm = table, longest(table)

    def tiles(self, users: Floats, room: Floats) -> Tiles:
        margin = _summed(users.shape[1]) * lengths(users) * self._norm
        return _Float32Tiles(users, self._table, room, margin)

    def surely(self, scores: Tile) -> Floats:
        return scores

    def limit(self, floor: Floats) -> Tile:
        return floor

    def usable(self, floor: Floats) -> bool:
        return True


class BFloat16(Product):
    """Numbers are bits: those of positive ones are ordered as they are, and above all others."""

    kind, least, coarse = np.int16, np.int16(-128), True

    def __init__(self, table: Floats) -> None:
        import tensorflow as tf

        self._tf = tf
        self._table = tf.cast(tf.constant(table), tf.bfloat16)
        rounded = tf.cast(self._table, tf.float32).numpy()
        self._norm, self._lost = longest(table), longest(table - rounded)
        self._cut: dict[tuple[int, int], Any] = {}

    def tiles(self, users: Floats, room: Floats) -> Tiles:
        factor = self._tf.cast(self._tf.constant(users), self._tf.bfloat16)
        rounded = self._tf.cast(factor, self._tf.float32).numpy()
        norm = lengths(rounded)
        lost = lengths(users - rounded) * self._norm + norm * self._lost
        # The processor adds pairs without rounding them to nearest: twice what float32 loses.
        margin = lost + 4 * _summed(users.shape[1]) * norm * (self._norm + self._lost)
        return _BFloat16Tiles(factor, self._part, margin)

    def _part(self, low: int, high: int) -> Any:
        if (low, high) not in self._cut:
            self._cut[low, high] = self._table[low:high]
        return self._cut[low, high]

    def surely(self, scores: Tile) -> Floats:
        value = (scores.astype(np.int32) << 16).view(np.float32)
        # Numbers of 8 bits; only positive ones are ever compared.
        return value * np.float32(1 - 2.0**-8)

    def limit(self, floor: Floats) -> Tile:
        return (floor.view(np.int32) >> 16).astype(np.int16)

    def usable(self, floor: Floats) -> bool:
        return bool((floor > 0).all())


@dataclass(frozen=True)
class _Float32Tiles(Tiles):
    width = WALKED
    users: Floats
    table: Floats
    room: Floats
    margin: Doubles

    def made(self, low: int, high: int) -> Tile:
        out = self.room[: len(self.users) * (high - low)].reshape(len(self.users), high - low)
        return np.matmul(self.users, self.table[low:high].T, out=out)

    def note(
        self, span: tuple[int, int], limit: Tile, users: Longs, hidden: tuple[Longs, Longs], into: Room
    ) -> tuple[int, Bools]:
        found: tuple[int, Bools] = scan.walk(
            self.users, self.table, self.room, self.width, limit, users, span, hidden, into
        )
        return found


@dataclass(frozen=True)
class _BFloat16Tiles(Tiles):
    """part: (low, high) → items low to high."""

    factor: Any
    part: Callable[[int, int], Any]
    margin: Doubles

    def made(self, low: int, high: int) -> Tile:
        from tensorflow import int16, raw_ops

        scores = raw_ops.MatMul(a=self.factor, b=self.part(low, high), transpose_b=True)
        return np.asarray(memoryview(raw_ops.Bitcast(input=scores, type=int16)))


def between(hidden: tuple[Longs, Longs], low: int, high: int) -> tuple[Longs, Longs]:
    """Of (user, item), by item, those of items low to high."""
    here = slice(*np.searchsorted(hidden[1], (low, high)))
    return hidden[0][here], hidden[1][here]


def _summed(width: int) -> float:
    """Relative error of an inner product in float32 (N. J. Higham, Accuracy and Stability of Numerical
    Algorithms, 2002, §3.1), with some to spare.
    """
    return (width + 3) * 2.0**-24


def lengths(vectors: Floats) -> Doubles:
    """(n,): Euclidean."""
    found: Doubles = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    return found


def longest(vectors: Floats) -> float:
    return float(lengths(vectors).max(initial=0))


@lru_cache(maxsize=1)
def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 itself, and TensorFlow is there to ask it."""
    import keras

    if keras.backend.backend() != "tensorflow" or platform.system() != "Linux":
        return False
    flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    return bool(flags & {"avx512_bf16", "amx_bf16"})
