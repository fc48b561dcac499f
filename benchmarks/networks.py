"""The writer's network, trained on a published task's pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.writer.clean import Pair
from models.writer.tokenizer import BEGIN, PAD, Tokenizer

Track = Callable[[Iterator[Any], str, int], Iterator[Any]]


@dataclass(frozen=True)
class Network:
    """Sizes and training of a network. `latent` and `copy` as in `ModelConfig`, `average` as in
    `Recipe`.
    """

    seed: int
    steps: int
    lengths: tuple[int, ...]
    batch: int = 64
    width: int = 256
    blocks: int = 2
    dropout: float = 0.1
    average: float = 0.998
    latent: int = 0
    copy: bool = False


def fit(pairs: Sequence[Pair], tokenizer: Tokenizer, network: Network, track: Track) -> Any:
    """The trained network; 150 steps or a tenth of them warm up, whichever is less."""
    from models.writer.model import ModelConfig
    from models.writer.train import Recipe, train

    sizes = ModelConfig(
        0,
        width=network.width,
        hidden=4 * network.width,
        encoder_blocks=network.blocks,
        decoder_blocks=network.blocks,
        dropout=network.dropout,
        latent=network.latent,
        copy=network.copy,
    )
    warm_up = min(0.1, 150 / network.steps)
    recipe = Recipe(rate=1e-3, warm_up=warm_up, average=network.average, lengths=network.lengths)
    model, _ = train(
        pairs,
        tokenizer,
        network.steps,
        network.batch,
        network.seed,
        recipe=recipe,
        sizes=sizes,
        track=lambda steps: track(steps, "training", network.steps),
    )
    return model


def printable(tokenizer: Tokenizer, marks: Sequence[str] = ()) -> NDArray[np.bool_]:
    """(vocabulary,): words, the end, and such specials as `marks`; no bytes, no other special."""
    allowed = np.ones(len(tokenizer), bool)
    barred = set(tokenizer.specials) - set(marks)
    allowed[[PAD, BEGIN, *tokenizer.byte_ids, *map(tokenizer.special, barred)]] = False
    return allowed
