"""What is known of one product in one language, and what the whole shop's values are."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain
from typing import Any

from models.writer.answers import is_absent, is_answer, is_no, named
from models.writer.denials import DENIED, IMITATED, PARTLY, clauses, imitated, taken_back
from models.writer.measures import LESS_EXACT
from models.writer.quantities import Number, numbers
from models.writer.text import clean_string, is_han, units

# Longer than any value a shop sorts by; what is longer is prose, and prose is nobody's "known value".
MAX_VALUE_UNITS = 8
# A value that only one product has is no word of the shop's vocabulary.
MIN_VALUE_PRODUCTS = 2
# Attribute values that are ordinary words: a text that says "all" claims no attribute.
ORDINARY = frozenset(
    """yes no true false none other others all any unisex new set one size standard regular normal basic
    default general various mixed multi not applicable and with for the from home use day gift daily free
    full single whole each both more most only very good well made design style colour color material
    """.split()  # noqa: SIM905
)
ORDINARY_HAN = frozenset(
    "其他 其它 通用 标准 普通 默认 日常 家用 适合 一般 常规 不限 均码 产品 商品 材质 颜色 风格".split()  # noqa: SIM905
)
# Sizes and shapes are values that copy also says in passing, of anything: "Small things, done well", "a long
# weekend". One is judged only where a product of the same category has it under an attribute name that this
# product has too: there it would be another product's size.
EVERYDAY = frozenset("small large short long high low round space cloth".split())  # noqa: SIM905
_YES = {"en": ("Yes", "No"), "zh": ("是", "否")}
_SEPARATOR = "\x1f"
_BITS = {"0", "1"}
_ABLE = (("支", "持"), ("可", "以"), ("可",), ("能",), ("具", "备"))
_SHARED = "\n"  # no brand's name
# "Lumo", "45w" and "10000mah" of "lumo45w10000mah".
_PIECE = re.compile(r"[a-z]+(?=\d)|\d+(?:\.\d+)?[a-z]*")
# What is asked of a product: its category, and an attribute's name.
Question = tuple[tuple[str, ...], str]


@dataclass(frozen=True)
class Facts:
    """One product in one language. `category` is the path, widest level first."""

    product_id: str
    language: str
    title: str
    brand: str
    category: tuple[str, ...]
    attributes: tuple[tuple[str, str], ...]

    def strings(self) -> list[str]:
        """Every string that a text may lean on."""
        pairs = [f"{n} {v}" for n, v in self.attributes] + [v for _, v in self.attributes]
        return [s for s in (self.title, self.brand, *self.category, *pairs) if s]


def read_facts(language: str, row: Mapping[str, Any]) -> Facts:
    """Facts from a row with `product_id`, `title_*`, `brand`, `category` and `attributes_*` (JSON).

    A title in the other language serves where this one has none: a name is a name. Price, stock and the
    shop's ids are left out, so that a new price rewrites no copy. Attributes that are no JSON object count
    as none.
    """
    titles = [row.get(f"title_{language}"), row.get("title_en"), row.get("title_zh")]
    category = [clean_string(level) for level in str(row.get("category") or "").split(">")]
    return Facts(
        product_id=str(row["product_id"]),
        language=language,
        title=next((t for t in map(clean_string, (str(t or "") for t in titles)) if t), ""),
        brand=clean_string(str(row.get("brand") or "")),
        category=tuple(level for level in category if level),
        attributes=_attributes(row.get(f"attributes_{language}"), language),
    )


def _attributes(text: Any, language: str) -> tuple[tuple[str, str], ...]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, TypeError, RecursionError):
        return ()
    if not isinstance(found, dict):
        return ()
    pairs = {clean_string(str(name)): _value(value, language) for name, value in found.items()}
    return tuple(sorted((n, v) for n, v in pairs.items() if n and v))


def _value(value: Any, language: str) -> str:
    if isinstance(value, bool):
        return _YES[language if language in _YES else "en"][0 if value else 1]
    if isinstance(value, float):
        return f"{value:.12g}" if math.isfinite(value) else ""
    if isinstance(value, list):
        parts = [_value(v, language) for v in value if not isinstance(v, list | dict)]
        return ("、" if language == "zh" else ", ").join(p for p in parts if p)
    return clean_string(str(value)) if isinstance(value, str | int) else ""


def parts(value: str) -> list[str]:
    """The members of a list-like value such as "cotton, linen"."""
    for mark in ";\uff1b\u3001\uff0c/|":
        value = value.replace(mark, ",")
    return [p.strip() for p in value.split(",") if p.strip()]


def _joined(strings: Iterable[str]) -> str:
    """The strings' units, to be searched for a `_needle`."""
    return "".join(f"\n{_SEPARATOR}{_SEPARATOR.join(units(s))}{_SEPARATOR}" for s in strings)


