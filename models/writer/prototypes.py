"""What people wrote for the most alike products, with this product's own strings in place of theirs.

A shop describes a line of products in the same words again and again, and a small network would need many
more texts than a shop has to say them without a slip. So the writer also remembers its training texts, with
their placeholders, and offers those of the products that are most alike (retrieve and edit: Guu et al. 2018,
Hashimoto et al. 2018). What such a text says in the words of the other product's own title is left out:
"made of brass" is no fact of a steel fitting. So is every number that has no placeholder, and whatever else
is told of a single product: a claim that no attribute bears out ("has NPT threads") is said again only where
the texts of several alike products make it, and one about the brand only where they are of that brand. What a
brand says in a good part of its texts, for products of all kinds, it says of this one too.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.writer.clean import PLACEHOLDER, Pair, Source
from models.writer.text import normalise, sentences, units

# How many of the most alike are looked at, and how alike they must be (weighted Jaccard, 0 to 1).
LOOKED_AT, LEAST_ALIKE = 40, 0.2
OFFERED = 12
# A word that such a share of the texts holds, and not only a few, says nothing of one product.
COMMON, FEW = 0.05, 3
# So many of the alike products' texts have to make a claim before it counts as one of the whole line.
WITNESSES = 2
# A sentence that shares so many of its words with one that is told says the same.
SAME = 0.5
# A sentence in so many of a brand's texts, not all of one line of products, is one of the brand.
OF_BRAND = 0.25
BRAND = "⟦brand⟧"
NAMES = ("⟦name⟧", "⟦kind⟧", BRAND)
_FULL_WIDTH = ("。", "！", "？", "；", "…")


class Sentence(NamedTuple):
    """A sentence, its placeholders and its words."""

    text: str
    slots: list[str]
    said: frozenset[str]

    @property
    def praises(self) -> bool:
        """Whether it tells of the brand and of no attribute: what one brand may say, another may not."""
        return BRAND in self.slots and not _attributes(self.slots)


@dataclass(frozen=True)
class Prototype:
    """A training text with placeholders, and the features and the brand of its product."""

    language: str
    features: frozenset[str]
    target: str
    brand: str = ""

    @staticmethod
    def of(pair: Pair) -> Prototype:
        return Prototype(pair.language, features(pair.source), pair.target, normalise(pair.brand))

    @cached_property
    def sentences(self) -> list[Sentence]:
        """All but those with numbers of their own, or without a word."""
        cut = ((s, PLACEHOLDER.sub(" ", s)) for s in sentences(self.target))
        found = [
            Sentence(s, PLACEHOLDER.findall(s), frozenset(units(rest)))
            for s, rest in cut
            if not any(c.isdigit() for c in rest)
        ]
        return [s for s in found if s.said]


def features(source: Source) -> frozenset[str]:
    """What makes products alike: the words of title and noun, and which attributes there are."""
    found: set[str] = set()
    for name, value in source.pairs:
        if name in NAMES:
            # The brand is no word of the source: it counts apart.
            found.update(units(PLACEHOLDER.sub(" ", value)))
        else:
            found.add(name)
    return frozenset(found)


class Prototypes:
    """The texts of one language, found by an index of features: rare ones count for more."""

    def __init__(self, texts: Iterable[Prototype]) -> None:
        self.texts = list(texts)
        holders: dict[str, list[int]] = {}
        words: Counter[str] = Counter()
        for i, text in enumerate(self.texts):
            words.update(set().union(*(s.said for s in text.sentences)))
            for feature in (*text.features, *_brand(text.brand)):
                holders.setdefault(feature, []).append(i)
        count = len(self.texts)
        self._holders = {f: np.array(rows) for f, rows in holders.items()}
        self._weight = {f: math.log((count + 1) / len(rows)) for f, rows in holders.items()}
        self._size = np.array([self._weighed(t.features) for t in self.texts])
        self._brand_size = np.array([self._weighed(_brand(t.brand)) for t in self.texts])
        self._usual = int(np.median([len(t.target) for t in self.texts])) if self.texts else 0
        self._common = frozenset(w for w, n in words.items() if n >= max(FEW, COMMON * count))
        self._of_brands: dict[str, list[str]] = {}

    def find(self, source: Source, forms: Mapping[str, str], own: frozenset[str]) -> Iterator[str]:
        """Texts of products that are alike enough, most alike first, as far as they hold for this one. The
        first of them is filled up to a usual length with what the others say besides.

        `forms`: its placeholders and what stands for them; `own`: the units of all that is known of it.
        """
        brand = normalise(forms.get(BRAND, ""))
        alike = [self.texts[i] for i in self._alike(features(source), brand)]
        kept = islice(self._kept(alike, forms, own | self._common, brand), OFFERED)
        of_brand = "".join(map(_apart, self._of_brand(brand))).strip()
        drafts = [*kept, *([of_brand] if of_brand else [])]
        yield from dict.fromkeys([_filled(drafts, self._usual), *drafts] if drafts else [])

    def _kept(
        self, alike: Sequence[Prototype], forms: Mapping[str, str], known: frozenset[str], brand: str
    ) -> Iterator[str]:
        relatives = [text for text in alike if text.brand == brand]
        of_brand = frozenset(self._of_brand(brand))
        for text in alike:
            foreign = text.features - known
            kept = []
            for sentence in text.sentences:
                witnesses = relatives if sentence.praises else alike
                if (
                    all(slot in forms for slot in sentence.slots)
                    and foreign.isdisjoint(sentence.said)
                    and (sentence.text.strip() in of_brand or _borne_out(sentence.said - known, witnesses))
                ):
                    kept.append(sentence.text)
            if kept:
                yield "".join(kept).strip()

    def _of_brand(self, brand: str) -> list[str]:
        """The sentences that hold for all that the brand makes, in the order in which it says them."""
        if not brand:
            return []
        if brand not in self._of_brands:
            rows = self._holders.get(_brand(brand)[0], np.array([], np.intp)).tolist()
            known: dict[str, Sentence] = {}
            tellers: dict[str, list[int]] = {}
            for row in rows:
                for text, sentence in {s.text.strip(): s for s in self.texts[row].sentences}.items():
                    known.setdefault(text, sentence)
                    tellers.setdefault(text, []).append(row)
            least = max(WITNESSES, OF_BRAND * len(rows))
            self._of_brands[brand] = [
                text
                for text, told in tellers.items()
                # Of what one product is, or has, nothing holds for another.
                if len(told) >= least and set(known[text].slots) <= {BRAND} and self._unlike(told)
            ]
        return self._of_brands[brand]

    def _unlike(self, rows: list[int]) -> bool:
        """Whether not all of these texts are of products that are alike."""
        return bool(self._likeness(self.texts[rows[0]].features)[rows].min() < LEAST_ALIKE)

    def _alike(self, mine: frozenset[str], brand: str) -> NDArray[np.intp]:
        """Numbers of the most alike texts, best first: those of the brand before others."""
        found = np.flatnonzero(self._likeness(mine) >= LEAST_ALIKE)
        value = self._likeness(mine, brand)[found]
        return found[np.argsort(-value, kind="stable")[:LOOKED_AT]]

    def _likeness(self, mine: frozenset[str], brand: str | None = None) -> NDArray[np.float64]:
        """Weighted Jaccard of the features with every text's; `brand`: one of them, None: none is."""
        shared, size, sizes = np.zeros(len(self.texts)), self._weighed(mine), self._size
        wanted = sorted(mine)
        if brand is not None:
            wanted += _brand(brand)
            size, sizes = size + self._weighed(_brand(brand)), sizes + self._brand_size
        for feature in wanted:
            if feature in self._holders:
                shared[self._holders[feature]] += self._weight[feature]
        return np.asarray(shared / np.maximum(size + sizes - shared, 1e-9))

    def _weighed(self, wanted: Iterable[str]) -> float:
        """Sorted: a sum of floats depends on the order, and a set's is another in every process."""
        # What no text has makes every text less alike.
        unseen = math.log(len(self.texts) + 1)
        return sum(self._weight.get(feature, unseen) for feature in sorted(wanted))


