"""What an attribute is: its name, its values in two languages, and how a person says it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Value:
    """One value of an attribute, in English and in Chinese."""

    en: str
    zh: str


@dataclass(frozen=True)
class Slot:
    """One attribute of a kind of product.

    `say_en` are verb phrases that follow a singular subject ("is made of {v}"), `lines_en` whole sentences,
    `say_zh` clauses. `adjective_*` is the form in which the value stands before the noun, empty where it
    cannot. `rank` orders English adjectives (fit, style, pattern, colour, material). A `graded` attribute
    lists its values from the cheapest to the dearest.
    """

    en: str
    zh: str
    values: tuple[Value, ...]
    say_en: tuple[str, ...]
    say_zh: tuple[str, ...]
    lines_en: tuple[str, ...] = ()
    adjective_en: str = ""
    adjective_zh: str = ""
    rank: int = 9
    graded: bool = False


def words(pairs: str) -> tuple[Value, ...]:
    """'cotton=棉, linen=亚麻' → values."""
    return tuple(Value(*(side.strip() for side in pair.split("="))) for pair in pairs.split(","))


def numbers(figures: str, unit: str, unit_zh: str | None = None) -> tuple[Value, ...]:
    """'300 500' and 'ml' → '300 ml' in English, '300ml' in Chinese (or the Chinese unit that is given)."""
    zh = unit if unit_zh is None else unit_zh
    return tuple(Value(f"{n} {unit}", f"{n}{zh}") for n in figures.split())