def _needle(phrase: tuple[str, ...]) -> str:
    return f"{_SEPARATOR}{_SEPARATOR.join(phrase)}{_SEPARATOR}"


@dataclass(frozen=True)
class Evidence:
    """What a product's facts support, made once and asked often."""

    facts: Facts

    @cached_property
    def _haystack(self) -> str:
        return _joined(self.facts.strings())

    def says(self, phrase: tuple[str, ...]) -> bool:
        """Whether the units stand in this order in one of the product's strings."""
        return _needle(phrase) in self._haystack

    @cached_property
    def asked(self) -> frozenset[Question]:
        """What the product answers: its category with the name of each of its attributes."""
        return frozenset((self.facts.category, name) for name, _ in self.facts.attributes)

    @cached_property
    def denied(self) -> list[tuple[str, str]]:
        """The attributes that say no: "Waterproof: No", "防水: 否", "Lid: 0"."""
        return [(n, v) for n, v in self.facts.attributes if is_no(v, n) and not is_absent(v)]

    @cached_property
    def withheld(self) -> list[tuple[str, str]]:
        """The attributes that affirm nothing: those that say no, and those that nobody knows."""
        return [(n, v) for n, v in self.facts.attributes if is_no(v, n) or is_absent(v)]

    def affirms(self, phrase: tuple[str, ...]) -> bool:
        """Whether the units stand in a string that does not deny them: not in "not waterproof"."""
        if not self.says(phrase):
            return False
        return not all(
            taken_back(before, phrase, after, likely=True)
            for before, after in self._around(phrase, skip=self.withheld)
        )

    def denies(self, phrase: tuple[str, ...], how: str = DENIED) -> bool:
        """Whether a string takes the units back: says "not waterproof"; for `IMITATED`, "faux leather"."""
        around = list(self._around(phrase))
        if how == IMITATED:
            return any(taken_back(before, phrase, after, likely=True) == how for before, after in around)
        around = [(before, after) for before, after in around if PARTLY.isdisjoint(before[-1:])]
        if any(taken_back(before, phrase, after) for before, after in around):
            return True
        wholly = (name for name, value in self.denied if PARTLY.isdisjoint(units(value)))
        if any(_without_can(named(name)) == _without_can(phrase) for name in wholly):
            return True
        likely = any(taken_back(before, phrase, after, likely=True) for before, after in around)
        return likely and not self.affirms(phrase)

    @cached_property
    def imitated(self) -> list[tuple[str, ...]]:
        """The materials that the product only resembles, by its own words."""
        return sorted({m for _, cut in self._clauses for clause in cut for m in imitated(clause)})

    def _around(
        self, phrase: tuple[str, ...], skip: Collection[tuple[str, str]] = ()
    ) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
        """What stands before and behind the units wherever a string has them, as far as their clause goes.

        `skip`: attributes that are not asked.
        """
        size = len(phrase)
        for pair, cut in self._clauses if phrase else ():
            if pair in skip:
                continue
            whole = tuple(chain.from_iterable(cut))
            ends = list(accumulate(map(len, cut)))
            for at in range(len(whole) - size + 1):
                if whole[at] == phrase[0] and whole[at : at + size] == phrase:
                    start = max((e for e in ends if e <= at), default=0)
                    end = next(e for e in ends if e >= at + size)
                    yield whole[start:at], whole[at + size : end]

    @cached_property
    def _clauses(self) -> list[tuple[tuple[str, str] | None, list[tuple[str, ...]]]]:
        """Every string's clauses as units; of an attribute, name and value, with the attribute."""
        facts = self.facts
        bare = [s for s in (facts.title, facts.brand, *facts.category) if s]
        found: list[tuple[tuple[str, str] | None, list[str]]] = [(None, clauses(s)) for s in bare]
        for name, value in facts.attributes:
            asked, told = clauses(name), clauses(value)
            # "Not suitable for: outdoor use" is one clause.
            if taken_back(units(asked[-1]), (), ()) and not asked[-1].endswith("or not"):
                told = [*asked[:-1], f"{asked[-1]} {told[0]}", *told[1:]]
            else:
                told = [*asked, *told]
            found.append(((name, value), told))
        return [(pair, [units(c) for c in told]) for pair, told in found]

    @cached_property
    def own(self) -> list[tuple[str, ...]]:
        """The product's strings as units, longest first, without repeats."""
        found = {units(s) for s in self.facts.strings()} | {
            units(p) for _, v in self.facts.attributes for p in parts(v)
        }
        return sorted((f for f in found if f), key=lambda f: (-len(f), f))

    @cached_property
    def own_by_first(self) -> dict[str, list[tuple[str, ...]]]:
        """The product's strings, attribute names included, by their first unit."""
        found: dict[str, list[tuple[str, ...]]] = {}
        named = (units(p) for n, v in self.facts.attributes for p in (n, *parts(v)))
        for phrase in dict.fromkeys((*self.own, *named)):
            if phrase:
                found.setdefault(phrase[0], []).append(phrase)
        return found

    @cached_property
    def _numbers(self) -> dict[str, set[str]]:
        """Value → its units, "" for none, also those in an attribute's name; and the words that tell what it
        is: those behind a count, and behind 3/8" (it counts no shanks), but not those behind 10 in.
        """
        found: dict[str, set[str]] = {}
        for number in (n for s in self.facts.strings() for n in numbers(s)):
            known = found.setdefault(number.value, set())
            known.add(number.unit)
            if number.next and (not number.unit or not number.value.lstrip("-").isdecimal()):
                known.add(number.next)
        for name, text in self.facts.attributes:
            # "Capacity (ml): 500" supports "500 ml".
            under = {n.unit for n in numbers(" ".join(f"1 {w}" for w in units(name)))} - {""}
            for number in numbers(text):
                if not number.unit:
                    found[number.value] |= under
        return found

    def states(self, number: Number) -> bool:
        """Whether the facts hold the number with this unit.

        A number without a unit is a count, or one that the facts have without a unit too: of "10 in. bucket"
        no text says "10 drawers".
        """
        known = self._numbers.get(number.value, set())
        if number.unit == "code":
            return "code" in known or number.value in self._compact or self._glued(number.value)
        if not number.unit:
            return not known.isdisjoint(("", "pc", number.next))
        return not known.isdisjoint((number.unit, *LESS_EXACT.get(number.unit, ()))) or (
            number.unit == "pc" and "" in known
        )

    def _glued(self, code: str) -> bool:
        """ "Lumo300ml": Chinese copy writes a brand and a number without a space."""
        pieces = _PIECE.findall(code)
        return "".join(pieces) == code and all(map(self._has_piece, pieces))

    def _has_piece(self, piece: str) -> bool:
        """Whether the facts say the word, or state the number, perhaps with a word behind: "4kgpvc"."""
        if not piece[0].isdigit():
            return self.says(units(piece))
        first = next((i for i, char in enumerate(piece) if char.isalpha()), len(piece))
        return any(
            all(n.unit != "code" and self.states(n) for n in numbers(piece[:end]))
            and (end == len(piece) or self.says(units(piece[end:])))
            for end in range(first, len(piece) + 1)
        )

    @cached_property
    def _compact(self) -> set[str]:
        return {"".join(units(s)) for s in self.facts.strings()} | {u for own in self.own for u in own}


