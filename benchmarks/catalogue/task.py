"""What a night would train on one part of a catalogue, and would write for the other.

Texts are compared with what a person wrote, less the sentences that no attribute supports or that a rule
forbids ("Buy it for Rs. 715, free shipping"): those are neither learnt from nor wanted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.catalogue.read import Row, products, split
from benchmarks.chinese import rouge, words
from benchmarks.e2e.measure import rouge2
from benchmarks.formats import Unreadable
from benchmarks.networks import Track
from benchmarks.variety import distinct4, english_words, repetition4
from models.writer.clean import Marks, Pair, make_pair, make_plan
from models.writer.encode import make_tokenizer
from models.writer.facts import Lexicon, read_facts
from models.writer.judge import Exam, nearest_texts, template_texts
from models.writer.rules import LANGUAGES
from models.writer.score import bleu, chrf
from models.writer.text import units
from models.writer.verify import UNSUPPORTED, Brief, Verifier, covers
from models.writer.write import Copy, write
from models.writer.writer import Writer

STEPS = 800
MIN_PAIRS = 50


@dataclass(frozen=True)
class Plan:
    seed: int = 1
    steps: int = STEPS
    batch: int = 64


@dataclass
class Written:
    """Texts of one language: the writer's first choice, and what that is without remembered texts; the
    finished one, the baselines, a person's.
    """

    language: str
    briefs: list[Brief]
    references: list[str]
    alone: list[str] = field(default_factory=list)
    network: list[str] = field(default_factory=list)
    finished: list[Copy] = field(default_factory=list)
    nearest: list[str] = field(default_factory=list)
    template: list[str] = field(default_factory=list)


def run(
    train: Path, test: Path, dev: Path | None, mapping: str, plan: Plan, track: Track
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The measures of `benchmarks.writer` for a catalogue, and every text of the test part with its
    product.
    """
    known, asked = _parts(train, test, mapping)
    besides = _held_out(known, dev, train, mapping) if dev else []
    judges = _judges(known + asked)
    learnt = [found for judge in judges.values() for found in _pairs(known, judge, "training")]
    pairs = [pair for pair, _ in learnt]
    if len(pairs) < MIN_PAIRS:
        raise Unreadable(f"{train}: {len(pairs)} usable pairs of attributes and text, {MIN_PAIRS} are needed")
    start = time.perf_counter()
    writer = _fit(pairs, [brief for _, brief in learnt], plan, track)
    trained = time.perf_counter()
    written = _answered(writer, judges, asked, pairs, track)
    seconds = time.perf_counter() - trained
    if not written:
        raise Unreadable(f"{test}: no product that was held out has a usable description")
    found = _measures(written, judges, writer)
    found["tokens_per_s"] = round(
        sum(len(units(t)) for w in written for t in [*w.alone, *w.network]) / seconds, 1
    )
    found["train_seconds"] = round(trained - start, 1)
    if besides:
        judges = _judges(known + besides)
        if others := _answered(writer, judges, besides, pairs, track):
            found["dev"] = _measures(others, judges, writer)
    return found, [row for w in written for row in _told(w)]


def _parts(train: Path, test: Path, mapping: str) -> tuple[list[Row], list[Row]]:
    """What is learnt from, and what is held out."""
    if train == test:
        return split(products(train, mapping))
    known = products(train, mapping)
    return known, _held_out(known, test, train, mapping)


def _held_out(known: Sequence[Row], file: Path, train: Path, mapping: str) -> list[Row]:
    """The products of a file that are not learnt from."""
    seen = {row["product_id"] for row in known}
    asked = [row for row in products(file, mapping) if row["product_id"] not in seen]
    if not asked:
        raise Unreadable(f"{file}: every product of it is in {train} too: nothing is held out")
    return asked


def _judges(rows: Sequence[Row]) -> dict[str, Verifier]:
    """Language → its verifier, which knows the values of all the rows."""
    return {
        language: Verifier(language, Lexicon.build(read_facts(language, row) for row in rows))
        for language in LANGUAGES
    }


def _pairs(rows: Sequence[Row], judge: Verifier, what: str) -> list[tuple[Pair, Brief]]:
    """Usable pairs of attributes and cleaned text, with the product's brief."""
    marks, found = Marks(), []
    for row in rows:
        text = row.get(f"description_{judge.language}", "")
        facts = read_facts(judge.language, row)
        if text.strip() and (pair := make_pair(facts, text, judge, marks)):
            found.append((pair, judge.brief(facts)))
    if marks.seen:
        print(f"{what} texts, {judge.language}: {marks.as_json()}", file=sys.stderr, flush=True)
    return found


