"""Do a product's facts bear out a claim, or do they only hold its words?"""

from __future__ import annotations

import re

from models.writer.facts import Evidence
from models.writer.text import normalise, units

_NEGATIONS = frozenset("no non not without never none 不 非 无 未 没 勿".split())  # noqa: SIM905
# An attribute that says no: "waterproof: No", 防水: 否.
_DENIAL = re.compile(
    r"false|n/?a|nil|none|(?:no|not|without)\b.*|否|无|没有|不支持|不(?:是|含|具备|适用|可).*"
)
# Characters of the text that are read around a claim: no name with its value is longer.
_REACH = 160


def proves(evidence: Evidence, text: str, start: int, end: int) -> bool:
    """Whether the facts bear out `text[start:end]`, a claim in a text that `normalise` has seen.

    "waterproof: No" and "not waterproof" do not bear out "waterproof", but they do bear out themselves.
    """
    claim = units(text[start:end])
    before = units(text[max(0, start - _REACH) : start])
    if _negated(before):
        return evidence.says((before[-1], *claim))
    facts = evidence.facts
    denied = [(n, v) for n, v in facts.attributes if _DENIAL.fullmatch(normalise(v))]
    told = [s for n, v in facts.attributes if (n, v) not in denied for s in (f"{n} {v}", v)]
    if any(_affirms(units(s), claim) for s in (facts.title, facts.brand, *facts.category, *told)):
        return True
    here = units(text[start : start + _REACH])
    return any(_told(here, units(n), units(v), claim) for n, v in denied)


def _places(text: tuple[str, ...], claim: tuple[str, ...]) -> list[int]:
    return [i for i in range(len(text) - len(claim) + 1) if text[i : i + len(claim)] == claim]


def _affirms(text: tuple[str, ...], claim: tuple[str, ...]) -> bool:
    return any(not _negated(text[:i]) for i in _places(text, claim))


def _told(here: tuple[str, ...], name: tuple[str, ...], no: tuple[str, ...], claim: tuple[str, ...]) -> bool:
    """Whether the text goes on as the denying attribute does: the claim in its name, then the "no"."""
    return any(here[: len(name) - i + len(no)] == (*name[i:], *no) for i in _places(name, claim))


def _negated(before: tuple[str, ...]) -> bool:
    return before[-1:] != () and (before[-1] in _NEGATIONS or before[-2:] == ("没", "有"))
