"""Hypotheses of a batch of products and how they grow: pure `keras.ops`, fit for a loop in a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from models.writer.copying import NEVER
from models.writer.encode import MAX_TARGET, Ints
from models.writer.tokenizer import END, PAD


@dataclass(frozen=True)
class Decoding:
    """How to search; part of the key that says whether a text is still current."""

    beams: int = 3
    penalty: float = 1.0
    no_repeat: int = 4
    max_length: int = MAX_TARGET

    def as_json(self) -> dict[str, float]:
        return asdict(self)


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
        return self._kept(best, ops.cast(ids, "int32"), time, decoding)

    def _kept(self, best: Any, ids: Any, time: Any, decoding: Decoding) -> tuple[Beams, Any]:
        """The best of every product's continuations (products, beams, width)."""
        beams, width = decoding.beams, best.shape[-1]
        done = self.done[..., None]
        # What is done has one continuation: itself, at no cost.
        frozen = ops.where(ops.arange(width) == 0, self.score[..., None], 2 * NEVER)
        total = ops.where(done, frozen, self.score[..., None] + best)
        ids = ops.where(done, PAD, ids)
        length = ops.where(self.done, self.length, self.length + 1)
        value = total / _weight(length, decoding)[..., None]
        _, order = ops.top_k(ops.reshape(value, (-1, beams * width)), beams)
        first = ops.arange(ops.shape(total)[0], dtype="int32")[:, None] * beams
        parents = first + ops.cast(order // width, "int32")
        picked = parents * width + ops.cast(order % width, "int32")
        score, last = (ops.take(ops.reshape(part, (-1,)), picked, axis=0) for part in (total, ids))
        was_done, length = (
            ops.take(ops.reshape(part, (-1,)), parents, axis=0) for part in (self.done, length)
        )
        tokens = ops.take(ops.reshape(self.tokens, (-1, decoding.max_length)), parents, axis=0)
        tokens = ops.where(ops.arange(decoding.max_length) == time, last[..., None], tokens)
        ended = ops.logical_or(ops.equal(last, END), score < NEVER / 2)
        done = ops.logical_or(was_done, ended)
        return Beams(tokens, score, length, done), ops.reshape(parents, (-1,))

    def at(self, products: Ints) -> Beams:
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


def _weight(length: Any, decoding: Decoding) -> Any:
    return ops.power(ops.cast(ops.maximum(length, 1), "float32"), decoding.penalty)


ANY, NONE = -1, -2  # in a table of phrases: what matches every token; beside texts: what matches none


def table(phrases: Sequence[Sequence[int]]) -> Ints:
    """Phrases as rows (n, longest), right-aligned behind `ANY`."""
    out = np.full((len(phrases), max(map(len, phrases), default=1)), ANY, np.int32)
    for row, phrase in zip(out, phrases, strict=True):
        row[len(row) - len(phrase) :] = phrase
    return out


def forbidden(tokens: Any, time: Any, vocabulary: int, no_repeat: int, phrases: Any) -> Any:
    """(rows, vocabulary): what would repeat an n-gram or end a phrase behind the first `time` of `tokens`.

    `tokens` (rows, places). `phrases`: of `table`, or None. None where nothing can be forbidden.
    """
    found = []
    if no_repeat < tokens.shape[1]:
        found.append(_repeats(tokens, time, no_repeat))
    if phrases is not None:
        found.append(_ends(tokens, time, phrases))
    if not found:
        return None
    rows = ops.shape(tokens)[0]
    first = ops.arange(rows, dtype="int32")[:, None] * vocabulary
    ids = ops.concatenate([ops.reshape(first + ids, (-1, 1)) for _, ids in found], axis=0)
    hits = ops.concatenate([ops.reshape(ops.cast(hit, "float32"), (-1,)) for hit, _ in found], axis=0)
    return ops.reshape(ops.scatter(ids, hits, (rows * vocabulary,)), (rows, vocabulary)) > 0


def _repeats(tokens: Any, time: Any, size: int) -> tuple[Any, Any]:
    """Where n-grams of `size` begin like the last tokens (rows, places - size + 1), and how they end."""
    back, starts = size - 1, tokens.shape[1] - size + 1
    same = ops.broadcast_to(ops.arange(starts) + back < time, ops.shape(tokens[:, :starts]))
    for i in range(back):
        last = ops.take(tokens, ops.maximum(time - back + i, 0), axis=1)
        same = ops.logical_and(same, ops.equal(tokens[:, i : starts + i], last[:, None]))
    return same, tokens[:, back:]


def _ends(tokens: Any, time: Any, phrases: Any) -> tuple[Any, Any]:
    """Which phrases the last tokens begin (rows, n), and how these end."""
    size = ops.shape(phrases)[1] - 1
    places = time - size + ops.arange(size, dtype="int32")
    last = ops.where(places >= 0, ops.take(tokens, ops.maximum(places, 0), axis=1), NONE)[:, None, :]
    begins = phrases[None, :, :-1]
    hit = ops.all(ops.logical_or(ops.equal(begins, ANY), ops.equal(begins, last)), axis=-1)
    return hit, ops.broadcast_to(phrases[None, :, -1], ops.shape(hit))
