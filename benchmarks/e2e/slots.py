"""What a text says of each slot, and how far that is from what it was asked to say."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

NAME, NEAR = "__name__", "__near__"
VERBATIM = {"name": NAME, "near": NEAR}
GRAMMAR = Path(__file__).with_name("slots.toml")

Meaning = Mapping[str, str]


@dataclass(frozen=True)
class Phrase:
    says: tuple[str, ...]
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class Slot:
    name: str
    phrases: tuple[Phrase, ...]
    soft: re.Pattern[str]


@lru_cache(maxsize=1)
def grammar() -> tuple[Slot, ...]:
    found = tomllib.loads(GRAMMAR.read_text())
    return tuple(
        Slot(
            name,
            tuple(Phrase(tuple(p["says"]), re.compile(p["pattern"])) for p in entry["phrases"]),
            re.compile("|".join(entry["soft"])),
        )
        for name, entry in found.items()
    )


@dataclass(frozen=True)
class Said:
    """Slot → the values that a text gives it; slots that it only hints at; the order of the others."""

    values: dict[str, list[str]]
    hints: frozenset[str]
    order: tuple[str, ...]


def said(text: str, asked: Meaning) -> Said:
    """What a normalised text says. An ambiguous phrase means what was asked for, where it can."""
    values: dict[str, list[str]] = {
        slot: [asked.get(slot, "")] for slot, mark in VERBATIM.items() if mark in text
    }
    at = {slot: text.find(mark) for slot, mark in VERBATIM.items() if mark in text}
    hints = set()
    for slot in grammar():
        spans = _longest([(m.span(), p) for p in slot.phrases for m in p.pattern.finditer(text)])
        meant = [asked[slot.name] if asked.get(slot.name) in p.says else p.says[0] for _, p in spans]
        if meant:
            values[slot.name] = list(dict.fromkeys(meant))
            at[slot.name] = spans[0][0][0]
        elif slot.soft.search(text):
            hints.add(slot.name)
    return Said(values, frozenset(hints), tuple(sorted(at, key=lambda slot: (at[slot], slot))))


Span = tuple[tuple[int, int], Phrase]


def _longest(spans: list[Span]) -> list[Span]:
    """Matches that stand inside no longer one, in the order of the text."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda s: (s[0][0] - s[0][1], s[0][0])):
        (a, b), _ = span
        if all(b <= c or d <= a for (c, d), _ in kept):
            kept.append(span)
    return sorted(kept, key=lambda s: s[0])
