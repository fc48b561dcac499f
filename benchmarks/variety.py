"""How varied texts are; texts as words."""

from __future__ import annotations

import re
from collections.abc import Sequence


def english_words(text: str) -> list[str]:
    """Lower-cased words and numbers, without punctuation."""
    return re.findall(r"[\w'£-]+", text.lower())


def distinct4(texts: Sequence[Sequence[str]]) -> float:
    """Different 4-grams over all 4-grams of all texts (Li et al. 2016), in percent."""
    grams = [g for text in texts for g in _grams(text)]
    return 100.0 * len(set(grams)) / len(grams) if grams else 100.0


def repetition4(texts: Sequence[Sequence[str]]) -> float:
    """Texts that hold some 4-gram twice, over all texts, in percent (Shao et al. 2019)."""
    twice = sum(len(set(grams)) < len(grams) for grams in map(_grams, texts))
    return 100.0 * twice / len(texts) if texts else 0.0


def _grams(text: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(text[i : i + 4]) for i in range(len(text) - 3)]
