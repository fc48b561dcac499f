"""Training pairs whose input is what the text says: what was asked for beyond it is not asked for.

Dušek et al. 2019 showed that cleaned inputs, not a better model, decide the slot error rate.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.e2e.read import SLOTS, Example, normalise
from benchmarks.e2e.slots import NAME, NEAR, said
from models.writer.clean import Pair, Source

Meaning = tuple[tuple[str, str], ...]

# The network's words hold letters only: names and numbers become words that `spell` turns back.
_WORDS = {NAME: "xnamex", NEAR: "xnearx"}
PLANNED = "⟦told⟧"
_NUMBER = re.compile(r"£?\d+(?:-£?\d+)?")
_SPELLED = re.compile(r"\bx([a-jpm]+)x\b")
_NATIONS = re.compile(r"\b(?:english|british|chinese|french|indian|italian|japanese|asian|european)\b")
_LETTERS = str.maketrans("0123456789£-", "abcdefghijpm")
_DIGITS = str.maketrans("abcdefghijpm", "0123456789£-")


@dataclass(frozen=True)
class Cleaned:
    pairs: list[Pair]
    counts: Counter[str]


def token(slot: str, value: str) -> str:
    """One token for a slot and its value; names are restored, so that their slot is enough."""
    return f"⟦{slot}⟧" if slot in ("name", "near") else f"⟦{slot}={value}⟧"


def source(mr: Meaning) -> Source:
    return Source("en", tuple((token(slot, value), "") for slot, value in mr))


def cleaned(examples: Sequence[Example], repair: bool = True, plan: bool = False) -> Cleaned:
    """Pairs to learn from. Without `repair`, each with the input that it came with; with `plan`, each text
    behind its slots in the order in which it tells them (Moryossef et al. 2019).
    """
    pairs, counts = [], Counter[str]()
    for number, example in enumerate(examples):
        asked = dict(example.mr)
        text = normalise(example.ref, asked)
        mr, why = _rebuilt(text, asked) if repair else (example.mr, "")
        counts[why or ("kept" if mr == example.mr else "input mended")] += 1
        if not why:
            first = planned(text, mr) if plan else ""
            pairs.append(Pair(str(number), "en", source(mr), first + spell(text), example.ref))
    return Cleaned(pairs, counts)


def planned(text: str, mr: Meaning) -> str:
    """The slots of a request in the order in which the text tells them, and the mark behind a plan."""
    values = dict(mr)
    order = [slot for slot in said(text, values).order if slot in values]
    return "".join(token(slot, values[slot]) for slot in order) + PLANNED


def _rebuilt(text: str, asked: dict[str, str]) -> tuple[Meaning, str]:
    """What the text says, or why that is not certain."""
    found = said(text, asked)
    if "name" not in found.values:
        return (), "no name"
    if found.hints:
        return (), "says something that no value stands for"
    if any(len(values) > 1 for values in found.values.values()):
        return (), "two values of one slot"
    mr = {slot: values[0] for slot, values in found.values.items()}
    if any(asked.get(slot, value) != value for slot, value in mr.items()):
        return (), "another value than asked for"
    return tuple((slot, mr[slot]) for slot in SLOTS if slot in mr), ""


def spell(text: str) -> str:
    """The text in words of letters, each behind a space."""
    for mark, word in _WORDS.items():
        text = text.replace(mark, word)
    return " " + _NUMBER.sub(lambda m: f"x{m[0].translate(_LETTERS)}x", text)


def unspell(text: str) -> str:
    """What `spell` was given, without a plan."""
    text = text.rpartition(PLANNED)[2]
    for mark, word in _WORDS.items():
        text = text.replace(word, mark)
    return _SPELLED.sub(lambda m: m[1].translate(_DIGITS), text).strip()


def finish(text: str, mr: dict[str, str]) -> str:
    """Names back in their place; sentences and names of nations with a capital."""
    text = _NATIONS.sub(lambda m: m[0].capitalize(), text)
    text = text.replace(NAME, mr.get("name", "")).replace(NEAR, mr.get("near", ""))
    return re.sub(r"(?:^|(?<=[.!?] ))[a-z]", lambda m: m[0].upper(), text)


def group(examples: Iterable[Example]) -> dict[Meaning, list[str]]:
    """All texts of each request, in the order of the file."""
    found: dict[Meaning, list[str]] = {}
    for example in examples:
        found.setdefault(example.mr, []).append(example.ref)
    return found
