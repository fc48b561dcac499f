"""The challenge's files and texts: read, and brought to one spelling."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.e2e.slots import NAME, NEAR
from benchmarks.formats import Unreadable, opened

# The order of the slots in a source; an unordered set needs one spelling all the same.
SLOTS = ("name", "eatType", "food", "priceRange", "rating", "area", "familyFriendly", "near")
_SPELLING = {"customerrating": "rating", "customer rating": "rating", "customerRating": "rating"}
_SLOT = re.compile(r"\s*([A-Za-z ]+?)\s*\[([^\]]*)\]")


@dataclass(frozen=True)
class Example:
    """One request and one text of a person: `mr` slot → value, spelled as in `SLOTS` and `slots.toml`."""

    mr: tuple[tuple[str, str], ...]
    ref: str


def read(path: Path) -> list[Example]:
    """Pairs of a JSONL file ({"mr": {…}, "ref": …}) or of the official CSV (mr,ref); plain or gzip."""
    with opened(path) as file:
        first = file.read(1)
    rows = _jsonl(path) if first == "{" else _csv(path)
    return [Example(canonical(mr), ref) for mr, ref in rows]


def canonical(mr: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """One spelling of slots and values, in one order; slots that the challenge does not have are left out."""
    found = {_SPELLING.get(slot, slot): _value(value) for slot, value in mr.items()}
    return tuple((slot, found[slot]) for slot in SLOTS if found.get(slot))


def _value(value: str) -> str:
    value = re.sub(r"\s+", " ", value).strip()
    return re.sub(r"£ ?(\d+)(?: ?- ?(\d+))?", lambda m: f"£{m[1]}" + (f"-{m[2]}" if m[2] else ""), value)


def _jsonl(path: Path) -> Iterator[tuple[dict[str, str], str]]:
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                yield dict(row["mr"]), str(row["ref"])
            except (ValueError, KeyError, TypeError):
                raise Unreadable(
                    f'{path}, line {number}: {{"mr": {{slot: value}}, "ref": text}} expected'
                ) from None


def _csv(path: Path) -> Iterator[tuple[dict[str, str], str]]:
    with opened(path) as file:
        reader = csv.DictReader(file)
        names = {name.lower(): name for name in reader.fieldnames or ()}
        if not {"mr", "ref"} <= set(names):
            raise Unreadable(f"{path}: columns 'mr' and 'ref' expected, there are {', '.join(names)}")
        for row in reader:
            yield dict(_SLOT.findall(row[names["mr"]])), row[names["ref"]]


def normalise(text: str, mr: dict[str, str]) -> str:
    """Lower case, one spelling of prices, hyphens and apostrophes, marks in place of the two names."""
    text = " ".join(text.replace("’", "'").replace("‘", "'").split())
    marks = ((NEAR, mr.get("near", "")), (NAME, mr.get("name", "")))
    # Longer first: a place may be near one whose name holds its own.
    for mark, value in sorted(marks, key=lambda m: -len(m[1])):
        text = _marked(text, mark, value)
    text = text.lower()
    text = re.sub(r"(?<=[a-z0-9_])\s*([.!?;,])(?=[a-z_])", r"\1 ", text)  # "rating.it is"
    text = re.sub(r"n 't\b", "n't", text)
    text = re.sub(r"(\w) ?n't\b", r"\1n't", re.sub(r"(\w) '(s|re|ll|ve|d|m)\b", r"\1'\2", text))
    text = re.sub(r"£ (?=\d)", "£", text)
    text = re.sub(r"(?<=\w) - (?=\w)", "-", text)
    text = re.sub(r"(?<=\d) ?- ?(?=£?\d)", "-", text)
    text = re.sub(r"(?<=[a-z])[‐‑–](?=[a-z])", "-", text)
    text = re.sub(r"\s+([.,!?;:])", r"\1", text)
    text = re.sub(r"\( ", "(", re.sub(r" \)", ")", text))
    return re.sub(r"\s+", " ", text).strip()


def _marked(text: str, mark: str, value: str) -> str:
    if not value:
        return text
    forms = [value]
    if value.startswith("The "):
        forms.append(value[4:])
    for form in forms:
        # A hyphen or an apostrophe may stand apart in tokenised text; an accent may be missing.
        loose = re.sub(r"[éè]|e\\?́", "[eéè]", re.escape(form)).replace("\\ ", r"\s+")
        found = re.subn(rf"(?<![\w-]){loose}(?!\w)", mark, text, flags=re.IGNORECASE)
        if found[1]:
            return found[0]
    return text
