"""From candidates to the finished ad: every attribute told, and nothing that no attribute says."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from benchmarks.adgen.read import Attribute, Values
from models.writer.text import sentences

_LINK = ("搭配", "融入", "带有", "采用")
_KINDS = ("衣样式", "裤型", "裙型", "裙长", "类型")


def finish(candidates: Sequence[str], attributes: Sequence[Attribute], values: Values) -> tuple[str, str]:
    """(text, tier). model: the first candidate holds; retry: another does, or the first one does after its
    unsupported sentences are left out and what is missing is told in one more; template: neither.
    """
    for rank, text in enumerate(candidates):
        if text and not values.missing(text, attributes) and not values.unsupported(text, attributes):
            return text, "model" if rank == 0 else "retry"
    for text in candidates:
        mended = mend(text, attributes, values)
        if mended:
            return mended, "retry"
    return template(attributes), "template"


def mend(text: str, attributes: Sequence[Attribute], values: Values) -> str:
    """The text without unsupported sentences, and with what it leaves out; "" where little would be left."""
    kept = [s for s in sentences(text) if not values.unsupported(s, attributes)]
    if 2 * sum(map(len, kept)) < len(text):
        return ""
    left = "".join(kept)
    missing = [value for _, value in values.missing(left, attributes)]
    if missing:
        left += _link(left) + "、".join(dict.fromkeys(missing)) + "元素。"
    holds = not values.missing(left, attributes) and not values.unsupported(left, attributes)
    return left if holds else ""


def _link(text: str) -> str:
    """A word to go on with, the same for the same text."""
    digest = hashlib.blake2b(text.encode(), digest_size=2).digest()
    return _LINK[int.from_bytes(digest, "big") % len(_LINK)]


def template(attributes: Sequence[Attribute]) -> str:
    """All values in a row of short clauses, what kind of product it is first."""
    by_name: dict[str, list[str]] = {}
    for name, value in attributes:
        by_name.setdefault(name, []).append(value)
    kind = next((by_name[name][0] for name in _KINDS if name in by_name), "单品")
    rest = [v for values in by_name.values() for v in values if v != kind]
    return f"这款{kind}，" + "，".join(dict.fromkeys(rest)) + "。" if rest else f"这款{kind}。"
