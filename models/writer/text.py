"""How a text is read: the same normal form and units for copy and for attributes.

A *unit* is what facts are compared by: one Han character, or one lower-cased
word of any other script, singular where that is easy. Punctuation and spaces
are no units, so that "stainless-steel" and "Stainless Steel" are equal.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

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
_BEFORE_FRACTION = re.compile("(?<=\\d)(?=[\u00bc-\u00be\u2150-\u215e])")
_APOSTROPHE, _DASH = re.compile("[\u2018\u2019\u02bc]"), re.compile("[\u2010-\u2015\u2212]")
_BETWEEN_HAN = re.compile(f"(?<=[{HAN}])[ \\t]+(?=[{HAN}])")
_SENTENCE_END = re.compile(
    "(?<=[.!?])(?<!\\bno\\.)(?<!\\bNo\\.)(?<!\\bRs\\.)"
    # "An 8 in. vise": a full stop behind a unit ends no sentence, nor does the one of "Rs. 715".
    "(?<![\\d\u27e7] in\\.)(?<![\\d\u27e7] ft\\.)(?<![\\d\u27e7] oz\\.)(?<![\\d\u27e7] lb\\.)"
    "(?<![\\d\u27e7] sq\\.)(?<![\\d\u27e7] yd\\.)(?<![\\d\u27e7] qt\\.)(?<![\\d\u27e7] gal\\.)"
    "[\"'\u201d\u2019)]*\\s+|(?<=[\u3002\uff01\uff1f])[\u201d\u2019\u300d]*\\s*|\\n\\s*"
)
CLAUSE_END = re.compile(r"[,;:!?\u3002\u3001](?!\d)|\.(?=\s|$)")


def cased(text: str) -> str:
    """NFKC, no invisible marks, single spaces, no space between Han characters."""
    if not text.isascii():
        # "1½" would become "11/2".
        text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", _BEFORE_FRACTION.sub(" ", text)))
    return _BETWEEN_HAN.sub("", re.sub(r"\s+", " ", text)).strip()


@lru_cache(maxsize=4096)
def normalise(text: str) -> str:
    """As `cased`, in lower case."""
    return cased(text).lower()


def typewritten(text: str) -> str:
    """Typographic apostrophes, hyphens and dashes as ASCII has them, each in its own place.

    For phrases alone: of numbers, a minus is no hyphen and a dash is a range.
    """
    return text if text.isascii() else _DASH.sub("-", _APOSTROPHE.sub("'", text))


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
