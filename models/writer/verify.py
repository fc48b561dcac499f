"""Is a text true of its product, and may it be said? Every text is asked, whoever wrote it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

from models.writer.answers import is_absent
from models.writer.facts import Evidence, Facts, Lexicon
from models.writer.languages import other_than_english
from models.writer.proof import bears_out, places, proves
from models.writer.quantities import numbers
from models.writer.rules import Rules, claimed, load_rules
from models.writer.text import CLAUSE_END, HAN, HIDDEN, cased, is_han, is_latin, normalise, units

# Characters; a listing of all that a template shows stays under the upper bound.
LENGTH = {"en": (10, 1200), "zh": (4, 800)}
# Attributes that say what a product is, where a part of the title ends in their value: "cotton shirt, red" is
# a shirt; "round neck shirt" is no round neck.
TYPE_NAMES = frozenset({"type", "product type", "类型", "商品类型", "种类", "品类"})
# A text names at least so many attributes, where the product has as many.
MIN_ATTRIBUTES = 2
_TITLE_PARTS = {
    "en": re.compile(r"[,;:()/]|\s-\s"),
    "zh": re.compile(r"[\s,;:()/\uff0c\uff1b\uff1a\uff08\uff09\u3001-]"),
}
MAX_VALUE_CHARS = 60
MAX_VALUE_WORDS = 9
MAX_TITLE_CHARS = 160
# Strings whose judgement is remembered; a shop's values repeat.
MAX_KNOWN = 200_000
# Units of the longest run that may stand in a text twice.
REPEAT = {"en": 4, "zh": 6}
# What a thing is stands before what it is made for, comes with, or comes in.
_HEAD_END = re.compile(r"[,;:()\[\]]|\s[-\u2013|]\s|\s(?:with|for|w/)\s", re.IGNORECASE)
_ZH_BREAK = re.compile(r"[\s,;:()\uff0c\uff1b\u3001/-]+")
_WORD = re.compile(rf"(?:(?![{HAN}])\w)+")
# What stands between the end of a sentence, or a colon, and the next word.
_BEGINS = re.compile("[.!?:\u2022\u3002\uff01\uff1f\uff1a][\"'\u201d\u2019)]*\\s*[\"'\u201c\u2018(]*$")
_TWICE = re.compile(r"(?<![^\W_])([^\W\d_]{2,}) \1(?![^\W_])")
_LEFTOVER = re.compile("[\u27e6\u27e7\ufffd]|<unk>|\\[unk\\]")
# A Cyrillic letter inside a Latin word is there to get past a rule ("сures").
_MIXED = re.compile(r"[a-z][а-я]|[а-я][a-z]")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
# What a program prints for a missing value; a bread may be called so.
_MISSING = re.compile(r"\b(?:undefined|nan|null)\b")

Check = Callable[["Verifier", str, "Brief"], str]


@dataclass(frozen=True)
class Verdict:
    """`checks`: check → "" where it holds, else what failed, in words."""

    checks: dict[str, str]

    @property
    def ok(self) -> bool:
        return not any(self.checks.values())

    @property
    def failed(self) -> dict[str, str]:
        return {name: why for name, why in self.checks.items() if why}

    def as_json(self) -> dict[str, bool | str]:
        return {name: why or True for name, why in self.checks.items()}


@dataclass(frozen=True)
class Brief:
    """What a text should say (`shown`: the facts fit to be printed) and may lean on (`evidence`: all).

    `rejected`: texts that a person does not want to read of this product again, as `normalise` gives them.
    `unfit`: what was left out of `shown`, and why. It quotes nothing: those strings are nobody's to repeat.
    `masked`: phrases that no text may hold, for decoding to leave out.
    """

    shown: Facts
    evidence: Evidence
    rejected: frozenset[str] = frozenset()
    unfit: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()

    @property
    def silent(self) -> str:
        """Why nothing can be told of this product, or "" where a title, a category or an attribute can."""
        if self.shown.title or self.shown.category or self.shown.attributes:
            return ""
        why = f" ({'; '.join(self.unfit)})" if self.unfit else ""
        return f"no title, category or attribute that could be told{why}"

    @cached_property
    def slots(self) -> tuple[tuple[str, str], ...]:
        """The attributes to cover: those that the title does not say already, each value once."""
        seen = [units(self.shown.title)]
        kept = []
        for name, value in self.shown.attributes:
            found = units(value)
            if not any(contains(text, found) for text in seen):
                kept.append((name, value))
                seen.append(found)
        return tuple(kept)

    @cached_property
    def kind(self) -> str:
        """What the product is, in the language of the text: its type where the title says it, else the
        category's last level, else the title's noun.

        The noun is taken to be the last run of the title that is neither brand nor attribute value; in
        English the last word of its first part, numbers and codes left out.
        """
        if self._type:
            return self._type
        category = self.shown.category[-1] if self.shown.category else ""
        if category and any(map(is_han, units(category))) == (self.shown.language == "zh"):
            return category
        if self.shown.language == "en":
            return self._title_noun
        runs = [r for r in _ZH_BREAK.split(self._bare_title) if sum(map(is_han, units(r))) >= 2]
        return runs[-1] if runs else ""

    @cached_property
    def _title_noun(self) -> str:
        """ "Tubing" of "B and K 1/2-Inch OD by 50-Feet Copper Tubing, Type L"; "" where there is no word."""
        for part in _HEAD_END.split(self._bare_title):
            words = [w.strip("\"'.!/*&") for w in part.split()]
            found = [w for w in words if len(w) >= 3 and w.replace("-", "").isalpha() and is_latin(w)]
            if found:
                return found[-1]
        return ""

    @cached_property
    def _type(self) -> str:
        """The value of an attribute that says the type, as the title does: in Chinese where a word ends, in
        English where its first part does.
        """
        parts = _TITLE_PARTS[self.shown.language].split(self.shown.title)
        ends = [units(part) for part in (parts if self.shown.language == "zh" else parts[:1])]
        for name, value in self.shown.attributes:
            found = units(value)
            if name.casefold() in TYPE_NAMES and found and any(e[-len(found) :] == found for e in ends):
                return value
        return ""

    @cached_property
    def _bare_title(self) -> str:
        """What is left of the title without the brand and the attribute values, which break a line."""
        left = self.shown.title
        known = {self.shown.brand, *(v for _, v in self.shown.attributes)}
        # Chinese ties a value to the noun by a character of the attribute's name: 风格 运动 makes 运动风.
        known |= {v + c for n, v in self.shown.attributes for c in n if is_han(c) and is_han(v[-1])}
        for value in sorted(known - {""}, key=lambda v: (-len(v), v)):
            left = left.replace(value, "\n")
        return left

    def named_in(self, text: tuple[str, ...]) -> bool:
        """Whether the units name the product: its category, its noun, or most of its title."""
        names = [n for n in (self.shown.title, *self.shown.category[-1:], self.kind) if n]
        return not names or any(_mostly(text, units(n)) for n in names)


def contains(text: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    """Whether the units stand in the text in this order, side by side."""
    if not phrase:
        return True
    n, first = len(phrase), phrase[0]
    return any(text[i] == first and text[i : i + n] == phrase for i in range(len(text) - n + 1))


def _mostly(text: tuple[str, ...], name: tuple[str, ...]) -> bool:
    """A name may be shortened by whoever writes: most of its units are enough."""
    return contains(text, name) or (len(name) > 2 and 5 * sum(u in text for u in name) >= 3 * len(name))


def covers(text: tuple[str, ...], value: str) -> bool:
    """Whether the text says the value: as it stands, or all its words where it has several."""
    wanted = units(value)
    if contains(text, wanted):
        return True
    return len(wanted) > 1 and not any(is_han(u) for u in wanted) and set(wanted) <= set(text)


class Verifier:
    """Judges texts of one language against the rules, a product's facts and the shop's lexicon.

    `rules`: those of the markets in force; by default those of the language's usual markets.
    """

    def __init__(self, language: str, lexicon: Lexicon, rules: Rules | None = None) -> None:
        self.language = language
        self.lexicon = lexicon
        self.rules = rules or load_rules(language)
        self._known: dict[tuple[str, int], str] = {}

    def brief(self, facts: Facts, rejected: frozenset[str] = frozenset()) -> Brief:
        """The facts as a text needs them; what is not fit to be printed is left out of `shown`."""
        unfit: Counter[str] = Counter()

        def fit(what: str, *strings: str, chars: int = MAX_VALUE_CHARS) -> bool:
            why = next(filter(None, (self.unfit(s, chars) for s in strings)), "")
            if why and any(strings):
                unfit[f"{what}: {why}"] += 1
            return not why

        shown = replace(
            facts,
            title=facts.title if fit("title", facts.title, chars=MAX_TITLE_CHARS) else "",
            brand=facts.brand if fit("brand", facts.brand) else "",
            category=tuple(c for c in facts.category if fit("category", c)),
            attributes=tuple(pair for pair in facts.attributes if fit("attributes", *pair)),
        )
        told = (what if n == 1 else f"{what} ({n} times)" for what, n in sorted(unfit.items()))
        return Brief(shown, Evidence(facts), rejected, tuple(told), self.rules.banned)

    def unfit(self, text: str, chars: int = MAX_VALUE_CHARS) -> str:
        """Why a string cannot be printed as a name or a value, or "" where it can.

        It must be short and readable, and hold nothing that the rules ban: neither prose nor markup.
        """
        if len(text) > chars:
            return f"over {chars} characters"
        key = (text, chars)
        if key not in self._known:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[key] = self._unfit(text, MAX_VALUE_WORDS * chars // MAX_VALUE_CHARS)
        return self._known[key]

    def _unfit(self, text: str, words: int) -> str:
        plain = normalise(text)
        if _LEFTOVER.search(plain) or _MIXED.search(plain) or not any(c.isalnum() for c in plain):
            return "not readable"
        if sum(not is_han(u) for u in units(text)) > words:
            return f"over {words} words"
        if is_absent(plain):
            return "says only that it is not known"
        # What needs proof in the attributes is proved by standing there: only the banned is left.
        broken = (r.id for r in self.rules.rules if r.severity == "banned" and next(r.matches(plain), None))
        return next(broken, "")

    def _broken(self, plain: str, evidence: Evidence, check: str) -> str:
        for rule in self.rules.rules:
            if rule.check == check:
                for match in rule.find(plain):
                    if rule.severity == "banned" or not proves(evidence, plain, *claimed(match)):
                        return f"'{match[0].strip()}' ({rule.id})"
        return ""

    def verify(self, text: str, brief: Brief) -> Verdict:
        """All checks on one text; each is named, so that a row can say what it passed."""
        return Verdict({name: check(self, text, brief) for name, check in CHECKS.items()})

    def supported(self, sentence: str, brief: Brief) -> Verdict:
        """The checks that a single sentence can break by what it claims."""
        return Verdict({name: CHECKS[name](self, sentence, brief) for name in CLAIM_CHECKS})

    # -- the checks: "" or what is wrong -------------------------------------

    def claims(self, text: str, brief: Brief) -> str:
        return self._broken(normalise(text), brief.evidence, "claims")

    def contacts(self, text: str, brief: Brief) -> str:
        return self._broken(normalise(text), brief.evidence, "contacts")

    def markup(self, text: str, brief: Brief) -> str:
        if HIDDEN.search(text) or _CONTROL.search(text):
            return "a character that nobody sees"
        return self._broken(normalise(text), brief.evidence, "markup")

    def placeholders(self, text: str, brief: Brief) -> str:
        plain = normalise(text)
        found = _LEFTOVER.search(plain) or _MISSING.search(plain)
        own = found is not None and bool(_MISSING.match(found[0])) and brief.evidence.says(units(found[0]))
        return f"'{found[0]}' was left in" if found and not own else ""

    def length(self, text: str, brief: Brief) -> str:
        low, high = LENGTH[self.language]
        size = len(text.strip())
        return "" if low <= size <= high else f"{size} characters, not {low} to {high}"

    def numbers(self, text: str, brief: Brief) -> str:
        for number in numbers(text):
            if not brief.evidence.states(number):
                return f"'{number.value} {number.unit or number.next}".rstrip() + "' is in no attribute"
        return ""

    def brands(self, text: str, brief: Brief) -> str:
        for phrase in self.lexicon.brands_in(units(text)):
            if brief.evidence.says(phrase):
                continue
            # A one-word brand may be a common word: only its capital tells them apart.
            if len(phrase) > 1 or is_han(phrase[0]) or self._is_name(phrase, text):
                return f"'{self.lexicon.brands[phrase]}' is another brand"
        return ""

    def _is_name(self, phrase: tuple[str, ...], text: str) -> bool:
        """Whether the text has the one-word brand as it is spelt, or with a capital that is the word's own.

        The capital of a word that begins a sentence is not, where the word is one of the shop's.
        """
        brand, common = self.lexicon.brands[phrase], phrase[0] in self.lexicon.common
        if brand in text or brand.upper() in text:
            return True
        for line in map(cased, text.split("\n")):
            for word in _WORD.finditer(line):
                if word[0].lower() != brand.lower() or word[0].islower():
                    continue
                begins = not word.start() or _BEGINS.search(line[max(0, word.start() - 6) : word.start()])
                if not (common and begins):
                    return True
        return False

    def values(self, text: str, brief: Brief) -> str:
        clauses = [units(c) for c in CLAUSE_END.split(normalise(text))]
        whole = tuple(chain.from_iterable(clauses))
        at = 0
        for clause in clauses:
            # The material that the product only resembles need not be one of the shop's values.
            like = ((i, i + len(m)) for m in brief.evidence.imitated for i in places(clause, m))
            for start, end in chain(self.lexicon.found(clause), like):
                if self.lexicon.in_passing(clause[start:end], brief.evidence.asked):
                    continue
                if not bears_out(brief.evidence, whole, (at, at + len(clause)), at + start, at + end):
                    joiner = "" if is_han(clause[start]) else " "
                    return f"'{joiner.join(clause[start:end])}' is no value of this product"
            at += len(clause)
        return ""

    def language_asked(self, text: str, brief: Brief) -> str:
        """Judged on the words between the product's own strings: those may be in any language."""
        rest = [u for u in without_own(units(text), brief) if u and any(c.isalpha() for c in u)]
        han = sum(is_han(u) for u in rest)
        latin = sum(is_latin(u) and not is_han(u) for u in rest)
        if han + latin < len(rest):
            return "words of a third language"
        if self.language == "zh":
            return "" if han and han >= 2 * latin else "not Chinese"
        if han or not latin:
            return "not English"
        other = other_than_english(rest)
        return f"{other}, not English" if other else ""

    def coverage(self, text: str, brief: Brief) -> str:
        found = units(text)
        if not brief.named_in(found):
            return "neither title nor category is named"
        covered = sum(covers(found, v) for v in {v for _, v in brief.shown.attributes})
        needed = min(MIN_ATTRIBUTES, len(brief.slots))
        return "" if covered >= needed else f"{covered} attributes named, not {needed}"

    def not_rejected(self, text: str, brief: Brief) -> str:
        return "a person rejected this text" if normalise(text) in brief.rejected else ""

    def repetition(self, text: str, brief: Brief) -> str:
        twice = _TWICE.search(normalise(text))
        if twice and not brief.evidence.says(units(twice[0])):
            return f"'{twice[1]}' twice in a row"
        found = without_own(units(text), brief)
        size, seen = REPEAT[self.language], set()
        for i in range(len(found) - size + 1):
            gram = tuple(found[i : i + size])
            if gram in seen and all(gram):
                return f"'{' '.join(gram)}' stands twice"
            seen.add(gram)
        return ""


CHECKS: dict[str, Check] = {
    "language": Verifier.language_asked,
    "numbers": Verifier.numbers,
    "brands": Verifier.brands,
    "values": Verifier.values,
    "coverage": Verifier.coverage,
    "claims": Verifier.claims,
    "contacts": Verifier.contacts,
    "markup": Verifier.markup,
    "placeholders": Verifier.placeholders,
    "length": Verifier.length,
    "repetition": Verifier.repetition,
    "rejected": Verifier.not_rejected,
}
CLAIM_CHECKS = ("numbers", "brands", "values", "claims", "contacts", "markup", "placeholders")
UNSUPPORTED = ("numbers", "brands", "values")


def without_own(text: tuple[str, ...], brief: Brief) -> list[str]:
    """The text's units with "" where one of the product's own strings stands, longest first."""
    left, by_first = list(text), brief.evidence.own_by_first
    at = 0
    while at < len(left):
        fits = [p for p in by_first.get(left[at], ()) if tuple(left[at : at + len(p)]) == p]
        size = max(map(len, fits), default=0)
        if size:
            left[at : at + size] = [""]
        at += 1
    return left
