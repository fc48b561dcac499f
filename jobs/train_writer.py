"""Retrain the writer on what people wrote for this shop, and let the gate decide.

A refused model is recorded and not used: the one in service stays, and where there is none, verified
templates write.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs import writer_files as files
from jobs import writer_preset
from jobs.cli import main
from jobs.errors import BadInput
from jobs.model_cards import may_go_on, read_card, write_card
from jobs.night import Night
from jobs.reviews import Reviews
from jobs.settings import Settings
from jobs.writer_learnt import Learnt, hashes, still_good
from models.writer.clean import Marks, Pair, Plan, make_pair, make_plan
from models.writer.encode import NothingFits, make_tokenizer
from models.writer.facts import read_facts
from models.writer.judge import Exam, Numbers, frequency_loss, gate, measure, nearest_texts, template_texts
from models.writer.preset import PresetWriter
from models.writer.text import normalise
from models.writer.tokenizer import Tokenizer
from models.writer.verify import Brief, Verifier
from models.writer.writer import Writer

log = logging.getLogger(__name__)

MIN_PAIRS = 200
# More do not fit into a night's steps; which ones are kept is a stable choice.
MAX_TEXTS = 40_000
HOLDOUT_SHARE = 0.1
MAX_EXAM = 150  # held-out texts per language: what a verdict needs, and a night can decode twice
CHANNEL = "description"  # the one whose texts the catalogue brings
_DESCRIBED = (*files.FACTS, "variant_of", "description_en", "description_zh")


@dataclass
class Pairs:
    """Cleaned pairs with the briefs of their products, and what cleaning found.

    Lists of product, language and text: `texts`, what the pairs were made of; `people`, where verdicts
    left another text than the catalogue's, or none; `rejected`, what is not to be learnt from.
    """

    train: list[tuple[Pair, Brief]] = field(default_factory=list)
    held: list[tuple[Pair, Brief]] = field(default_factory=list)
    marks: dict[str, Marks] = field(default_factory=dict)
    texts: list[tuple[str, str, str]] = field(default_factory=list)
    people: list[tuple[str, str, str]] = field(default_factory=list)
    rejected: list[tuple[str, str, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.train) + len(self.held)

    def digest(self) -> str:
        found = hashlib.sha256()
        for line in self.lines():
            found.update(json.dumps(line).encode() + b"\0")
        return found.hexdigest()

    def lines(self) -> Iterator[list[Any]]:
        """All that is learnt of each pair."""
        for name, part in (("train", self.train), ("held", self.held)):
            for pair, _ in part:
                told = (pair.source.pairs, pair.target, pair.text, pair.brand)
                yield [name, pair.product_id, pair.language, *told]


def run(night: Night) -> dict[str, Any]:
    incumbent = night.model_in_service(files.MODEL, before=True)
    if night.options.retrain == "never":
        return _untrained(night, "not retrained, as asked")
    base = writer_preset.base_hash(night.settings)
    judges = files.verifiers(night)
    pairs = load_pairs(night, judges)
    if len(pairs) < MIN_PAIRS or not pairs.held:
        why = f"{len(pairs)} usable pairs of attributes and human text, {MIN_PAIRS} are needed: too few"
        return _untrained(night, why, pairs)
    learnt = learnt_from(night, pairs, judges)
    why = still_good(night, incumbent, learnt) if night.options.retrain == "auto" else ""
    if why:
        return _untrained(night, why, pairs)
    start = _warm_start(night, incumbent)
    version = _version(night, learnt.digest, incumbent if start else None, base)
    card = None if night.options.retrain == "always" else read_card(night.store, files.location(version))
    # A verdict holds against the incumbent of that moment only.
    if card is None or card["against"] != _name(incumbent):
        try:
            card = _train(night, version, pairs, judges, learnt, start, incumbent)
        except NothingFits as error:
            return _untrained(night, f"{error}: too few to learn from", pairs)
    night.add_model(card["row"])
    night.note(files.MODEL, card["note"])
    row = card["row"]
    in_service = version if row["verdict"] == "accepted" else _name(incumbent)
    summary = {k: row[k] for k in ("version", "verdict", "why")}
    return {"trained": True, "pairs": len(pairs), "in_service": in_service, **summary}


def held_out(family: str) -> bool:
    """Whether a product, and its variants, are held out of training."""
    return files.share("holdout" + family) < HOLDOUT_SHARE


def load_pairs(night: Night, judges: Mapping[str, Verifier]) -> Pairs:
    """Usable pairs of the date. Variants of one product are held out together: their texts are alike.

    What a person edited is learnt from in place of the catalogue's text, and a rejected text not at all.
    """
    found = Pairs(marks={language: Marks() for language in judges})
    reviews = Reviews.as_of(night)
    found.rejected = list(reviews.rejected(CHANNEL))
    edited = reviews.edited_products()
    total = sum(bool(r["description_en"] or r["description_zh"]) for r in files.rows(night, _DESCRIBED))
    keep = min(1.0, MAX_TEXTS / 2 / max(1, total))
    for row in files.rows(night, _DESCRIBED):
        product = row["product_id"]
        family = str(row["variant_of"] or product)
        if product not in edited and files.share("keep" + family) >= keep:
            continue
        part = found.held if held_out(family) else found.train
        for language, judge in judges.items():
            written = (row[f"description_{language}"] or "").strip()
            text = reviews.of(product, language, CHANNEL).human_text(written)
            if text != written:
                found.people.append((product, language, text))
            if text:
                facts = read_facts(language, row)
                pair = make_pair(facts, text, judge, found.marks[language])
                if pair:
                    found.texts.append((product, language, normalise(text)))
                    part.append((pair, judge.brief(facts)))
    for part in (found.train, found.held):
        part.sort(key=lambda p: (p[0].language, p[0].product_id))
    return found


def _untrained(night: Night, why: str, pairs: Pairs | None = None) -> dict[str, Any]:
    """No model is trained: say so, and who writes instead."""
    serving = _name(night.model_in_service(files.MODEL))
    who = f"{serving} stays in service" if serving else "verified templates write the copy"
    sentence = f"{why}; {who}"
    note: dict[str, Any] = {"trained": False, "why": sentence, "version": serving}
    if pairs is not None:
        note |= {"pairs": len(pairs), "cleaning": {k: m.as_json() for k, m in pairs.marks.items()}}
    night.note(files.MODEL, note)
    return {"trained": False, "in_service": serving, "why": sentence}


def learnt_from(night: Night, pairs: Pairs, judges: Mapping[str, Verifier]) -> Learnt:
    """All that a model of the date is learnt from, but for its start."""
    s = night.settings
    base = [s.writer_backend, writer_preset.base_hash(s)]
    setup = [files.code_hash(), s.seed, s.writer_steps, s.writer_batch, _sizes(s), base]
    return Learnt(
        digest=_sha([pairs.digest(), *setup]),
        # Rules that leave every pair as it is ask for no training: they are no part of the digest.
        setup=_sha([*setup, {name: judge.rules.digest for name, judge in judges.items()}]),
        people=_sha(sorted(pairs.people)),
        pairs=hashes(pairs.lines()),
        texts=hashes(pairs.texts),
        rejected=hashes(pairs.rejected),
    )


def _sha(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _warm_start(night: Night, incumbent: dict[str, Any] | None) -> files.AnyWriter | None:
    """The model in service, to train on from; None once a week, and after a change of code, of backend or of
    sizes.
    """
    if incumbent is None or not may_go_on(incumbent, night.ds, files.code_hash()):
        return None
    writer = _rival(night, incumbent)
    if night.settings.writer_backend == "preset":
        return writer if isinstance(writer, PresetWriter) else None
    same = isinstance(writer, Writer) and writer.sizes.items() >= _sizes(night.settings).items()
    return writer if same else None


def _sizes(settings: Settings) -> dict[str, Any]:
    """Of the network, by the names of `ModelConfig`; 8/3 of the width inside a block's feed-forward part."""
    width, blocks = settings.writer_width, settings.writer_blocks
    return {"width": width, "hidden": width * 8 // 3, "encoder_blocks": blocks, "decoder_blocks": blocks}


def _rival(night: Night, incumbent: dict[str, Any] | None) -> files.AnyWriter | None:
    """The model in service, where it can still write: without its base, adapters are no rival."""
    if incumbent is None:
        return None
    try:
        return files.load(night.store, incumbent["location"], night.settings.writer_preset)
    except BadInput as error:
        log.warning("%s is not compared with: %s", incumbent["version"], error)
        return None


def _version(night: Night, digest: str, start: dict[str, Any] | None, base: str) -> str:
    """The name says on which base a preset's adapters stand."""
    text = json.dumps([digest, _name(start)])
    name = f"{night.ds}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return f"{name}-base-{base[:12]}" if base else name


def _name(row: dict[str, Any] | None) -> str | None:
    return row["version"] if row else None


def _train(
    night: Night,
    version: str,
    pairs: Pairs,
    judges: Mapping[str, Verifier],
    learnt: Learnt,
    start: files.AnyWriter | None,
    incumbent: dict[str, Any] | None,
) -> dict[str, Any]:
    """Train, measure, judge, save; returns the card: the row for `models` and the note for the report."""
    writer, losses = _fit(night, pairs, start)
    exams = _exams(pairs)
    known = [p for p, _ in pairs.train]
    new, texts = _sit(exams, writer, judges, writer.plan)
    new |= _losses(night, writer, pairs)
    baselines = {
        "template": measure(
            exams, [template_texts(e, judges[e.language]) for e in exams], judges, writer.plan
        ),
        "nearest neighbour": measure(exams, [nearest_texts(e, known) for e in exams], judges, writer.plan),
    }
    before = _rival(night, incumbent)
    old = _sit(exams, before, judges, writer.plan)[0] if before else None
    verdict = gate(new, baselines, old)
    files.save(night.store, version, writer)
    learnt.save(night.store, version)
    row = {
        "model": files.MODEL,
        "version": version,
        "kind": _kind(writer),
        "verdict": "accepted" if verdict.accepted else "refused",
        "why": verdict.why,
        "metrics": new,
        "baseline": {f"{k}.{n}": v for k, found in baselines.items() for n, v in found.items()},
        "incumbent": old or {},
        "location": files.location(version),
        "trained_on": _trained_on(night, pairs, learnt, incumbent if start else None),
    }
    note = _note(row, pairs, exams, texts, losses)
    card = {"row": row, "against": _name(incumbent), "note": note}
    write_card(night.store, files.location(version), card)
    return card


def _kind(writer: files.AnyWriter) -> str:
    if isinstance(writer, PresetWriter):
        about = writer.about
        return f"{about.task} preset {about.base[:12]} with LoRA adapters of rank {about.rank}"
    return "Transformer encoder-decoder and remembered texts, values as placeholders"


def _fit(night: Night, pairs: Pairs, start: files.AnyWriter | None) -> tuple[files.AnyWriter, list[float]]:
    if night.settings.writer_backend == "preset":
        assert start is None or isinstance(start, PresetWriter)
        return writer_preset.fit(night, pairs.train, start)
    assert start is None or isinstance(start, Writer)
    from models.writer.model import ModelConfig
    from models.writer.train import train

    known = [p for p, _ in pairs.train]
    tokenizer: Tokenizer = start.tokenizer if start else make_tokenizer(known)
    plan: Plan = make_plan(known, [b for _, b in pairs.train])
    s = night.settings
    # A warm start has most of the way behind it.
    steps = max(1, s.writer_steps // 2) if start else s.writer_steps
    model, losses = train(
        known,
        tokenizer,
        steps,
        s.writer_batch,
        s.seed,
        start=start.to_files() if start else None,
        sizes=ModelConfig(0, **_sizes(s)),
        track=lambda items: night.track(items, "training the writer", steps),
    )
    return Writer.of(model, tokenizer, plan, known), losses


def _losses(night: Night, writer: files.AnyWriter, pairs: Pairs) -> Numbers:
    """Held-out cross-entropy per token, in nats: the network's, and that of word frequencies."""
    if isinstance(writer, PresetWriter):
        return writer_preset.losses(night, writer, pairs.train, pairs.held)
    from models.writer.train import token_loss

    held, tokenizer = [p for p, _ in pairs.held], writer.tokenizer
    learnt, asked = ([tokenizer.encode(p.target) for p, _ in part] for part in (pairs.train, pairs.held))
    loss = token_loss(writer.model, held, tokenizer, night.settings.writer_batch)
    return {"loss": round(loss, 4), "frequency_loss": round(frequency_loss(learnt, asked, len(tokenizer)), 4)}


def _exams(pairs: Pairs) -> list[Exam]:
    """At most `MAX_EXAM` held-out texts of each language, chosen by a stable hash."""
    exams = []
    for language in pairs.marks:
        held = sorted(
            (p for p in pairs.held if p[0].language == language),
            key=lambda p: files.share("exam" + p[0].product_id),
        )[:MAX_EXAM]
        exams.append(Exam(language, [p for p, _ in held], [b for _, b in held]))
    return exams


def _sit(
    exams: Sequence[Exam], writer: files.AnyWriter, judges: Mapping[str, Verifier], plan: Plan
) -> tuple[Numbers, list[list[str]]]:
    """Measures of what a writer writes first, before any fallback, and the texts."""
    texts = [[c[0] if c else "" for c in writer.candidates(e.briefs)] for e in exams]
    return measure(exams, texts, judges, plan), texts


def _trained_on(night: Night, pairs: Pairs, learnt: Learnt, start: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "tables": ["products"],
        "ds": night.ds.isoformat(),
        "pairs": len(pairs.train),
        "held_out": len(pairs.held),
        **learnt.as_json(),
        "code": files.code_hash(),
        "start": _name(start),
    }


def _note(
    row: dict[str, Any], pairs: Pairs, exams: Sequence[Exam], texts: list[list[str]], losses: list[float]
) -> dict[str, Any]:
    every = max(1, len(losses) // 50)
    samples = [
        {"product_id": pair.product_id, "language": e.language, "wrote": text, "person": pair.text}
        for e, found in zip(exams, texts, strict=True)
        for pair, text in list(zip(e.pairs, found, strict=True))[:4]
    ]
    return {
        **{k: row[k] for k in ("version", "kind", "verdict", "why", "metrics", "baseline", "incumbent")},
        "trained": True,
        "pairs": len(pairs),
        "cleaning": {k: m.as_json() for k, m in pairs.marks.items()},
        "losses": [round(sum(losses[i : i + every]) / len(losses[i : i + every]), 4)
                   for i in range(0, len(losses), every)],
        "samples": samples,
    }  # fmt: skip


if __name__ == "__main__":
    main("train_writer")
