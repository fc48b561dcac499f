"""How alike two texts are: character n-gram F (chrF) and BLEU, by their papers, in plain Python."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from models.writer.text import units

Grams = Counter[tuple[str, ...]]


def _grams(items: Sequence[str], size: int) -> Grams:
    return Counter(tuple(items[i : i + size]) for i in range(len(items) - size + 1))


def chrf(texts: Sequence[str], references: Sequence[str], order: int = 6, beta: float = 2.0) -> float:
    """Corpus chrF in percent, one reference a text: n-grams of 1 to `order` characters without spaces.

    Popović 2015; counts are summed over the corpus, orders are averaged.
    """
    scores = []
    for size in range(1, order + 1):
        same = wrote = wanted = 0
        for text, reference in zip(texts, references, strict=True):
            a, b = _grams("".join(text.split()), size), _grams("".join(reference.split()), size)
            same, wrote, wanted = same + (a & b).total(), wrote + a.total(), wanted + b.total()
        if wrote and wanted:
            precision, recall = same / wrote, same / wanted
            both = beta**2 * precision + recall
            scores.append((1 + beta**2) * precision * recall / both if both else 0.0)
    return 100.0 * sum(scores) / len(scores) if scores else 0.0


def bleu(texts: Sequence[str], references: Sequence[str], order: int = 4) -> float:
    """Corpus BLEU in percent, one reference a text, on words and Han characters (Papineni et al. 2002)."""
    same, wrote = [0] * order, [0] * order
    length = reference_length = 0
    for text, reference in zip(texts, references, strict=True):
        a, b = units(text), units(reference)
        length, reference_length = length + len(a), reference_length + len(b)
        for size in range(1, order + 1):
            found = _grams(a, size)
            same[size - 1] += (found & _grams(b, size)).total()
            wrote[size - 1] += found.total()
    if not all(same):
        return 0.0
    brevity = min(0.0, 1.0 - reference_length / length)
    return 100.0 * math.exp(brevity + sum(math.log(s / w) for s, w in zip(same, wrote, strict=True)) / order)
