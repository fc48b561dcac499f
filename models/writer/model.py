"""The network: a pre-norm Transformer encoder-decoder in pure `keras.ops`.

Vaswani et al. 2017; pre-norm: Xiong et al. 2020.

Attributes are a set: a token has a position inside its pair only, the first
encoder block looks inside pairs (so that a name is bound to its value), the
others look everywhere. Output and input embeddings are one matrix.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from models.writer.copying import NEVER, CopyGate, Pointers
from models.writer.encode import MAX_NAME_TOKENS, MAX_TARGET, Ints
from models.writer.tokenizer import PAD

# What the latent z may cost, in nats a text, and how hard it is held there.
SET_POINT, HELD = 4.0, 0.1
Cache = tuple[Any, ...]  # keys and values
Caches = tuple[Cache, Cache]
KIND = "transformer encoder-decoder, attributes as a set, placeholders for values"


@dataclass(frozen=True)
class ModelConfig:
    """Sizes. `width` must be a multiple of `heads`. `latent`: sizes of the latent z; 0: there is none.
    `copy`: words of the attributes may be copied. `places`, `times`: tokens of a pair and of a text at most.
    """

    vocabulary: int
    width: int = 96
    hidden: int = 256
    heads: int = 4
    encoder_blocks: int = 2
    decoder_blocks: int = 2
    dropout: float = 0.1
    latent: int = 0
    copy: bool = False
    places: int = MAX_NAME_TOKENS + 1
    times: int = MAX_TARGET


class Attention(keras.layers.Layer):  # type: ignore[misc]
    """Multi-head attention whose keys and values can be made apart, and kept."""

    def __init__(self, config: ModelConfig, name: str) -> None:
        super().__init__(name=name)
        self.heads, self.size = config.heads, config.width // config.heads
        self.query, self.key, self.value, self.out = (
            keras.layers.Dense(config.width, use_bias=False, name=f"{name}-{part}")
            for part in ("query", "key", "value", "out")
        )
        for layer in (self.query, self.key, self.value, self.out):
            layer.build((None, None, config.width))
        self.built = True

    def split(self, x: Any) -> Any:
        """(batch, time, width) → (batch, heads, time, size)."""
        batch, time = ops.shape(x)[0], ops.shape(x)[1]
        return ops.transpose(ops.reshape(x, (batch, time, self.heads, self.size)), (0, 2, 1, 3))

    def keys_values(self, x: Any) -> tuple[Any, Any]:
        return self.split(self.key(x)), self.split(self.value(x))

    def attend(self, x: Any, keys: Any, values: Any, mask: Any) -> Any:
        """`x` (batch, time, width) looks at keys (batch, heads, n, size) where `mask` allows it."""
        score = ops.matmul(self.split(self.query(x)), ops.transpose(keys, (0, 1, 3, 2))) * self.size**-0.5
        weight = ops.softmax(ops.where(mask, score, NEVER), axis=-1)
        mixed = ops.transpose(ops.matmul(weight, values), (0, 2, 1, 3))
        return self.out(ops.reshape(mixed, (ops.shape(x)[0], ops.shape(x)[1], self.heads * self.size)))


class FeedForward(keras.layers.Layer):  # type: ignore[misc]
    """Two layers with a GELU between them."""

    def __init__(self, config: ModelConfig, name: str) -> None:
        super().__init__(name=name)
        self.up = keras.layers.Dense(config.hidden, activation="gelu", name=f"{name}-up")
        self.down = keras.layers.Dense(config.width, name=f"{name}-down")
        self.up.build((None, None, config.width))
        self.down.build((None, None, config.hidden))
        self.built = True

    def call(self, x: Any) -> Any:
        return self.down(self.up(x))


class Block(keras.layers.Layer):  # type: ignore[misc]
    """A pre-norm block: self-attention, attention to the memory in a decoder, feed-forward."""

    def __init__(self, config: ModelConfig, name: str, decoder: bool) -> None:
        super().__init__(name=name)
        self.attention = Attention(config, f"{name}-self")
        self.cross = Attention(config, f"{name}-cross") if decoder else None
        self.feed = FeedForward(config, f"{name}-feed")
        self.norms = [
            keras.layers.LayerNormalization(epsilon=1e-5, name=f"{name}-norm{i}")
            for i in range(3 if decoder else 2)
        ]
        for norm in self.norms:
            norm.build((None, None, config.width))
        self.drop = keras.layers.Dropout(config.dropout)
        self.built = True

    def call(
        self, x: Any, mask: Any, memory: Any = None, memory_mask: Any = None, training: bool = False
    ) -> Any:
        """`x` (batch, time, width); masks are true where attention may look."""
        inner = self.norms[0](x)
        keys, values = self.attention.keys_values(inner)
        x = x + self.attention.attend(inner, keys, values, mask)
        if self.cross is not None:
            keys, values = self.cross.keys_values(memory)
            x = x + self.cross.attend(self.norms[1](x), keys, values, memory_mask)
        return x + self.drop(self.feed(self.norms[-1](x)), training=training)

    def fused(self) -> Any:
        """Weights of query, key and value side by side: one product in place of three, for `step`."""
        own = self.attention
        return ops.concatenate([own.query.kernel, own.key.kernel, own.value.kernel], axis=1)

    def step(self, x: Any, fused: Any, caches: Caches, at: Any, seen: Any, memory: Any) -> tuple[Any, Cache]:
        """One token per row: `x` (rows, width). Gives the rows' output and the open cache with the token in.

        `caches`: a closed and an open one, each keys and values (rows, heads, places, size); the open one is
        written at the flat places `at` (rows · heads, 1) and read where `seen` (places,) is true.
        `memory`: keys, values and mask of the sources; its batch may be rows / beams.
        """
        rows, heads, size = ops.shape(x)[0], self.attention.heads, self.attention.size
        parts = ops.reshape(ops.matmul(self.norms[0](x), fused), (rows, 3, heads, size))
        closed, opened = caches
        opened = tuple(_written(old, parts[:, 1 + i], at) for i, old in enumerate(opened))
        query = ops.reshape(parts[:, 0] * size**-0.5, (rows, heads, 1, size))
        old = ops.einsum("rhqd,rhkd->rhqk", query, closed[0])
        new = ops.where(seen, ops.einsum("rhqd,rhkd->rhqk", query, opened[0]), NEVER)
        weight = ops.softmax(ops.concatenate([old, new], axis=-1), axis=-1)
        places = ops.shape(closed[0])[2]
        mixed = ops.matmul(weight[..., :places], closed[1]) + ops.matmul(weight[..., places:], opened[1])
        x = x + self.attention.out(ops.reshape(mixed, (rows, heads * size)))
        assert self.cross is not None, "only a decoder block runs token by token"
        return self._beyond(x, memory), opened

    def _beyond(self, x: Any, memory: tuple[Any, Any, Any]) -> Any:
        """Attention to the memory and feed-forward, for one token per row: `x` (rows, width)."""
        far, (keys, values, mask) = self.cross, memory
        assert far is not None, "only a decoder block runs token by token"
        wide = ops.reshape(self.norms[1](x), (ops.shape(keys)[0], -1, far.heads * far.size))
        # Not `attend`: in a graph it would copy the keys, transposed, in every step.
        score = ops.einsum("bhqd,bhkd->bhqk", far.split(far.query(wide) * far.size**-0.5), keys)
        mixed = ops.matmul(ops.softmax(ops.where(mask, score, NEVER), axis=-1), values)
        mixed = ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (-1, far.heads * far.size))
        x = x + far.out(mixed)
        return x + self.feed(self.norms[2](x))


def _written(cache: Any, new: Any, at: Any) -> Any:
    """The cache (rows, heads, places, size) with `new` (rows, heads, size) at its flat places `at`."""
    shape, size = ops.shape(cache), ops.shape(new)[-1]
    flat = ops.scatter_update(ops.reshape(cache, (-1, size)), at, ops.reshape(new, (-1, size)))
    return ops.reshape(flat, shape)


class Latent(keras.layers.Layer):  # type: ignore[misc]
    """A conditional latent variable: how a text is told, beyond what it tells (Sohn et al. 2015).

    In training z is drawn from what the target makes likely; writing uses the mean of what the attributes
    make likely. The divergence of the two is held at `SET_POINT` nats (Burgess et al. 2018), so that it
    neither collapses nor carries the whole text.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(name="latent")
        self.size = config.latent
        self.reader = Block(config, "latent-reader", decoder=False)
        self.prior = keras.layers.Dense(2 * config.latent, name="latent-prior")
        self.posterior = keras.layers.Dense(2 * config.latent, name="latent-posterior")
        self.told = keras.layers.Dense(config.width, name="latent-told")
        self.noise = keras.random.SeedGenerator(config.latent)
        self.prior.build((None, config.width))
        self.posterior.build((None, 2 * config.width))
        self.told.build((None, config.latent))
        self.built = True

    def expected(self, about: Any) -> tuple[Any, Any]:
        """Mean and log-variance (batch, latent) of z, from the mean of the memory (batch, width)."""
        return self._halves(self.prior(about))

    def read(self, about: Any, wrote: tuple[Any, Any]) -> tuple[Any, Any]:
        """Mean and log-variance (batch, latent) of z, from a target's embedding and its mask as well."""
        x, real = wrote
        x = self.reader(x, real[:, None, None, :])
        return self._halves(self.posterior(ops.concatenate([about, masked_mean(x, real)], axis=-1)))

    def _halves(self, x: Any) -> tuple[Any, Any]:
        return x[:, : self.size], ops.clip(x[:, self.size :], -6.0, 6.0)

    def call(
        self, about: Any, wrote: tuple[Any, Any] | None = None, z: Any = None, training: bool = False
    ) -> Any:
        """z as one place of the memory (batch, width); adds what it costs to the loss in training."""
        mean, spread = self.expected(about)
        if wrote is not None:
            here, narrow = self.read(about, wrote)
            if training:
                self.add_loss(HELD * ops.abs(ops.mean(divergence(here, narrow, mean, spread)) - SET_POINT))
                here = here + ops.exp(0.5 * narrow) * keras.random.normal(ops.shape(here), seed=self.noise)
            mean = here
        return self.told(mean if z is None else z)


