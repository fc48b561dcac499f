"""The last resort: a text made of the product's own facts and a few fixed words, always verified."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from jinja2 import Environment, StrictUndefined

from models.writer.verify import Brief, Verdict, Verifier

# Attributes a text shows at most: with values of at most 60 characters it stays inside the length bounds.
MAX_SLOTS = 8
# Values are data for jinja2, never templates; the result is plain text, so nothing is escaped.
_ENGINE = Environment(autoescape=False, undefined=StrictUndefined, trim_blocks=True)  # nosec B701

_EN = (
    "{{ name }}{% if brand %} by {{ brand }}{% endif %}.{% if slots %} {{ slots | join('; ') }}.{% endif %}",
    "{% if brand %}From {{ brand }}: {% endif %}{{ name }}."
    "{% if slots %} At a glance: {{ slots | join(', ') }}.{% endif %}",
    "The details of {{ name }}{% if brand %} from {{ brand }}{% endif %}."
    "{% if slots %} {{ slots | join('; ') }}.{% endif %}",
    "Introducing {{ name }}.{% for slot in slots %} {{ slot }}.{% endfor %}{% if brand %} Brand: {{ brand }}."
    "{% endif %}",
)
_ZH = (
    "{{ name }}{% if brand %}，品牌为{{ brand }}{% endif %}。"
    "{% if slots %}{{ slots | join('；') }}。{% endif %}",
    "{% if brand %}来自{{ brand }}的{% else %}这款商品是{% endif %}{{ name }}。"
    "{% if slots %}参数一览：{{ slots | join('，') }}。{% endif %}",
    "为您介绍{{ name }}。{% if slots %}商品信息：{{ slots | join('；') }}。{% endif %}"
    "{% if brand %}品牌：{{ brand }}。{% endif %}",
    "商品名称：{{ name }}。{% for slot in slots %}{{ slot }}。{% endfor %}"
    "{% if brand %}由{{ brand }}出品。{% endif %}",
)
# The barest phrasing has no word that could be taken for a claim but a label.
_BARE = {"en": "Product: {{ name }}.{% for slot in slots %} {{ slot }}.{% endfor %}",
         "zh": "商品：{{ name }}。{% for slot in slots %}{{ slot }}。{% endfor %}"}  # fmt: skip
_FRAMES = {
    language: tuple(_ENGINE.from_string(f) for f in (*frames, _BARE[language]))
    for language, frames in (("en", _EN), ("zh", _ZH))
}
_UNNAMED = {"en": "this product", "zh": "本商品"}
_COLON = {"en": ": ", "zh": "："}


def write(brief: Brief, verifier: Verifier) -> tuple[str, Verdict]:
    """A text that passes `verifier`, or "" and a verdict that says why there is none.

    The phrasing is picked by a hash of the product's id, so that a category does not read all the same.
    Where a phrasing fails (a fixed word may be another product's brand), the next is tried, then fewer
    attributes. Where nothing can be told, or nothing that is told passes, there is no text.
    """
    if brief.silent:
        return "", Verdict({"facts": brief.silent})
    found = next(phrasings(brief, verifier), None)
    if found:
        return found
    text, verdict = _fewer(brief, verifier, list(brief.slots[:MAX_SLOTS]))
    return (text if verdict.ok else ""), verdict


def phrasings(brief: Brief, verifier: Verifier) -> Iterator[tuple[str, Verdict]]:
    """The texts of all phrasings that pass, the product's own first."""
    frames = _FRAMES[verifier.language]
    first = _pick(brief.shown.product_id, len(frames) - 1)
    for frame in [*range(first, len(frames) - 1), *range(first), len(frames) - 1]:
        text = _render(brief, verifier.language, frame, list(brief.slots[:MAX_SLOTS]))
        verdict = verifier.verify(text, brief)
        if verdict.ok:
            yield text, verdict


def _fewer(brief: Brief, verifier: Verifier, slots: list[tuple[str, str]]) -> tuple[str, Verdict]:
    """The barest phrasing with the attributes that can stand together: those that break no check."""
    kept: list[tuple[str, str]] = []
    bare = len(_FRAMES[verifier.language]) - 1
    for slot in slots:
        verdict = verifier.verify(_render(brief, verifier.language, bare, [*kept, slot]), brief)
        if not set(verdict.failed) - {"coverage", "length", "language"}:
            kept.append(slot)
    text = _render(brief, verifier.language, bare, kept)
    return text, verifier.verify(text, brief)


def _render(brief: Brief, language: str, frame: int, slots: list[tuple[str, str]]) -> str:
    shown = brief.shown
    name = shown.title or (shown.category[-1] if shown.category else _UNNAMED[language])
    brand = "" if shown.brand.casefold() in name.casefold() else shown.brand
    lines = [f"{n}{_COLON[language]}{v}" for n, v in slots]
    text = _FRAMES[language][frame].render(name=name, brand=brand, slots=lines)
    # "Co. Ltd.." would read as a slip.
    return text.replace("..", ".").replace("。。", "。") if "..." not in text else text


def _pick(key: str, choices: int) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") % choices
