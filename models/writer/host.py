"""A trained `Transformer` on a CPU: BLAS products, NumPy, and no graph to compile.

The same arithmetic as the Keras model's, for a few products on one thread; several groups run side by side.
Keys and values of earlier tokens are kept, in arrays that grow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from models.writer.copying import NEVER
from models.writer.kernels import Bools, Floats, Ints, add_and_norm, gelu
from models.writer.model import Attention, Block, Transformer

Index = NDArray[np.intp]
# Places that the arrays of earlier tokens begin with; full, they double.
PLACES = 32


class _Norm(NamedTuple):
    scale: Floats
    shift: Floats

    @classmethod
    def of(cls, layer: Any) -> _Norm:
        return cls(_array(layer.gamma), _array(layer.beta))


class _Attention(NamedTuple):
    """query: scaled already, (width, width); keys_values: (width, 2 · width); out: (width, width)."""

    query: Floats
    keys_values: Floats
    out: Floats

    @classmethod
    def of(cls, layer: Attention) -> _Attention:
        query, key, value, out = (_array(d.kernel) for d in (layer.query, layer.key, layer.value, layer.out))
        return cls(query * np.float32(layer.size**-0.5), np.concatenate([key, value], axis=1), out)


class _Block(NamedTuple):
    """A block's weights as its products read them. parts: query, key and value, (width, 3 · width)."""

    parts: Floats
    out: Floats
    far: _Attention | None
    up: Floats
    up_bias: Floats
    down: Floats
    down_bias: Floats
    norms: list[_Norm]

    @classmethod
    def of(cls, block: Block) -> _Block:
        own, feed = _Attention.of(block.attention), block.feed
        return cls(
            np.concatenate([own.query, own.keys_values], axis=1),
            own.out,
            _Attention.of(block.cross) if block.cross is not None else None,
            _array(feed.up.kernel),
            _array(feed.up.bias),
            _array(feed.down.kernel),
            _array(feed.down.bias),
            [_Norm.of(norm) for norm in block.norms],
        )


def _array(variable: Any) -> Floats:
    return np.ascontiguousarray(ops.convert_to_numpy(variable), np.float32)


@dataclass
class State:
    """What is kept of `rows` hypotheses of some products.

    memory: for every block keys and values, (products, heads, length, size). hidden: (products, 1, 1,
    length), `NEVER` where the memory is padding. past: for every block keys and values, (rows, heads,
    places, size), of which the first `time` are in use.
    """

    memory: list[tuple[Floats, Floats]]
    hidden: Floats
    past: list[tuple[Floats, Floats]]
    time: int = 0

    def follow(self, parents: Index) -> None:
        """Row i goes on from what row `parents[i]` was."""
        moved = np.flatnonzero(parents != np.arange(len(parents)))
        if len(moved):
            for kept in (array[:, :, : self.time] for pair in self.past for array in pair):
                kept[moved] = kept[parents[moved]]

    def keep(self, products: Index, rows: Index) -> None:
        """Only these products, and the rows of theirs."""
        self.memory = [(keys[products], values[products]) for keys, values in self.memory]
        self.hidden = self.hidden[products]
        self.past = [(keys[rows], values[rows]) for keys, values in self.past]

    def place(self) -> int:
        """Room for one more token; its place."""
        if self.time == self.past[0][0].shape[2]:
            self.past = [(_longer(keys), _longer(values)) for keys, values in self.past]
        self.time += 1
        return self.time - 1


def _longer(array: Floats) -> Floats:
    rows, heads, places, size = array.shape
    found = np.empty((rows, heads, 2 * places, size), np.float32)
    found[:, :, :places] = array
    return found


