from __future__ import annotations

from dataclasses import replace

import pytest

from models.writer.text import normalise
from models.writer.write import write
from tests.models.writer.shop import brief, judge

TRUE = "This red mug by Lumo is made of stoneware."
FALSE = "This red mug is made of stainless steel, 350 ml."
WORSE = "This mug is the best."


@pytest.mark.parametrize(
    ("candidates", "tier", "refused"),
    [
        ([TRUE, FALSE], "model", 0),
        ([FALSE, TRUE], "retry", 1),
        ([FALSE, WORSE], "template", 2),
        ([], "template", 0),
    ],
)
def test_the_first_true_candidate_or_a_template(candidates: list[str], tier: str, refused: int) -> None:
    (copy,) = write([brief("en")], [candidates], judge("en"))
    assert (copy.tier, len(copy.refused)) == (tier, refused)
    assert copy.verdict.ok
    assert judge("en").verify(copy.text, brief("en")).ok


def test_checks_say_what_failed_in_the_last_refused_candidate() -> None:
    retry, fallback, first = write([brief("en")] * 3, [[FALSE, TRUE], [FALSE, WORSE], [TRUE]], judge("en"))
    assert retry.checks()["values"] == "'stainless steel' is no value of this product"
    assert fallback.checks()["values"] is True
    assert "eu-superlative" in str(fallback.checks()["claims"])
    assert set(first.checks().values()) == {True}


def test_a_text_that_a_person_rejected_is_not_written_again() -> None:
    other = "Lumo made this red mug of stoneware."
    unwanted = replace(brief("en"), rejected=frozenset({normalise(TRUE)}))
    (copy,) = write([unwanted], [[TRUE, other]], judge("en"))
    assert (copy.text, copy.tier) == (other, "retry")
    assert copy.checks()["rejected"] == "a person rejected this text"
    (fallback,) = write([unwanted], [[TRUE]], judge("en"))
    (again,) = write(
        [replace(unwanted, rejected=frozenset({normalise(TRUE), normalise(fallback.text)}))],
        [[TRUE]],
        judge("en"),
    )
    assert {fallback.tier, again.tier} == {"template"}
    assert normalise(fallback.text) != normalise(again.text)


@pytest.mark.parametrize("candidates", [[], ["A fine thing."], [TRUE, WORSE]])
def test_of_a_product_that_nothing_is_known_of_no_text_is_taken(candidates: list[str]) -> None:
    nothing = {"product_id": "p", "brand": "Lumo"}
    (copy,) = write([brief("en", nothing)], [candidates], judge("en"))
    assert (copy.text, copy.tier) == ("", "refused")
    assert copy.checks() == {"facts": "no title, category or attribute that could be told"}
