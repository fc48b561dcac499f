"""Texts of a category that read almost the same, and texts that begin the same: found by MinHash, limited.

A text's *shingles* are its runs of a few units. The share of equal entries in two MinHash signatures
estimates the Jaccard similarity of their shingles (Broder, On the resemblance and containment of documents,
1997). Only the lowest byte of each entry is kept, and chance agreement is corrected for (Li and König, b-Bit
Minwise Hashing, 2010): 120 bytes a text. Signatures cut into bands find what is worth comparing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.writer.text import normalise, units

BANDS, ROWS = 20, 6
PERMUTATIONS = BANDS * ROWS
# Units of a shingle, and of an opening: words in English, characters in Chinese.
SHINGLE = {"en": 3, "zh": 4}
OPENING = {"en": 3, "zh": 4}
# Texts of a bucket that a new one is compared with: copies of one text must not make the work quadratic.
MAX_COMPARED = 32
# Fewer texts than this may always begin alike.
MIN_OPENINGS = 3
_WORD = re.compile(r"\w[\w'-]*")
_CHANCE = 1.0 / 256.0

Bytes = NDArray[np.uint8]


@lru_cache(maxsize=65536)
def _hash(unit: str) -> int:
    return int.from_bytes(hashlib.blake2b(unit.encode(), digest_size=8).digest(), "big")


def _constants() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    rng = np.random.default_rng(1997)
    odd = rng.integers(0, 2**63, PERMUTATIONS, np.uint64) * np.uint64(2) + np.uint64(1)
    return odd, rng.integers(0, 2**63, PERMUTATIONS, np.uint64)


_FACTORS, _SHIFTS = _constants()


def signatures(texts: Sequence[str], language: str) -> Bytes:
    """(texts, 120): the lowest byte of each MinHash. A text without units has the signature of no other."""
    size = SHINGLE[language]
    hashed = [_shingles(units(text) or (text,), size) for text in texts]
    if not hashed:
        return np.zeros((0, PERMUTATIONS), np.uint8)
    starts = np.cumsum([0, *(len(h) for h in hashed[:-1])])
    flat = np.concatenate(hashed)
    found = np.empty((len(texts), PERMUTATIONS), np.uint8)
    for i, (factor, shift) in enumerate(zip(_FACTORS, _SHIFTS, strict=True)):
        # Multiply-shift: the high half of the product is as good as random.
        mixed = (flat * factor + shift) >> np.uint64(32)
        found[:, i] = np.minimum.reduceat(mixed, starts) & np.uint64(255)
    return found


def _shingles(text: tuple[str, ...], size: int) -> NDArray[np.uint64]:
    hashes = np.array([_hash(u) for u in text], np.uint64)
    count = max(1, len(hashes) - size + 1)
    mixed = np.zeros(count, np.uint64)
    for i in range(min(size, len(hashes))):
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + hashes[i : i + count]
    return mixed


def similarity(one: Bytes, others: Bytes) -> NDArray[np.float64]:
    """Estimated Jaccard similarity of a signature with each of `others`."""
    equal = np.asarray((others == one).mean(axis=1), np.float64)
    return np.maximum(0.0, (equal - _CHANCE) / (1.0 - _CHANCE))


def opening(text: str, language: str) -> str:
    """The first words of a text, in Chinese its first characters, without case and punctuation."""
    plain = normalise(text)
    if language == "zh":
        return "".join(filter(str.isalnum, plain))[: OPENING[language]]
    return " ".join(_WORD.findall(plain)[: OPENING[language]])


@dataclass(frozen=True)
class Choice:
    """A product's texts, best first: only the first where the text is fixed (a person's, or kept). Products
    of one `family` are variants of each other."""

    product_id: str
    family: str
    signatures: Bytes
    openings: Sequence[str]


@dataclass
class Shelf:
    """The texts of one category so far, and how alike they are.

    Feed the fixed texts first, then the new ones in the order of their ids: the result depends on nothing
    else. It holds one category at a time, 20 table entries a text.
    """

    bound: float
    quota: int
    families: list[str] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    opened: dict[str, set[str]] = field(default_factory=dict)
    pairs: list[tuple[int, int, float]] = field(default_factory=list)
    _signatures: list[Bytes] = field(default_factory=list)
    _buckets: dict[tuple[int, bytes], list[int]] = field(default_factory=dict)

    def nearest(self, signature: Bytes, family: str) -> tuple[float, int]:
        """The most similar text of another family, and its place; (0, -1) where none shares a band."""
        near = {i for key in _bands(signature) for i in self._buckets.get(key, ())}
        places = sorted(i for i in near if self.families[i] != family)
        if not places:
            return 0.0, -1
        found = similarity(signature, np.stack([self._signatures[i] for i in places]))
        best = int(found.argmax())
        return float(found[best]), places[best]

    def crowded(self, opening: str, family: str) -> bool:
        """Whether as many products as may begin so already do."""
        holders = self.opened.get(opening, set())
        return family not in holders and len(holders) >= self.quota

    def place(self, choice: Choice) -> int:
        """Choose among a product's texts, the first that is neither too alike nor begins too usually; where
        there is none, the least bad. Returns its rank."""
        judged = []
        for rank, (signature, start) in enumerate(zip(choice.signatures, choice.openings, strict=True)):
            near, place = self.nearest(signature, choice.family)
            alike, crowded = near >= self.bound, self.crowded(start, choice.family)
            judged.append((alike, crowded, near if alike else 0.0, rank, place))
            if not alike and not crowded:
                break
        alike, _, near, rank, place = min(judged)
        if alike:
            self.pairs.append((place, len(self.families), near))
        self._add(choice, rank)
        return rank

    def _add(self, choice: Choice, rank: int) -> None:
        place = len(self.families)
        self.families.append(choice.family)
        self.ranks.append(rank)
        self._signatures.append(choice.signatures[rank])
        self.opened.setdefault(choice.openings[rank], set()).add(choice.family)
        for key in _bands(choice.signatures[rank]):
            bucket = self._buckets.setdefault(key, [])
            if len(bucket) < MAX_COMPARED:
                bucket.append(place)

    def clusters(self) -> list[list[int]]:
        """Places of texts that are near-duplicates, directly or by way of others, the largest group first."""
        parent = list(range(len(self.families)))

        def root(i: int) -> int:
            while parent[i] != i:
                parent[i] = parent[parent[i]]
                i = parent[i]
            return i

        for a, b, _ in self.pairs:
            parent[max(root(a), root(b))] = min(root(a), root(b))
        groups: dict[int, list[int]] = {}
        for i in {i for a, b, _ in self.pairs for i in (a, b)}:
            groups.setdefault(root(i), []).append(i)
        return sorted((sorted(g) for g in groups.values()), key=lambda g: (-len(g), g))


def _bands(signature: Bytes) -> Iterator[tuple[int, bytes]]:
    whole = signature.tobytes()
    return ((band, whole[band * ROWS : (band + 1) * ROWS]) for band in range(BANDS))


def opening_quota(share: float, families: int) -> int:
    """How many products of a category may begin alike."""
    return max(MIN_OPENINGS, int(share * families))
