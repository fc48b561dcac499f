"""AdvertiseGen's files, and how its texts say the values of their attributes."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from benchmarks.formats import Unreadable, opened

ALIASES = Path(__file__).with_name("aliases.toml")
# A value of one character stands in words that mean something else.
SHORTEST_VALUE = 2

Attribute = tuple[str, str]


@dataclass(frozen=True)
class Example:
    """One product: its attributes (name, value) in the file's order, without repeats, and a person's text."""

    attributes: tuple[Attribute, ...]
    text: str


def read(path: Path) -> list[Example]:
    """Products of a JSONL file, plain or gzip: {"content": "键#值*键#值", "summary": text}."""
    found = []
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                found.append(Example(_attributes(row["content"]), str(row["summary"]).lower()))
            except (ValueError, KeyError, TypeError, AttributeError):
                what = '{"content": "键#值*键#值", "summary": text} expected'
                raise Unreadable(f"{path}, line {number}: {what}") from None
    if not found:
        raise Unreadable(f"{path}: there is no line")
    return found


def _attributes(content: str) -> tuple[Attribute, ...]:
    pairs = (part.split("#", 1) for part in content.lower().split("*"))
    return tuple(dict.fromkeys((name, value) for name, value in pairs))


@lru_cache(maxsize=100_000)
def forms(value: str) -> tuple[str, ...]:
    """The value and the words that people use for it."""
    table = _aliases()
    found = [value, *table["values"].get(value, ())]
    ending, rest = value[-1:], value[:-1]
    if ending in table["endings"]["drop"] and len(rest) >= table["endings"]["shortest"]:
        found.append(rest)
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=1)
def _aliases() -> dict[str, dict]:  # type: ignore[type-arg]
    return tomllib.loads(ALIASES.read_text())


def says(text: str, value: str) -> bool:
    """Whether a lower-cased text says the value, by itself or by another word for it."""
    return any(form in text for form in forms(value))


class Values:
    """All values of the training products: what a text may say only of a product that has it."""

    def __init__(self, products: Iterable[Example]) -> None:
        self.names: dict[str, str] = {}
        for product in products:
            for name, value in product.attributes:
                self.names.setdefault(value, name)
        self.telling = sorted((v for v in self.names if len(v) >= SHORTEST_VALUE), key=lambda v: (-len(v), v))

    def unsupported(self, text: str, attributes: Sequence[Attribute]) -> list[str]:
        """Values that the text says although no attribute has them, in any of their words."""
        rest = text
        for form in sorted({f for _, v in attributes for f in forms(v)}, key=lambda f: (-len(f), f)):
            rest = rest.replace(form, "\n")
        return [v for v in self.telling if v in rest]

    def missing(self, text: str, attributes: Sequence[Attribute]) -> list[Attribute]:
        """Attributes whose value the text does not say; what kind of product it is goes without saying."""
        return [a for a in attributes if not says(text, a[1])]
