"""What may stand beside what: only words that a person put together, and an attribute once.

A small network that is nearly sure writes "size: winter" or "cut in mind" once
in a while, and no lexicon notices, since winter is the product's own. So every
three tokens in a row must stand in some training text, and every four that
hold a placeholder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from models.writer.tokenizer import BEGIN, END, PAD

WORDS, SLOTS = 3, 4  # lengths of the n-grams


class Contexts:
    """N-grams of training targets: all of `WORDS` tokens, and those of `SLOTS` that hold a placeholder.

    `group` (vocabulary,) is 0 for words, 1 for placeholders that may come again (name, brand, kind), and the
    attribute's own number for the others: an attribute is told once. `alike` (vocabulary,): the token that
    stands for each, itself for most; where one was seen, so were all that it stands for.
    """

    def __init__(
        self, grams: Iterable[Sequence[int]], group: NDArray[np.int32], alike: NDArray[np.int32] | None = None
    ) -> None:
        self.alike = np.arange(len(group), dtype=np.int32) if alike is None else alike
        self.grams = sorted({tuple(int(t) for t in self.alike[list(g)]) for g in grams})
        self.group = group
        members: dict[int, list[int]] = {}
        for token in np.flatnonzero(self.alike != np.arange(len(group))).tolist():
            kept = int(self.alike[token])
            members.setdefault(kept, [kept]).append(token)
        followers: dict[tuple[int, ...], list[int]] = {}
        for gram in self.grams:
            # All that are alike are spelt out here, not in every step of a search.
            followers.setdefault(gram[:-1], []).extend(members.get(gram[-1], gram[-1:]))
        self._followers = {k: np.array(v) for k, v in followers.items()}

    @staticmethod
    def of(
        targets: Iterable[Sequence[int]], group: NDArray[np.int32], alike: NDArray[np.int32] | None = None
    ) -> Contexts:
        found = set()
        for target in targets:
            row = [*[BEGIN] * (SLOTS - 1), *target, END]
            found |= {tuple(row[i : i + WORDS]) for i in range(SLOTS - WORDS, len(row) - WORDS + 1)}
            slots = (tuple(row[i : i + SLOTS]) for i in range(len(row) - SLOTS + 1))
            found |= {g for g in slots if group[list(g)].any()}
        return Contexts(found, group, alike)

    def barred(self, tokens: NDArray[np.int32]) -> NDArray[np.bool_]:
        """(rows, vocabulary): what may not follow each row of `tokens` (rows, time)."""
        start = np.full((len(tokens), SLOTS - 1), BEGIN, np.int32)
        last = np.concatenate([start, tokens], axis=1)[:, 1 - SLOTS :]
        out = ~self._seen(last[:, 1:])
        # Beside a placeholder more must have been seen; elsewhere it holds for placeholders only.
        near = (self.group[last] > 0).any(axis=1)
        out |= (near[:, None] | (self.group > 0)[None, :]) & ~self._seen(last)
        out |= self._told(tokens)
        out[:, PAD] = False  # what has ended stays ended
        return out

    def _seen(self, last: NDArray[np.int32]) -> NDArray[np.bool_]:
        """(rows, vocabulary): what followed these tokens in some training text."""
        out = np.zeros((len(last), len(self.group)), bool)
        for row, key in enumerate(map(tuple, self.alike[last].tolist())):
            seen = self._followers.get(key)
            if seen is not None:
                out[row, seen] = True
        return out

    def _told(self, tokens: NDArray[np.int32]) -> NDArray[np.bool_]:
        told = np.zeros((len(tokens), int(self.group.max(initial=0)) + 1), bool)
        np.put_along_axis(told, self.group[tokens], True, axis=1)
        told[:, :2] = False
        return told[:, self.group]
