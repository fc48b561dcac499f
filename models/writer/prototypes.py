"""What people wrote for the most alike products, with this product's own strings in place of theirs.

A shop describes a line of products in the same words again and again, and a small network would need many
more texts than a shop has to say them without a slip. So the writer also remembers its training texts, with
their placeholders, and offers those of the products that are most alike (retrieve and edit: Guu et al. 2018,
Hashimoto et al. 2018). What such a text says in the words of the other product's own title is left out:
"made of brass" is no fact of a steel fitting. So is every number that has no placeholder, and whatever else
is told of a single product: a claim that no attribute bears out ("has NPT threads") is said again only where
the texts of several alike products make it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from models.writer.clean import PLACEHOLDER, Pair, Source
from models.writer.text import sentences, units

# How many of the most alike are looked at, and how alike they must be (weighted Jaccard, 0 to 1).
LOOKED_AT, LEAST_ALIKE = 40, 0.2
OFFERED = 12
# A word that such a share of the texts holds, and not only a few, says nothing of one product.
COMMON, FEW = 0.05, 3
# So many of the alike products' texts have to make a claim before it counts as one of the whole line.
WITNESSES = 2


@dataclass(frozen=True)
class Prototype:
    """A training text with placeholders, and the features of its product."""

    language: str
    features: frozenset[str]
    target: str

    @staticmethod
    def of(pair: Pair) -> Prototype:
        return Prototype(pair.language, features(pair.source), pair.target)

    @cached_property
    def sentences(self) -> list[tuple[str, list[str], frozenset[str]]]:
        """Each sentence with its placeholders and its words."""
        cut = ((s, PLACEHOLDER.sub(" ", s)) for s in sentences(self.target))
        return [
            (s, PLACEHOLDER.findall(s), frozenset(units(rest)))
            for s, rest in cut
            if not any(c.isdigit() for c in rest)
        ]


def features(source: Source) -> frozenset[str]:
    """What makes products alike: the words of title and noun, and which attributes there are."""
    found: set[str] = set()
    for name, value in source.pairs:
        if name in ("⟦name⟧", "⟦kind⟧"):
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
            words.update(set().union(*(said for _, _, said in text.sentences)))
            for feature in text.features:
                holders.setdefault(feature, []).append(i)
        count = len(self.texts)
        self._holders = {f: np.array(rows) for f, rows in holders.items()}
        self._weight = {f: math.log((count + 1) / len(rows)) for f, rows in holders.items()}
        # Sorted: a sum of floats depends on the order, and a set's is another in every process.
        self._size = np.array([sum(self._weight[f] for f in sorted(t.features)) for t in self.texts])
        self._common = frozenset(w for w, n in words.items() if n >= max(FEW, COMMON * count))

    def find(self, source: Source, forms: Mapping[str, str], own: frozenset[str]) -> Iterator[str]:
        """Texts of products that are alike enough, most alike first, as far as they hold for this one.

        `forms`: its placeholders and what stands for them; `own`: the units of all that is known of it.
        """
        alike = [self.texts[i] for i in self._alike(features(source))]
        return islice(self._kept(alike, forms, own | self._common), OFFERED)

    def _kept(
        self, alike: Sequence[Prototype], forms: Mapping[str, str], known: frozenset[str]
    ) -> Iterator[str]:
        for text in alike:
            foreign = text.features - known
            kept = [
                sentence
                for sentence, slots, said in text.sentences
                if all(slot in forms for slot in slots)
                and foreign.isdisjoint(said)
                and _borne_out(said - known, alike)
            ]
            if kept:
                yield "".join(kept).strip()

    def _alike(self, mine: frozenset[str]) -> NDArray[np.intp]:
        """Numbers of the most alike texts, best first."""
        shared, size = np.zeros(len(self.texts)), 0.0
        for feature in sorted(mine):
            # What no text has makes every text less alike.
            weight = self._weight.get(feature, math.log(len(self.texts) + 1))
            size += weight
            if feature in self._holders:
                shared[self._holders[feature]] += weight
        value = shared / np.maximum(size + self._size - shared, 1e-9)
        found = np.flatnonzero(value >= LEAST_ALIKE)
        return found[np.argsort(-value[found], kind="stable")[:LOOKED_AT]]


def _borne_out(claimed: frozenset[str], alike: Sequence[Prototype]) -> bool:
    """Whether enough of the texts say all of it in one sentence; nothing claimed needs no witness."""
    tell = (t for t in alike if any(claimed <= said for _, _, said in t.sentences))
    return not claimed or len(list(islice(tell, WITNESSES))) == WITNESSES


def to_json(texts: Sequence[Prototype]) -> list[list[object]]:
    return [[t.language, sorted(t.features), t.target] for t in texts]


def from_json(rows: Iterable[Sequence[object]]) -> list[Prototype]:
    return [Prototype(str(a), frozenset(map(str, b)), str(c)) for a, b, c in rows]  # type: ignore[call-overload]
