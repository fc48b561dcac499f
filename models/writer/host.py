"""A trained `Transformer` on a CPU: weights packed once, compiled loops, and no graph to compile.

The same arithmetic as the Keras model's, for a few products on one thread; several groups run side by side.
Keys and values of earlier tokens are kept, in arrays that grow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from models.writer.copying import NEVER
from models.writer.kernels import Bools, Floats, Ints, add_and_norm, attend, gelu
from models.writer.model import Attention, Block, Transformer
from models.writer.packed import Packed, pack

Index = NDArray[np.intp]
# Places that the arrays of earlier tokens begin with; full, they double.
PLACES = 32


class _Norm(NamedTuple):
    scale: Floats
    shift: Floats

    @classmethod
    def of(cls, layer: Any) -> _Norm:
        return cls(_array(layer.gamma), _array(layer.beta))


class _Block(NamedTuple):
    """A block's weights as its products read them. parts: query (scaled), key and value, (width, 3 · width);
    far_query (scaled), far_parts (key and value, (width, 2 · width)) and far_out: in a decoder only.
    """

    parts: Packed
    out: Packed
    up: Packed
    down: Packed
    far_query: Packed | None
    far_parts: Packed | None
    far_out: Packed | None
    up_bias: Floats
    down_bias: Floats
    norms: list[_Norm]


def _weights(block: Block) -> list[Floats]:
    """What is packed of a block, in the order of `_Block`."""
    query, key, value, out = _attention(block.attention)
    found = [np.concatenate([query, key, value], axis=1), out]
    found += [_array(block.feed.up.kernel), _array(block.feed.down.kernel)]
    if block.cross is not None:
        query, key, value, out = _attention(block.cross)
        found += [query, np.concatenate([key, value], axis=1), out]
    return found


def _attention(layer: Attention) -> tuple[Floats, Floats, Floats, Floats]:
    """Query, scaled; key, value, out."""
    query, key, value, out = (_array(d.kernel) for d in (layer.query, layer.key, layer.value, layer.out))
    return query * np.float32(layer.size**-0.5), key, value, out


def _block(block: Block, packed: Iterator[Packed]) -> _Block:
    parts, out, up, down = (next(packed) for _ in range(4))
    far = [next(packed) if block.cross is not None else None for _ in range(3)]
    biases = [_array(dense.bias) for dense in (block.feed.up, block.feed.down)]
    norms = [_Norm.of(norm) for norm in block.norms]
    return _Block(parts, out, up, down, far[0], far[1], far[2], biases[0], biases[1], norms)


def _array(variable: Any) -> Floats:
    return np.ascontiguousarray(ops.convert_to_numpy(variable), np.float32)


@dataclass
class State:
    """What is kept of `rows` hypotheses of some products.

    memory: for every block keys and values, (products, heads, length, size). hidden: (products, length),
    `NEVER` where the memory is padding. past: for every block keys and values, (rows, heads,
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
        self.embedding = embedding * np.float32(config.width**0.5)
        self.places, self.times = _array(model.places.embeddings), _array(model.times.embeddings)
        blocks = [*model.encoder, *model.decoder]
        packed = iter(pack(*(array for block in blocks for array in _weights(block)), embedding.T))
        made = [_block(block, packed) for block in blocks]
        self.encoder, self.decoder = made[: config.encoder_blocks], made[config.encoder_blocks :]
        self.logits = next(packed)
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
            parts = block.parts.under(inner).reshape(products, length, 3, self.heads, self.size)
            query, keys, values = parts.transpose(2, 0, 3, 1, 4)
            score: Floats = query @ keys.swapaxes(2, 3)
            score += everywhere if i else apart
            more = block.out.under(self._joined(_softmax(score) @ values))
            add_and_norm(x, more, self.none, *block.norms[1], inner)
            self._feed(x, inner, i, self.encoder, self.last[0])
        return inner.reshape(products, length, self.width)

    def start(self, memory: Floats, seen: Bools, beams: int) -> State:
        """Before the first token; memory (products, length, width), seen (products, length)."""
        products, length, width = memory.shape
        flat = memory.reshape(-1, width)

        def heads(block: _Block) -> tuple[Floats, Floats]:
            assert block.far_parts is not None, "only a decoder block runs token by token"
            parts = block.far_parts.under(flat).reshape(products, length, 2, self.heads, self.size)
            keys, values = np.ascontiguousarray(parts.transpose(2, 0, 3, 1, 4))
            return keys, values

        shape = products * beams, self.heads, PLACES, self.size
        return State(
            [heads(block) for block in self.decoder],
            _hidden(seen),
            [(np.empty(shape, np.float32), np.empty(shape, np.float32)) for _ in self.decoder],
        )

    def step(self, state: State, token: Ints) -> Floats:
        """Logits (rows, vocabulary) after one more token (rows,); `state` has it in."""
        place = state.place()
        x = self.embedding[token] + self.times[place]
        inner = self._first(x, self.decoder)
        for i, block in enumerate(self.decoder):
            assert block.far_query is not None, "only a decoder block runs token by token"
            assert block.far_out is not None
            mixed = self._look_back(block.parts.under(inner), state.past[i], place)
            add_and_norm(x, block.out.under(mixed), self.none, *block.norms[1], inner)
            attend(block.far_query.under(inner), *state.memory[i], state.hidden, mixed)
            add_and_norm(x, block.far_out.under(mixed), self.none, *block.norms[2], inner)
            self._feed(x, inner, i, self.decoder, self.last[1])
        return self.logits.under(inner)

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
        wide = block.up.under(inner)
        gelu(wide, block.up_bias)
        after = blocks[i + 1].norms[0] if i + 1 < len(blocks) else last
        add_and_norm(x, block.down.under(wide), block.down_bias, *after, inner)

    def _look_back(self, parts: Floats, past: tuple[Floats, Floats], place: int) -> Floats:
        """(rows, width): attention to the row's own tokens, this one among them; parts (rows, 3 · width)."""
        rows, (keys, values) = len(parts), past
        _, key, value = parts.reshape(rows, 3, self.heads, self.size).transpose(1, 0, 2, 3)
        keys[:, :, place], values[:, :, place] = key, value
        mixed = np.empty((rows, self.width), np.float32)
        attend(parts, keys, values, np.zeros((rows, place + 1), np.float32), mixed)
        return mixed


def _hidden(seen: Bools) -> Floats:
    """What to add to a score: nothing where it is seen."""
    return np.where(seen, np.float32(0), np.float32(NEVER))


def _softmax(score: Floats) -> Floats:
    """In place."""
    score -= score.max(axis=-1, keepdims=True)
    np.exp(score, out=score)
    score /= score.sum(axis=-1, keepdims=True)
    return score
