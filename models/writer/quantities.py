"""Which numbers a text states, and of what: digits, fractions, model codes, number words, and their units."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import prod
from typing import NamedTuple

from models.writer.measures import GAP, MEASURES, UNIT, UNIT_OF, canonical
from models.writer.text import HAN, MAX_REMEMBERED, normalise, units


class Number(NamedTuple):
    """`value`: canonical, "0.5" for "1/2", ".5" and "half an inch"; `unit`: canonical, "code" for a model
    code, or "" where there is none. `next`: the word behind both, or the unit to come ("6 or 8 oz").
    """

    value: str
    unit: str = ""
    next: str = ""


def _unnamed(pattern: str) -> str:
    return re.sub(r"\?P<\w+>", "?:", pattern)


UNNAMED_UNIT = f"(?i:{_unnamed(UNIT)})"
# n/d with n < d, of the parts that a thing is measured in: 110/220 is none.
_PARTS = "|".join(
    rf"(?:{'|'.join(str(n) for n in range(d - 1, 0, -1))})[/\u2044]{d}"
    for d in (64, 32, 16, 10, 9, 8, 7, 6, 5, 4, 3, 2)
)
# "1,5 l" and "1,5 x 2,5 m" have decimal commas; "1,500 ml" and "in 3,5 pieces" do not.
_COUNTS = "pcs?|pk|pieces?|packs?|counts?|件|个(?!月)|片|支|只|枚"
_COMMA = (
    r"(?<![\d.,])\d+,\d{1,2}(?=(?:(?: ?[x×*~] ?|[-–至到]| to )\d{1,9}(?:[.,]\d{1,2})?){0,2}"
    rf"{GAP}(?!{_COUNTS}){UNNAMED_UNIT})"
)
_DIGITS = (
    rf"(?:{_COMMA}|(?:\d{{1,3}}[ -])?(?<![\d/\u2044])(?=\d{{1,2}}[/\u2044])(?:{_PARTS})(?![\d/\u2044])"
    # Only before `normalise`, which writes "1/2".
    r"|(?:\d{1,3} ?)?[\u00bc-\u00be\u2150-\u215e]"
    r"|\d++(?:,\d{3})+(?:\.\d+)?|\d++(?:\.\d+)?|(?<![\w.])\.\d+)"
)
_INCH = r"[\"\u201d\u2033]|''|\u2032\u2032"
_MARK = rf"(?:(?P<inch>{_INCH})|['\u2019\u2032](?![a-z'\u2019\u2032]))"
# "30 x 40 cm", "10-20 cm": the unit behind the last is that of all.
_CHAIN = r"(?:[-–](?=\.?\d)|(?: ?[x×*/~乘] ?|[至到]| by | to )(?=[-\u2212]?\.?\d))"

_ONES = "one two three four five six seven eight nine".split()  # noqa: SIM905
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()  # noqa: SIM905
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905
_LARGE = {"dozen": 12, "hundred": 100, "thousand": 1000, "million": 1_000_000, "billion": 1_000_000_000}
_WORTH = {w: n for n, w in enumerate(_ONES + _TEENS, 1)} | {w: 10 * n for n, w in enumerate(_TENS, 2)}
_SMALL = (
    rf"(?:(?:{'|'.join(_TENS)})(?:[ -](?:{'|'.join(_ONES)}))?|{'|'.join(_TEENS)}|{'|'.join(_ONES)})(?![a-z])"
)
_SAID = rf"(?:{_SMALL}[ -])?(?:{'|'.join(_LARGE)})s?(?![a-z])(?:[ -](?:and[ -])?{_SMALL})?|{_SMALL}"
_PART = {"half": "0.5", "quarter": "0.25", "three quarter": "0.75"}
_ZH_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_ZH_LARGE = {"十": 10, "百": 100, "千": 1000, "万": 10_000, "亿": 100_000_000}
_ZH_NUMERAL = "[零〇一二两三四五六七八九十百千万亿]+"
# Behind digits, but not in 千瓦, 万向轮, 百搭, 十字.
_ZH_TENS = "(?:十(?!字)|百(?![搭货褶合叶分变事香宝帕家])|千(?![瓦克米伏帕卡焦赫安兆斤足鸟层里]|字节))"
_ZH_MYRIADS = "(?:万(?![能向用圣象宝]|像素)|亿)"
_TIMES = (
    rf"(?:[ -](?:{'|'.join(_LARGE)})s?(?![a-z])"
    rf"|(?: ?{_ZH_MYRIADS}|{_ZH_TENS}{_ZH_MYRIADS}?)(?:\d{{1,3}}{_ZH_TENS})*)"
)
_ZH_ALL = {*_ZH_DIGITS, *_ZH_LARGE}
# What a numeral may count beside units.
_ZH_COUNTED = frozenset("层包盒瓶双套条种档段格口人台张块根把颗粒袋箱卷排孔页本抽轮键核级芯股码")
# Turns of speech: 每一年, 一年四季, 大半年.
_ZH_BEFORE = {"一": frozenset("每这那某第同唯统"), "半": frozenset("大小多上下前后")}
_ZH_AFTER = ("年四季", "年一度", "年到头")

# The first character decides which of them is tried: most characters begin no number.
_NUMBER = re.compile(
    r"(?<![a-z])(?=[a-z])(?:(?P<code>(?<!\d)[a-z]+-?\d(?:[a-z0-9-]|\.\d)*)"
    rf"|(?=[hqt])(?P<part>half|(?:three[ -])?quarter)s?(?:[ -](?:of )?an?)?(?![a-z])"
    rf"|(?=[bdefhmnost])(?P<said>{_SAID}))"
    rf"|(?=[\d.\u00bc-\u00be\u2150-\u215e])(?P<value>{_DIGITS})"
    rf"|(?P<percent>百分(?:之(?:{_DIGITS}|{_ZH_NUMERAL})|百))"
    rf"|(?P<han>{_ZH_NUMERAL}|半)"
    r"|(?P<quote>[\"\u201c\u201d])"
)
_BEHIND, _MARKED, _CHAINED, _LARGER = (re.compile(p) for p in (GAP + UNIT, _MARK, _CHAIN, _TIMES))
_OR = re.compile(r" (?:or|and|&) (?=[-\u2212]?\.?\d)|[或和](?=\d)")
# A minus, no hyphen and no range: nothing that ends a number or a word stands before it. Behind most Chinese
# characters only the unit tells.
_MINUS = re.compile(rf"(?<![^\W{HAN}])(?<![-\u2010-\u2015\u2212.'\"\u201d\u2033\u2032)\]%°])[-\u2212]")
_BEFORE_MINUS = re.compile(f"(?![{HAN}])|[度为在于是约至到下]")
# What can be less than nothing.
_SIGNED = frozenset({"°c", "°f", "°", "db", "v"})
_GLUED = re.compile(r"[a-z](?:[a-z0-9]|\.\d)*")
_NEXT = re.compile(rf"{GAP}([{HAN}]|(?:(?![{HAN}])[^\W\d_])+)")
# They do not say what is counted: "2 in one", "5 of them".
_FUNCTION = frozenset(
    """a an and are as at by for from in is of on or per t the to was with x
    的 和 或 及 与 至 到 以 是 为 在 之""".split()  # noqa: SIM905
)
_DECIMAL_COMMA, _ZH_PARTS = re.compile(r"\d+,\d{1,2}"), re.compile("(\\d*)([十百千万亿]+)")
_FRACTION = re.compile(r"(?:(\d+)[ -])?(\d+)[/\u2044](\d+)")


def numbers(text: str) -> tuple[Number, ...]:
    """Every number that the text states, in its order.

    "30 x 40 cm" states 30 cm and 40 cm. "one" and 一 are articles more often than numbers: they are read only
    before a unit of measure.
    """
    return _numbers_of(text) if len(text) <= MAX_REMEMBERED else _numbers_of.__wrapped__(text)


@lru_cache(maxsize=65536)
def _numbers_of(text: str) -> tuple[Number, ...]:
    found: list[Number] = []
    for number, tie in reversed(list(_read(normalise(text)))):
        tied = found[-1] if tie and found and not number.unit and found[-1].unit != "code" else None
        if tied and tie == "chain":
            number = Number(number.value, tied.unit, tied.next)
        elif tied:
            number = Number(number.value, "", tied.unit or tied.next)
        found.append(_with_sign(number))
    return tuple(found[::-1])


def _with_sign(number: Number) -> Number:
    """Without the minus where nothing can be less than nothing: "-3 pockets" is an item of a list."""
    known = number.unit or number.next
    return number if not known or known in _SIGNED else number._replace(value=number.value.lstrip("-"))


def _read(text: str) -> Iterator[tuple[Number, str]]:
    """Each number, and how it is tied to the one behind it: "chain", "or" or ""."""
    at, quoted, ranged = 0, False, False
    while match := _NUMBER.search(text, at):
        last, at, kind = at, match.end(), match.lastgroup
        if kind == "quote":
            quoted = not quoted
        elif kind == "code":
            yield Number(match[0].replace("-", ""), "code"), ""
        else:
            larger = _LARGER.match(text, at) if kind in ("value", "part") else None
            at = larger.end() if larger else at
            behind = None if kind == "percent" else _BEHIND.match(text, at)
            unit, end = (canonical(behind), behind.end()) if behind else ("", at)
            mark = _MARKED.match(text, at) if kind == "value" and not unit else None
            if mark:
                # The mark that ends a quotation is no inch.
                closes, end = quoted and bool(mark["inch"]), mark.end()
                unit, quoted = "" if closes else "in" if mark["inch"] else "ft", quoted and not closes
            value = _larger(match, larger[0]) if larger else _value(match, unit, text)
            if value:
                if kind == "value" and value != "0" and _is_negative(text, match.start(), unit):
                    # "10 -20 °C" is a range, "10 to -20 °C" is none.
                    apart = ranged or not last or text[last : match.start() - 1].strip()
                    value = f"-{value}" if apart and match.start() > last else value
                tie = (
                    "chain"
                    if (chained := _CHAINED.match(text, end))
                    else "or"
                    if _OR.match(text, end)
                    else ""
                )
                at, ranged = (chained.end(), True) if chained else (end, False)
                yield _number(match, value, unit, "" if tie else text, at), tie


def _is_negative(text: str, start: int, unit: str) -> bool:
    """Whether a minus stands before the number at `start`."""
    if not start or not _MINUS.match(text, start - 1):
        return False
    return start == 1 or unit in _SIGNED or _BEFORE_MINUS.match(text, start - 2) is not None


def _number(match: re.Match[str], value: str, unit: str, text: str, at: int) -> Number:
    """The number with what stands behind it, at this place of the text."""
    unit = "%" if match.lastgroup == "percent" else unit
    glued = _GLUED.match(text, at) if match.lastgroup == "value" and not unit else None
    if glued:
        return Number(match[0] + glued[0], "code")
    found = _NEXT.match(text, at)
    word = found[1] if found and found[1] not in _FUNCTION else ""
    return Number(value, unit, UNIT_OF.get(word) or next(iter(units(word)), ""))


def _value(match: re.Match[str], unit: str, text: str) -> str:
    """What the match is worth before the unit; "" where it is no number."""
    said = match[0]
    if match.lastgroup == "value":
        return _digits(said)
    if match.lastgroup == "percent":
        said = said.removeprefix("百分之").removeprefix("百分")
        return _chinese(said) if set(said) <= _ZH_ALL else _digits(said)
    if match.lastgroup == "part":
        part = match["part"].replace("-", " ")
        return _PART[part] if unit in MEASURES or part == "three quarter" else ""
    if match.lastgroup == "said":
        return str(_english(said)) if said != "one" or unit in MEASURES else ""
    if said in _ZH_BEFORE:
        turn = text[match.start() - 1 : match.start()] in _ZH_BEFORE[said] or text.startswith(
            _ZH_AFTER, match.end()
        )
        return _chinese(said) if unit in MEASURES and not turn else ""
    return _chinese(said) if unit or text[match.end() : match.end() + 1] in _ZH_COUNTED else ""


def _digits(value: str) -> str:
    parts = _FRACTION.fullmatch(value)
    if parts:
        whole = int(parts[1] or 0) + Fraction(int(parts[2]), int(parts[3]))
        found = Decimal(whole.numerator) / Decimal(whole.denominator)
        return format(found.normalize(), "f") if found * whole.denominator == whole.numerator else str(whole)
    plain = value.replace(",", "." if _DECIMAL_COMMA.fullmatch(value) else "")
    try:
        return format(Decimal(plain).normalize(), "f")
    except ArithmeticError:  # digits of another script that Decimal does not know, or a million of them
        return value


def _larger(match: re.Match[str], times: str) -> str:
    """What a number is worth with the large words behind it: "2 dozen", "half a dozen", 2万, 2万5千."""
    value = _PART[match["part"].replace("-", " ")] if match.lastgroup == "part" else _digits(match[0])
    word = times.strip(" -").removesuffix("s")
    parts = [("", word)] if word in _LARGE else _ZH_PARTS.findall(times)
    worth = [(d, _LARGE.get(large) or prod(_ZH_LARGE[c] for c in large)) for d, large in parts]
    if "/" in value:  # a third of a dozen
        found = Fraction(value) * worth[0][1]
        return _digits(str(found)) if found.denominator == 1 else str(found)
    try:
        total = sum((Decimal(digits or value) * n for digits, n in worth), Decimal())
        return format(total.normalize(), "f")
    except ArithmeticError:
        return value


def _english(words: str) -> int:
    """Value of a number in words, such as "twenty-five" or "two hundred and six"."""
    total = 0
    for word in re.split("[ -]", words):
        large = _LARGE.get(word.removesuffix("s"), 0)
        total = max(total, 1) * large if large else total + _WORTH.get(word, 0)
    return total


def _chinese(word: str) -> str:
    """Value of a Chinese numeral, such as 十二, 两百 or 二〇二四."""
    if word == "半":
        return "0.5"
    if len(word) > 1 and not set(word) & set(_ZH_LARGE):
        return "".join(str(_ZH_DIGITS[c]) for c in word)
    total, section, digit = 0, 0, 0
    for char in word:
        if char in _ZH_DIGITS:
            digit = _ZH_DIGITS[char]
        elif _ZH_LARGE[char] < _ZH_LARGE["万"]:
            section, digit = section + (digit or 1) * _ZH_LARGE[char], 0
        else:
            # 两千万 is two thousand times ten thousand; 一万亿 ten thousand times a hundred million.
            below = section + digit
            whole = total + below if _ZH_LARGE[char] > _ZH_LARGE["万"] else below
            rest = total - (whole - below)
            total, section, digit = rest + (whole or 1) * _ZH_LARGE[char], 0, 0
    return str(total + section + digit)


# A number as it stands in a string, with its unit and what it is tied to, never the beginning of a word.
_AMOUNT = rf"{_DIGITS}{_TIMES}?(?:{GAP}{UNNAMED_UNIT}|{_unnamed(_MARK)})?"
_QUANTITY = re.compile(
    rf"(?<![^\W{HAN}])(?<![.,/\u2044\u2212-])(?:{_AMOUNT})(?:{_CHAIN}(?:{_AMOUNT}))*"
    rf"(?![^\W{HAN}])(?![.,/\u2044-]\d)",
    re.IGNORECASE,
)


def first_quantity(text: str) -> str:
    """The first number of a string with its whole unit: "1.5 litres", "30 x 40 cm", "16" of "16 drawers".

    "" where there is none. A model code ("4K", "A5") is none.
    """
    found = _QUANTITY.search(text)
    return found[0] if found else ""
