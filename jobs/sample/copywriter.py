"""Copy as shops write it, in English and in Chinese: many shapes, each telling some of the attributes."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from jobs.sample import phrases
from jobs.sample.catalogue import Product
from jobs.sample.slots import Slot
from models.writer.text import takes_an

UNSUPPORTED = "unsupported"  # a sentence about something that no attribute tells
CONTRADICTED = "contradicted"  # an attribute told with another value than its own
BANNED = "banned"  # a superlative that advertising law forbids


@dataclass(frozen=True)
class Flaw:
    """What is wrong with a text: `kind`, and the words that are at fault."""

    kind: str
    words: str


@dataclass(frozen=True)
class Copy:
    """One text, the attributes that it tells (English names), and its flaws."""

    text: str
    told: tuple[str, ...]
    flaws: tuple[Flaw, ...]


def write(rng: np.random.Generator, product: Product, language: str, flaw: str | None = None) -> Copy:
    """Copy for one product, in "en" or "zh"; `flaw` asks for a text with that flaw in it."""
    slots = list(product.leaf.slots)
    count = min(len(slots), int(rng.integers(2, 7)))
    told = [slots[i] for i in rng.permutation(len(slots))[:count]]
    said = {s.en: getattr(product.values[s.en], language) for s in told}
    flaws: list[Flaw] = []
    if flaw == CONTRADICTED:
        lie = told[0]
        other = [v for v in lie.values if v.en != product.values[lie.en].en]
        said[lie.en] = getattr(other[int(rng.integers(len(other)))], language)
        flaws.append(Flaw(CONTRADICTED, said[lie.en]))
    sentences = (_english if language == "en" else _chinese)(rng, product, told, said)
    if flaw in (UNSUPPORTED, BANNED):
        bank = phrases.UNSUPPORTED if flaw == UNSUPPORTED else phrases.BANNED
        words = getattr(bank[int(rng.integers(len(bank)))], language)
        sentences.insert(int(rng.integers(1, len(sentences) + 1)), words)
        flaws.append(Flaw(flaw, words))
    text = (" " if language == "en" else "").join(sentences)
    return Copy(_articles(text) if language == "en" else text, tuple(s.en for s in told), tuple(flaws))


def title(rng: np.random.Generator, product: Product) -> tuple[str, str]:
    """English and Chinese name: brand, kind, and one or two attributes."""
    leading = [s for s in product.leaf.slots if s.adjective_en]
    keep = [leading[i] for i in sorted(rng.permutation(len(leading))[: int(rng.integers(1, 3))])]
    keep.sort(key=lambda s: s.rank)
    en = product.leaf.noun(" ".join(s.adjective_en.format(v=product.values[s.en].en) for s in keep))
    zh = "".join(s.adjective_zh.format(v=product.values[s.en].zh) for s in keep) + product.leaf.noun_zh
    tail = [product.values[n] for n in product.leaf.vary if n not in {s.en for s in keep}]
    return (
        f"{product.brand} {en[:1].upper()}{en[1:]}" + "".join(f", {v.en}" for v in tail),
        f"{product.brand} {zh}" + "".join(f" {v.zh}" for v in tail),
    )


def _pick(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


def _groups(rng: np.random.Generator, slots: list[Slot]) -> list[list[Slot]]:
    """Cuts a list into runs of one to three: what one sentence tells."""
    out: list[list[Slot]] = []
    rest = slots
    while rest:
        size = int(rng.choice(3, p=[0.35, 0.5, 0.15])) + 1
        out.append(rest[:size])
        rest = rest[size:]
    return out


def _split(rng: np.random.Generator, told: list[Slot]) -> tuple[list[Slot], list[Slot]]:
    """Which attributes stand before the noun of the first sentence (up to two), and which come later."""
    able = [s for s in told if s.adjective_en]
    ahead = able[: int(rng.integers(0, 3))]
    rest = [s for s in told if s not in ahead]
    return sorted(ahead, key=lambda s: s.rank), rest


def _english(rng: np.random.Generator, product: Product, told: list[Slot], said: dict[str, str]) -> list[str]:
    ahead, rest = _split(rng, told)
    adjectives = " ".join(s.adjective_en.format(v=said[s.en]) for s in ahead)
    noun = product.leaf.noun(adjectives)
    verb = ""
    if rest and rng.random() < 0.5:
        verb, rest = _pick(rng, rest[0].say_en).format(v=said[rest[0].en]), rest[1:]
    bank = phrases.OPENINGS_VERB_EN if verb else phrases.OPENINGS_EN
    sentences = [_pick(rng, bank).format(brand=product.brand, noun=noun, verb=verb)]
    subjects = ("It", f"This {product.leaf.type_en}", f"The {product.brand} piece", "It also", "It")
    if "*" in product.leaf.noun_en:  # "this pair of jeans", never "this jeans"
        subjects = ("It", f"This {product.leaf.noun()}", f"The {product.brand} piece", "It also", "It")
    for group in _groups(rng, rest):
        if len(group) == 1 and group[0].lines_en and rng.random() < 0.5:
            value = said[group[0].en]
            line = _pick(rng, group[0].lines_en)
            sentences.append(line.format(v=value, V=value[:1].upper() + value[1:]))
            continue
        verbs = [_pick(rng, s.say_en).format(v=said[s.en]) for s in group]
        joined = verbs[0] if len(verbs) == 1 else ", ".join(verbs[:-1]) + " and " + verbs[-1]
        subject = _pick(rng, subjects)
        if verbs[0].startswith("is "):  # "it is also", never "it also is"
            subject = subject.replace("It also", "It")
        sentences.append(f"{subject} {joined}.")
    if rng.random() < 0.45:
        sentences.append(_pick(rng, phrases.CLOSINGS_EN[product.leaf.category]))
    return sentences


def _chinese(rng: np.random.Generator, product: Product, told: list[Slot], said: dict[str, str]) -> list[str]:
    ahead, rest = _split(rng, told)
    noun = "".join(s.adjective_zh.format(v=said[s.en]) for s in ahead) + product.leaf.noun_zh
    clauses = [_pick(rng, s.say_zh).format(v=said[s.en]) for s in rest]
    first = clauses[: int(rng.integers(0, 3))]
    opening = _pick(rng, phrases.OPENINGS_ZH).format(
        brand=product.brand, noun=noun, measure=product.leaf.measure
    )
    if first:
        sentences = ["，".join([opening, *first]) + "。"]
    else:
        sentences = [opening + "，" + _pick(rng, phrases.REMARKS_ZH) + "。"]
    rest_clauses = clauses[len(first) :]
    links = [phrases.LINKS_ZH[i] for i in rng.permutation(len(phrases.LINKS_ZH))]
    while rest_clauses:
        size = int(rng.integers(1, 4))
        sentences.append(links.pop() + "，".join(rest_clauses[:size]) + "。")
        rest_clauses = rest_clauses[size:]
    if rng.random() < 0.45:
        sentences.append(_pick(rng, phrases.CLOSINGS_ZH[product.leaf.category]))
    return sentences


_ARTICLE = re.compile(r"\b[Aa](?= \S)")


def _articles(text: str) -> str:
    """'a olive mug' → 'an olive mug', 'a 8 cm' → 'an 8 cm'."""
    return _ARTICLE.sub(lambda m: m[0] + ("n" if takes_an(text[m.end() + 1 :]) else ""), text)
