"""Training by steps, never by time; the same inputs and seed give the same weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import ops

from models.backend import compiled, make_deterministic
from models.writer import model as network
from models.writer.clean import Pair
from models.writer.encode import TARGET_LENGTHS, Batch, Examples, NothingFits
from models.writer.model import ModelConfig, Transformer
from models.writer.tokenizer import PAD, Tokenizer

SIZES = ModelConfig(0)  # the vocabulary is the tokenizer's


@dataclass(frozen=True)
class Recipe:
    """AdamW with linear warm-up and decay; `warm_rate` is the peak from the weights of another model.

    `average`: momentum of a moving average of the weights, which is kept in place of the last ones (Polyak
    and Juditsky 1992); 0: none. `lengths`: what targets are padded to; every one is a graph to trace.
    """

    rate: float = 4e-3
    warm_rate: float = 1e-3
    warm_up: float = 0.1
    smoothing: float = 0.1
    decay: float = 0.01
    clip: float = 1.0
    average: float = 0.0
    lengths: tuple[int, ...] = TARGET_LENGTHS


class WarmUpDecay(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Linear to `peak` in the first part of `steps`, linear to nearly nothing in the rest."""

    def __init__(self, peak: float, steps: int, warm_up: float) -> None:
        self.peak, self.steps, self.warm = peak, steps, max(1.0, steps * warm_up)

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32") + 1.0
        down = (self.steps - step + 1.0) / max(1.0, self.steps - self.warm + 1.0)
        return self.peak * ops.maximum(ops.minimum(step / self.warm, down), 0.0)

    def get_config(self) -> dict[str, float]:
        return {"peak": self.peak, "steps": self.steps, "warm_up": self.warm / self.steps}


def smoothed_loss(smoothing: float) -> Callable[[Any, Any], Any]:
    """Cross-entropy per token in nats, label smoothing spread over the vocabulary, padding left out."""

    def loss(wanted: Any, logits: Any) -> Any:
        real = ops.cast(ops.not_equal(wanted, PAD), "float32")
        cost = ops.sparse_categorical_crossentropy(wanted, logits, from_logits=True)
        if smoothing:  # log p of a word, averaged over the vocabulary, without holding log p
            flat = ops.logsumexp(logits, axis=-1) - ops.mean(logits, axis=-1)
            cost = (1.0 - smoothing) * cost + smoothing * flat
        return ops.sum(cost * real) / ops.maximum(ops.sum(real), 1.0)

    return loss


def train(
    pairs: Sequence[Pair],
    tokenizer: Tokenizer,
    steps: int,
    batch: int,
    seed: int,
    start: dict[str, bytes] | None = None,
    recipe: Recipe = Recipe(),
    sizes: ModelConfig = SIZES,
    track: Callable[[Iterator[int]], Iterator[int]] = iter,
) -> tuple[Transformer, list[float]]:
    """A trained model and its loss at every step.

    `start`: files of a model with the same tokenizer and sizes. The vocabulary of `sizes` is the tokenizer's.
    Raises `NothingFits`.
    """
    make_deterministic(seed)
    examples = Examples.of(pairs, tokenizer, recipe.lengths)
    if not len(examples):
        raise NothingFits(f"none of {len(pairs)} texts has at most {recipe.lengths[-1]} tokens")
    model = Transformer(replace(sizes, vocabulary=len(tokenizer)))
    if start:
        network.load_weights(model, start)
    schedule = WarmUpDecay(recipe.warm_rate if start else recipe.rate, steps, recipe.warm_up)
    optimizer = keras.optimizers.AdamW(
        schedule,
        weight_decay=recipe.decay,
        beta_2=0.98,
        global_clipnorm=recipe.clip,
        use_ema=recipe.average > 0,
        ema_momentum=recipe.average or 0.99,
    )
    model.compile(optimizer=optimizer, loss=smoothed_loss(recipe.smoothing), jit_compile=False)
    feed = _endless(examples, batch, np.random.default_rng(seed))
    losses = []
    for _ in track(iter(range(steps))):
        one = next(feed)
        losses.append(float(model.train_on_batch(network.inputs(one.sources, one.given), one.wanted)))
    optimizer.finalize_variable_values(model.trainable_variables)
    return model, losses


def _endless(examples: Examples, batch: int, rng: np.random.Generator) -> Iterator[Batch]:
    while True:
        yield from examples.batches(batch, rng)


def token_loss(model: Transformer, pairs: Sequence[Pair], tokenizer: Tokenizer, batch: int) -> float:
    """Mean cross-entropy per token in nats over the pairs, without smoothing or dropout."""
    score = compiled(lambda given, wanted: smoothed_loss(0.0)(wanted, model(given, training=False)))
    total, count = 0.0, 0
    for one in Examples.of(pairs, tokenizer).batches(batch, None):
        tokens = int((one.wanted != PAD).sum())
        total += float(score(network.inputs(one.sources, one.given), one.wanted)) * tokens
        count += tokens
    return total / count if count else math.nan
