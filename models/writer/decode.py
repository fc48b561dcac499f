"""Beam search over many products at once: caches, constraints, finished beams frozen.

Every step runs `beams` hypotheses of a batch of products through the network,
one token each. A hypothesis that has ended keeps its place at no further cost,
and is compared by its log-probability over its length to the power `penalty`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from models.backend import compiled
from models.writer.contexts import Contexts
from models.writer.encode import MAX_TARGET, Ints, Sources
from models.writer.model import NEVER, Transformer
from models.writer.tokenizer import BEGIN, END, PAD

Floats = NDArray[np.float32]

# The cache grows by so many places at a time: attending to empty places costs as much as to full ones.
CACHE_GROWTH = 32


@dataclass(frozen=True)
class Decoding:
    """How to search; part of the key that says whether a text is still current."""

    beams: int = 3
    penalty: float = 1.0
    no_repeat: int = 4
    max_length: int = MAX_TARGET

    def as_json(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True)
class Constraints:
    """What may not be written. `allowed` (batch, vocabulary) is true where a product may use a token.

    `contexts`: the surroundings that a placeholder may stand in; None: any.
    """

    allowed: NDArray[np.bool_]
    phrases: Sequence[Sequence[int]]
    contexts: Contexts | None = None


class Decoder:
    """Keeps the compiled graphs of one model."""

    def __init__(self, model: Transformer, decoding: Decoding = Decoding()) -> None:
        self.model, self.decoding = model, decoding
        self._encode = compiled(self._memory)
        self._step = compiled(self._one_step)

    def _memory(self, token: Any, place: Any, group: Any) -> Any:
        memory, mask = self.model.encode(token, place, group)
        crosses = [block.cross for block in self.model.decoder if block.cross is not None]
        return [cross.keys_values(memory) for cross in crosses], mask

    def _one_step(
        self, token: Any, time: Any, parents: Any, caches: Any, memory: Any, mask: Any, barred: Any
    ) -> tuple[Any, Any, Any]:
        """The best continuations of every row: log-probabilities and tokens (rows, 2 · beams); the caches."""
        places = ops.arange(ops.shape(caches[0][0])[2])
        here = ops.equal(places, time)[None, None, :, None]
        seen = ops.less_equal(places, time)[None, None, None, :]
        x = self.model.embed_target(token[:, None], ops.reshape(time, (1, 1)))
        kept = []
        for block, (keys, values), (far_keys, far_values) in zip(
            self.model.decoder, caches, memory, strict=True
        ):
            cache = (ops.take(keys, parents, axis=0), ops.take(values, parents, axis=0))
            x, cache = block.step(x, cache, here, seen, (far_keys, far_values, mask))
            kept.append(cache)
        log_p = ops.log_softmax(self.model.logits(x)[:, 0, :], axis=-1)
        best, ids = ops.top_k(ops.where(barred, NEVER, log_p), 2 * self.decoding.beams)
        return best, ids, kept

    def search(self, sources: Sources, constraints: Constraints) -> list[list[list[int]]]:
        """For every source, the token lists of its beams, best first, without the end token."""
        beams, count = self.decoding.beams, len(sources)
        memory, mask = self._encode(sources.token, sources.place, sources.group)
        state = _Beams.start(count, self.decoding)
        caches = self._caches(count * beams)
        parents = np.arange(count * beams, dtype=np.int32)
        last = np.full(count * beams, BEGIN, np.int32)
        allowed = np.repeat(constraints.allowed, beams, axis=0)
        for time in range(self.decoding.max_length):
            caches = _grown(caches, time)
            barred = ~allowed | state.barred(constraints.phrases, allowed.shape[1])
            if constraints.contexts is not None:
                barred |= constraints.contexts.barred(state.tokens)
            if time == self.decoding.max_length - 1:
                barred[:] = True
                barred[:, END] = False
            now = np.asarray(time, np.int32)
            best, ids, caches = self._step(last, now, parents, caches, memory, mask, barred)
            parents, last = state.extend(np.asarray(best), np.asarray(ids))
            if state.done.all():
                break
        return state.results()

    def _caches(self, rows: int) -> list[tuple[Floats, Floats]]:
        c = self.model.config
        empty = np.zeros((rows, c.heads, 0, c.width // c.heads), np.float32)
        return [(empty, empty) for _ in self.model.decoder]


def _grown(caches: list[tuple[Any, Any]], time: int) -> list[tuple[Any, Any]]:
    if time % CACHE_GROWTH:
        return caches
    wide = ((0, 0), (0, 0), (0, CACHE_GROWTH), (0, 0))
    return [(ops.pad(keys, wide), ops.pad(values, wide)) for keys, values in caches]


@dataclass
class _Beams:
    """Hypotheses of a batch, (batch · beams) rows."""

    decoding: Decoding
    tokens: Ints  # (rows, time)
    score: Floats  # (rows,) sum of log-probabilities
    length: Ints  # (rows,) tokens up to the end
    done: NDArray[np.bool_]  # (rows,)

    @staticmethod
    def start(count: int, decoding: Decoding) -> _Beams:
        rows = count * decoding.beams
        # All beams start equal: only the first of each product may be extended, or they would stay equal.
        score = np.full((count, decoding.beams), NEVER, np.float32)
        score[:, 0] = 0.0
        empty = np.zeros((rows, 0), np.int32)
        return _Beams(decoding, empty, score.reshape(-1), np.zeros(rows, np.int32), np.zeros(rows, bool))

    def barred(self, phrases: Sequence[Sequence[int]], vocabulary: int) -> NDArray[np.bool_]:
        """(rows, vocabulary): tokens that would repeat an n-gram or finish a banned phrase."""
        out = np.zeros((len(self.tokens), vocabulary), bool)
        time, back = self.tokens.shape[1], self.decoding.no_repeat - 1
        if time > back:
            recent = self.tokens[:, time - back :]
            same = np.ones((len(self.tokens), time - back), bool)
            for i in range(back):
                same &= self.tokens[:, i : i + time - back] == recent[:, i : i + 1]
            rows, starts = np.nonzero(same)
            out[rows, self.tokens[rows, starts + back]] = True
            out[:, PAD] = False
        for phrase in phrases:
            size = len(phrase) - 1
            if size <= time:
                hit = (self.tokens[:, time - size :] == np.asarray(phrase[:-1], np.int32)).all(axis=1)
                out[hit, phrase[-1]] = True
        return out

    def extend(self, best: Floats, ids: Ints) -> tuple[Ints, Ints]:
        """Keep the best hypotheses of every product; returns the parent row and the new token of each row."""
        beams = self.decoding.beams
        rows, width = best.shape
        total = self.score[:, None] + best
        frozen = np.full_like(total, NEVER * 2)
        frozen[:, 0] = self.score
        total = np.where(self.done[:, None], frozen, total)
        ids = np.where(self.done[:, None], PAD, ids).astype(np.int32)
        length = np.where(self.done, self.length, self.length + 1)
        value = total / np.maximum(length, 1)[:, None] ** self.decoding.penalty
        order = np.argsort(-value.reshape(-1, beams * width), axis=1, kind="stable")[:, :beams]
        first = np.arange(0, rows, beams)[:, None]
        parents = (first + order // width).reshape(-1).astype(np.int32)
        picked = (order % width).reshape(-1)
        last = ids[parents, picked]
        self.score = total[parents, picked]
        self.length, was_done = length[parents].astype(np.int32), self.done[parents]
        self.tokens = np.concatenate([self.tokens[parents], last[:, None]], axis=1)
        # A hypothesis with nowhere to go is over too; `results` leaves it out.
        self.done = was_done | (last == END) | (self.score < NEVER / 2)
        return parents, last

    def results(self) -> list[list[list[int]]]:
        """Token lists by value; a hypothesis that never came to life is left out."""
        beams = self.decoding.beams
        value = self.score / np.maximum(self.length, 1) ** self.decoding.penalty
        found = []
        for first in range(0, len(self.tokens), beams):
            order = sorted(range(first, first + beams), key=lambda r: (-value[r], r))
            alive = [r for r in order if self.score[r] > NEVER / 2]
            found.append([[int(t) for t in self.tokens[r] if t not in (PAD, END)] for r in alive])
        return found


def batches(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Indices in batches of similar length; the composition depends on nothing but the lengths."""
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    for start in range(0, len(order), size):
        yield order[start : start + size]
