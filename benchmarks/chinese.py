"""Measures of Chinese ad copy as ChatGLM-6B's protocol for AdvertiseGen takes them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1)
def _cutter() -> Any:
    import jieba

    jieba.setLogLevel(logging.ERROR)
    return jieba.Tokenizer()


def words(text: str) -> list[str]:
    """The text's words as jieba cuts them, in order, spaces left out."""
    return [w for w in _cutter().cut(text) if w.strip()]


def bleu4(texts: Sequence[str], references: Sequence[str]) -> float:
    """Mean over texts of sentence BLEU-4 on characters, smoothed by NLTK's method 3, in percent."""
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    smooth = SmoothingFunction().method3
    scores = [
        sentence_bleu([list(reference)], list(text), smoothing_function=smooth) if text else 0.0
        for text, reference in zip(texts, references, strict=True)
    ]
    return 100.0 * sum(scores) / len(scores)


def rouge(texts: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Mean F of ROUGE-1, -2 and -L on words, in percent; an empty text counts 0."""
    from rouge_chinese import Rouge

    found = dict.fromkeys(("rouge1", "rouge2", "rougeL"), 0.0)
    scorer = Rouge()
    for text, reference in zip(texts, references, strict=True):
        told, wanted = " ".join(words(text)), " ".join(words(reference))
        if told and wanted:
            scores = scorer.get_scores(told, wanted)[0]
            for name, key in (("rouge1", "rouge-1"), ("rouge2", "rouge-2"), ("rougeL", "rouge-l")):
                found[name] += scores[key]["f"]
    return {name: 100.0 * value / len(texts) for name, value in found.items()}
