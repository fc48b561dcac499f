"""What is known of one product in one language, and what the whole shop's values are."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from models.writer.text import Number, clean_string, is_han, numbers, units

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
_YES = {"en": ("Yes", "No"), "zh": ("是", "否")}
_SEPARATOR = "\x1f"


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


@dataclass(frozen=True)
class Evidence:
    """What a product's facts support, made once and asked often."""

    facts: Facts

    @cached_property
    def _haystack(self) -> str:
        lines = (_SEPARATOR.join(units(s)) for s in self.facts.strings())
        return "".join(f"\n{_SEPARATOR}{line}{_SEPARATOR}" for line in lines)

    def says(self, phrase: tuple[str, ...]) -> bool:
        """Whether the units stand in this order in one of the product's strings."""
        return f"{_SEPARATOR}{_SEPARATOR.join(phrase)}{_SEPARATOR}" in self._haystack

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
    def numbers(self) -> set[Number]:
        return {n for s in self.facts.strings() for n in numbers(s)}

    @cached_property
    def _bare(self) -> dict[str, set[str]]:
        """Number → units it has in the facts, and the words of the attribute names it stands under."""
        found: dict[str, set[str]] = {}
        for value, unit in self.numbers:
            found.setdefault(value, set()).add(unit)
        for name, text in self.facts.attributes:
            # "Capacity (ml): 500" supports "500 ml".
            under = {u for _, u in numbers(" ".join(f"1 {w}" for w in units(name)))} - {""}
            for value, unit in numbers(text):
                if not unit:
                    found[value] |= under
        return found

    def states(self, number: Number) -> bool:
        """Whether the facts hold the number with this unit; without a unit, with any."""
        value, unit = number
        known = self._bare.get(value)
        if unit == "code":
            return number in self.numbers or value in self._compact or self._glued(value)
        if known is None:
            return False
        return unit == "" or unit in known or (unit == "pc" and "" in known)

    def _glued(self, code: str) -> bool:
        """ "Lumo300ml": Chinese copy writes a brand and a number without a space."""
        word = code.rstrip("abcdefghijklmnopqrstuvwxyz").rstrip("0123456789.")
        rest = code[len(word) :]
        return bool(word and rest) and self.says(units(word)) and all(map(self.states, numbers(rest)))

    @cached_property
    def _compact(self) -> set[str]:
        return {"".join(units(s)) for s in self.facts.strings()} | {u for own in self.own for u in own}


class Lexicon:
    """The shop's known attribute values and brands: what a text may only say of a product that has it."""

    def __init__(self, values: Iterable[tuple[str, ...]] = (), brands: Iterable[str] = ()) -> None:
        self.values = frozenset(values)
        self.brands = {units(b): b for b in sorted(set(brands)) if units(b)}
        self._brands: dict[str, list[tuple[str, ...]]] = {}
        for phrase in self.brands:
            self._brands.setdefault(phrase[0], []).append(phrase)
        self._firsts = {v[0] for v in self.values}

    @staticmethod
    def build(products: Iterable[Facts]) -> Lexicon:
        """Values that at least `MIN_VALUE_PRODUCTS` products have, and all brands."""
        counts: Counter[tuple[str, ...]] = Counter()
        brands: set[str] = set()
        for facts in products:
            counts.update({units(p) for _, v in facts.attributes for p in parts(v)})
            if facts.brand:
                brands.add(facts.brand)
        known = (v for v, n in counts.items() if n >= MIN_VALUE_PRODUCTS and _telling(v))
        return Lexicon(known, brands)

    def brands_in(self, text: tuple[str, ...]) -> list[tuple[str, ...]]:
        """Brands that the units mention."""
        places = [(i, self._brands[u]) for i, u in enumerate(text) if u in self._brands]
        return [p for i, phrases in places for p in phrases if text[i : i + len(p)] == p]

    def found(self, text: tuple[str, ...]) -> list[tuple[str, ...]]:
        """Known values that the units mention, longest first at each place."""
        hits, at = [], 0
        while at < len(text):
            length = self._longest(text, at) if text[at] in self._firsts else 0
            if length:
                hits.append(text[at : at + length])
            at += length or 1
        return hits

    def _longest(self, text: tuple[str, ...], at: int) -> int:
        for length in range(min(MAX_VALUE_UNITS, len(text) - at), 0, -1):
            if text[at : at + length] in self.values:
                return length
        return 0


def _telling(value: tuple[str, ...]) -> bool:
    """Whether a value says something when it is met in running text."""
    if not 1 <= len(value) <= MAX_VALUE_UNITS or not any(any(c.isalpha() for c in u) for u in value):
        return False
    if any(any(c.isdigit() for c in u) for u in value):
        return False  # the number check judges those
    if all(is_han(u) for u in value):
        return len(value) >= 2 and "".join(value) not in ORDINARY_HAN
    return sum(len(u) for u in value) >= 3 and not all(u in ORDINARY for u in value)
