"""What a latent variable carries, and whether writing heeds it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from models.recommender.base import Floats
from models.writer.clean import Pair, Source
from models.writer.encode import Examples, batch_sources
from models.writer.tokenizer import PAD, Tokenizer

BLOCK = 64
# A size whose mean moves more than this over texts is in use (Burda, Grosse and Salakhutdinov 2016).
ACTIVE = 0.01


def carried(
    model: Any, pairs: Sequence[Pair], tokenizer: Tokenizer, lengths: tuple[int, ...]
) -> dict[str, float]:
    """`kl`: what z costs, in nats a text, over these pairs; `active_units`: sizes of z in use."""
    from models.writer.model import divergence

    costs, means = [], []
    for batch in Examples.of(pairs, tokenizer, lengths).batches(BLOCK, None):
        about = _about(model, batch.sources)
        time = np.arange(batch.given.shape[1])
        here, narrow = model.latent.read(about, (model.embed_target(batch.given, time), batch.given != PAD))
        costs.append(np.asarray(divergence(here, narrow, *model.latent.expected(about))))
        means.append(np.asarray(here))
    spread = np.concatenate(means).var(axis=0)
    return {"kl": round(float(np.concatenate(costs).mean()), 3), "active_units": int((spread > ACTIVE).sum())}


def shuffled(model: Any, sources: Sequence[Source], tokenizer: Tokenizer, seed: int) -> Floats:
    """(sources, size of z): for each the z that the attributes of another make likely."""
    means = [
        np.asarray(model.latent.expected(_about(model, batch_sources(block, tokenizer)))[0])
        for block in _blocks(sources)
    ]
    found: Floats = np.random.default_rng(seed).permutation(np.concatenate(means))
    return found


def _blocks(sources: Sequence[Source]) -> Iterator[Sequence[Source]]:
    for start in range(0, len(sources), BLOCK):
        yield sources[start : start + BLOCK]


def _about(model: Any, sources: Any) -> Any:
    """The mean of the memory, without the place of z."""
    from models.writer.model import masked_mean

    memory, _ = model.encode(sources.token, sources.place, sources.group)
    return masked_mean(memory[:, :-1], sources.group > 0)
