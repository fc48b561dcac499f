"""The pipeline for a block of products: candidates, verification, another candidate, a template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models.writer import template
from models.writer.verify import Brief, Verdict, Verifier


@dataclass(frozen=True)
class Copy:
    """One finished text, or a refusal: tier `refused`, no text, and a verdict that says why.

    `refused`: candidates that failed, with their verdicts, as they were tried.
    """

    text: str
    tier: str
    verdict: Verdict
    refused: tuple[tuple[str, Verdict], ...] = ()

    def checks(self) -> dict[str, bool | str]:
        """Check → true, or what failed in the last refused candidate."""
        found = self.verdict.as_json()
        if self.refused:
            found.update(self.refused[-1][1].failed)
        return found


def write(briefs: Sequence[Brief], candidates: Sequence[Sequence[str]], verifier: Verifier) -> Iterator[Copy]:
    """One verified text per product, in order. `candidates[i]`: the model's texts for product i, best first.

    Tier `model`: the model's first choice held; `retry`: a later one did; `template`: none did, or there was
    none; `refused`: nothing true can be told that may be said.
    """
    for brief, texts in zip(briefs, candidates, strict=True):
        yield _choose(brief, texts, verifier)


def others(copy: Copy, brief: Brief, candidates: Sequence[str], verifier: Verifier) -> Iterator[Copy]:
    """Verified texts that could stand in for `copy`, by the same hand: the network's or the template's."""
    seen = {copy.text}
    if copy.tier == "template":
        found = ((text, "template", verdict) for text, verdict in template.phrasings(brief, verifier))
    else:
        later = candidates[candidates.index(copy.text) + 1 :] if copy.text else ()
        found = ((text, "retry", verifier.verify(text, brief)) for text in later)
    for text, tier, verdict in found:
        if verdict.ok and text not in seen:
            seen.add(text)
            yield Copy(text, tier, verdict, copy.refused)


def _choose(brief: Brief, texts: Sequence[str], verifier: Verifier) -> Copy:
    refused: list[tuple[str, Verdict]] = []
    # Of a product that nothing is known of, any sentence is invented.
    for rank, text in enumerate(() if brief.silent else texts):
        verdict = verifier.verify(text, brief)
        if verdict.ok:
            return Copy(text, "model" if rank == 0 else "retry", verdict, tuple(refused))
        refused.append((text, verdict))
    text, verdict = template.write(brief, verifier)
    return Copy(text, "template" if text else "refused", verdict, tuple(refused))
