"""A copy gate: words of the attributes beside those of the vocabulary (See et al. 2017)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

# Where a score must not count, and the least probability that has a logarithm.
NEVER, LEAST = -1e9, 1e-20
# Few words are copied before the gate has learnt when.
SHUT = -2.0

# Keys (batch, length, width), tokens and which of them may be copied (batch, length).
Pointers = tuple[Any, Any, Any]


class CopyGate(keras.layers.Layer):  # type: ignore[misc]
    """Mixes the vocabulary's probabilities with those of the words of the attributes' values."""

    def __init__(self, width: int) -> None:
        super().__init__(name="copy")
        self.scale = width**-0.5
        self.query = keras.layers.Dense(width, use_bias=False, name="copy-query")
        self.key = keras.layers.Dense(width, use_bias=False, name="copy-key")
        shut = keras.initializers.Constant(SHUT)
        self.gate = keras.layers.Dense(1, bias_initializer=shut, name="copy-gate")
        for layer in (self.query, self.key, self.gate):
            layer.build((None, None, width))
        self.built = True

    def pointers(self, memory: Any, token: Any, place: Any) -> Pointers:
        """Of a source's memory (batch, length, width), tokens and places inside their pairs (batch, length):
        the name of an attribute (place 0) is no word to copy.
        """
        length = ops.shape(token)[1]
        return self.key(memory[:, :length]), token, ops.greater(place, 0)

    def call(self, x: Any, logits: Any, pointers: Pointers) -> Any:
        """Log-probabilities (batch, time, vocabulary) of states `x` (batch, time, width) and their logits."""
        keys, token, usable = pointers
        score = ops.einsum("btw,bsw->bts", self.query(x) * self.scale, keys)
        weight = ops.softmax(ops.where(usable[:, None, :], score, NEVER), axis=-1)
        any_usable = ops.cast(ops.any(usable, axis=-1), x.dtype)[:, None, None]
        share = ops.sigmoid(self.gate(x)) * any_usable
        batch, time, vocabulary = ops.shape(logits)
        row = ops.arange(batch * time, dtype="int32")[:, None] * vocabulary
        at = row + ops.reshape(ops.broadcast_to(token[:, None, :], ops.shape(weight)), (batch * time, -1))
        copied = ops.scatter(
            ops.reshape(at, (-1, 1)), ops.reshape(share * weight, (-1,)), (batch * time * vocabulary,)
        )
        both = (1.0 - share) * ops.softmax(logits, axis=-1) + ops.reshape(copied, (batch, time, vocabulary))
        return ops.log(ops.maximum(both, LEAST))
