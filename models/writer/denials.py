"""Which words take a claim back: "not waterproof", "not for outdoor use", 不可机洗, "sugar-free", "faux fur".

A claim is judged inside its clause. Of a text only what is sure counts as a denial: "don't miss this leather
bag" denies no leather. Of a fact also what is likely: where a product's own words may deny a claim, no text
makes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from models.writer.text import CLAUSE_END, HAN, is_han, normalise

Units = tuple[str, ...]
DENIED, IMITATED = "denied", "imitated"

# Units are singular and have no apostrophe: "isn't" is "isn t".
_NOT = (
    "not|cannot|(?:is|are|was|were|do|does|did|could|wo|would|should|has|have|had|must)n t|can t"
    "|(?:is|are|do|does|ca|wo)nt"
)
# "Sub-zero" is a temperature.
_NO = f"{_NOT}|no|(?<!sub )zero|non|without|never|none|nor|neither|w o"
# What may stand between the denial and what is denied.
_FILLER = (
    "a|an|the|any|at|all|be|been|being|to|very|really|fully|completely|entirely|truly|quite|necessarily|made"
    "|of|from|in|with|by|as|real|genuine|true|added|extra|additional|artificial"
)
# "Not suitable for", "doesn't contain": what follows is denied up to the end of the clause.
_FOR = (
    "suitable|intended|recommended|designed|meant|ideal|fit|safe|appropriate|compatible|available|approved"
    "|certified|for|contain|containing|include|including|included|feature|have|support|supported|offer"
    "|provide|come|use|used|using|suit"
)
# Here the denial ends, or was none.
_BREAK = (
    "but|yet|while|though|only|just|merely|simply|because|so|that|which|except|matter|doubt|wonder|more|less"
    "|longer|miss|forget|is|are|has|have|it|they|can"
)
# "No added sugar" denies what is added, and not that there is some.
PARTLY = frozenset(("added", "extra", "additional"))
_WORD = rf"(?: (?!(?:{_BREAK})\b)[^ {HAN}]+)"
_ZH_FILLER = (
    "可以?|能够?|得|要|宜|会|应|再|太|很|是|为|以|用于?|于|在|到|被|有|含有?|任何|直接|进行|使用|采用|支持"
    "|适[合用宜]|建议|推荐|具[有备]?|带有?|附带?|配备?|提供|包[含括]|添加"
)
_SURE = re.compile(
    rf" (?:{_NO})(?: (?:{_FILLER}))*$"
    rf"| (?:{_NOT}|never)(?: (?:be|been|being|really|alway))?(?: (?:{_FOR})){_WORD}{{0,4}}$"
    rf"| (?:{_NO}){_WORD}{{1,4}} (?:or|nor)(?: (?:{_FILLER}))*$"
    rf"| (?:free (?:of|from)|instead of|rather than|unlike|lack|lacking|exclude|excluding){_WORD}{{0,2}}$"
    rf"|(?:不|非|(?<!有)无|未|没|勿|禁止|严禁)(?:{_ZH_FILLER})*$"
)
_LIKELY = re.compile(
    rf" (?:{_NOT}){_WORD}{{0,6}}$"
    "|(?:不(?:可以?|能|含|支持|宜|得|要|是|建议|适[用合宜]|具备|带|包[含括]|添加)|禁止|严禁|[请切]勿|避免|没有|并非)"
    "[^的但而却仅只并且也还请需应宜可能支]{0,8}$"
)
_IMITATION = re.compile(
    r" (?:faux|imitation|artificial|mock|simulated|fake)$|仿真?$|人造$"
    # 各类, 鞋类 and the like are kinds of things.
    r"|(?<![各种品同一分这此那两几多每鞋服衣装饰包箱])类$"
)
# Of other things they say nothing: synthetic waterproof grease, a PU waterproof coat.
_IMITATED_MATERIAL = re.compile(r" (?:synthetic|vegan|pu|pvc|bonded|man made)$|合成$")
_SYNTHETIC = frozenset(
    "leather suede fur wool silk down hair wood marble stone diamond pearl grass 皮 革 毛 丝 木 石".split()  # noqa: SIM905
)
# Materials that others are made to look like: "leather-look", "marble effect", "gold-tone", 木纹, 金属质感.
_COPIED = _SYNTHETIC.union(
    "cashmere linen velvet denim oak walnut teak bamboo rattan granite slate concrete brick ivory".split(),  # noqa: SIM905
    "metal steel gold silver brass bronze copper chrome platinum".split(),  # noqa: SIM905
)
_COPIED_HAN = frozenset("皮革绒毛丝绸麻木竹藤石金银铜钢属玉珠晶")
_COPY = frozenset(
    "look lookalike like effect style print grain feel tone toned plated filled substitute".split()  # noqa: SIM905
)
_COPY_HAN = re.compile("纹|质?感|色(?!泽)|风格?")
# Units of the longest material that is looked for in a fact: 胡桃木.
_MATERIAL = 3
# "Free of charge", "free-standing", "free delivery".
_NOT_WITHOUT = frozenset(
    "of from with to for standing size flow flowing hanging moving shipping delivery gift style".split()  # noqa: SIM905
)
_BETWEEN_HAN = re.compile(rf"(?<=[{HAN}])\s+(?=[{HAN}])")
_FACT_END = re.compile(rf"{CLAUSE_END.pattern}|[()\[\]|]| [-\u2013] ")
# 不含酒精、香精: each of them.
_LISTED = re.compile(r"(?:不含|不添加|不包[含括]|禁止|严禁|[请切]勿)[^,;:!?()\u3002]*")


def taken_back(before: Units, claim: Units, after: Units, likely: bool = False) -> str:
    """`DENIED`, `IMITATED` or "": what the units around a claim, in its clause, make of it.

    `likely`: whether what may be a denial, or an imitation, counts as one: "the leather looks great" has the
    words of "leather-look".
    """
    said = "".join(u if is_han(u) else f" {u}" for u in before)
    imitation = _IMITATION.search(said)
    if imitation is None and _SYNTHETIC.intersection(claim[:1]):
        imitation = _IMITATED_MATERIAL.search(said)
    if imitation:
        # "Not faux leather".
        return "" if _SURE.search(said[: imitation.start()]) else IMITATED
    if after[:1] == ("free",) and not _NOT_WITHOUT.intersection(after[1:2]):
        return DENIED
    if likely and _copies(claim, after) and not _SURE.search(said):
        return IMITATED
    return DENIED if _SURE.search(said) or (likely and _LIKELY.search(said)) else ""


def _is_material(claim: Units) -> bool:
    return claim[-1] in (_COPIED_HAN if is_han(claim[-1]) else _COPIED)


def _copies(claim: Units, after: Units) -> bool:
    if not _is_material(claim):
        return False
    return bool(_COPY_HAN.match("".join(after)) if is_han(claim[-1]) else _COPY.intersection(after[:1]))


def imitated(clause: Units) -> Iterator[Units]:
    """The materials that a clause of a fact says are imitated: leather of "faux leather", 真丝 of 仿真丝."""
    for at in range(len(clause)):
        # A word, or two characters and more.
        for end in range(at + 2, at + _MATERIAL + 1) if is_han(clause[at]) else (at + 1,):
            claim = clause[at:end]
            alike = end <= len(clause) and len(set(map(is_han, claim))) == 1 and _is_material(claim)
            if alike and taken_back(clause[:at], claim, clause[end:], likely=True) == IMITATED:
                yield claim


def clauses(fact: str) -> list[str]:
    """A fact cut where a denial ends: also at brackets, and at a space between Chinese words."""
    plain = normalise(_BETWEEN_HAN.sub("; ", fact))
    return _FACT_END.split(_LISTED.sub(lambda m: m[0].replace("\u3001", " "), plain))
