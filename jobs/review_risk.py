"""Why a person should look at a text, and how soon: pure functions of a published row."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.writer.denials import DENIED, taken_back
from models.writer.proof import beside
from models.writer.rules import Rules
from models.writer.text import normalise, typewritten, units

RISKS = ("high", "medium", "low")
SAMPLED = "random sample"
# What fails here misleads or breaks the law; what fails elsewhere reads badly.
GRAVE = ("claims", "contacts", "markup", "placeholders", "language", "numbers", "brands", "values")
# Iglewicz and Hoaglin 1993: a modified z-score beyond this is an outlier.
_OUTLIER = 3.5
_MIN_LENGTHS = 20


@dataclass(frozen=True)
class Reason:
    risk: str
    says: str


@dataclass(frozen=True)
class Lengths:
    """How long the texts of one kind are: median and spread of the logarithm of their characters."""

    median: float
    spread: float

    @staticmethod
    def of(sizes: Sequence[int]) -> Lengths | None:
        """None for too few texts, or where most are of one length: then none is unusual."""
        if len(sizes) < _MIN_LENGTHS:
            return None
        logs = np.log(np.maximum(sizes, 1))
        median = float(np.median(logs))
        spread = float(np.median(np.abs(logs - median)))
        return Lengths(median, spread) if spread > 0 else None

    def reason(self, size: int) -> list[Reason]:
        score = 0.6745 * abs(math.log(max(size, 1)) - self.median) / self.spread
        usual = round(math.exp(self.median))
        return [Reason("low", f"{size} characters, where {usual} are usual")] if score > _OUTLIER else []


def kind(row: Mapping[str, Any]) -> tuple[str, str, bool]:
    """What a text is as long as: others of its language and channel, people's and machines' apart."""
    return row["language"], row["channel"], row["tier"] == "human"


def reasons(
    row: Mapping[str, Any], rules: Rules, known_versions: Iterable[str | None], lengths: Lengths | None
) -> list[Reason]:
    """Everything that speaks for a look at a row of `product_descriptions`, gravest first.

    `rules`: those of the row's language; `known_versions`: models that wrote on nights before; `lengths`: of
    the texts that the row's is measured against.
    """
    failed = {k: v for k, v in json.loads(row["checks"] or "{}").items() if v is not True}
    text = row["text"] or ""
    if row["tier"] == "refused":
        return [
            Reason("medium", f"nothing is published: {check}: {why}") for check, why in sorted(failed.items())
        ]
    human = row["tier"] == "human"
    found = text_reasons(rules, text, failed) if human else _machine(rules, row, failed)
    if row["tier"] in ("model", "retry") and row["model_version"] not in known_versions:
        found.append(Reason("low", f"first night of model {row['model_version']}"))
    if lengths is not None:
        found += lengths.reason(len(text))
    return sorted(found, key=lambda r: RISKS.index(r.risk))


def text_reasons(rules: Rules, text: str, failed: Mapping[str, Any]) -> list[Reason]:
    """Of a text that a person wrote: it is published whatever fails."""
    found = [
        Reason("high" if check in GRAVE else "medium", f"a person's text fails {check}: {why}")
        for check, why in sorted(failed.items())
    ]
    return found + _qualified(rules, text, told=str(failed.get("claims", "")))


def _machine(rules: Rules, row: Mapping[str, Any], failed: Mapping[str, Any]) -> list[Reason]:
    """Of a text that passed every check; `failed` is of the last candidate refused before it."""
    found = _qualified(rules, row["text"])
    # Other channels than the description are made of templates by design.
    template = row["tier"] == "template" and row["channel"] == "description"
    for check, why in sorted(failed.items()):
        if check == "rejected":
            found.append(Reason("medium", "written after a person rejected another text"))
        elif template:
            found.append(Reason("medium", f"no text of the model held: {check}: {why}"))
        else:
            found.append(Reason("low", f"another text was refused: {check}: {why}"))
    if template and not failed:
        found.append(Reason("low", "a template wrote it: no model was asked"))
    return found


def _qualified(rules: Rules, text: str, told: str = "") -> list[Reason]:
    """Claims that need proof: the attributes make them, a person should know whether they are so. `told`: why
    the text fails; what stands there is not said twice. "Not waterproof" claims nothing; "lead-free" does.
    """
    plain, found = normalise(text), dict[str, list[str]]()
    for rule in rules.rules:
        for match in rule.find(plain) if rule.severity == "qualified" else ():
            said = plain[match.start() : match.end()].strip()
            if f"'{typewritten(said)}'" in told or _denied(plain, match.start(), match.end()):
                continue
            ids = found.setdefault(said, [])
            ids += [rule.id] if rule.id not in ids else []  # two markets may ask for the same proof
    return [Reason("medium", f"qualified claim '{said}' ({', '.join(ids)})") for said, ids in found.items()]


def _denied(plain: str, start: int, end: int) -> bool:
    """Whether the text takes back what it says there; an absence that is itself the claim stands inside."""
    before, behind = beside(plain, start, end)
    return taken_back(before, units(plain[start:end]), behind) == DENIED
