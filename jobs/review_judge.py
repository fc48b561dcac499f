"""Is what a person filled in usable? Every row is held against what is published, and against the rules."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any

from jobs.published import Published
from jobs.review_risk import text_reasons
from jobs.review_sheet import Line
from jobs.reviews import VERDICTS, Decision, Key
from jobs.writer_files import FACTS, rules_of
from models.writer.channels import verdict
from models.writer.facts import Lexicon, read_facts
from models.writer.forms import Lines
from models.writer.rules import Rules
from models.writer.text import normalise
from models.writer.verify import Verifier

COPY, QUEUE = "product_descriptions", "review_queue"
MAX_EDIT = 4_000  # characters
_YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")
_YEAR_LAST = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})")

Row = dict[str, Any]


@dataclass
class Judged:
    """What a sheet says. Problems and warnings: (line, sentence). With a problem nothing may be imported."""

    decisions: list[Decision] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)
    warnings: list[tuple[int, str]] = field(default_factory=list)


class _Wrong(Exception):
    """One row that cannot be used: what, and how to mend it."""


@dataclass(frozen=True)
class Day:
    """One published date: its copy and its queue by key, and, for edits, its products and judges of them."""

    published: Published
    ds: date
    rules: Mapping[str, Rules]
    copy: Mapping[Key, Row]
    queue: Mapping[Key, Row]
    _judges: dict[str, Verifier] = field(default_factory=dict)

    @staticmethod
    def read(published: Published, ds: date, wanted: set[Key], rules: Mapping[str, Rules]) -> Day:
        products = {product for product, _, _ in wanted}
        copy, queue = (
            {key(r): r for r in published.rows(table, ds, products=products) if key(r) in wanted}
            for table in (COPY, QUEUE)
        )
        return Day(published, ds, rules, copy, queue)

    @cached_property
    def products(self) -> dict[str, Row]:
        """The whole catalogue, which the facts of an edit are held against; without an edit nobody asks."""
        return {r["product_id"]: r for r in self.published.rows("products", self.ds, FACTS)}

    def verifier(self, language: str) -> Verifier:
        if language not in self._judges:
            lexicon = Lexicon.build(read_facts(language, row) for row in self.products.values())
            self._judges[language] = Verifier(language, lexicon, self.rules.get(language))
        return self._judges[language]


def key(row: Mapping[str, Any]) -> Key:
    return row["product_id"], row["language"], row["channel"]


def judge(published: Published, lines: Sequence[Line], made: date | None) -> Judged:
    """Decisions of the rows that have a verdict. `made`: their date; None: the day after the row's own."""
    return _Judge(published, lines, made).judged


