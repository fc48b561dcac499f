"""What a text of a channel must look like, beside being true: its length, its lines, what it must name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from models.writer.text import is_han, is_latin, normalise, units
from models.writer.verify import CHECKS, Brief, Verdict, Verifier, contains, covers, without_own

# A word that stands in a title more often than this is there for a search engine.
MAX_REPEATS = 2
_PROMOTION = "!\uff01\u2605\u2606\u2714\u2705"
# Judged by the form instead.
_OWN_CHECKS = ("language", "coverage", "length", "rejected")

Coverage = Callable[[Sequence[str], Brief], str]


@dataclass(frozen=True)
class Form:
    """The bounds of a channel. `length`, `line`: language → characters, at least and at most, of the text and
    of each line; `lines`: how many; `coverage`: "" or what the lines should have named; `stuffing`: whether
    repeats and promotion marks are counted against it."""

    length: Mapping[str, tuple[int, int]]
    line: Mapping[str, tuple[int, int]]
    lines: tuple[int, int]
    coverage: Coverage
    stuffing: bool = False

    def broken_by(self, lines: Sequence[str], language: str) -> str:
        """What is wrong with the text's outline, or ""."""
        low, high = self.lines
        if not low <= len(lines) <= high:
            return f"{len(lines)} lines, not {low} to {high}"
        shortest, longest = self.line[language]
        for line in lines:
            if not shortest <= len(line.strip()) <= longest:
                return f"a line of {len(line.strip())} characters, not {shortest} to {longest}"
        keys = [tuple(sorted(units(line))) for line in lines]
        if len(set(keys)) < len(keys):
            return "a line stands twice"
        return _stuffed(lines[0]) if self.stuffing else ""


class Lines:
    """Judges single lines about one product, each once: a line often stands in several drafts."""

    def __init__(self, brief: Brief, verifier: Verifier) -> None:
        self.brief, self.verifier = brief, verifier
        self._known: dict[str, dict[str, str]] = {}

    def checks(self, line: str) -> dict[str, str]:
        """Check → "" or what failed, of all checks that need no more than the line."""
        if line not in self._known:
            found = {n: c(self.verifier, line, self.brief) for n, c in CHECKS.items() if n not in _OWN_CHECKS}
            found["language"] = foreign(line, self.brief, self.verifier.language)
            self._known[line] = found
        return self._known[line]

    def allow(self, line: str, bounds: tuple[int, int]) -> bool:
        """Whether a line holds by itself, so that one bad line costs no other."""
        return bounds[0] <= len(line) <= bounds[1] and not any(self.checks(line).values())


def verify(form: Form, text: str, lines: Lines, rejected: frozenset[str] = frozenset()) -> Verdict:
    """All checks of `Verifier.verify`, line by line, with the form's own language, length and coverage."""
    language, brief = lines.verifier.language, lines.brief
    cut = text.split("\n")
    each = [lines.checks(line) for line in cut]
    found = {name: next((c[name] for c in each if c[name]), "") for name in each[0]}
    low, high = form.length[language]
    size = len(text.strip())
    found["length"] = "" if low <= size <= high else f"{size} characters, not {low} to {high}"
    found["coverage"] = form.coverage(cut, brief)
    found["form"] = form.broken_by(cut, language)
    found["rejected"] = "a person rejected this text" if normalise(text) in rejected else ""
    return Verdict(found)


def foreign(text: str, brief: Brief, language: str) -> str:
    """Why the text is in another language, or "".

    Unlike prose it may consist of the product's own strings alone, but not of those in another script where
    the product has some in the language's own.
    """
    rest = [u for u in without_own(units(text), brief) if any(c.isalpha() for c in u)]
    right = is_han if language == "zh" else _latin
    name = "Chinese" if language == "zh" else "English"
    if not all(map(right, rest)):
        return f"not {name}"
    shown = brief.shown
    known = (shown.title, shown.brand, brief.kind, *(v for _, v in shown.attributes))
    if any(map(right, units(text))) or not any(right(u) for k in known for u in units(k)):
        return ""
    return f"not {name}"


def _latin(unit: str) -> bool:
    return is_latin(unit) and not is_han(unit)


def _stuffed(title: str) -> str:
    mark = next((c for c in title if c in _PROMOTION), "")
    if mark:
        return f"'{mark}' in a title"
    found = units(title)
    words = [u for u in found if len(u) > 2 and not is_han(u)]
    pairs = [a + b for a, b in pairwise(found) if is_han(a) and is_han(b)]
    word, count = max(Counter(words + pairs).items(), key=lambda e: (e[1], e[0]), default=("", 0))
    return f"'{word}' {count} times" if count > MAX_REPEATS else ""


# -- coverage: "" or what should have been named ------------------------------------------


def names_product(lines: Sequence[str], brief: Brief) -> str:
    # A level of the category will do; the widest says too little.
    levels = [units(level) for level in brief.shown.category[1:]]
    for found in map(units, lines):
        if brief.named_in(found) or any(level and contains(found, level) for level in levels):
            return ""
    return "neither title nor category is named"


def tells_facts(least: int) -> Coverage:
    """At least so many attributes, or all where the product has fewer."""

    def coverage(lines: Sequence[str], brief: Brief) -> str:
        values = {v for _, v in brief.shown.attributes}
        told = sum(any(covers(units(line), v) for line in lines) for v in values)
        needed = min(least, len(values))
        return "" if told >= needed else f"{told} attributes named, not {needed}"

    return coverage


def tells_or_names(lines: Sequence[str], brief: Brief) -> str:
    """An attribute, or the product itself."""
    return names_product(lines, brief) and tells_facts(1)(lines, brief)