class Network:
    """The weights of a model without a latent z and a copy gate. Threads may share it."""

    def __init__(self, model: Transformer) -> None:
        config = model.config
        self.heads, self.width, self.size = config.heads, config.width, config.width // config.heads
        embedding = _array(model.embedding.embeddings)
        self.embedding, self.logits = embedding * np.float32(config.width**0.5), embedding.T
        self.places, self.times = _array(model.places.embeddings), _array(model.times.embeddings)
        self.encoder = [_Block.of(block) for block in model.encoder]
        self.decoder = [_Block.of(block) for block in model.decoder]
        self.last = [_Norm.of(norm) for norm in model.last]
        self.none = np.zeros(config.width, np.float32)

    def encode(self, token: Ints, place: Ints, group: Ints) -> Floats:
        """The memory (products, length, width), as `Transformer.encode`."""
        products, length = token.shape
        x = (self.embedding[token] + self.places[place]).reshape(-1, self.width)
        apart = _hidden(group[:, :, None] == group[:, None, :])[:, None]
        everywhere = _hidden(group > 0)[:, None, None]
        inner = self._first(x, self.encoder)
        for i, block in enumerate(self.encoder):
            parts = (inner @ block.parts).reshape(products, length, 3, self.heads, self.size)
            query, keys, values = parts.transpose(2, 0, 3, 1, 4)
            score: Floats = query @ keys.swapaxes(2, 3)
            score += everywhere if i else apart
            more: Floats = self._joined(_softmax(score) @ values) @ block.out
            add_and_norm(x, more, self.none, *block.norms[1], inner)
            self._feed(x, inner, i, self.encoder, self.last[0])
        return inner.reshape(products, length, self.width)

    def start(self, memory: Floats, seen: Bools, beams: int) -> State:
        """Before the first token; memory (products, length, width), seen (products, length)."""
        products, length, width = memory.shape
        flat = memory.reshape(-1, width)

        def heads(block: _Block) -> tuple[Floats, Floats]:
            assert block.far is not None, "only a decoder block runs token by token"
            parts = (flat @ block.far.keys_values).reshape(products, length, 2, self.heads, self.size)
            keys, values = parts.transpose(2, 0, 3, 1, 4)
            return keys, values

        shape = products * beams, self.heads, PLACES, self.size
        return State(
            [heads(block) for block in self.decoder],
            _hidden(seen)[:, None, None],
            [(np.empty(shape, np.float32), np.empty(shape, np.float32)) for _ in self.decoder],
        )

    def step(self, state: State, token: Ints) -> Floats:
        """Logits (rows, vocabulary) after one more token (rows,); `state` has it in."""
        place = state.place()
        x = self.embedding[token] + self.times[place]
        inner = self._first(x, self.decoder)
        for i, block in enumerate(self.decoder):
            assert block.far is not None, "only a decoder block runs token by token"
            more = self._look_back(block, inner, state.past[i], place) @ block.out
            add_and_norm(x, more, self.none, *block.norms[1], inner)
            more = self._look_far(inner @ block.far.query, state.memory[i], state.hidden) @ block.far.out
            add_and_norm(x, more, self.none, *block.norms[2], inner)
            self._feed(x, inner, i, self.decoder, self.last[1])
        return inner @ self.logits

    def _first(self, x: Floats, blocks: list[_Block]) -> Floats:
        """What the first block sees of `x`."""
        inner = np.empty_like(x)
        add_and_norm(x, np.zeros_like(x), self.none, *blocks[0].norms[0], inner)
        return inner

    def _joined(self, mixed: Floats) -> Floats:
        """(products, heads, places, size) → (products · places, width)."""
        return mixed.transpose(0, 2, 1, 3).reshape(-1, self.width)

    @staticmethod
    def _feed(x: Floats, inner: Floats, i: int, blocks: list[_Block], last: _Norm) -> None:
        """Block i's feed-forward added to `x`; `inner` becomes what comes next sees of it."""
        block = blocks[i]
        wide: Floats = inner @ block.up
        gelu(wide, block.up_bias)
        after = blocks[i + 1].norms[0] if i + 1 < len(blocks) else last
        more: Floats = wide @ block.down
        add_and_norm(x, more, block.down_bias, *after, inner)

    def _look_back(self, block: _Block, inner: Floats, past: tuple[Floats, Floats], place: int) -> Floats:
        """(rows, width): attention to the row's own tokens, this one among them."""
        parts: Floats = inner @ block.parts
        query, key, value = parts.reshape(-1, 3, self.heads, self.size).transpose(1, 0, 2, 3)
        keys, values = past
        keys[:, :, place], values[:, :, place] = key, value
        score: Floats = query[:, :, None, :] @ keys[:, :, : place + 1].swapaxes(2, 3)
        mixed: Floats = _softmax(score) @ values[:, :, : place + 1]
        return mixed.reshape(-1, self.width)

    def _look_far(self, query: Floats, memory: tuple[Floats, Floats], hidden: Floats) -> Floats:
        """(rows, width): attention to what the row's product is told by."""
        keys, values = memory
        apart = query.reshape(len(keys), -1, self.heads, self.size).transpose(0, 2, 1, 3)
        score: Floats = apart @ keys.swapaxes(2, 3)
        score += hidden
        return self._joined(_softmax(score) @ values)


def _hidden(seen: Bools) -> Floats:
    """What to add to a score: nothing where it is seen."""
    return np.where(seen, np.float32(0), np.float32(NEVER))


def _softmax(score: Floats) -> Floats:
    """In place."""
    score -= score.max(axis=-1, keepdims=True)
    np.exp(score, out=score)
    score /= score.sum(axis=-1, keepdims=True)
    return score
