"""Which language a text in Latin letters is in, by its function words: the most frequent words of a language
stand in nearly every sentence of it, and hardly in another's (Grefenstette 1995).
"""

from __future__ import annotations

from collections.abc import Sequence

# Words that two of the languages share are in no list: "a", "in", "an", "die", "on", "me", "no", "de", "la".
_WORDS = {
    "English": "the and of with for is are it its this that these to your you our from by as be can has have "
    "will which or not at all into when any made",
    "French": "le les des du une et est pour avec dans sur vous votre vos nous qui que ce cette ces sont au "
    "aux pas plus très sans ou où être fait",
    "German": "der das und ist mit für von den dem ein eine einen einer sich auf nicht sie wird werden aus "
    "auch oder bei durch ihre ihr sind zum zur wie",
    "Spanish": "el los las y con para por es una uno del al su sus como más muy este esta que sin son ser "
    "está tiene tu",
    "Italian": "il gli della delle dei di è che per con una uno sono questo questa nel nella alla più come "
    "anche dal suo si",
    "Portuguese": "os um uma do da dos das com para por não mais como seu sua ao em que são este esta sem",
    "Dutch": "het een van met voor en is zijn niet ook deze dit uw door naar bij wordt kan aan te om",
}


def _lists() -> dict[str, frozenset[str]]:
    """English words stand in no other list; the others may share theirs."""
    found = {name: frozenset(words.split()) for name, words in _WORDS.items()}
    return {name: w if name == "English" else w - found["English"] for name, w in found.items()}


LISTS = _lists()
# So many different function words of another language, and more than of English, make a text foreign: fewer
# may be a name ("eau de parfum pour homme") or a word that English has borrowed.
LEAST = 3


def other_than_english(words: Sequence[str]) -> str:
    """The language that most of the function words belong to, or "" where that is English or nobody can tell.

    `words`: in small letters, without the product's own strings.
    """
    hits = {name: len(known.intersection(words)) for name, known in LISTS.items()}
    best = max(hits, key=lambda name: hits[name])
    return best if hits[best] >= LEAST and hits[best] > hits["English"] else ""
