"""Do a product's facts bear out a claim, or do they only hold its words?"""

from __future__ import annotations

from models.writer.denials import IMITATED, PARTLY, taken_back
from models.writer.facts import Evidence
from models.writer.text import CLAUSE_END, units

Units = tuple[str, ...]

# Characters, or units, of the text that are read around a claim: no name with its value is longer.
_REACH = 160
# Units before a denied claim that the facts have as well.
_SAME = 6
_WHOLLY = (("artificial",), ("仿", "真"))


def proves(evidence: Evidence, text: str, start: int, end: int) -> bool:
    """Whether the facts bear out `text[start:end]`, a claim in a text that `normalise` has seen."""
    around = text[max(0, start - _REACH) : start]
    return _borne(
        evidence,
        beside(text, start, end),
        units(around),
        units(text[start:end]),
        units(text[start : start + _REACH]),
    )


def beside(text: str, start: int, end: int) -> tuple[Units, Units]:
    """What stands before and behind `text[start:end]` in its clause."""
    before, behind = text[max(0, start - _REACH) : start], text[end : end + _REACH]
    return units(CLAUSE_END.split(before)[-1]), units(CLAUSE_END.split(behind)[0])


def bears_out(
    evidence: Evidence, text: tuple[str, ...], clause: tuple[int, int], start: int, end: int
) -> bool:
    """Whether the facts bear out `text[start:end]`, a claim in a text's units; `clause`: its first and end.

    "waterproof: No" and "not waterproof" do not bear out "waterproof", but they do bear out themselves.
    """
    claim, before = text[start:end], text[max(0, start - _REACH) : start]
    near = text[max(clause[0], start - _REACH) : start], text[end : min(clause[1], end + _REACH)]
    # Whether the facts hold the words at all is soon told.
    return evidence.says(claim) and _borne(evidence, near, before, claim, text[start : start + _REACH])


def _borne(evidence: Evidence, near: tuple[Units, Units], before: Units, claim: Units, behind: Units) -> bool:
    """`near`: what stands before and behind the claim in its clause; `before`: what stands before it in the
    text; `behind`: the text from the claim on.
    """
    likely = taken_back(near[0], claim, near[1], likely=True)
    # What the facts take back in the same words needs no reading: "not waterproof", but not the "sugar" of
    # "sugar-free", where they may say "regular sugar".
    if likely and evidence.says((*near[0][-_SAME:], *claim)) and taken_back(near[0], claim, (), likely=True):
        return True
    if likely == IMITATED and evidence.denies(claim, IMITATED):
        return True
    how = taken_back(near[0], claim, near[1])
    if how:
        claim = claim if PARTLY.isdisjoint(near[0][-1:]) else (near[0][-1], *claim)
        # Artificial flowers are so all of them.
        return evidence.denies(claim, how) or any(_all_are(evidence, near[0], w) for w in _WHOLLY)
    if evidence.affirms(claim):
        return True
    return any(_told(before, behind, units(n), units(v), claim) for n, v in evidence.withheld)


def _all_are(evidence: Evidence, near: Units, word: Units) -> bool:
    return near[-len(word) :] == word and evidence.says(word)


def _told(before: Units, behind: Units, name: Units, no: Units, claim: Units) -> bool:
    """Whether the text tells the denying attribute as it is: from the claim in its name on to the "no", or
    from the "no" to the claim, as in "no added sugar".
    """
    # "-" and "✗" have no units that could be told.
    if no and any(behind[: len(name) - i + len(no)] == (*name[i:], *no) for i in places(name, claim)):
        return True
    return any(before[len(before) - i :] == no[:i] for i in places(no, claim))


def places(text: Units, claim: Units) -> list[int]:
    """Where the claim begins in the text, each time."""
    return [i for i in range(len(text) - len(claim) + 1) if text[i : i + len(claim)] == claim]
