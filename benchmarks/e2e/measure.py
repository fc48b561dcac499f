"""The challenge's measures: BLEU against all texts of a request, and the slot error rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from benchmarks.e2e.read import normalise
from benchmarks.e2e.slots import said


def bleu(texts: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU in percent (sacrebleu, 13a, lower case); `references[i]` are all texts for `texts[i]`."""
    import sacrebleu

    # sacrebleu wants one stream for each reference; a request with fewer has None in the later ones.
    streams = [list(stream) for stream in zip_longest(*references)]
    return float(sacrebleu.corpus_bleu(list(texts), streams, lowercase=True, tokenize="13a").score)


def rouge2(texts: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Mean over texts of the best ROUGE-2 F against a reference, in percent."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge2"])
    best = [
        max(scorer.score(reference, text)["rouge2"].fmeasure for reference in wanted)
        for text, wanted in zip(texts, references, strict=True)
    ]
    return 100.0 * sum(best) / len(best)


@dataclass(frozen=True)
class Errors:
    """Slots that a text leaves out, adds, or gives another value; `asked` is how many it was to say."""

    missing: tuple[str, ...]
    added: tuple[str, ...]
    wrong: tuple[str, ...]
    asked: int

    @property
    def count(self) -> int:
        return len(self.missing) + len(self.added) + len(self.wrong)


def errors(text: str, mr: Mapping[str, str]) -> Errors:
    """How a finished text differs from its request, slot by slot."""
    asked = dict(mr)
    found = said(normalise(text, asked), asked).values
    return Errors(
        missing=tuple(s for s in asked if s not in found),
        added=tuple(s for s in found if s not in asked),
        wrong=tuple(s for s in asked if s in found and found[s] != [asked[s]]),
        asked=len(asked),
    )


def slot_error_rate(found: Sequence[Errors]) -> float:
    """Slots left out, added or wrong over slots asked for, in percent (Wen et al. 2015)."""
    asked = sum(e.asked for e in found)
    return 100.0 * sum(e.count for e in found) / asked if asked else 0.0
