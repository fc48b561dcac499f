"""Fine-tuning of a preset's adapters: by steps, never by time; equal inputs and seed give equal bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from models.backend import compiled, make_deterministic
from models.writer.clean import Pair, make_plan
from models.writer.encode import NothingFits, padded
from models.writer.preset import RANK, About, PresetWriter, preset_hash, prompts_of
from models.writer.preset_base import LENGTHS, Base, Encoded, open_base
from models.writer.train import WarmUpDecay
from models.writer.verify import Brief


@dataclass(frozen=True)
class LoraRecipe:
    """AdamW with linear warm-up and decay; `warm_rate` is the peak from the adapters of another writer."""

    rate: float = 1e-3
    warm_rate: float = 3e-4
    warm_up: float = 0.1
    clip: float = 1.0


@dataclass(frozen=True)
class Lessons:
    """Pairs as tokens; one with too long a text is left out: cut, it would teach to stop in mid-sentence."""

    encoded: Sequence[Encoded]
    targets: Sequence[list[int]]

    @staticmethod
    def of(pairs: Sequence[tuple[Pair, Brief]], base: Base) -> Lessons:
        targets = [base.target(pair.text) for pair, _ in pairs]
        kept = [i for i, t in enumerate(targets) if len(t) <= base.max_new]
        prompts = prompts_of([pairs[i] for i in kept], base.fits)
        return Lessons(base.encode(prompts) if prompts else [], [targets[i] for i in kept])

    def batches(self, base: Base, size: int, rng: np.random.Generator | None) -> Iterator[Any]:
        """One pass, shuffled by `rng`; the last batch of a length is filled up by weightless rows."""
        count = len(self.targets)
        order = np.arange(count) if rng is None else rng.permutation(count)
        by_length: dict[int, list[int]] = {}
        for i in order:
            length = len(self.encoded[i].prefix) + len(self.targets[i]) - 1
            by_length.setdefault(padded(length, LENGTHS), []).append(int(i))
        chunks = [ids[a : a + size] for _, ids in sorted(by_length.items()) for a in range(0, len(ids), size)]
        for c in range(len(chunks)) if rng is None else rng.permutation(len(chunks)):
            ids = chunks[c]
            rows = ids + [ids[0]] * (size - len(ids))
            given, wanted, weight = base.training_batch(
                [self.encoded[i] for i in rows], [self.targets[i] for i in rows]
            )
            weight[len(ids) :] = 0.0
            yield given, wanted, weight


def train_preset(
    folder: str | Path,
    pairs: Sequence[tuple[Pair, Brief]],
    steps: int,
    batch: int,
    seed: int,
    start: PresetWriter | None = None,
    recipe: LoraRecipe = LoraRecipe(),
    track: Callable[[Iterator[int]], Iterator[int]] = iter,
) -> tuple[PresetWriter, list[float]]:
    """A writer on the preset in the folder, and its loss at every step (nats per token of the texts).

    `start`: a writer on the same base, whose adapters are trained on. Raises `PresetError`,
    `NothingFits`.
    """
    make_deterministic(seed)
    base = open_base(folder, preset_hash(folder), RANK)
    if start is None:
        base.start_adapters(seed)
    else:
        base.use(start.adapters)
    lessons = Lessons.of(pairs, base)
    if not lessons.targets:
        raise NothingFits(f"none of {len(pairs)} texts has at most {base.max_new} tokens")
    rate = recipe.rate if start is None else recipe.warm_rate
    optimizer = keras.optimizers.AdamW(
        WarmUpDecay(rate, steps, recipe.warm_up), weight_decay=0.0, global_clipnorm=recipe.clip
    )
    losses = _fit(base, optimizer, _endless(lessons, base, batch, seed), track(iter(range(steps))))
    plan = make_plan([p for p, _ in pairs], [b for _, b in pairs])
    about = About(base.digest, base.rank, base.task)
    return PresetWriter(folder, about, plan, base.read_adapters()), losses


def _endless(lessons: Lessons, base: Base, batch: int, seed: int) -> Iterator[Any]:
    rng = np.random.default_rng(seed)
    while True:
        yield from lessons.batches(base, batch, rng)


def _fit(base: Base, optimizer: Any, feed: Iterator[Any], steps: Iterator[int]) -> list[float]:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")
    base.lm.compile(optimizer=optimizer, loss=loss, weighted_metrics=[], sampler="greedy", jit_compile=False)
    losses = []
    for _ in steps:
        given, wanted, weight = next(feed)
        losses.append(float(base.lm.train_on_batch(given, wanted, sample_weight=weight)))
    return losses


def token_loss(writer: PresetWriter, pairs: Sequence[tuple[Pair, Brief]], batch: int) -> float:
    """Mean cross-entropy per token in nats over the pairs, without dropout."""
    base = writer.base
    base.use(writer.adapters)

    def summed(given: Any, wanted: Any, weight: Any) -> Any:
        logits = keras.ops.cast(base.lm(given, training=False), "float32")
        cost = keras.ops.sparse_categorical_crossentropy(wanted, logits, from_logits=True)
        return keras.ops.sum(cost * weight)

    score = compiled(summed)
    total = count = 0.0
    for given, wanted, weight in Lessons.of(pairs, base).batches(base, batch, None):
        total += float(score(given, wanted, weight))
        count += float(weight.sum())
    return total / count if count else math.nan
