"""Train on the challenge's pairs, write every request of the test file, and measure both outputs."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.e2e import template
from benchmarks.e2e.clean import PLANNED, Meaning, cleaned, finish, group, source, unspell
from benchmarks.e2e.measure import Errors, bleu, errors, rouge2, slot_error_rate
from benchmarks.e2e.read import read
from benchmarks.latent import carried, shuffled
from benchmarks.networks import Network, Track, fit, printable
from benchmarks.variety import distinct4, english_words, repetition4
from models.recommender.base import Floats
from models.writer.clean import Pair
from models.writer.tokenizer import Tokenizer

# Words that stand less often are no pieces, and bytes are never written: a text holds known words only.
MIN_COUNT = 3
STEPS = 2000
LENGTHS = (16, 24, 32, 40, 48, 64, 96)
BLOCK = 64


@dataclass(frozen=True)
class Plan:
    """What a run does: sizes and steps, chosen on the development set, and the parts that are on."""

    seed: int = 1
    steps: int = STEPS
    beams: int = 4
    penalty: float = 1.0
    repair: bool = True
    order: bool = False
    latent: int = 0


@dataclass
class Written:
    """What was written for each request: the model's candidates, and the finished text with its tier."""

    requests: list[Meaning]
    references: list[list[str]]
    candidates: list[list[str]] = field(default_factory=list)
    finished: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    tokens: int = 0

    @property
    def alone(self) -> list[str]:
        """The network's first choices."""
        return [texts[0] if texts else "" for texts in self.candidates]

    @property
    def reranked(self) -> list[str]:
        """The first choices without a slot error; no template where there is none."""
        pairs = zip(self.alone, self.finished, strict=True)
        return [first if tier == "template" else text for first, (text, tier) in pairs]


def run(
    train: Path, test: Path, dev: Path | None, plan: Plan, track: Track
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The measures of `benchmarks.writer` for the E2E challenge, and every text of the test file with its
    request.
    """
    asked, besides = group(read(test)), group(read(dev)) if dev else {}
    learnt = cleaned(read(train), plan.repair, plan.order)
    print(f"training pairs: {dict(learnt.counts.most_common())}", file=sys.stderr, flush=True)
    start = time.perf_counter()
    tokenizer = words_of(learnt.pairs, plan)
    network = Network(plan.seed, plan.steps, LENGTHS, latent=plan.latent)
    model = fit(learnt.pairs, tokenizer, network, track)
    trained = round(time.perf_counter() - start, 1)
    written = answered(model, tokenizer, plan, asked, track)
    found = measures(written) | {"train_seconds": trained}
    if plan.latent:
        found |= carried(model, learnt.pairs, tokenizer, LENGTHS)
        z = shuffled(model, [source(mr) for mr in asked], tokenizer, plan.seed)
        other = answered(model, tokenizer, plan, asked, track, z)
        found["shuffled_bleu"] = _scores(other.alone, other)["bleu"]
    if besides:
        found["dev"] = measures(answered(model, tokenizer, plan, besides, track))
    return found, told(written)


def words_of(pairs: Sequence[Pair], plan: Plan) -> Tokenizer:
    """Frequent words, and a token for every slot and value."""
    slots = {name for p in pairs for name, _ in p.source.pairs}
    specials = sorted(slots | {"⟦en⟧"} | ({PLANNED} if plan.order else set()))
    return Tokenizer.train((p.target for p in pairs), specials, min_count=MIN_COUNT)


def answered(
    model: Any,
    tokenizer: Tokenizer,
    plan: Plan,
    requests: dict[Meaning, list[str]],
    track: Track,
    z: Floats | None = None,
) -> Written:
    """Candidates for every request, best first, and the finished text: the first without a slot error, else
    a template.
    """
    from models.writer.decode import Constraints, Decoding
    from models.writer.encode import batch_sources
    from models.writer.search import searcher

    # A sentence may say "it is … and it is …": repeated n-grams are no fault here.
    longest = LENGTHS[-1]
    decoder = searcher(model, Decoding(plan.beams, plan.penalty, no_repeat=longest, max_length=longest))
    words = printable(tokenizer, tokenizer.specials if plan.order else ())
    written, began = Written(list(requests), list(requests.values())), time.perf_counter()
    starts = range(0, len(written.requests), BLOCK)
    for start in track(iter(starts), "writing", len(starts)):
        block = written.requests[start : start + BLOCK]
        allowed = np.broadcast_to(words, (len(block), len(words)))
        sources = batch_sources([source(mr) for mr in block], tokenizer)
        own = None if z is None else z[start : start + BLOCK]
        beams = decoder.search(sources, Constraints(allowed, []), own)
        for mr, found in zip(block, beams, strict=True):
            written.tokens += len(found[0]) + 1 if found else 0
            wrote = (finish(unspell(tokenizer.decode(ids)), dict(mr)) for ids in found)
            written.candidates.append(list(dict.fromkeys(t for t in wrote if t)))
    for mr, texts in zip(written.requests, written.candidates, strict=True):
        written.finished.append(choose(texts, dict(mr)))
    written.seconds = time.perf_counter() - began
    return written


def choose(texts: Sequence[str], mr: dict[str, str]) -> tuple[str, str]:
    """(text, tier): the first candidate without a slot error, else the template."""
    for rank, text in enumerate(texts):
        if not errors(text, mr).count:
            return text, "model" if rank == 0 else "retry"
    return template.write(mr), "template"


def measures(written: Written) -> dict[str, Any]:
    finished = [text for text, _ in written.finished]
    tiers = [tier for _, tier in written.finished]
    return {
        **_scores(written.alone, written),
        **{f"reranked_{k}": v for k, v in _scores(written.reranked, written).items() if k in ("bleu", "ser")},
        **{f"final_{k}": v for k, v in _scores(finished, written).items()},
        "fallback_rate": round(100.0 * tiers.count("template") / len(tiers), 3),
        "tier_counts": {tier: tiers.count(tier) for tier in ("model", "retry", "template")},
        "tokens_per_s": round(written.tokens / written.seconds, 1),
    }


def told(written: Written) -> list[dict[str, Any]]:
    rows = zip(written.requests, written.candidates, written.finished, strict=True)
    return [
        {"request": dict(mr), "alone": texts[0] if texts else "", "finished": text, "tier": tier}
        for mr, texts, (text, tier) in rows
    ]


def _scores(texts: Sequence[str], written: Written) -> dict[str, float]:
    found: list[Errors] = [errors(t, dict(mr)) for t, mr in zip(texts, written.requests, strict=True)]
    asked = sum(e.asked for e in found)
    cut = [english_words(t) for t in texts]
    return {
        "bleu": round(bleu(texts, written.references), 2),
        "rouge2": round(rouge2(texts, written.references), 2),
        "ser": round(slot_error_rate(found), 3),
        "coverage": round(100.0 * (1.0 - sum(len(e.missing) for e in found) / asked), 3),
        "unsupported": round(100.0 * sum(bool(e.added or e.wrong) for e in found) / len(found), 3),
        "distinct4": round(distinct4(cut), 2),
        "repetition4": round(repetition4(cut), 2),
    }
