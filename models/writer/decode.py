"""Beam search over many products at once: caches, constraints, products that are done left out.

A graph runs several steps of all hypotheses of a batch before it comes back. What has ended keeps its place
at no further cost, compared by its log-probability over its length to the power `penalty`; a product whose
hypotheses have all ended leaves the batch. Keys and values of earlier steps are closed, and never copied
while the open ones fill.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from models.backend import compiled
from models.writer.beams import Beams, Decoding, forbidden, table
from models.writer.contexts import Contexts
from models.writer.encode import Ints, Sources
from models.writer.model import Transformer
from models.writer.tokenizer import BEGIN

__all__ = ["Constraints", "Decoder", "Decoding", "batches"]

# Steps between looks at what is done, and into how many parts of itself a batch may shrink: often and finely,
# or, where every size is compiled anew, for few sizes.
FINE, COARSE = (8, 8), (32, 2)


USUAL = Decoding()


@dataclass(frozen=True)
class Constraints:
    """What may not be written. `allowed` (batch, vocabulary) is true where a product may use a token.

    `contexts`: the surroundings that a placeholder may stand in; None: any. `least` (batch,): tokens before
    a text may end; None: none. `limited` (vocabulary,): tokens that stand at most `Decoding.most` times in a
    text; None: none.
    """

    allowed: NDArray[np.bool_]
    phrases: Sequence[Sequence[int]]
    contexts: Contexts | None = None
    least: Ints | None = None
    limited: NDArray[np.bool_] | None = None

    def bars(self, beams: int, products: Any = slice(None)) -> dict[str, Any]:
        """What `following` looks at, for these products with so many rows each."""
        found: dict[str, Any] = {"phrases": self._table} if self.phrases else {}
        if self.least is not None:
            found["least"] = np.repeat(self.least[products], beams)
        if self.limited is not None:
            found["limited"] = self.limited
        return found

    @cached_property
    def _table(self) -> Ints:
        return table(self.phrases)


@dataclass
class _Batch:
    """The products that are still written, and what the network keeps of them."""

    products: Ints  # their places in the sources
    barred: NDArray[np.bool_]  # (products, 1, vocabulary)
    memory: Any  # of the sources: keys and values for every block, their mask, what may be copied
    texts: Beams
    closed: Any  # keys and values (rows, heads, places, size) for every block

    def __len__(self) -> int:
        return len(self.products)


class Decoder:
    """Keeps the compiled graphs of one model.

    xla: compiled for every size of batch and length, where texts are so many that this does not count.
    """

    def __init__(self, model: Transformer, decoding: Decoding = USUAL, xla: bool = False) -> None:
        self.model, self.decoding, self.xla = model, decoding, xla
        anew = xla or keras.backend.backend() != "tensorflow"
        self.places, self.parts = COARSE if anew else FINE
        self._encode = compiled(self._memory, xla=xla)
        self._runs: dict[tuple[str, ...], Any] = {}
        self._shut = compiled(_closed, any_size=True)
        self._shrink = compiled(_taken, any_size=True)

    def search(self, sources: Sources, constraints: Constraints, z: Any = None) -> list[list[list[int]]]:
        """For every source, the token lists of its beams, best first, without the end token. `z` (sources,
        latent): in place of what the attributes make likely.
        """
        batch, weights = self._start(sources, constraints, z)
        found: list[list[list[int]]] = [[] for _ in range(len(sources))]
        for time in range(0, self.decoding.max_length, self.places):
            opened, origin = self._fill(batch, time, weights, constraints)
            done = np.atleast_1d(np.asarray(batch.texts.done).all(axis=1))
            last = done.all() or time + self.places >= self.decoding.max_length
            over = np.flatnonzero(done | last).astype(np.int32)
            for i, beams in zip(over, batch.texts.at(over).results(self.decoding), strict=True):
                found[batch.products[i]] = beams
            if last:
                break
            self._next(batch, opened, origin, _kept(done, len(sources), self.parts))
        return found

    def _start(self, sources: Sources, constraints: Constraints, z: Any) -> tuple[_Batch, Any]:
        c, count = self.model.config, len(sources)
        memory, weights = self._encode(sources.token, sources.place, sources.group, z)
        empty = np.zeros((count * self.decoding.beams, c.heads, 0, c.width // c.heads), np.float32)
        return _Batch(
            products=np.arange(count, dtype=np.int32),
            barred=~np.asarray(constraints.allowed)[:, None, :],
            memory=memory,
            texts=Beams.start(count, self.decoding),
            closed=[(empty, empty) for _ in self.model.decoder],
        ), weights

    def _memory(self, token: Any, place: Any, group: Any, z: Any) -> Any:
        memory, mask = self.model.encode(token, place, group, z=z)
        crosses = [block.cross for block in self.model.decoder if block.cross is not None]
        kept = (
            [cross.keys_values(memory) for cross in crosses],
            mask,
            self.model.pointers(memory, token, place),
        )
        return kept, self.model.step_weights()

    def _fill(self, batch: _Batch, start: int, weights: Any, constraints: Constraints) -> tuple[Any, Any]:
        """Up to `places` more tokens for every text; the caches of these, and the row each row began as."""
        c, rows = self.model.config, len(batch) * self.decoding.beams
        empty = np.zeros((rows, c.heads, self.places, c.width // c.heads), np.float32)
        opened: Any = [(empty, empty) for _ in self.model.decoder]
        origin: Any = np.arange(rows, dtype=np.int32)
        stop = min(start + self.places, self.decoding.max_length)
        bars = constraints.bars(self.decoding.beams, batch.products)
        run = self._runs.setdefault(tuple(bars), compiled(self._steps, any_size=True, xla=self.xla))
        contexts = constraints.contexts
        for time in range(start, stop, 1 if contexts else self.places):
            barred = batch.barred if contexts is None else batch.barred | _barred(contexts, batch.texts, time)
            until = stop if contexts is None else time + 1
            clock = np.array([time, until, start], np.int32)
            fixed = batch.closed, batch.memory, weights, barred, bars
            texts, opened, origin = run(clock, tuple(batch.texts), opened, origin, fixed)
            batch.texts = Beams(*texts)
        return opened, origin

    def _steps(self, clock: Any, texts: Any, opened: Any, origin: Any, fixed: Any) -> Any:
        """Steps from `clock[0]` to `clock[1]`, or until all is done; the open caches begin at `clock[2]`."""

        def unfinished(time: Any, texts: Any, *_: Any) -> Any:
            return ops.logical_and(time < clock[1], ops.logical_not(ops.all(Beams(*texts).done)))

        def step(time: Any, *state: Any) -> Any:
            return (time + 1, *self._step(time, time - clock[2], *state, *fixed))

        return ops.while_loop(unfinished, step, (clock[0], texts, opened, origin))[1:]

    def _step(
        self, time: Any, place: Any, texts: Any, opened: Any, origin: Any,
        closed: Any, memory: Any, weights: Any, barred: Any, bars: Any,
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        d, c = self.decoding, self.model.config
        old, rows = Beams(*texts), ops.shape(origin)[0]
        tokens = ops.reshape(old.tokens, (rows, d.max_length))
        last = ops.where(time > 0, ops.take(tokens, ops.maximum(time - 1, 0), axis=1), BEGIN)
        at = ops.arange(rows * c.heads, dtype="int32")[:, None] * self.places + place
        if d.beams > 1:
            closed = _taken(closed, origin)
        sources = [(keys, values, memory[1]) for keys, values in memory[0]]
        caches = list(zip(closed, opened, strict=True))
        logits, opened = self.model.step(
            last, time, weights, caches, at, ops.arange(self.places) <= place, sources, memory[2]
        )
        hits = forbidden(tokens, time, c.vocabulary, d, bars)
        if hits is not None:
            barred = ops.logical_or(barred, ops.reshape(hits, (-1, d.beams, c.vocabulary)))
        new, parents = old.extend(logits, barred, time, d)
        if d.beams > 1:
            opened, origin = _taken(opened, parents), ops.take(origin, parents, axis=0)
        return tuple(new), opened, origin

    def _next(self, batch: _Batch, opened: Any, origin: Any, kept: Ints | None) -> None:
        """Closes the caches, of the products `kept` only; None: of all."""
        beams = self.decoding.beams
        if kept is not None:
            batch.products, batch.barred = batch.products[kept], batch.barred[kept]
            batch.texts = batch.texts.at(kept)
            batch.memory = self._shrink(batch.memory, kept)
        else:
            kept = np.arange(len(batch), dtype=np.int32)
        rows = (kept[:, None] * beams + np.arange(beams, dtype=np.int32)).reshape(-1)
        batch.closed = self._shut(batch.closed, opened, np.asarray(origin)[rows], rows)


def _taken(tree: Any, rows: Any) -> Any:
    """These rows of every array."""
    return keras.tree.map_structure(lambda a: ops.take(a, rows, axis=0), tree)


def _closed(closed: Any, opened: Any, origin: Any, rows: Any) -> Any:
    """The rows' caches in one: places of `closed` that they come from, then those of `opened`."""
    return [
        tuple(
            ops.concatenate([ops.take(a, origin, axis=0), ops.take(b, rows, axis=0)], axis=2)
            for a, b in zip(old, new, strict=True)
        )
        for old, new in zip(closed, opened, strict=True)
    ]


def _kept(done: NDArray[np.bool_], whole: int, parts: int) -> Ints | None:
    """The products to go on with: all that are not done, and some that are, for few sizes; None: all."""
    part = max(1, whole // parts)
    size = -(-int((~done).sum()) // part) * part
    if size >= len(done):
        return None
    return np.sort(np.argsort(done, kind="stable")[:size]).astype(np.int32)


def _barred(contexts: Contexts, texts: Beams, time: int) -> NDArray[np.bool_]:
    """(products, beams, vocabulary): what the contexts bar after `time` tokens."""
    products, beams, _ = texts.tokens.shape
    tokens = np.asarray(texts.tokens)[:, :, :time].reshape(products * beams, time)
    return contexts.barred(tokens).reshape(products, beams, -1)


def batches(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Indices in batches of similar length; the composition depends on nothing but the lengths."""
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    for start in range(0, len(order), size):
        yield order[start : start + size]
