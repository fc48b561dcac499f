"""Which attribute values are answers: yes, no, or that nobody knows."""

from __future__ import annotations

import re

from models.writer.text import normalise, units

_YES = frozenset("yes y true ✓ ✔ √ ☑ ✅ 是 有 可 可以 支持".split())  # noqa: SIM905
_NO = frozenset("no n false ✗ ✘ ✕ × ❌ 不 否 不是 不可 不可以 不支持".split())  # noqa: SIM905
_ANSWERS = _YES | _NO
# Characters of the longest, with room for spaces.
MAX_ANSWER = 12
# "No. 5" is a name, 0 °C a temperature, "not only waterproof" says that it is.
_NOT_THERE = re.compile(
    r"0(?:[.,]0+)? ?(?:%|percent|[mk]?g|m?l|pcs?|pieces?|毫?克|毫升|个|件)?|[-\u2010-\u2015/]+|off|nil|none|"
    r"(?:no(?!\.? ?\d)|not(?! (?:only|just|merely|simply)\b)|without)\b"
    # "No returns, mishandling or fire" denies them all; "not for children, for pets" does not.
    r"(?!.*(?:\bbut\b|[,;] (?:for|can|is|it|has|with|suitable|fits|use)\b)).*|"
    r"非|未|无|没|没有|不(?:是|含|具备|适用|可以?|能)[^,;\u3002\u3001但的可能支]*"
)
_ABSENT = re.compile(
    r"n[./]? ?a\.?|unknown|unspecified|tb[ad]|"
    r"not (?:applicable|available|specified|known|stated|given|provided|mentioned|disclosed)|"
    r"不详|未知|暂无|未(?:提供|注明|标明|填写|说明)|待定"
)
_DENIALS = (("non",), ("not",), ("no",), ("不",), ("非",), ("无",), ("未",), ("不", "支", "持"))
# "Is it waterproof?" and 是否防水 name the property behind them.
_ASKING = (("是", "否"), ("有", "无"), ("能", "否"), ("可", "否"), ("is", "it"), ("is",), ("are",), ("has",))


def named(name: str) -> tuple[str, ...]:
    """The property that an attribute's name asks for."""
    phrase = units(name)
    head = next((h for h in _ASKING if phrase[: len(h)] == h), ())
    return phrase[len(head) :]


def is_no(value: str, name: str = "") -> bool:
    """Whether the value says that what its attribute names is not there: "No", "0", "-", "not at all", and of
    "Waterproof" also "non-waterproof".
    """
    plain = normalise(value)
    if plain in _NO or _NOT_THERE.fullmatch(plain):
        return True
    return bool(name) and any(units(plain) == (*no, *named(name)) for no in _DENIALS)


def is_absent(value: str) -> bool:
    """Whether the value says that none is known: "N/A", "Not specified", 未知. It is neither yes nor no."""
    return _ABSENT.fullmatch(normalise(value)) is not None


def is_answer(value: str) -> bool:
    """Whether the value is a plain yes or no. "None" and 无 are not: they also say which of several."""
    return len(value) <= MAX_ANSWER and normalise(value) in _ANSWERS
