"""Compiled loops between the products with weights of a decoder on a CPU."""

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
def _exp_to(x: Floats, shift: np.float32) -> np.float32:
    """x = exp(x - shift), with `shift` their largest, by the polynomial of Cephes, within 1e-6; their sum."""
    total = F(0)
    for i in range(len(x)):
        value = max(x[i] - shift, F(-87))
        whole = np.floor(value * F(1.44269504088896341) + F(0.5))
        rest = value - whole * F(0.693359375) + whole * F(2.12194440e-4)
        power = F(1.9875691500e-4) * rest + F(1.3981999507e-3)
        power = power * rest + F(8.3334519073e-3)
        power = power * rest + F(4.1665795894e-2)
        power = power * rest + F(1.6666665459e-1)
        power = power * rest + F(5.0000001201e-1)
        power = power * rest * rest + rest + F(1)
        scale = np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)
        x[i] = power * scale
        total += x[i]
    return total


@_compiled  # type: ignore[untyped-decorator]
def attend(query: Floats, keys: Floats, values: Floats, hidden: Floats, into: Floats) -> None:
    """Attention of each row (heads, size) to the places of its product: `into` (rows, heads · size).

    query: (rows, at least heads · size), its first columns; keys, values: (products, heads, places, size),
    equally many rows a product; hidden: (products, places in use), added to the scores.
    """
    products, heads, _, size = keys.shape
    beams, used = len(query) // products, hidden.shape[1]
    # Four places at a time: the query, and the sums of values, come from memory a quarter as often.
    fours = used - used % 4
    score = np.empty(used, np.float32)
    for row in range(len(query)):
        product = row // beams
        for head in range(heads):
            asked, known = query[row, head * size : (head + 1) * size], keys[product, head]
            for p in range(0, fours, 4):
                a, b, c, d = F(0), F(0), F(0), F(0)
                for i in range(size):
                    a += asked[i] * known[p, i]
                    b += asked[i] * known[p + 1, i]
                    c += asked[i] * known[p + 2, i]
                    d += asked[i] * known[p + 3, i]
                score[p], score[p + 1], score[p + 2], score[p + 3] = a, b, c, d
            for p in range(fours, used):
                a = F(0)
                for i in range(size):
                    a += asked[i] * known[p, i]
                score[p] = a
            top = F(2 * NEVER)
            for p in range(used):
                score[p] += hidden[product, p]
                top = max(top, score[p])
            factor = F(1) / _exp_to(score, top)
            out, told = into[row, head * size : (head + 1) * size], values[product, head]
            out[:] = F(0)
            for p in range(0, fours, 4):
                a, b, c, d = (
                    score[p] * factor,
                    score[p + 1] * factor,
                    score[p + 2] * factor,
                    score[p + 3] * factor,
                )
                for i in range(size):
                    out[i] += a * told[p, i] + b * told[p + 1, i] + c * told[p + 2, i] + d * told[p + 3, i]
            for p in range(fours, used):
                a = score[p] * factor
                for i in range(size):
                    out[i] += a * told[p, i]


@_compiled  # type: ignore[untyped-decorator]
def log_totals(logits: Floats) -> Floats:
    """(rows,): the logarithm of the sum of the exponentials of each row, which is used up."""
    found = np.empty(len(logits), np.float32)
    for row in range(len(logits)):
        top = logits[row].max()
        found[row] = top + np.log(_exp_to(logits[row], top))
    return found


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
