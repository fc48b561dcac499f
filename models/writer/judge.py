"""Is a trained writer good enough? Measures on held-out products, the baselines, the gate."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.writer import template
from models.writer.clean import Pair, Plan
from models.writer.score import bleu, chrf
from models.writer.text import units
from models.writer.verify import UNSUPPORTED, Brief, Verifier, covers

# Of the texts before any fallback; what fails is retried and then written by a template.
MAX_UNSUPPORTED = 10.0
# A new model may be a little worse than the one in service: holdouts differ by chance.
KEEP_SHARE = 0.98
Numbers = dict[str, float]


@dataclass(frozen=True)
class Exam:
    """Held-out pairs of one language with the briefs of their products."""

    language: str
    pairs: Sequence[Pair]
    briefs: Sequence[Brief]


def measure(
    exams: Sequence[Exam], texts: Sequence[Sequence[str]], verifiers: Mapping[str, Verifier], plan: Plan
) -> Numbers:
    """Shares in percent. `texts[i][j]` is what was written for pair j of exam i, before any fallback.

    chrf, bleu: likeness to what a person wrote; verified: passes every check; unsupported: a number, brand or
    value that the product does not have; coverage: of the attributes asked for, those that the text names.
    """
    found: Numbers = {}
    total = sum(len(e.pairs) for e in exams)
    for exam, written in zip(exams, texts, strict=True):
        if exam.pairs:
            for name, value in _of_language(exam, written, verifiers[exam.language], plan).items():
                found[f"{name}_{exam.language}"] = round(value, 4)
                found[name] = found.get(name, 0.0) + value * len(exam.pairs) / total
    return {k: round(v, 4) for k, v in found.items()} | {"texts": float(total)}


def _of_language(exam: Exam, texts: Sequence[str], verifier: Verifier, plan: Plan) -> Numbers:
    verdicts = [verifier.verify(t, b) for t, b in zip(texts, exam.briefs, strict=True)]
    asked = covered = 0
    for text, brief in zip(texts, exam.briefs, strict=True):
        said, names = units(text), set(plan.choose(brief))
        asked += len(names)
        covered += sum(covers(said, v) for n, v in brief.shown.attributes if n in names)
    references = [p.text for p in exam.pairs]
    return {
        "chrf": chrf(texts, references),
        "bleu": bleu(texts, references),
        "verified": 100.0 * sum(v.ok for v in verdicts) / len(texts),
        "unsupported": 100.0 * sum(any(c in v.failed for c in UNSUPPORTED) for v in verdicts) / len(texts),
        "coverage": 100.0 * covered / asked if asked else 100.0,
    }


def template_texts(exam: Exam, verifier: Verifier) -> list[str]:
    return [template.write(b, verifier)[0] for b in exam.briefs]


def nearest_texts(exam: Exam, known: Sequence[Pair]) -> list[str]:
    """The text of the training product that shares most attributes (Jaccard), the first by id."""
    same = sorted((p for p in known if p.language == exam.language), key=lambda p: p.product_id)
    sets = [set(p.source.pairs) for p in same]
    holders: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, pairs in enumerate(sets):
        for pair in pairs:
            holders[pair].append(i)
    return [same[i].text if (i := _nearest(b, sets, holders)) >= 0 else "" for b in exam.briefs]


def _nearest(
    brief: Brief, sets: Sequence[set[tuple[str, str]]], holders: Mapping[tuple[str, str], list[int]]
) -> int:
    mine = {(f"⟦v:{n}⟧", v) for n, v in brief.shown.attributes} | {("⟦kind⟧", brief.kind)}
    shared: dict[int, int] = defaultdict(int)
    for pair in mine:
        for i in holders.get(pair, ()):
            shared[i] += 1
    return max(shared, key=lambda i: (shared[i] / len(mine | sets[i]), -i), default=0 if sets else -1)


@dataclass(frozen=True)
class Verdict:
    accepted: bool
    why: str


def frequency_loss(known: Sequence[Sequence[int]], held: Sequence[Sequence[int]], vocabulary: int) -> float:
    """Cross-entropy per token, in nats, of a model that knows nothing but how often each token comes.

    Decoding writes only what people put together, so that an untrained network writes decent texts too: this
    is what shows that it has learnt something.
    """
    counts = Counter(t for target in known for t in target)
    total = counts.total() + vocabulary
    tokens = [t for target in held for t in target]
    return sum(math.log(total / (counts[t] + 1)) for t in tokens) / len(tokens) if tokens else math.nan


def gate(new: Numbers, baselines: Mapping[str, Numbers], incumbent: Numbers | None) -> Verdict:
    """Accepted when it has learnt something, claims little that is unsupported, reads more like the shop than
    any baseline, and at least `KEEP_SHARE` as much as the model in service.

    `new` holds `loss` and `frequency_loss` besides the measures.
    """
    best = max(baselines, key=lambda name: baselines[name]["chrf"])
    bar, chrf_new, loose = baselines[best]["chrf"], new["chrf"], new["unsupported"]
    if not new["loss"] < new["frequency_loss"]:
        return Verdict(
            False, f"{new['loss']:.2f} nats a token: word frequencies alone give {new['frequency_loss']:.2f}"
        )
    if loose > MAX_UNSUPPORTED:
        return Verdict(
            False, f"{loose:.1f} % of its texts claim what no attribute says, over {MAX_UNSUPPORTED:.0f} %"
        )
    if chrf_new <= bar:
        return Verdict(False, f"chrF {chrf_new:.1f} is not above the {best}'s {bar:.1f}")
    if incumbent and chrf_new < KEEP_SHARE * incumbent["chrf"]:
        old = f"{incumbent['chrf']:.1f} of the model in service"
        return Verdict(False, f"chrF {chrf_new:.1f} is below {KEEP_SHARE:.0%} of the {old}")
    return Verdict(
        True, f"chrF {chrf_new:.1f} above the {best}'s {bar:.1f}, {loose:.1f} % unsupported before fallback"
    )
