"""The sequence network: causal self-attention over a shopper's past, in pure `keras.ops`.

In the line of SASRec (Kang and McAuley, ICDM 2018) and eSASRec (Tikhonovich et al., RecSys 2025): pre-norm
blocks (RMSNorm, Zhang and Sennrich 2019), SwiGLU (Shazeer 2020), gated residuals, and a softmax over the
positive and negatives that a whole batch shares. An item is its own vector plus the mean of its attributes'
vectors, on input and output alike, so that an item nobody has touched yet is not cold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

NEVER = -1e9


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes. Item and attribute 0 stand for nothing. `length` is in events, `attributes` counts values."""

    items: int
    attributes: int = 1
    behaviours: int = 5
    width: int = 64
    blocks: int = 2
    heads: int = 2
    length: int = 50
    dropout: float = 0.3
    input_dropout: float = 0.5


class Block(keras.layers.Layer):  # type: ignore[misc]
    """Self-attention and SwiGLU, each behind a norm, each added through a gate."""

    def __init__(self, config: NetworkConfig, name: str) -> None:
        super().__init__(name=name)
        width = config.width
        self.heads, self.size = config.heads, width // config.heads
        self.norms = [keras.layers.RMSNormalization(name=f"{name}-norm{i}") for i in range(2)]
        for norm in self.norms:
            norm.build((None, None, width))

        def dense(part: str, rows: int, columns: int, bias: bool = False) -> Any:
            layer = keras.layers.Dense(columns, use_bias=bias, name=f"{name}-{part}")
            layer.build((None, None, rows))
            return layer

        self.mix = dense("query-key-value", width, 3 * width)
        self.out = dense("out", width, width)
        self.up = dense("up", width, 4 * width)
        self.down = dense("down", 2 * width, width)
        self.gates = [dense(f"gate{i}", width, width, bias=True) for i in range(2)]
        self.drop = keras.layers.Dropout(config.dropout)
        self.built = True

    def call(self, x: Any, mask: Any, training: bool = False, newest: bool = False) -> Any:
        """`x` (rows, time, width); `mask` (rows, 1, time, time), true where attention may look.

        newest: only the last position, (rows, 1, width); the mask is then (rows, 1, 1, time).
        """
        inner = self.norms[0](x)
        mixed = self._attend(inner, mask, newest)
        if newest:
            x, inner = x[:, -1:], inner[:, -1:]
        x = x + ops.sigmoid(self.gates[0](inner)) * self.drop(mixed, training=training)
        inner = self.norms[1](x)
        gate, value = ops.split(self.up(inner), 2, axis=-1)
        fed = self.down(ops.silu(gate) * value)
        return x + ops.sigmoid(self.gates[1](inner)) * self.drop(fed, training=training)

    def _attend(self, x: Any, mask: Any, newest: bool = False) -> Any:
        rows, time = ops.shape(x)[0], ops.shape(x)[1]
        split = ops.reshape(self.mix(x), (rows, time, 3, self.heads, self.size))
        query, key, value = (ops.transpose(split[:, :, i], (0, 2, 1, 3)) for i in range(3))
        if newest:
            query, time = query[:, :, -1:], 1
        score = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) * self.size**-0.5
        weight = ops.softmax(ops.where(mask, score, NEVER), axis=-1)
        mixed = ops.transpose(ops.matmul(weight, value), (0, 2, 1, 3))
        return self.out(ops.reshape(mixed, (rows, time, self.heads * self.size)))


def _visible(segment: Any) -> Any:
    """(rows, 1, time, time): true where a place may look: at the same past's entries, up to its own."""
    time = ops.arange(ops.shape(segment)[1])
    causal = ops.greater_equal(time[:, None], time[None, :])[None]
    same = ops.equal(segment[:, :, None], segment[:, None, :])
    return ops.logical_and(causal, same)[:, None]


class SequenceNetwork(keras.Model):  # type: ignore[misc]
    """Rows of packed pasts → the loss of every position; `newest` → what a shopper is looking for."""

    def __init__(self, config: NetworkConfig, attributes_of: Any) -> None:
        super().__init__(name="sequence")
        self.config = config
        self.describe(attributes_of)
        normal = keras.initializers.RandomNormal(stddev=0.02)
        self.item = keras.layers.Embedding(config.items, config.width, normal, name="item")
        self.attribute = keras.layers.Embedding(config.attributes, config.width, normal, name="attribute")
        self.place = keras.layers.Embedding(config.length, config.width, normal, name="place")
        self.behaviour = keras.layers.Embedding(config.behaviours, config.width, "zeros", name="behaviour")
        for layer in (self.item, self.attribute, self.place, self.behaviour):
            layer.build((None, None))
        self.blocks = [Block(config, f"block{i}") for i in range(config.blocks)]
        self.last = keras.layers.RMSNormalization(name="last")
        self.last.build((None, None, config.width))
        self.drop = keras.layers.Dropout(config.input_dropout)
        self.built = True

    def describe(self, attributes_of: Any) -> None:
        """(items, slots): the attribute numbers of every item, 0 where there is none."""
        self.attributes_of = ops.convert_to_tensor(attributes_of, "int32")

    def vectors(self, items: Any) -> Any:
        """The vectors of items of any shape, (…, width)."""
        attributes = ops.take(self.attributes_of, items, axis=0)
        there = ops.cast(ops.greater(attributes, 0), "float32")[..., None]
        total = ops.sum(self.attribute(attributes) * there, axis=-2)
        return self.item(items) + total / ops.maximum(ops.sum(there, axis=-2), 1.0)

    def encode(self, item: Any, behaviour: Any, place: Any, segment: Any, training: bool = False) -> Any:
        """(rows, time, width). `place` counts from a past's end, `segment` numbers a row's pasts from 1."""
        x = self.drop(self._entries(self.vectors(item), behaviour, place), training=training)
        mask = _visible(segment)
        for block in self.blocks:
            x = block(x, mask, training=training)
        return self.last(x)

    def newest(self, vectors: Any, behaviour: Any, place: Any, there: Any) -> Any:
        """(rows, width): what `encode` gives at the last position; `vectors`, (rows, time, width), are the
        items'.

        A row is one past. there: 1 where a row has an entry, 0 before the first one.
        """
        x = self._entries(vectors, behaviour, place)
        mask = _visible(there)
        for block in self.blocks[:-1]:
            x = block(x, mask)
        return self.last(self.blocks[-1](x, mask[:, :, -1:], newest=True))[:, 0]

    def _entries(self, vectors: Any, behaviour: Any, place: Any) -> Any:
        return vectors * self.config.width**0.5 + self.place(place) + self.behaviour(behaviour)

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Cross-entropy in nats of every target against the shared negatives, (rows, time); 0 where none."""
        x = self.encode(
            inputs["item"], inputs["behaviour"], inputs["place"], inputs["segment"], training=training
        )
        target, negative = inputs["target"], inputs["negative"]
        right = ops.sum(x * self.vectors(target), axis=-1)
        wrong = ops.matmul(x, ops.transpose(self.vectors(negative)))
        # A negative that is the target by accident must not be pushed away.
        wrong = ops.where(ops.equal(target[..., None], negative), NEVER, wrong)
        total = ops.logsumexp(ops.concatenate([right[..., None], wrong], axis=-1), axis=-1)
        return (total - right) * ops.cast(ops.greater(target, 0), "float32")
