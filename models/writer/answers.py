"""Which attribute values are answers, yes or no, and which words take back what stands behind them."""

from __future__ import annotations

import re

from models.writer.text import normalise

_YES = frozenset("yes y true ✓ ✔ √ ☑ ✅ 是 有 可 可以 支持".split())  # noqa: SIM905
_NO = frozenset("no n false ✗ ✘ ✕ × ❌ 不 否 不是 不可 不可以 不支持".split())  # noqa: SIM905
_ANSWERS = _YES | _NO
# Characters of the longest, with room for spaces.
MAX_ANSWER = 12
# "No. 5" is a name.
_NOT_THERE = re.compile(
    r"0|[-\u2010-\u2015/]+|off|n/?a|nil|none|(?:no(?!\.? ?\d)|not|without)\b.*|非|未|无|没|没有|"
    r"不(?:是|含|具备|适用|可|能).*"
)
_NEGATIONS = frozenset("no non not without never none 不 非 无 未 没 勿".split())  # noqa: SIM905


def is_no(value: str) -> bool:
    """Whether the value says that what its attribute names is not there: "No", "0", "-", "not at all"."""
    plain = normalise(value)
    return plain in _NO or _NOT_THERE.fullmatch(plain) is not None


def is_answer(value: str) -> bool:
    """Whether the value is a plain yes or no. "None" and 无 are not: they also say which of several."""
    return len(value) <= MAX_ANSWER and normalise(value) in _ANSWERS


def negated(before: tuple[str, ...]) -> bool:
    """Whether the units that stand before a claim take it back."""
    return before[-1:] != () and (before[-1] in _NEGATIONS or before[-2:] == ("没", "有"))
