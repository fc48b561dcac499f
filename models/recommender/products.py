"""Tiles of the product of users and items: fast, and wrong by no more than they say.

In float32 by NumPy, or in bfloat16 by TensorFlow where the processor multiplies that: half the time, and a
coarser answer. Both only find candidates; what is listed is scored again exactly.
"""

from __future__ import annotations

import platform
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.recommender.base import Doubles, Floats

# Scores as they compare: float32, or the bits of bfloat16.
Tile = NDArray[Any]
# (low, high) → (users, high - low) of items low to high, for reading only; gone when the next tile is made.
Tiles = Callable[[int, int], Tile]


class Product(ABC):
    """`kind` and `least`: of a tile's numbers, and what stands for -inf among them."""

    kind: type
    least: Any
    coarse = False

    @abstractmethod
    def tiles(self, users: Floats, room: Floats) -> tuple[Tiles, Doubles]:
        """Of these users (users, width); and by how much a sum may be wrong for each, before it is rounded to
        a tile's number. room: memory for a tile's numbers.
        """

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

    def tiles(self, users: Floats, room: Floats) -> tuple[Tiles, Doubles]:
        def tile(low: int, high: int) -> Tile:
            out = room[: len(users) * (high - low)].reshape(len(users), high - low)
            return np.matmul(users, self._table[low:high].T, out=out)

        return tile, _summed(users.shape[1]) * lengths(users) * self._norm

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

    def tiles(self, users: Floats, room: Floats) -> tuple[Tiles, Doubles]:
        tf = self._tf
        factor = tf.cast(tf.constant(users), tf.bfloat16)
        rounded = tf.cast(factor, tf.float32).numpy()

        def tile(low: int, high: int) -> Tile:
            if (low, high) not in self._cut:
                self._cut[low, high] = self._table[low:high]
            scores = tf.raw_ops.MatMul(a=factor, b=self._cut[low, high], transpose_b=True)
            return np.asarray(memoryview(tf.raw_ops.Bitcast(input=scores, type=tf.int16)))

        norm = lengths(rounded)
        lost = lengths(users - rounded) * self._norm + norm * self._lost
        # The processor adds pairs without rounding them to nearest: twice what float32 loses.
        return tile, lost + 4 * _summed(users.shape[1]) * norm * (self._norm + self._lost)

    def surely(self, scores: Tile) -> Floats:
        value = (scores.astype(np.int32) << 16).view(np.float32)
        # Numbers of 8 bits; only positive ones are ever compared.
        return value * np.float32(1 - 2.0**-8)

    def limit(self, floor: Floats) -> Tile:
        return (floor.view(np.int32) >> 16).astype(np.int16)

    def usable(self, floor: Floats) -> bool:
        return bool((floor > 0).all())


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
