"""Training data first: pairs whose text claims nothing beyond its attributes, with names and values as slots.

A model that is taught unsupported claims writes them. So every sentence that a
person wrote is held against the product's facts and the rules; what fails is
left out and counted. Then each value that stands in the text verbatim becomes
a placeholder, which is restored exactly (Wen et al. 2015, delexicalisation).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from models.writer.facts import Facts
from models.writer.quantities import UNNAMED_UNIT, first_quantity
from models.writer.text import is_han, sentences, takes_an, units
from models.writer.verify import Brief, Verifier, covers

# Sentences beyond this are left out: they are not shop copy, and would set the length of every batch.
MAX_TEXT_CHARS = {"en": 600, "zh": 300}
# To be raised where a placeholder comes to stand for another form: a model of the old ones is not used.
FORMS = 3
PLACEHOLDER = re.compile(r"⟦[^⟦⟧]*⟧")
_ARTICLE = re.compile(r"\b([Aa])n?(?= (⟦[^⟦⟧]*⟧))")
# In a title: a code that begins with a letter, one that begins with a digit, a number: "D08050P", "9089NA",
# "1-1/4"; the 50 of "50pcs" is a number, while "4x4" is a code.
_TITLE_NUMBER = re.compile(
    r"(?<![\w.])(?:[A-Za-z]+-?\d[\w-]*|\d+[A-Z]\w*"
    rf"|\.?\d++(?:[-.,/]\d++)*+(?: \d+/\d+| ?[\u00bc-\u00be\u2150-\u215e])?(?:(?!{UNNAMED_UNIT})[a-z]\w*)?)"
)
MAX_TITLE_NUMBERS = 9
# "Price: Rs. 1,299" stands between two sentences, and is none.
_PRICE = re.compile(r"[\s,]*\bprice\s*:\s*[^\s\d]{0,4}\s?\d[\d,.]*(?:\s(?=[A-Z])|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Pair:
    """One training example: `source` as the encoder reads it, `target` with placeholders.

    `complete`: it names the product and enough of its attributes. A text that does not is learnt from, but
    says nothing of what a text should tell.
    """

    product_id: str
    language: str
    source: Source
    target: str
    text: str
    complete: bool = True
    brand: str = ""


@dataclass(frozen=True)
class Source:
    """What the encoder is given: language, and an unordered set of (placeholder or name, value) pairs."""

    language: str
    pairs: tuple[tuple[str, str], ...]


@dataclass
class Marks:
    """What cleaning found: pairs seen and kept, those of them that tell enough of the product, and sentences
    dropped by the check that they failed.
    """

    seen: int = 0
    kept: int = 0
    complete: int = 0
    sentences: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, object]:
        return {
            "texts": self.seen,
            "kept": self.kept,
            "complete": self.complete,
            "sentences": self.sentences,
            "sentences_dropped": dict(sorted(self.dropped.items())),
            "texts_refused": dict(sorted(self.refused.items())),
        }


def clean_text(text: str, brief: Brief, verifier: Verifier, marks: Marks) -> tuple[str, bool]:
    """The text without its unsupported sentences, or "" where what is left is no description any more; and
    whether it tells enough of the product.
    """
    marks.seen += 1
    kept, size = [], 0
    for sentence in sentences(_PRICE.sub(". ", re.sub(r"\s+", " ", text).strip())):
        marks.sentences += 1
        verdict = verifier.supported(sentence, brief)
        failed = next(iter(verdict.failed), "")
        if not failed:
            size += len(sentence)
            failed = "length" if size > MAX_TEXT_CHARS[verifier.language] else ""
        if failed:
            marks.dropped.update([failed])
        else:
            kept.append(sentence)
    left = "".join(kept).strip()
    verdict = verifier.verify(left, brief)
    wrong = [check for check in verdict.failed if check != "coverage"]
    if wrong or not left:
        marks.refused.update([wrong[0] if left else "nothing left"])
        return "", False
    marks.kept += 1
    marks.complete += verdict.ok
    return left, verdict.ok


def slot_values(brief: Brief) -> list[tuple[str, str]]:
    """(placeholder, surface form) of a product, in the order in which they are looked for: longest first.

    A value has two forms, as it stands and with a small first letter; a number inside a longer value has its
    own. Forms that stand for two different slots are given to the first by name.
    """
    shown = brief.shown
    named = [("name", shown.title), ("brand", shown.brand), ("kind", brief.kind)]
    named += [(f"v:{name}", value) for name, value in shown.attributes]
    found: dict[str, str] = {}
    for slot, value in named:
        if not value:
            continue
        found.setdefault(value, f"⟦{slot}⟧")
        small = slot.replace("v:", "l:", 1) if slot.startswith("v:") else f"{slot}-small"
        lowered = _small(value)
        if lowered != value:
            found.setdefault(lowered, f"⟦{small}⟧")
        number = first_quantity(value) if slot.startswith("v:") else ""
        if number and number != value:
            found.setdefault(number, f"⟦n:{slot[2:]}⟧")
    for form, slot in _title_numbers(shown.title).items():
        found.setdefault(form, slot)
    return sorted(((slot, form) for form, slot in found.items()), key=lambda s: (-len(s[1]), s[1]))


def _title_numbers(title: str) -> dict[str, str]:
    """Numbers and codes of a title, and their placeholders in the order in which they stand."""
    forms = dict.fromkeys(_TITLE_NUMBER.findall(title))
    return {form: f"⟦t:{i}⟧" for i, form in enumerate(list(forms)[:MAX_TITLE_NUMBERS], 1)}


def _marked(brief: Brief) -> str:
    """The title as the encoder reads it: with placeholders for the numbers that no attribute holds."""
    free = {form: slot for slot, form in slot_values(brief) if slot.startswith("⟦t:")}
    return _TITLE_NUMBER.sub(lambda m: free.get(m[0], m[0]), brief.shown.title)


def _small(value: str) -> str:
    """The value as it stands in mid-sentence: words lose their capital, codes and acronyms keep it."""
    return re.sub(r"\b([A-Z])([a-z]+)\b", lambda m: m[1].lower() + m[2], value)


def delexicalise(text: str, brief: Brief) -> str:
    """The text with placeholders; `restore` gives it back exactly, for any text without ⟦ or ⟧."""
    done: list[tuple[str, bool]] = [(text, False)]  # pieces, and whether they are placeholders
    for slot, form in slot_values(brief):
        if form in text:
            done = [
                p for piece, fixed in done for p in (((piece, fixed),) if fixed else _cut(piece, form, slot))
            ]
    return "".join(piece for piece, _ in done)


def _cut(text: str, form: str, slot: str) -> Iterator[tuple[str, bool]]:
    """The text cut at each place where the form stands as whole words."""
    start = 0
    at = text.find(form)
    while at >= 0:
        end = at + len(form)
        if not (at and _joined(text[at - 1], form[0])) and not (
            end < len(text) and _joined(form[-1], text[end])
        ):
            yield text[start:at], False
            yield slot, True
            start = end
        at = text.find(form, max(end, at + 1))
    yield text[start:], False


def _joined(a: str, b: str) -> bool:
    """Whether two neighbouring characters belong to one word: Han characters never do."""
    return a.isalnum() and b.isalnum() and not is_han(a) and not is_han(b)


def restore(text: str, forms: Mapping[str, str]) -> str:
    """Placeholders replaced by the product's own strings, of `slot_values`; one that has none stays."""
    return PLACEHOLDER.sub(lambda m: forms.get(m[0], m[0]), text)


