"""Sources and targets as arrays: what the network sees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.writer.clean import PLACEHOLDER, Pair, Source
from models.writer.tokenizer import BEGIN, END, PAD, Tokenizer

Ints = NDArray[np.int32]

# Lengths that batches are padded to: every length is a shape to trace.
SOURCE_LENGTHS = (16, 32, 48, 64, 96)
TARGET_LENGTHS = (32, 48, 64, 96, 128, 160)
MAX_TARGET = TARGET_LENGTHS[-1]
MAX_VALUE_TOKENS = 8
MAX_NAME_TOKENS = 32
MAX_SPECIALS = 2000
ALWAYS = ("⟦en⟧", "⟦zh⟧", "⟦name⟧", "⟦brand⟧", "⟦kind⟧")


@dataclass(frozen=True)
class Sources:
    """Token, place inside its pair, number of its pair; all (batch, length), 0 where empty."""

    token: Ints
    place: Ints
    group: Ints

    def __len__(self) -> int:
        return len(self.token)


def make_tokenizer(pairs: Sequence[Pair]) -> Tokenizer:
    """The vocabulary of the training pairs; placeholders beyond the most frequent are no pieces."""
    slots: Counter[str] = Counter()
    texts = []
    for pair in pairs:
        slots.update(PLACEHOLDER.findall(pair.target))
        for name, value in pair.source.pairs:
            slots.update([name, *PLACEHOLDER.findall(value)])
        texts += [pair.target, *(value for _, value in pair.source.pairs)]
    ranked = sorted((-n, s) for s, n in slots.items() if s not in ALWAYS)
    return Tokenizer.train(texts, [*ALWAYS, *(s for _, s in ranked[:MAX_SPECIALS])])


def encode_source(source: Source, tokenizer: Tokenizer) -> Ints:
    """(tokens, 3): token, place and group of a source; pairs beyond the longest length are left out whole."""
    found = [(tokenizer.special(f"⟦{source.language}⟧"), 0, 1)]
    group = 1
    for name, value in source.pairs:
        limit = MAX_NAME_TOKENS if name == "⟦name⟧" else MAX_VALUE_TOKENS
        try:
            ids = [tokenizer.special(name), *tokenizer.encode(value)[:limit]]
        except KeyError:
            continue  # an attribute that no training text mentions
        if len(found) + len(ids) > SOURCE_LENGTHS[-1]:
            break
        group += 1
        found += [(token, place, group) for place, token in enumerate(ids)]
    return np.array(found, np.int32)


def batch_sources(sources: Sequence[Source], tokenizer: Tokenizer) -> Sources:
    """One batch, padded to the next length of `SOURCE_LENGTHS`."""
    return pad_sources([encode_source(s, tokenizer) for s in sources])


def pad_sources(encoded: Sequence[Ints]) -> Sources:
    """As `batch_sources`, of what `encode_source` made."""
    length = padded(max(map(len, encoded)), SOURCE_LENGTHS)
    out = np.zeros((3, len(encoded), length), np.int32)
    for i, row in enumerate(encoded):
        out[:, i, : len(row)] = row.T
    return Sources(*out)


def padded(length: int, lengths: Sequence[int]) -> int:
    return next((n for n in lengths if n >= length), lengths[-1])


@dataclass(frozen=True)
class Batch:
    """Training arrays: sources, the decoder's input and its target, both (batch, length)."""

    sources: Sources
    given: Ints
    wanted: Ints


class NothingFits(ValueError):
    """Every text is longer than a model learns from."""


@dataclass(frozen=True)
class Examples:
    """Encoded training pairs, kept by length so that batches waste little."""

    sources: Sequence[Ints]
    targets: Sequence[list[int]]
    lengths: tuple[int, ...] = TARGET_LENGTHS

    def __len__(self) -> int:
        return len(self.targets)

    @staticmethod
    def of(
        pairs: Sequence[Pair], tokenizer: Tokenizer, lengths: tuple[int, ...] = TARGET_LENGTHS
    ) -> Examples:
        """Pairs whose target fits; a longer one is left out: cut, it would teach to stop in mid-sentence."""
        targets = [[*tokenizer.encode(p.target), END] for p in pairs]
        fits = [i for i, t in enumerate(targets) if len(t) <= lengths[-1]]
        # Once, not in every pass: it would be a tenth of the training.
        sources = [encode_source(pairs[i].source, tokenizer) for i in fits]
        return Examples(sources, [targets[i] for i in fits], lengths)

    def batches(self, size: int, rng: np.random.Generator | None) -> Iterator[Batch]:
        """One pass: batches of `size` (the last of a length padded with empty rows), shuffled by `rng`."""
        order = np.arange(len(self)) if rng is None else rng.permutation(len(self))
        by_length: dict[int, list[int]] = {}
        for i in order:
            by_length.setdefault(padded(len(self.targets[i]), self.lengths), []).append(int(i))
        chunks = [
            (n, ids[a : a + size]) for n, ids in sorted(by_length.items()) for a in range(0, len(ids), size)
        ]
        for c in range(len(chunks)) if rng is None else rng.permutation(len(chunks)):
            yield self._batch(*chunks[c], size)

    def _batch(self, length: int, ids: list[int], size: int) -> Batch:
        given = np.full((size, length), PAD, np.int32)
        wanted = np.full((size, length), PAD, np.int32)
        for row, i in enumerate(ids):
            target = self.targets[i]
            wanted[row, : len(target)] = target
            given[row, : len(target)] = [BEGIN, *target[:-1]]
        fill = [ids[0]] * (size - len(ids))
        return Batch(pad_sources([self.sources[i] for i in ids + fill]), given, wanted)
