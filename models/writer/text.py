"""How a text is read: the same normal form, units and numbers for copy and for attributes.

A *unit* is what facts are compared by: one Han character, or one lower-cased
word of any other script, singular where that is easy. Punctuation and spaces
are no units, so that "stainless-steel" and "Stainless Steel" are equal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import pairwise

Number = tuple[str, str]  # canonical value, canonical unit or ""

# Longer strings are read anew: remembered, prose of a large catalogue would fill the memory.
MAX_REMEMBERED = 300

HAN = "\u2e80-\u2fdf\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_IS_HAN = re.compile(f"[{HAN}]")
_UNIT = re.compile(rf"[{HAN}]|\d+(?:,\d{{3}})+(?:\.\d+)?|\d+\.\d+|(?:(?![{HAN}])\w)+")
# Marks that nobody sees would hide a banned phrase from a pattern, turn the page around it (bidirectional
# controls) or carry a hidden message (tag characters). Two of them join letters and emoji, and may be shown.
_JOINERS = "\u200c\u200d"
_HIDDEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e007f"
)
HIDDEN = re.compile(f"[{_HIDDEN}]")
_INVISIBLE = re.compile(f"[{_HIDDEN}{_JOINERS}\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_BETWEEN_HAN = re.compile(f"(?<=[{HAN}])[ \\t]+(?=[{HAN}])")
_SENTENCE_END = re.compile(
    "(?<=[.!?])(?<!\\bno\\.)(?<!\\bNo\\.)(?<!\\bRs\\.)"
    # "An 8 in. vise": a full stop behind a unit ends no sentence, nor does the one of "Rs. 715".
    "(?<![\\d\u27e7] in\\.)(?<![\\d\u27e7] ft\\.)(?<![\\d\u27e7] oz\\.)(?<![\\d\u27e7] lb\\.)"
    "[\"'\u201d\u2019)]*\\s+|(?<=[\u3002\uff01\uff1f])[\u201d\u2019\u300d]*\\s*|\\n\\s*"
)

_SI = {
    "mg": "mg milligram milligrams 毫克",
    "g": "g gram grams gramme grammes 克",
    "kg": "kg kgs kilogram kilograms kilo kilos 千克 公斤",
    "oz": "oz ounce ounces 盎司",
    "lb": "lb lbs pound pounds 磅",
    "ml": "ml millilitre millilitres milliliter milliliters 毫升",
    "cl": "cl centilitre centilitres",
    "l": "l litre litres liter liters 升",
    "mm": "mm millimetre millimetres millimeter millimeters 毫米",
    "cm": "cm centimetre centimetres centimeter centimeters 厘米 公分",
    "m": "m metre metres meter meters 米",
    "km": "km kilometre kilometres kilometer kilometers 公里 千米",
    "in": "in inch inches 英寸 寸",
    "ft": "ft foot feet 英尺",
    "w": "w watt watts 瓦",
    "kw": "kw kilowatt kilowatts 千瓦",
    "v": "v volt volts 伏",
    "mah": "mah 毫安 毫安时",
    "hz": "hz hertz 赫兹",
    "gb": "gb",
    "tb": "tb",
    "mb": "mb",
    "mp": "mp megapixel megapixels",
    "h": "h hour hours hr hrs 小时",
    "min": "min minute minutes mins 分钟",
    "s": "sec secs second seconds 秒",
    "day": "day days 天",
    "month": "month months 个月",
    "year": "year years 年",
    "%": "% percent 百分",
    "°c": "°c ℃ 摄氏度",
    "°": "° degree degrees 度",
    "pc": "pc pcs piece pieces pack 件 个 片 支 只 枚",
}
_UNIT_OF = {word: unit for unit, words in _SI.items() for word in words.split()}
# "6 in the box" is no length.
_UNIT_WORDS = "|".join(
    re.escape(w) + ("(?! ?[a-z0-9])" if w == "in" else "") for w in sorted(_UNIT_OF, key=len, reverse=True)
)
_NUMBER = re.compile(
    rf"(?P<code>(?<![a-z0-9])[a-z]+-?\d[a-z0-9-]*)"
    rf"|(?P<value>\d+(?:,\d{{3}})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    rf"(?:[ -]?(?P<unit>{_UNIT_WORDS})(?![a-z]))?(?P<by>\s*[x×*]\s*(?=\d))?(?P<glued>[a-z][a-z0-9]*)?"
)
_EN_WORDS = {
    "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
    "ten": "10", "eleven": "11", "twelve": "12", "dozen": "12", "twenty": "20", "hundred": "100",
    "thousand": "1000", "million": "1000000",
}  # fmt: skip
_EN_NUMBER = re.compile(rf"(?<![a-z])({'|'.join(_EN_WORDS)})s?(?![a-z])")
_ZH_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"两": 2}
_ZH_NUMBER = re.compile(
    "([一二三四五六七八九十百千万两]+)(件|个|片|支|只|枚|层|包|盒|瓶|双|套|条|米|克|公斤|千克|斤|升|毫升|厘米|毫米|小时|分钟|天|年|"
    "个月|寸|瓦|种|档|段|格|口|人)"
)


@lru_cache(maxsize=4096)
def normalise(text: str) -> str:
    """NFKC, lower case, no invisible marks, single spaces, no space between Han characters."""
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).lower()
    return _BETWEEN_HAN.sub("", re.sub(r"\s+", " ", text)).strip()


def clean_string(text: str) -> str:
    """The same text that any encoder takes: no surrogates, control or hidden characters, single spaces."""
    text = HIDDEN.sub("", text.encode("utf-8", "ignore").decode("utf-8"))
    text = "".join(c if unicodedata.category(c) not in ("Cc", "Cn", "Co") else " " for c in text)
    return re.sub(r"\s+", " ", text).strip()


def is_han(unit: str) -> bool:
    return _IS_HAN.match(unit) is not None


def is_latin(unit: str) -> bool:
    """A word in Latin letters (accents included), or digits."""
    return all(
        ord(c) < 0x250 or "\u1e00" <= c <= "\u1eff" or unicodedata.category(c)[0] in "NM" for c in unit
    )


def _stem(word: str) -> str:
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word


@lru_cache(maxsize=65536)
def _units_of(text: str) -> tuple[str, ...]:
    return tuple(_stem(u.replace(",", "").strip("_")) for u in _UNIT.findall(normalise(text)) if u.strip("_"))


def units(text: str) -> tuple[str, ...]:
    """The text's units in order; see the module's docstring."""
    return _units_of(text) if len(text) <= MAX_REMEMBERED else _units_of.__wrapped__(text)


def sentences(text: str) -> list[str]:
    """The text cut behind full stops; joining them gives the text back."""
    cuts = [0, *(m.end() for m in _SENTENCE_END.finditer(text)), len(text)]
    return [text[a:b] for a, b in pairwise(cuts) if a < b]


def _canonical(value: str) -> str:
    try:
        number = Decimal(value.replace(",", "")).normalize()
    except InvalidOperation:  # digits of another script that Decimal does not know
        return value
    return format(number, "f")


def _chinese_value(word: str) -> str:
    """Value of a small Chinese numeral, such as 十二 or 两百; the word itself where it has none."""
    total, digit = 0, 0
    for char in word:
        if char in _ZH_DIGITS:
            digit = _ZH_DIGITS[char]
        else:
            total += (digit or 1) * {"十": 10, "百": 100, "千": 1000, "万": 10000}[char]
            digit = 0
    return str(total + digit)


def numbers(text: str) -> list[Number]:
    """Every number that the text states, with its unit: digits, model codes, number words.

    "30 x 40 cm" states 30 cm and 40 cm. "one" and 一 are articles more often than numbers, and are not read.
    """
    return list(_numbers(normalise(text)))


def _numbers(text: str) -> Iterator[Number]:
    found: list[Number] = []
    chained: list[bool] = []
    for match in _NUMBER.finditer(text):
        if match["code"]:
            found.append((match["code"].replace("-", ""), "code"))
        else:
            unit = _UNIT_OF[match["unit"]] if match["unit"] else ""
            if match["glued"] and not unit:
                found.append((match["value"] + match["glued"], "code"))
            else:
                found.append((_canonical(match["value"]), unit))
        chained.append(bool(match["by"]))
    for i in range(len(found) - 2, -1, -1):
        if chained[i] and not found[i][1]:
            found[i] = (found[i][0], found[i + 1][1])
    yield from found
    for match in _EN_NUMBER.finditer(text):
        yield _EN_WORDS[match[1]], ""
    for match in _ZH_NUMBER.finditer(text):
        if match[1] != "一":
            yield _chinese_value(match[1]), _UNIT_OF.get(match[2], "")


# Beginnings that sound otherwise than they are spelt: "a unit", "a European", "an hour", "an 18 V battery".
_LIKE_YOU = re.compile(r"(?:eu|ewe|one\b|one-|once|uni(?!n|m)|us[aeu]|ut[ei]|ubi|ufo)", re.I)
_LIKE_A_VOWEL = re.compile(r"(?:hour|honest|honou?r|heir|8|1[18](?!\d))", re.I)
# Up to three capitals, or four that do not look like a word.
_SHORT = r"(?:[A-Z0-9]{1,2}|[B-DF-HJ-NP-TV-Z0-9]{2}[A-Z0-9])?(?![A-Za-z0-9])"
_SPELT_OUT, _SPELT_U = re.compile("[AEFHILMNORSX]" + _SHORT), re.compile("U" + _SHORT)


def takes_an(text: str) -> bool:
    """Whether English says "an" before the text, by how it probably sounds; short capitals are spelt out."""
    if _SPELT_OUT.match(text) or _LIKE_A_VOWEL.match(text):
        return True
    if _SPELT_U.match(text) or _LIKE_YOU.match(text):
        return False
    return text[:1].lower() in set("aeiou")