def divergence(mean: Any, spread: Any, prior_mean: Any, prior_spread: Any) -> Any:
    """Kullback-Leibler divergence (batch,) in nats of two Gaussians, by their means and log-variances."""
    apart = ops.square(mean - prior_mean) / ops.exp(prior_spread)
    ratio = spread - prior_spread
    return 0.5 * ops.sum(ops.exp(ratio) + apart - 1.0 - ratio, axis=-1)


def masked_mean(x: Any, real: Any) -> Any:
    """Mean over time of `x` (batch, time, width) where `real` (batch, time) holds."""
    weight = ops.cast(real, x.dtype)[:, :, None]
    return ops.sum(x * weight, axis=1) / ops.maximum(ops.sum(weight, axis=1), 1.0)


class Transformer(keras.Model):  # type: ignore[misc]
    """Inputs `token`, `place`, `group` (batch, source length), `given` (batch, target length) → logits."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(name="writer")
        self.config = config
        scale = keras.initializers.RandomNormal(stddev=config.width**-0.5)
        self.embedding = keras.layers.Embedding(config.vocabulary, config.width, scale, name="embedding")
        self.places = keras.layers.Embedding(config.places, config.width, scale, name="places")
        self.times = keras.layers.Embedding(config.times, config.width, scale, name="times")
        self.encoder = [Block(config, f"encoder{i}", decoder=False) for i in range(config.encoder_blocks)]
        self.decoder = [Block(config, f"decoder{i}", decoder=True) for i in range(config.decoder_blocks)]
        self.last = [keras.layers.LayerNormalization(epsilon=1e-5, name=f"last{i}") for i in range(2)]
        self.drop = keras.layers.Dropout(config.dropout)
        self.latent = Latent(config) if config.latent else None
        self.copy = CopyGate(config.width) if config.copy else None
        for layer in (self.embedding, self.places, self.times):
            layer.build((None, None))
        for layer in self.last:
            layer.build((None, None, config.width))
        self.built = True

    def encode(
        self, token: Any, place: Any, group: Any, given: Any = None, z: Any = None, training: bool = False
    ) -> tuple[Any, Any]:
        """The memory (batch, length, width), and its mask (batch, 1, 1, length).

        With a latent z the memory is one place longer: z of the target `given` where there is one, else `z`
        (batch, latent), else what the attributes alone make likely.
        """
        x = self.embedding(token) * self.config.width**0.5 + self.places(place)
        x = self.drop(x, training=training)
        together = ops.equal(group[:, None, :, None], group[:, None, None, :])
        everywhere = ops.greater(group, 0)[:, None, None, :]
        for i, block in enumerate(self.encoder):
            x = block(x, together if i == 0 else everywhere, training=training)
        memory = self.last[0](x)
        if self.latent is None:
            return memory, everywhere
        about = masked_mean(memory, ops.greater(group, 0))
        wrote = None
        if given is not None:
            time = ops.arange(ops.shape(given)[1])
            wrote = (self.embed_target(given, time), ops.not_equal(given, PAD))
        place_of_z = self.latent(about, wrote, z, training=training)[:, None, :]
        seen = ops.ones_like(everywhere[..., :1])
        return ops.concatenate([memory, place_of_z], axis=1), ops.concatenate([everywhere, seen], axis=-1)

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        given = inputs["given"]
        sources = inputs["token"], inputs["place"], inputs["group"]
        memory, mask = self.encode(*sources, given if training else None, training=training)
        time = ops.arange(ops.shape(given)[1])
        x = self.drop(self.embed_target(given, time), training=training)
        causal = ops.greater_equal(time[:, None], time[None, :])[None, None]
        for block in self.decoder:
            x = block(x, causal, memory, mask, training=training)
        x = self.last[1](x)
        logits = ops.matmul(x, ops.transpose(self.embedding.embeddings))
        return logits if self.copy is None else self.copy(x, logits, self.pointers(memory, *sources[:2]))

    def pointers(self, memory: Any, token: Any, place: Any) -> Pointers | tuple[()]:
        """What a copy gate looks at; nothing where there is no gate."""
        return () if self.copy is None else self.copy.pointers(memory, token, place)

    def embed_target(self, token: Any, time: Any) -> Any:
        return self.embedding(token) * self.config.width**0.5 + self.times(time)

    def step(
        self, token: Any, time: Any, weights: Any, caches: Sequence[Caches], at: Any, seen: Any,
        memory: Any, pointers: Any = (),
    ) -> tuple[Any, list[Cache]]:  # fmt: skip
        """Logits (rows, vocabulary) after one more token (rows,) at `time`; the open caches of `Block.step`.

        `weights`: of `step_weights`. `memory`: one for each block. `pointers`: of a network with a copy gate.
        """
        x = self.embed_target(token, time)
        fused, out = weights
        opened = []
        for i, block in enumerate(self.decoder):
            x, cache = block.step(x, fused[i], caches[i], at, seen, memory[i])
            opened.append(cache)
        x = self.last[1](x)
        logits = ops.matmul(x, out)
        if self.copy is not None:
            # The hypotheses of a product stand where times do in training.
            products = ops.shape(pointers[0])[0]
            x = ops.reshape(x, (products, -1, self.config.width))
            apart = ops.reshape(logits, (products, -1, self.config.vocabulary))
            logits = ops.reshape(self.copy(x, apart, pointers), ops.shape(logits))
        return logits, opened

    def step_weights(self) -> tuple[list[Any], Any]:
        """Weights in the form that `step` reads, to be made once for many steps."""
        return [block.fused() for block in self.decoder], ops.transpose(self.embedding.embeddings)


def inputs(sources: Any, given: Ints) -> dict[str, Ints]:
    return {"token": sources.token, "place": sources.place, "group": sources.group, "given": given}


def to_files(model: Transformer) -> dict[str, bytes]:
    """Weights as npz by variable path (never pickled), sizes as JSON; equal weights give equal bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, **{v.path: ops.convert_to_numpy(v) for v in _variables(model)})
    return {"weights.npz": buffer.getvalue(), "config.json": json.dumps(asdict(model.config)).encode()}


def from_files(files: dict[str, bytes]) -> Transformer:
    model = Transformer(ModelConfig(**json.loads(files["config.json"])))
    load_weights(model, files)
    return model


def load_weights(model: Transformer, files: dict[str, bytes]) -> None:
    """Set the weights from files of `to_files`; `ValueError` where they are of another model."""
    with np.load(io.BytesIO(files["weights.npz"]), allow_pickle=False) as stored:
        variables = _variables(model)
        if set(stored.files) != {v.path for v in variables}:
            raise ValueError("the stored weights are of another model")
        for variable in variables:
            variable.assign(stored[variable.path])


def _variables(model: Transformer) -> list[Any]:
    found = sorted(model.trainable_variables, key=lambda v: str(v.path))
    # Layers built in a constructor do not carry their parent's name: each needs a full one of its own.
    if len({v.path for v in found}) != len(found):
        raise AssertionError("two variables share a path: one would overwrite the other when stored")
    return found