def agree(text: str, forms: Mapping[str, str]) -> str:
    """The text with "a" or "an" before a placeholder, as the string sounds that `restore` puts there."""
    return _ARTICLE.sub(lambda m: m[1] + ("n" if takes_an(forms.get(m[2], "")) else ""), text)


def make_pair(facts: Facts, text: str, verifier: Verifier, marks: Marks) -> Pair | None:
    """A training pair, or None where the text is not usable.

    The source holds only what the text says, so that the model learns to say all that it is given: a text
    that does not name the product is not given its kind.
    """
    if "⟦" in text or "⟧" in text:
        return None
    brief = verifier.brief(facts)
    kept, complete = clean_text(text, brief, verifier, marks)
    if not kept:
        return None
    target = delexicalise(kept, brief)
    return Pair(facts.product_id, facts.language, said(kept, brief), target, kept, complete, facts.brand)


def said(text: str, brief: Brief) -> Source:
    """The part of the product's facts that a text mentions."""
    found = units(text)
    names = {n for n, v in brief.shown.attributes if covers(found, v)}
    brand = bool(brief.shown.brand) and covers(found, brief.shown.brand)
    return source(brief, names, brand, brief.named_in(found))


def source(brief: Brief, names: Iterable[str], brand: bool = True, kind: bool = True) -> Source:
    """What the encoder reads of a product: its name and kind as words, and the chosen attributes."""
    shown, wanted = brief.shown, set(names)
    pairs = [("⟦name⟧", _marked(brief))] if shown.title else []
    pairs += [("⟦kind⟧", brief.kind)] if brief.kind and kind else []
    pairs += [("⟦brand⟧", "")] if shown.brand and brand else []
    pairs += [(f"⟦v:{n}⟧", v) for n, v in shown.attributes if n in wanted]
    return Source(shown.language, tuple(pairs))


@dataclass(frozen=True)
class Plan:
    """How often people mention each attribute, per language: what a new text is asked to say.

    `mentions`: language → attribute name → share of the products with it whose text says it. `size`:
    language → attributes in a usual text.
    """

    mentions: dict[str, dict[str, float]]
    size: dict[str, int]

    def choose(self, brief: Brief) -> list[str]:
        """Names of the attributes to ask for: the ones people mention most, as many as they usually do."""
        rates = self.mentions.get(brief.shown.language, {})
        names = [n for n, _ in brief.slots if rates.get(n, 0.0) > 0.0]
        ranked = sorted(names, key=lambda n: (-rates[n], n))
        return ranked[: max(2, self.size.get(brief.shown.language, 4))]


def make_plan(pairs: Sequence[Pair], briefs: Sequence[Brief]) -> Plan:
    """The plan that the complete training pairs follow; `briefs[i]` belongs to `pairs[i]`."""
    asked: Counter[tuple[str, str]] = Counter()
    had: Counter[tuple[str, str]] = Counter()
    sizes: dict[str, list[int]] = {}
    for pair, brief in zip(pairs, briefs, strict=True):
        if not pair.complete:
            continue
        names = [n.removeprefix("⟦v:").removesuffix("⟧") for n, _ in pair.source.pairs if n.startswith("⟦v:")]
        asked.update((pair.language, n) for n in names)
        had.update((pair.language, n) for n, _ in brief.shown.attributes)
        sizes.setdefault(pair.language, []).append(len(names))
    mentions: dict[str, dict[str, float]] = {}
    for (language, name), count in sorted(had.items()):
        mentions.setdefault(language, {})[name] = round(asked[language, name] / count, 6)
    return Plan(mentions, {k: sorted(v)[len(v) // 2] for k, v in sorted(sizes.items())})
