"""Own tokenizer: Han characters and words, frequent words of other scripts, placeholders, bytes for the rest.

Any Unicode text comes back exactly: a piece that is not in the vocabulary is
written as its UTF-8 bytes, and a space belongs to the word behind it. A run of
Han characters is cut into the longest known words from the left (forward
maximum matching), so that a dictionary is needed to learn a vocabulary only.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from models.writer.text import HAN

PAD, BEGIN, END = 0, 1, 2
_CONTROL = ("<pad>", "<begin>", "<end>")
_BYTES = 256
_PIECE = re.compile(rf"⟦[^⟦⟧]*⟧|[{HAN}]+| ?(?:(?![{HAN}\d_])\w)+|\d| ?[^\w\s⟦]|\s|.", re.DOTALL)

_HAN_RUN = re.compile(rf"[{HAN}]+")


class Tokenizer:
    """Pieces are control tokens, then 256 bytes, then specials (placeholders, languages), then words.

    `specials` are matched only where they stand in ⟦ ⟧; control tokens never come from text.
    """

    def __init__(self, specials: Sequence[str], words: Sequence[str]) -> None:
        if any(not s.startswith("⟦") for s in specials):
            raise ValueError("a special token is written ⟦name⟧")
        self.specials = list(specials)
        self.words = list(words)
        self._first_special = len(_CONTROL) + _BYTES
        pieces = [*self.specials, *self.words]
        self._id = {piece: self._first_special + i for i, piece in enumerate(pieces)}
        if len(self._id) != len(pieces):
            raise ValueError("a piece stands in the vocabulary twice")
        self._longest = max((len(w) for w in self.words if _HAN_RUN.fullmatch(w)), default=1)
        self._bytes = [bytes([i]) for i in range(_BYTES)] + [
            p.encode("utf-8", "surrogatepass") for p in pieces
        ]

    @staticmethod
    def train(
        texts: Iterable[str],
        specials: Sequence[str],
        max_words: int = 6000,
        min_count: int = 2,
        cut: Callable[[str], Iterable[str]] | None = None,
    ) -> Tokenizer:
        """Words and characters that stand in `texts` at least `min_count` times, the most frequent first.

        `cut` finds the words of a run of Han characters; without it every character is a word.
        """
        known = set(specials)
        counts: Counter[str] = Counter()
        for piece in (p for text in texts for p in _PIECE.findall(text) if p not in known):
            if not _HAN_RUN.fullmatch(piece):
                counts[piece] += 1
                continue
            # Characters are counted in words too: what no word covers falls back on them.
            counts.update(piece)
            if cut is not None:
                counts.update(word for word in cut(piece) if len(word) > 1)
        ranked = sorted((-n, p) for p, n in counts.items() if n >= min_count)
        return Tokenizer(specials, [p for _, p in ranked[:max_words]])

    def __len__(self) -> int:
        return self._first_special + len(self.specials) + len(self.words)

    @property
    def byte_ids(self) -> range:
        return range(len(_CONTROL), len(_CONTROL) + _BYTES)

    def special(self, name: str) -> int:
        """Id of a special token; `KeyError` where it is none."""
        return self._id[name]

    def encode(self, text: str) -> list[int]:
        ids: list[int] = []
        for piece in chain.from_iterable(self._cut(p) for p in _PIECE.findall(text)):
            found = self._id.get(piece)
            if found is None:
                ids += (len(_CONTROL) + b for b in piece.encode("utf-8", "surrogatepass"))
            else:
                ids.append(found)
        return ids

    def _cut(self, piece: str) -> Iterator[str]:
        """The piece itself; of a run of Han characters, the longest known words from the left."""
        if not _HAN_RUN.fullmatch(piece):
            yield piece
            return
        at = 0
        while at < len(piece):
            sizes = range(min(self._longest, len(piece) - at), 1, -1)
            size = next((n for n in sizes if piece[at : at + n] in self._id), 1)
            yield piece[at : at + size]
            at += size

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids up to the first end; broken UTF-8 becomes U+FFFD, never an error."""
        found = bytearray()
        for i in ids:
            if i == END:
                break
            if i >= len(_CONTROL):
                found += self._bytes[i - len(_CONTROL)]
        try:
            return found.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return found.decode("utf-8", "replace")

    def to_json(self) -> str:
        return json.dumps({"specials": self.specials, "words": self.words}, ensure_ascii=True)

    @staticmethod
    def from_json(text: str) -> Tokenizer:
        found = json.loads(text)
        return Tokenizer(found["specials"], found["words"])
