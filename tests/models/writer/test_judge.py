from __future__ import annotations

import math

import pytest

from models.writer.clean import Marks, Pair, Plan, make_pair
from models.writer.judge import Exam, Numbers, frequency_loss, gate, measure, nearest_texts, template_texts
from tests.models.writer.shop import ROWS, brief, facts, judge

TEXTS = [
    "A red mug by Lumo, made of stoneware.",
    "A sky blue mug by Lumo, made of stoneware.",
    "A red mug by North Ridge, of stainless steel.",
]


def pairs() -> list[Pair]:
    found = [make_pair(facts("en", r), t, judge("en"), Marks()) for r, t in zip(ROWS, TEXTS, strict=False)]
    return [p for p in found if p]


PLAN = Plan({"en": {"material": 1.0}}, {"en": 1})
EXAM = Exam("en", pairs()[:2], [brief("en", r) for r in ROWS[:2]])


def test_measures_by_hand() -> None:
    written = ["A red mug by Lumo, made of stoneware.", "A sky blue mug of stainless steel, 350 ml."]
    found = measure([EXAM], [written], {"en": judge("en")}, PLAN)
    assert found["verified"] == 50.0
    assert found["unsupported"] == 50.0
    assert found["coverage"] == 50.0
    assert found["texts"] == 2.0
    assert 50 < found["chrf"] < 100
    assert found["chrf_en"] == found["chrf"]


def test_an_empty_text_counts_against_the_model() -> None:
    found = measure([EXAM], [["", ""]], {"en": judge("en")}, PLAN)
    assert (found["verified"], found["chrf"], found["coverage"]) == (0.0, 0.0, 0.0)


def test_the_nearest_neighbour_shares_most_attributes() -> None:
    exam = Exam("en", [], [brief("en", ROWS[2]), brief("en", ROWS[1])])
    assert nearest_texts(exam, pairs()) == [TEXTS[2], TEXTS[1]]
    assert nearest_texts(exam, []) == ["", ""]


def test_templates_are_never_unsupported() -> None:
    found = measure([EXAM], [template_texts(EXAM, judge("en"))], {"en": judge("en")}, PLAN)
    assert (found["unsupported"], found["verified"]) == (0.0, 100.0)


def numbers(chrf: float, unsupported: float = 1.0, loss: float = 1.0) -> Numbers:
    return {"chrf": chrf, "unsupported": unsupported, "loss": loss, "frequency_loss": 4.0}


def test_the_loss_of_word_frequencies_by_hand() -> None:
    # Counts 2, 1, 0 with one added: (3, 2, 1) / 6.
    assert frequency_loss([[0, 0, 1]], [[0, 2]], 3) == pytest.approx((math.log(2) + math.log(6)) / 2)


BASE = {"template": numbers(30.0, 0.0), "nearest neighbour": numbers(35.0)}


@pytest.mark.parametrize(
    ("new", "incumbent", "accepted", "why"),
    [
        (numbers(40.0), None, True, "above the nearest neighbour's 35.0"),
        (numbers(35.0), None, False, "not above the nearest neighbour's 35.0"),
        (numbers(40.0, 10.1), None, False, "10.1 % of its texts"),
        (numbers(40.0), numbers(40.5), True, ""),
        (numbers(40.0), numbers(41.0), False, "98% of the 41.0"),
        (numbers(40.0, loss=4.0), None, False, "word frequencies alone"),
        (numbers(40.0, loss=math.nan), None, False, "word frequencies alone"),
    ],
)
def test_the_gate(new: Numbers, incumbent: Numbers | None, accepted: bool, why: str) -> None:
    verdict = gate(new, BASE, incumbent)
    assert verdict.accepted is accepted
    assert why in verdict.why