class Lexicon:
    """The shop's known attribute values and brands: what a text may only say of a product that has it.

    `values`: the names of attributes that are answered by yes or no are among them. `common`: one-word brands
    that stand in values of two other brands, and which therefore are words as well. `answers`: what some
    product answers by an everyday word.
    """

    def __init__(
        self,
        values: Iterable[tuple[str, ...]] = (),
        brands: Iterable[str] = (),
        common: Iterable[str] = (),
        answers: Mapping[str, Collection[Question]] | None = None,
    ) -> None:
        self.values = frozenset(values)
        self.brands = {units(b): b for b in sorted(set(brands)) if units(b)}
        self.common = frozenset(common)
        self.answers = answers or {}
        self._brands: dict[str, list[tuple[str, ...]]] = {}
        for phrase in self.brands:
            self._brands.setdefault(phrase[0], []).append(phrase)
        self._firsts = {v[0] for v in self.values}

    @staticmethod
    def build(products: Iterable[Facts]) -> Lexicon:
        """Values and yes-or-no names that at least `MIN_VALUE_PRODUCTS` products have, and all brands."""
        counts: Counter[tuple[str, ...]] = Counter()
        owners: dict[tuple[str, ...], str] = {}
        names = _Names()
        brands: set[str] = set()
        answers: dict[str, set[Question]] = {}
        for facts in products:
            pairs = [(name, units(p)) for name, v in facts.attributes for p in parts(v)]
            for name, value in pairs:
                for word in EVERYDAY.intersection(value) if len(value) == 1 else ():
                    answers.setdefault(word, set()).add((facts.category, name))
            values = {value for _, value in pairs}
            counts.update(values)
            for value in values:
                if owners.setdefault(value, facts.brand) != facts.brand:
                    owners[value] = _SHARED
            names.add(facts)
            if facts.brand:
                brands.add(facts.brand)
        known = {v for v, n in counts.items() if n >= MIN_VALUE_PRODUCTS and _telling(v)}
        known |= {phrase for phrase in map(named, names.answered()) if _telling(phrase)}
        common = _shared_words(owners) & {u for b in brands for u in units(b)}
        return Lexicon(known, brands, common, answers)

    def brands_in(self, text: tuple[str, ...]) -> list[tuple[str, ...]]:
        """Brands that the units mention."""
        places = [(i, self._brands[u]) for i, u in enumerate(text) if u in self._brands]
        return [p for i, phrases in places for p in phrases if text[i : i + len(p)] == p]

    def found(self, text: tuple[str, ...]) -> list[tuple[int, int]]:
        """Where the units mention known values, longest first at each place: first unit, and end."""
        hits: list[tuple[int, int]] = []
        at = 0
        while at < len(text):
            length = self._longest(text, at) if text[at] in self._firsts else 0
            if length:
                hits.append((at, at + length))
            at += length or 1
        return hits

    def in_passing(self, phrase: tuple[str, ...], asked: Collection[Question]) -> bool:
        """Whether the phrase is an everyday word that answers nothing of what a product is asked."""
        if len(phrase) > 1 or phrase[0] not in EVERYDAY:
            return False
        return not any(question in asked for question in self.answers.get(phrase[0], ()))

    def _longest(self, text: tuple[str, ...], at: int) -> int:
        for length in range(min(MAX_VALUE_UNITS, len(text) - at), 0, -1):
            if text[at : at + length] in self.values:
                return length
        return 0