class _Judge:
    def __init__(self, published: Published, lines: Sequence[Line], made: date | None) -> None:
        self.published, self.lines, self.made = published, lines, made
        self.known_days = set(published.days(COPY))
        self.seen: dict[tuple[date, Key], int] = {}
        self.days: dict[date, Day] = {}
        self.rules = rules_of(published.settings)

    @cached_property
    def judged(self) -> Judged:
        found = Judged()
        for line in self.lines:
            try:
                decision, warnings = self._line(line)
            except _Wrong as wrong:
                found.problems.append((line.number, str(wrong)))
                continue
            if decision is not None:
                found.decisions.append(decision)
                found.warnings += [(line.number, w) for w in warnings]
        return found

    def _line(self, line: Line) -> tuple[Decision | None, list[str]]:
        verdict = line.cells["verdict"].strip().lower()
        new_text = line.cells["new_text"].replace("\r\n", "\n").replace("\r", "\n").strip()
        if not verdict:
            if new_text:
                raise _Wrong("new_text is filled in without a verdict: write edit under verdict, or empty it")
            return None, []
        if verdict not in VERDICTS:
            raise _Wrong(f"verdict '{verdict}': write {', '.join(VERDICTS)}, or leave it empty")
        day, row = self._published(line)
        self._agree(verdict, new_text, row)
        decision = Decision(
            *key(row), verdict, self._made(day.ds), row["text"] or "", new_text, self._told(day, row)
        )
        if verdict != "edit":
            return decision, []
        reasons = self._edit(day, row, new_text)
        return replace(decision, reasons=tuple(reasons)), reasons

    def _published(self, line: Line) -> tuple[Day, Row]:
        """The date and the published row that a line speaks of."""
        cells = line.cells
        days = [d for d in _dates(cells["ds"]) if d in self.known_days]
        if not days:
            raise _Wrong(f"ds '{cells['ds']}': no copy of that date is published; write it as 2026-01-31")
        if len(days) > 1:
            raise _Wrong(f"ds '{cells['ds']}' may be {days[0]} or {days[1]}: write which of them")
        (ds,) = days
        named = (cells["product_id"].strip(), cells["language"].strip(), cells["channel"].strip())
        earlier = self.seen.setdefault((ds, named), line.number)
        if earlier != line.number:
            raise _Wrong(f"{' / '.join(named)} has a verdict on line {earlier} already: keep one of them")
        row = self._day(ds).copy.get(named)
        if row is None:
            raise _Wrong(
                f"{' / '.join(named)} is no copy of {ds}: keep product_id, language and channel as they were "
                f"exported (a spreadsheet may drop leading zeros: make the column text)"
            )
        if normalise(cells["text"]) != normalise(row["text"] or ""):
            raise _Wrong(
                "text is not what was published: write your own words under new_text, with the verdict edit; "
                "if the night was run again, export its queue again"
            )
        return self._day(ds), row

    def _day(self, ds: date) -> Day:
        if ds not in self.days:
            wanted = {key({k: v.strip() for k, v in line.cells.items()}) for line in self.lines}
            self.days[ds] = Day.read(self.published, ds, wanted, self.rules)
        return self.days[ds]

    def _agree(self, verdict: str, new_text: str, row: Row) -> None:
        """Verdict, text and new_text must tell one story."""
        if verdict != "edit" and new_text:
            raise _Wrong(f"verdict {verdict} with a new_text: write edit, or empty new_text")
        if verdict == "edit" and not new_text:
            raise _Wrong("verdict edit without a new_text: write the text that is to stand, or reject")
        if verdict == "edit" and new_text == row["text"]:
            raise _Wrong("new_text is the text as it was published: write accept, or change it")
        if verdict == "reject" and not row["text"]:
            raise _Wrong("there is no text to reject: leave the verdict empty, or write one with edit")

    def _made(self, ds: date) -> date:
        """Copy of a date is read when its night is over: a word on it counts from the next date on."""
        made = self.made or ds + timedelta(days=1)
        if made <= ds:
            raise _Wrong(
                f"--ds {made} is not after {ds}, the date of the text: give a later one, or leave it out"
            )
        return made

    def _told(self, day: Day, row: Row) -> tuple[str, ...]:
        queued = day.queue.get(key(row))
        return tuple(json.loads(queued["reasons"])) if queued else ()

    def _edit(self, day: Day, row: Row, text: str) -> list[str]:
        """What speaks against an edit and is left to the person; `_Wrong` for what may not be published."""
        if len(text) > MAX_EDIT:
            raise _Wrong(f"new_text has {len(text)} characters: shorten it to {MAX_EDIT}")
        odd = next((c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Co", "Cs", "Cn")), "")
        if odd:
            raise _Wrong(f"new_text holds the control character U+{ord(odd):04X}: delete it")
        verifier = day.verifier(row["language"])
        for phrase, rule in _banned(verifier, text):
            raise _Wrong(f"new_text says '{phrase}', which is banned ({rule}): take it out")
        product = day.products.get(row["product_id"], {"product_id": row["product_id"]})
        lines = Lines(verifier.brief(read_facts(row["language"], product)), verifier)
        failed = verdict(row["channel"], text, lines).failed
        if "language" in failed:
            raise _Wrong(f"new_text is {failed['language']}: the row's language is {row['language']}")
        return [reason.says for reason in text_reasons(verifier.rules, text, failed)]


def _banned(verifier: Verifier, text: str) -> Iterator[tuple[str, str]]:
    plain = normalise(text)
    for rule in verifier.rules.rules:
        if rule.severity == "banned":
            yield from ((match.strip(), rule.id) for match in rule.matches(plain))


def _dates(cell: str) -> list[date]:
    """What a date may mean as exported, or as a spreadsheet has written it again: 2026/1/31, 31.1.2026,
    1/31/2026; two dates where it does not say which is the month.
    """
    if match := _YEAR_FIRST.fullmatch(cell.strip()):
        year, month, day = match.groups()
        wanted = [(year, month, day)]
    elif match := _YEAR_LAST.fullmatch(cell.strip()):
        first, second, year = match.groups()
        wanted = [(year, second, first), (year, first, second)]
    else:
        return []
    found = []
    for parts in wanted:
        with suppress(ValueError):
            found.append(date(*map(int, parts)))
    return list(dict.fromkeys(found))
