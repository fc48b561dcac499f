"""Compiled loops between the matrix products of a decoder on a CPU."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from models.writer.copying import NEVER

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int32]
F = np.float32

EPSILON = F(1e-5)
# Sums in any order, and divisions that do not raise: without these loops do not become vectors. Whatever
# comes in is finite.
_compiled = numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")


@_compiled  # type: ignore[untyped-decorator]
def add_and_norm(x: Floats, more: Floats, bias: Floats, scale: Floats, shift: Floats, into: Floats) -> None:
    """x += more + bias, and `into` its layer norm: all (rows, width)."""
    width = F(x.shape[1])
    for row in range(len(x)):
        here, added, out = x[row], more[row], into[row]
        total = F(0)
        for i in range(len(here)):
            here[i] += added[i] + bias[i]
            total += here[i]
        mean, spread = total / width, F(0)
        for i in range(len(here)):
            spread += (here[i] - mean) * (here[i] - mean)
        factor = F(1) / np.sqrt(spread / width + EPSILON)
        for i in range(len(here)):
            out[i] = (here[i] - mean) * factor * scale[i] + shift[i]


@_compiled  # type: ignore[untyped-decorator]
def gelu(x: Floats, bias: Floats) -> None:
    """x = GELU(x + bias), (rows, width), with erf as Eigen's rational function for float32."""
    for row in range(len(x)):
        here = x[row]
        for i in range(len(here)):
            value = here[i] + bias[i]
            z = value * F(0.7071067811865476)
            z = F(4) if z > F(4) else z
            z = F(-4) if z < F(-4) else z
            s = z * z
            over = F(-2.72614225801306e-10) * s + F(2.77068142495902e-08)
            over = over * s + F(-2.10102402082508e-06)
            over = over * s + F(-5.69250639462346e-05)
            over = over * s + F(-7.34990630326855e-04)
            over = over * s + F(-2.95459980854025e-03)
            over = over * s + F(-1.60960333262415e-02)
            under = F(-1.45660718464996e-05) * s + F(-2.13374055278905e-04)
            under = under * s + F(-1.68282697438203e-03)
            under = under * s + F(-7.37332916720468e-03)
            under = under * s + F(-1.42647390514189e-02)
            here[i] = F(0.5) * value * (F(1) + z * over / under)


@_compiled  # type: ignore[untyped-decorator]
def likeliest(logits: Floats, barred: Bools, count: int) -> tuple[Floats, Ints]:
    """The best `count` of every row's logits that are not barred, (rows, count), best first, the lower id
    first among equals; `NEVER` for none. Both arguments: (rows, vocabulary).
    """
    rows, vocabulary = logits.shape
    best = np.full((rows, count), F(NEVER), np.float32)
    ids = np.zeros((rows, count), np.int32)
    for row in range(rows):
        here, shut, top, at = logits[row], barred[row], best[row], ids[row]
        for token in range(vocabulary):
            # Mostly false, and then the only look at a token.
            if here[token] > top[count - 1] and not shut[token]:
                place = count - 1
                while place > 0 and here[token] > top[place - 1]:
                    top[place], at[place] = top[place - 1], at[place - 1]
                    place -= 1
                top[place], at[place] = here[token], token
    return best, ids
