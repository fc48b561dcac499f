"""Do a product's facts bear out a claim, or do they only hold its words?"""

from __future__ import annotations

from models.writer.answers import negated
from models.writer.facts import Evidence, named
from models.writer.text import CLAUSE_END, units

Units = tuple[str, ...]

# Characters, or units, of the text that are read around a claim: no name with its value is longer.
_REACH = 160


def proves(evidence: Evidence, text: str, start: int, end: int) -> bool:
    """Whether the facts bear out `text[start:end]`, a claim in a text that `normalise` has seen."""
    around = text[max(0, start - _REACH) : start]
    near = units(CLAUSE_END.split(around)[-1])
    return _borne(evidence, near, units(around), units(text[start:end]), units(text[start : start + _REACH]))


def bears_out(evidence: Evidence, text: tuple[str, ...], clause: int, start: int, end: int) -> bool:
    """Whether the facts bear out `text[start:end]`, a claim in a text's units; its clause begins at `clause`.

    "waterproof: No" and "not waterproof" do not bear out "waterproof", but they do bear out themselves.
    """
    claim, before = text[start:end], text[max(0, start - _REACH) : start]
    # Whether the facts hold the words at all is soon told.
    near = text[max(clause, start - 2) : start]
    return evidence.says(claim) and _borne(evidence, near, before, claim, text[start : start + _REACH])


def _borne(evidence: Evidence, near: Units, before: Units, claim: Units, behind: Units) -> bool:
    """`near`: what stands before the claim in its clause; `before`: in the text; `behind`: the text from the
    claim on.
    """
    if negated(near):
        return evidence.says((near[-1], *claim)) or any(named(n) == claim for n, _ in evidence.denied)
    if evidence.affirms(claim):
        return True
    return any(_told(before, behind, units(n), units(v), claim) for n, v in evidence.denied)


def _told(before: Units, behind: Units, name: Units, no: Units, claim: Units) -> bool:
    """Whether the text tells the denying attribute as it is: from the claim in its name on to the "no", or
    from the "no" to the claim, as in "no added sugar".
    """
    # "-" and "✗" have no units that could be told.
    if no and any(behind[: len(name) - i + len(no)] == (*name[i:], *no) for i in _places(name, claim)):
        return True
    return any(before[len(before) - i :] == no[:i] for i in _places(no, claim))


def _places(text: Units, claim: Units) -> list[int]:
    return [i for i in range(len(text) - len(claim) + 1) if text[i : i + len(claim)] == claim]