class _Names:
    """Which attributes are answered by yes or no, or by 1 and 0 and nothing else."""

    def __init__(self) -> None:
        self._answers: Counter[str] = Counter()
        self._bits: dict[str, set[str]] = {}
        self._others: set[str] = set()

    def add(self, facts: Facts) -> None:
        for name, value in facts.attributes:
            if is_answer(value):
                self._answers[name] += 1
            # Another value says that the name is no such property, whatever it is.
            elif value in _BITS:
                self._bits.setdefault(name, set()).add(value)
            else:
                self._others.add(name)

    def answered(self) -> Iterator[str]:
        yield from (name for name, n in self._answers.items() if n >= MIN_VALUE_PRODUCTS)
        yield from (n for n, seen in self._bits.items() if seen == _BITS and n not in self._others)


def _shared_words(owners: Mapping[tuple[str, ...], str]) -> set[str]:
    """The words that values of two brands have, beside the words of their own brand."""
    first: dict[str, str] = {}
    found: set[str] = set()
    for value, brand in owners.items():
        for word in set(value).difference(units(brand)):
            if brand == _SHARED or first.setdefault(word, brand) != brand:
                found.add(word)
    return found


def _without_can(phrase: tuple[str, ...]) -> tuple[str, ...]:
    """防水 of 支持防水, 机洗 of 可机洗."""
    head = next((h for h in _ABLE if phrase[: len(h)] == h and len(phrase) > len(h) + 1), ())
    return phrase[len(head) :]


def _telling(value: tuple[str, ...]) -> bool:
    """Whether a value says something when it is met in running text."""
    if not 1 <= len(value) <= MAX_VALUE_UNITS or not any(any(c.isalpha() for c in u) for u in value):
        return False
    if any(any(c.isdigit() for c in u) for u in value):
        return False  # the number check judges those
    if all(is_han(u) for u in value):
        return len(value) >= 2 and "".join(value) not in ORDINARY_HAN
    return sum(len(u) for u in value) >= 3 and not all(u in ORDINARY for u in value)
