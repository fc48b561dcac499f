"""Train on AdvertiseGen's rows, write every product of the test file, and measure both outputs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.adgen.clean import pairs, source
from benchmarks.adgen.finish import finish
from benchmarks.adgen.read import Example, Values, forms, read
from benchmarks.chinese import bleu4, rouge, words
from benchmarks.latent import carried, shuffled
from benchmarks.networks import Network, Track, fit, printable
from benchmarks.variety import distinct4, repetition4
from models.recommender.base import Floats
from models.writer.clean import Pair
from models.writer.tokenizer import Tokenizer

STEPS = 900
MIN_COUNT = 6
LENGTHS = (48, 64, 80, 96, 128)
BLOCK = 16
GRAM = 4


@dataclass(frozen=True)
class Plan:
    """What a run does: chosen on a part of the training file.

    `most`: how often a word of several characters may stand in a text. `often`: how many texts of a run, up
    to a block's, may hold the same four words in a row; 0: any number. `enough`: the part of a text's usual
    length, by how many attributes it tells, that it has at least. `rerank`: what tells most goes first.
    """

    seed: int = 1
    steps: int = STEPS
    dropout: float = 0.3
    beams: int = 6
    penalty: float = 1.0
    most: int = 2
    often: int = 2
    enough: float = 0.9
    rerank: bool = True
    repair: bool = True
    latent: int = 0
    copy: bool = False


# Beam search with nothing but its ban of repeated trigrams (ablation).
BARE: dict[str, Any] = {"most": 0, "often": 0, "enough": 0.0, "rerank": False}


@dataclass
class Written:
    """Per product: the network's candidates, best first, and the finished text with its tier."""

    products: list[Example]
    candidates: list[list[str]] = field(default_factory=list)
    finished: list[tuple[str, str]] = field(default_factory=list)
    tokens: int = 0

    @property
    def alone(self) -> list[str]:
        """The network's first choices."""
        return [texts[0] if texts else "" for texts in self.candidates]