def _brand(name: str) -> list[str]:
    """The brand as a feature, apart from words: one or none."""
    return [f"{BRAND}{name}"] if name else []


def _attributes(slots: Iterable[str]) -> set[str]:
    """What is told of the product besides its name, kind and brand: an attribute in any form, or a number."""
    return {slot.partition(":")[2] for slot in slots if ":" in slot}


def _borne_out(claimed: frozenset[str], alike: Sequence[Prototype]) -> bool:
    """Whether enough of the texts say all of it in one sentence; nothing claimed needs no witness."""
    tell = (t for t in alike if any(claimed <= s.said for s in t.sentences))
    return not claimed or len(list(islice(tell, WITNESSES))) == WITNESSES


def _filled(drafts: Iterable[str], usual: int) -> str:
    """The first text, and of the others the sentences that say something else, up to a usual length.

    `usual`: characters. An attribute is told once.
    """
    taken: list[str] = []
    said: list[frozenset[str]] = []
    told: set[str] = set()
    for rank, draft in enumerate(drafts):
        for sentence in sentences(draft):
            words = frozenset(units(PLACEHOLDER.sub(" ", sentence)))
            slots = _attributes(PLACEHOLDER.findall(sentence))
            again = not told.isdisjoint(slots) or any(len(words & w) >= SAME * len(words) for w in said)
            if rank and (again or sum(map(len, taken)) >= usual):
                continue
            taken.append(_apart(sentence))
            said.append(words)
            told |= slots
    return "".join(taken).strip()


def _apart(sentence: str) -> str:
    """With the space that parts it from the next one; Chinese has none."""
    ended = sentence.strip()
    return ended if ended.endswith(_FULL_WIDTH) else f"{ended} "


def to_json(texts: Sequence[Prototype]) -> list[list[object]]:
    return [[t.language, sorted(t.features), t.target, t.brand] for t in texts]


def from_json(rows: Iterable[Sequence[Any]]) -> list[Prototype]:
    return [Prototype(str(a), frozenset(map(str, b)), *map(str, rest)) for a, b, *rest in rows]