def _fit(pairs: Sequence[Pair], briefs: Sequence[Brief], plan: Plan, track: Track) -> Writer:
    from models.writer.train import train

    tokenizer = make_tokenizer(pairs)
    model, _ = train(
        pairs,
        tokenizer,
        plan.steps,
        plan.batch,
        plan.seed,
        track=lambda steps: track(steps, "training", plan.steps),
    )
    return Writer.of(model, tokenizer, make_plan(pairs, briefs), pairs)


def _answered(
    writer: Writer, judges: dict[str, Verifier], rows: Sequence[Row], pairs: Sequence[Pair], track: Track
) -> list[Written]:
    """What is written for rows, by language; a language without a usable description is left out."""
    exams = [(judge, _pairs(rows, judge, "held-out")) for judge in judges.values()]
    return [_write(writer, judge, held, pairs, track) for judge, held in exams if held]


def _write(
    writer: Writer,
    judge: Verifier,
    held: Sequence[tuple[Pair, Brief]],
    pairs: Sequence[Pair],
    track: Track,
) -> Written:
    found = Written(judge.language, [brief for _, brief in held], [pair.text for pair, _ in held])
    candidates = writer.candidates(
        found.briefs, lambda items: track(items, f"writing {judge.language}", -(-len(held) // 128))
    )
    found.alone = _first(candidates)
    found.network = _first(_forgetful(writer).candidates(found.briefs))
    found.finished = list(write(found.briefs, candidates, judge))
    exam = Exam(judge.language, [], found.briefs)
    found.nearest, found.template = nearest_texts(exam, pairs), template_texts(exam, judge)
    return found


def _first(candidates: Sequence[Sequence[str]]) -> list[str]:
    return [texts[0] if texts else "" for texts in candidates]


def _forgetful(writer: Writer) -> Writer:
    """The same network, which remembers no text."""
    return Writer.from_files(writer.to_files() | {"prototypes.json": b"[]"})


def _measures(written: Sequence[Written], judges: dict[str, Verifier], writer: Writer) -> dict[str, Any]:
    tiers = [copy.tier for w in written for copy in w.finished]
    found: dict[str, Any] = {}
    for name, texts in {
        "": [w.alone for w in written],
        "network_": [w.network for w in written],
        "final_": [[c.text for c in w.finished] for w in written],
        "nearest_": [w.nearest for w in written],
        "template_": [w.template for w in written],
    }.items():
        scores = [_scores(w, t, judges[w.language], writer) for w, t in zip(written, texts, strict=True)]
        total = sum(len(w.references) for w in written)
        for key in scores[0]:
            parts = (s[key] * len(w.references) for s, w in zip(scores, written, strict=True))
            found[name + key] = round(sum(parts) / total, 3)
    found["fallback_rate"] = round(100.0 * tiers.count("template") / len(tiers), 3)
    found["tier_counts"] = {tier: tiers.count(tier) for tier in ("model", "retry", "template", "refused")}
    return found


def _scores(written: Written, texts: Sequence[str], judge: Verifier, writer: Writer) -> dict[str, float]:
    asked = covered = unsupported = loose = 0
    for text, brief in zip(texts, written.briefs, strict=True):
        said, names = units(text), set(writer.plan.choose(brief))
        asked += len(names)
        covered += sum(covers(said, v) for n, v in brief.shown.attributes if n in names)
        failed = [c for c in judge.verify(text, brief).failed if c in UNSUPPORTED]
        unsupported += bool(failed)
        loose += len(failed)
    chinese = written.language == "zh"
    cut = [words(t) if chinese else english_words(t) for t in texts]
    pairs = list(texts), written.references
    return {
        "bleu": bleu(*pairs),
        "chrf": chrf(*pairs),
        "rouge2": rouge(*pairs)["rouge2"] if chinese else rouge2(texts, [[r] for r in written.references]),
        "ser": 100.0 * (asked - covered + loose) / asked if asked else 0.0,
        "coverage": 100.0 * covered / asked if asked else 100.0,
        "unsupported": 100.0 * unsupported / len(texts),
        "distinct4": distinct4(cut),
        "repetition4": repetition4(cut),
    }


def _told(written: Written) -> list[dict[str, Any]]:
    rows = zip(written.briefs, written.alone, written.finished, written.references, strict=True)
    return [
        {
            "product_id": brief.shown.product_id,
            "language": written.language,
            "alone": alone,
            "finished": copy.text,
            "tier": copy.tier,
            "person": person,
        }
        for brief, alone, copy, person in rows
    ]
