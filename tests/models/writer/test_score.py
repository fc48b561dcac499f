"""Known answers, worked out by hand."""

from __future__ import annotations

import math

import pytest

from models.writer.score import bleu, chrf


def test_equal_texts_have_full_marks_and_strangers_none() -> None:
    assert chrf(["a red mug of stoneware"], ["a red mug of stoneware"]) == pytest.approx(100.0)
    assert bleu(["a red mug of stoneware"], ["a red mug of stoneware"]) == pytest.approx(100.0)
    assert chrf(["abc"], ["xyz"]) == 0.0
    assert bleu(["abc"], ["xyz"]) == 0.0
    assert bleu([""], ["a red mug"]) == 0.0


def test_chrf_by_hand() -> None:
    # unigrams a, b of "ab" against a, c of "ac": precision = recall = 1/2; bigrams: none shared.
    assert chrf(["ab"], ["ac"], order=2) == pytest.approx(100 * (0.5 + 0.0) / 2)
    # recall counts beta² = 4 times: precision 1, recall 1/2 → 5 · .5 / (4 + .5)
    assert chrf(["a"], ["ab"], order=1) == pytest.approx(100 * 5 * 0.5 / 4.5)


def test_bleu_by_hand() -> None:
    # "the cat sat" against "the cat ran": unigrams 2/3, bigrams 1/2
    assert bleu(["the cat sat"], ["the cat ran"], order=2) == pytest.approx(100 * math.sqrt(2 / 3 / 2))
    # two words against three: brevity exp(1 - 3/2)
    assert bleu(["the cat"], ["the cat sat"], order=1) == pytest.approx(100 * math.exp(-0.5))


def test_han_characters_are_words() -> None:
    assert bleu(["红色马克杯"], ["红色马克杯"]) == pytest.approx(100.0)
    assert 0 < bleu(["红色马克杯子"], ["红色马克杯"]) < 100
