"""Hypotheses of a batch of products and how they grow: pure `keras.ops`, fit for a loop in a graph.

The functions that take `xp` also run on NumPy arrays, with `HOST` in place of `keras.ops`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from models.writer.copying import NEVER
from models.writer.encode import MAX_TARGET, Ints
from models.writer.tokenizer import END, PAD


@dataclass(frozen=True)
class Decoding:
    """How to search; part of the key that says whether a text is still current.

    `most`: how often a token of `Constraints.limited` may stand in a text, and then no token right after
    itself; 0: any number of times.
    """

    beams: int = 3
    penalty: float = 1.0
    no_repeat: int = 4
    max_length: int = MAX_TARGET
    most: int = 0

    def as_json(self) -> dict[str, float]:
        return asdict(self)


class _Host:
    """NumPy, where it differs from `keras.ops`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def cast(array: Any, dtype: str) -> Any:
        return np.asarray(array).astype(dtype)

    @staticmethod
    def top_k(array: Any, k: int) -> tuple[Any, Any]:
        order = np.argsort(-array, axis=-1, kind="stable")[..., :k]
        return np.take_along_axis(array, order, -1), order


HOST: Any = _Host()


class Beams(NamedTuple):
    """`beams` hypotheses of every product, in no order.

    `score`: sum of log-probabilities; with one beam, of logits, since nothing is compared with it. `length`
    counts tokens up to the end. A hypothesis that has ended or has nowhere to go is `done`.
    """

    tokens: Any  # (products, beams, max_length), PAD behind the end
    score: Any  # (products, beams)
    length: Any  # (products, beams)
    done: Any  # (products, beams)

    @staticmethod
    def start(products: int, decoding: Decoding) -> Beams:
        shape = products, decoding.beams
        # All beams start equal: only the first of each product may be extended, or they would stay equal.
        score = np.full(shape, NEVER, np.float32)
        score[:, 0] = 0.0
        tokens = np.full((*shape, decoding.max_length), PAD, np.int32)
        return Beams(tokens, score, np.zeros(shape, np.int32), np.zeros(shape, bool))

    def extend(self, logits: Any, barred: Any, time: Any, decoding: Decoding) -> tuple[Beams, Any]:
        """The best hypotheses one token longer, and the row (products · beams,) that each comes from.

        `logits` (products · beams, vocabulary); `barred` (products, beams or 1, vocabulary).
        """
        beams, vocabulary = decoding.beams, ops.shape(logits)[-1]
        logits = ops.reshape(logits, (-1, beams, vocabulary))
        # The last token of a text at full length is the end, whatever else is barred.
        full = ops.equal(time, decoding.max_length - 1)
        barred = ops.where(full, ops.arange(vocabulary) != END, barred)
        open_to = ops.where(barred, NEVER, logits)
        if beams == 1:
            best, ids = ops.max(open_to, axis=-1, keepdims=True), ops.argmax(open_to, axis=-1, keepdims=True)
        else:
            best, ids = ops.top_k(open_to, 2 * beams)
            best = best - ops.where(best > NEVER / 2, ops.logsumexp(logits, axis=-1, keepdims=True), 0.0)
        return self.grown(best, ops.cast(ids, "int32"), time, decoding)

    def grown(self, best: Any, ids: Any, time: Any, decoding: Decoding, xp: Any = ops) -> tuple[Beams, Any]:
        """As `extend`, from every product's continuations (products, beams, width), best first: their
        log-probabilities and tokens.
        """
        beams, width = decoding.beams, best.shape[-1]
        done = self.done[..., None]
        # What is done has one continuation: itself, at no cost.
        frozen = xp.where(xp.arange(width) == 0, self.score[..., None], 2 * NEVER)
        total = xp.where(done, frozen, self.score[..., None] + best)
        ids = xp.where(done, PAD, ids)
        length = xp.where(self.done, self.length, self.length + 1)
        value = total / _weight(length, decoding, xp)[..., None]
        _, order = xp.top_k(xp.reshape(value, (-1, beams * width)), beams)
        first = xp.arange(xp.shape(total)[0], dtype="int32")[:, None] * beams
        parents = first + xp.cast(order // width, "int32")
        picked = parents * width + xp.cast(order % width, "int32")
        score, last = (xp.take(xp.reshape(part, (-1,)), picked, axis=0) for part in (total, ids))
        was_done, length = (xp.take(xp.reshape(part, (-1,)), parents, axis=0) for part in (self.done, length))
        tokens = xp.take(xp.reshape(self.tokens, (-1, decoding.max_length)), parents, axis=0)
        tokens = xp.where(xp.arange(decoding.max_length) == time, last[..., None], tokens)
        ended = xp.logical_or(xp.equal(last, END), score < NEVER / 2)
        done = xp.logical_or(was_done, ended)
        return Beams(tokens, score, length, done), xp.reshape(parents, (-1,))

    def at(self, products: NDArray[np.integer[Any]]) -> Beams:
        return Beams(*(np.asarray(part)[products] for part in self))

    def results(self, decoding: Decoding) -> list[list[list[int]]]:
        """Token lists of every product by value; a hypothesis that never came to life is left out."""
        tokens, score, length, _ = (np.asarray(part) for part in self)
        value = score / np.maximum(length, 1) ** decoding.penalty
        found = []
        for i, order in enumerate(np.argsort(-value, axis=1, kind="stable")):
            alive = [b for b in order if score[i, b] > NEVER / 2]
            found.append([[int(t) for t in tokens[i, b] if t not in (PAD, END)] for b in alive])
        return found


def _weight(length: Any, decoding: Decoding, xp: Any) -> Any:
    return xp.power(xp.cast(xp.maximum(length, 1), "float32"), decoding.penalty)


ANY, NONE = -1, -2  # in a table of phrases: what matches every token; beside texts: what matches none


def table(phrases: Sequence[Sequence[int]]) -> Ints:
    """Phrases as rows (n, longest), right-aligned behind `ANY`."""
    out = np.full((len(phrases), max(map(len, phrases), default=1)), ANY, np.int32)
    for row, phrase in zip(out, phrases, strict=True):
        row[len(row) - len(phrase) :] = phrase
    return out


def forbidden(tokens: Any, time: Any, vocabulary: int, decoding: Decoding, bars: Mapping[str, Any]) -> Any:
    """(rows, vocabulary): what `following` finds; None where nothing can be forbidden."""
    found = following(tokens, time, decoding, bars)
    if not found:
        return None
    rows = ops.shape(tokens)[0]
    first = ops.arange(rows, dtype="int32")[:, None] * vocabulary
    ids = ops.concatenate([ops.reshape(first + ids, (-1, 1)) for _, ids in found], axis=0)
    hits = ops.concatenate([ops.reshape(ops.cast(hit, "float32"), (-1,)) for hit, _ in found], axis=0)
    return ops.reshape(ops.scatter(ids, hits, (rows * vocabulary,)), (rows, vocabulary)) > 0


def following(
    tokens: Any, time: Any, decoding: Decoding, bars: Mapping[str, Any], xp: Any = ops
) -> list[tuple[Any, Any]]:
    """What would repeat an n-gram, end a phrase or the text too early, or be said too often behind the first
    `time` of `tokens` (rows, places): hits and token ids, both (rows, n).

    `bars`, each where there is one: `phrases`, of `table`; `least` (rows,) and `limited` (vocabulary,), of
    `Constraints`.
    """
    found = []
    if decoding.no_repeat < tokens.shape[1]:
        found.append(_repeats(tokens, time, decoding.no_repeat, xp))
    if "phrases" in bars:
        found.append(_ends(tokens, time, bars["phrases"], xp))
    if "least" in bars:
        early = time < bars["least"][:, None]
        found.append((early, xp.full_like(xp.cast(early, "int32"), END)))
    if decoding.most and "limited" in bars:
        found.append(_worn(tokens, time, decoding.most, bars["limited"], xp))
    return found


def _repeats(tokens: Any, time: Any, size: int, xp: Any) -> tuple[Any, Any]:
    """Where n-grams of `size` begin like the last tokens (rows, places - size + 1), and how they end."""
    back, starts = size - 1, tokens.shape[1] - size + 1
    same = xp.broadcast_to(xp.arange(starts) + back < time, xp.shape(tokens[:, :starts]))
    for i in range(back):
        last = xp.take(tokens, xp.maximum(time - back + i, 0), axis=1)
        same = xp.logical_and(same, xp.equal(tokens[:, i : starts + i], last[:, None]))
    return same, tokens[:, back:]


def _ends(tokens: Any, time: Any, phrases: Any, xp: Any) -> tuple[Any, Any]:
    """Which phrases the last tokens begin (rows, n), and how these end."""
    size = xp.shape(phrases)[1] - 1
    places = time - size + xp.arange(size, dtype="int32")
    last = xp.where(places >= 0, xp.take(tokens, xp.maximum(places, 0), axis=1), NONE)[:, None, :]
    begins = phrases[None, :, :-1]
    hit = xp.all(xp.logical_or(xp.equal(begins, ANY), xp.equal(begins, last)), axis=-1)
    return hit, xp.broadcast_to(phrases[None, :, -1], xp.shape(hit))


def _worn(tokens: Any, time: Any, most: int, limited: Any, xp: Any) -> tuple[Any, Any]:
    """The tokens so far (rows, places): hits are the last one, and limited ones that stand `most` times."""
    places = xp.arange(tokens.shape[1])
    so_far = places < time
    same = xp.logical_and(xp.equal(tokens[:, :, None], tokens[:, None, :]), so_far)
    often = xp.sum(xp.cast(same, "int32"), axis=-1) >= most
    hit = xp.logical_or(xp.logical_and(often, xp.take(limited, tokens)), xp.equal(places, time - 1))
    return xp.logical_and(hit, so_far), tokens