def run(
    train: Path, test: Path, dev: Path | None, plan: Plan, track: Track
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The measures of `benchmarks.writer` for AdvertiseGen, and every text of the test file with its
    attributes.
    """
    known, products, besides = read(train), read(test), read(dev) if dev else []
    values = Values(known)
    start = time.perf_counter()
    examples = pairs(known, values, plan.repair)
    tokenizer = words_of(examples)
    network = Network(
        plan.seed, plan.steps, LENGTHS, dropout=plan.dropout, latent=plan.latent, copy=plan.copy
    )
    model = fit(examples, tokenizer, network, track)
    writer = Writer(model, tokenizer, values, UsualLength.of(examples, tokenizer))
    trained = time.perf_counter()
    written = writer.write(products, plan, track)
    found = measures(written, values)
    found["tokens_per_s"] = round(written.tokens / (time.perf_counter() - trained), 1)
    found["train_seconds"] = round(trained - start, 1)
    bare = _scores(writer.write(products, replace(plan, **BARE), track).alone, products, values)
    found |= {f"bare_{k}": bare[k] for k in ("bleu", "rouge2", "coverage", "distinct4")}
    if plan.latent:
        found |= carried(model, examples, tokenizer, LENGTHS)
        z = shuffled(model, [source(p.attributes) for p in products], tokenizer, plan.seed)
        other = writer.write(products, plan, track, z).alone
        found["shuffled_bleu"] = _scores(other, products, values)["bleu"]
    if besides:
        found["dev"] = measures(writer.write(besides, plan, track), values)
    return found, told(written)


def words_of(examples: Sequence[Pair]) -> Tokenizer:
    """Frequent words, which jieba finds here once: to write, the tokenizer needs no dictionary."""
    specials = sorted({name for p in examples for name, _ in p.source.pairs} | {"⟦zh⟧"})
    texts = [t for p in examples for t in (p.target, *(value for _, value in p.source.pairs))]
    return Tokenizer.train(texts, specials, min_count=MIN_COUNT, cut=words)


@dataclass(frozen=True)
class UsualLength:
    """How many tokens a text has, by how many attributes it tells: a line through the training texts."""

    slope: float
    base: float

    @classmethod
    def of(cls, examples: Sequence[Pair], tokenizer: Tokenizer) -> UsualLength:
        told = [len(p.source.pairs) for p in examples]
        slope, base = np.polyfit(told, [len(tokenizer.encode(p.target)) for p in examples], 1)
        return cls(float(slope), float(base))

    def __call__(self, attributes: int) -> float:
        return self.base + self.slope * attributes


@dataclass
class Said:
    """What a run has said so far: four words in a row stand in at most `often` of its texts."""

    often: int
    _counts: Counter[tuple[int, ...]] = field(default_factory=Counter)

    def add(self, ids: Sequence[int]) -> None:
        self._counts.update({tuple(ids[i : i + GRAM]) for i in range(len(ids) - GRAM + 1)})

    def worn(self) -> list[tuple[int, ...]]:
        return [gram for gram, count in self._counts.items() if count >= self.often] if self.often else []


@dataclass(frozen=True)
class Writer:
    """A trained network, and what it needs to write ads."""

    model: Any
    tokenizer: Tokenizer
    values: Values
    usual: UsualLength

    def write(self, products: list[Example], plan: Plan, track: Track, z: Floats | None = None) -> Written:
        """Candidates and a finished text for every product. No word is written that says a value of other
        products only.
        """
        from models.writer.decode import Decoding
        from models.writer.search import searcher

        decoding = Decoding(plan.beams, plan.penalty, no_repeat=3, max_length=LENGTHS[-1], most=plan.most)
        decoder, said, written = searcher(self.model, decoding), Said(plan.often), Written(products)
        starts = range(0, len(products), BLOCK)
        for start in track(iter(starts), "writing", len(starts)):
            part = slice(start, start + BLOCK)
            sources, constraints = self._asked(products[part], plan, said)
            found = decoder.search(sources, constraints, None if z is None else z[part])
            for product, beams in zip(products[part], found, strict=True):
                texts = {ids: self.tokenizer.decode(ids).strip() for ids in map(tuple, beams)}
                best = [ids for ids in texts if texts[ids]]
                if plan.rerank:
                    best.sort(key=lambda ids: self._lack(texts[ids], product))
                written.tokens += len(best[0]) + 1 if best else 0
                written.candidates.append(list(dict.fromkeys(texts[ids] for ids in best)))
                said.add(best[0] if best else ())
        for product, wrote in zip(products, written.candidates, strict=True):
            written.finished.append(finish(wrote, product.attributes, self.values))
        return written

    def _asked(self, block: list[Example], plan: Plan, said: Said) -> tuple[Any, Any]:
        """What the network reads of a block, and what it may not write."""
        from models.writer.decode import Constraints
        from models.writer.encode import batch_sources

        size = len(self.tokenizer)
        allowed = np.stack([self._usable & ~barred(p, self.values, self._holders, size) for p in block])
        least = np.array([plan.enough * self.usual(len(p.attributes)) for p in block]).astype(np.int32)
        least = np.minimum(least, LENGTHS[-1] - 2)
        constraints = Constraints(allowed, said.worn(), least=least, limited=self._limited)
        return batch_sources([source(p.attributes) for p in block], self.tokenizer), constraints

    def _lack(self, text: str, product: Example) -> int:
        """How many attributes a text leaves out, and how many values it makes up."""
        missing = self.values.missing(text, product.attributes)
        return len(missing) + len(self.values.unsupported(text, product.attributes))

    @cached_property
    def _holders(self) -> dict[str, list[int]]:
        return says_what(self.tokenizer, self.values)

    @cached_property
    def _usable(self) -> NDArray[np.bool_]:
        return printable(self.tokenizer)

    @cached_property
    def _limited(self) -> NDArray[np.bool_]:
        """Words of more than one character, which readers notice when they come again."""
        first = len(self.tokenizer) - len(self.tokenizer.words)
        return np.array([False] * first + [len(word) > 1 for word in self.tokenizer.words])


def says_what(tokenizer: Tokenizer, values: Values) -> dict[str, list[int]]:
    """Value → the pieces that hold it."""
    first = len(tokenizer) - len(tokenizer.words)
    return {v: [first + i for i, word in enumerate(tokenizer.words) if v in word] for v in values.telling}


def barred(product: Example, values: Values, holders: dict[str, list[int]], size: int) -> NDArray[np.bool_]:
    """(vocabulary,): pieces that say a value which the product does not have."""
    own = {form for _, value in product.attributes for form in forms(value)}
    out = np.zeros(size, bool)
    for value in values.telling:
        if not any(value in form for form in own):
            out[holders[value]] = True
    return out


def measures(written: Written, values: Values) -> dict[str, Any]:
    finished = [text for text, _ in written.finished]
    tiers = [tier for _, tier in written.finished]
    return {
        **_scores(written.alone, written.products, values),
        **{f"final_{k}": v for k, v in _scores(finished, written.products, values).items()},
        "fallback_rate": round(100.0 * tiers.count("template") / len(tiers), 3),
        "tier_counts": {tier: tiers.count(tier) for tier in ("model", "retry", "template")},
    }


def _scores(texts: Sequence[str], products: Sequence[Example], values: Values) -> dict[str, float]:
    references = [p.text for p in products]
    cut = [words(t) for t in texts]
    asked = sum(len(p.attributes) for p in products)
    pairs_ = list(zip(texts, products, strict=True))
    missing = sum(len(values.missing(t, p.attributes)) for t, p in pairs_)
    loose = [values.unsupported(t, p.attributes) for t, p in pairs_]
    scores = {
        "bleu": bleu4(texts, references),
        **rouge(texts, references),
        "ser": 100.0 * (missing + sum(map(len, loose))) / asked,
        "coverage": 100.0 * (1.0 - missing / asked),
        "unsupported": 100.0 * sum(map(bool, loose)) / len(texts),
        "distinct4": distinct4(cut),
        "repetition4": repetition4(cut),
    }
    return {name: round(value, 3) for name, value in scores.items()}


def told(written: Written) -> list[dict[str, Any]]:
    rows = zip(written.products, written.candidates, written.finished, strict=True)
    return [
        {"attributes": p.attributes, "alone": texts[0] if texts else "", "finished": text, "tier": tier}
        for p, texts, (text, tier) in rows
    ]
