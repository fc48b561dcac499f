"""What the facts bear out, and what they only hold the words of."""

from __future__ import annotations

import json
from typing import Any

import pytest

from models.writer.verify import Brief, Verifier
from tests.models.writer.shop import ROWS, facts, judge

EN, ZH = "A red stoneware mug, {}.", "红色炻瓷马克杯，{}。"


@pytest.mark.parametrize(
    ("language", "attributes", "claim", "ok"),
    [
        ("en", {"Waterproof": "Yes"}, "waterproof", True),
        ("en", {"Waterproof": "No"}, "waterproof", False),
        ("en", {"Waterproof": "No"}, "Waterproof: No", True),
        ("en", {"Waterproof": "No"}, "waterproof: yes", False),
        ("en", {"Waterproof": "not at all"}, "waterproof", False),
        ("en", {"Case": "not waterproof"}, "waterproof", False),
        ("en", {"Case": "not waterproof"}, "not waterproof", True),
        ("en", {"Case": "non-waterproof"}, "waterproof", False),
        ("en", {"Case": "not waterproof", "Lid": "waterproof"}, "waterproof", True),
        ("en", {"Case": "waterproof"}, "not waterproof", False),
        ("en", {"Warranty": "None"}, "with warranty", False),
        ("en", {"Waterproof": 0}, "waterproof", False),
        ("en", {"Waterproof": "✗"}, "waterproof", False),
        ("en", {"Waterproof": "-"}, "waterproof", False),
        ("en", {"Waterproof": "No"}, "not waterproof", True),
        ("en", {"Waterproof": "Yes", "Lid": "No"}, "Lid: No; waterproof", True),
        ("en", {"Finish": "No. 5 waterproof lacquer"}, "waterproof", True),
        ("en", {}, "waterproof", False),
        ("zh", {"防水": "是"}, "防水", True),
        ("zh", {"防水": "否"}, "防水", False),
        ("zh", {"防水": "否"}, "防水：否", True),
        ("zh", {"防水": "无"}, "防水", False),
        ("zh", {"防水": "不"}, "防水", False),
        ("zh", {"是否防水": "否"}, "不防水", True),
        ("zh", {"是否防水": "不支持"}, "防水", False),
        ("zh", {"特点": "不防水"}, "防水", False),
        ("zh", {"特点": "不防水"}, "不防水", True),
        ("zh", {"特点": "没有质保"}, "质保", False),
        ("zh", {"特点": "质保一年"}, "质保", True),
    ],
)
def test_a_claim_needs_a_fact_that_affirms_it(
    language: str, attributes: dict[str, str], claim: str, ok: bool
) -> None:
    colour, material = ("colour", "material") if language == "en" else ("颜色", "材质")
    own = json.loads(ROWS[0][f"attributes_{language}"])
    kept = {colour: own[colour], material: own[material]} | attributes
    row = ROWS[0] | {f"attributes_{language}": json.dumps(kept)}
    verifier = judge(language)
    text = (EN if language == "en" else ZH).format(claim)
    verdict = verifier.verify(text, verifier.brief(facts(language, row)))
    assert ("claims" not in verdict.failed) == ok, verdict.failed


NO = ["No", "no", "n", "N", "false", "0", "✗", "❌", "-", "–", "none", "N/A", False, 0, 0.0]
NO += ["不", "否", "无", "不支持"]
YES = ["Yes", "y", "true", "1", "✓", "是", "有", "支持", True, 1]


def shop(language: str, answers: list[Any]) -> tuple[Verifier, list[Brief]]:
    """Products that answer whether they are dishwasher safe, a last one that does not, and two that do."""
    name = {"en": "Dishwasher safe", "zh": "可机洗"}[language]
    rows = []
    for i, answer in enumerate([*answers, None, "Yes", "No"]):
        told = json.loads(ROWS[0][f"attributes_{language}"]) | ({name: answer} if answer is not None else {})
        rows.append(ROWS[0] | {"product_id": f"p{i}", f"attributes_{language}": json.dumps(told)})
    verifier = judge(language, rows)
    return verifier, [verifier.brief(facts(language, row)) for row in rows]


SAFE = {"en": "A red stoneware mug, dishwasher safe.", "zh": "红色炻瓷马克杯，可机洗。"}
UNSAFE = {"en": "A red stoneware mug, not dishwasher safe.", "zh": "红色炻瓷马克杯，不可机洗。"}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_property_is_said_only_of_what_has_it(language: str) -> None:
    verifier, briefs = shop(language, [*YES, *NO])
    told = ["values" not in verifier.verify(SAFE[language], brief).failed for brief in briefs]
    # The last but two says nothing of it.
    assert told == [*[True] * len(YES), *[False] * len(NO), False, True, False]
    assert "values" not in verifier.verify(UNSAFE[language], briefs[-1]).failed
    assert "values" in verifier.verify(UNSAFE[language], briefs[0]).failed


def test_a_name_that_is_answered_by_a_number_is_no_property() -> None:
    rows = [
        ROWS[i] | {"attributes_en": json.dumps({"Pack of": pack, "Lid": lid, "pattern": pattern})}
        for i, (pack, lid, pattern) in enumerate([(1, 1, "none"), (1, 0, "none"), (2, 1, "dots")])
    ]
    verifier = judge("en", [*rows, ROWS[3]])
    of = verifier.brief(facts("en", ROWS[3]))
    assert "values" not in verifier.verify("A sky blue mug for a pack of cards, with a pattern.", of).failed
    assert "values" in verifier.verify("A sky blue mug, lid and all.", of).failed


@pytest.mark.parametrize(
    ("text", "ok"),
    [
        ("A red mug with no added sugar.", True),
        ("A red mug with added sugar.", False),
        ("A red mug. Sugar: no added sugar; Waterproof: No; stoneware.", True),
        ("A red mug. Terms: no returns, mishandling or fire.", True),
        ("A red mug for mishandling or fire.", False),
        ("A red mug, not stoneware.", False),
        ("A red mug. It is no glass: stoneware.", True),
    ],
)
def test_what_a_no_says_is_said_with_it(text: str, ok: bool) -> None:
    told = json.dumps(
        {
            "sugar": "no added sugar",
            "Waterproof": "No",
            "material": "stoneware",
            "Terms": "no returns, mishandling or fire",
        }
    )
    other = json.dumps({"a": "added sugar", "b": "mishandling or fire", "c": "stoneware"})
    rows = [ROWS[i] | {"attributes_en": told if i < 2 else other} for i in range(4)]
    verifier = judge("en", rows)
    failed = verifier.verify(text, verifier.brief(facts("en", rows[0]))).failed
    assert ("values" not in failed) == ok, failed


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_template_may_tell_what_is_denied(language: str) -> None:
    from models.writer import template

    told = {"en": {"Waterproof": "No"}, "zh": {"防水": "否"}}[language]
    row = ROWS[0] | {f"attributes_{language}": json.dumps(told)}
    verifier = judge(language)
    text, verdict = template.write(verifier.brief(facts(language, row)), verifier)
    assert verdict.ok
    assert {"en": "Waterproof: No", "zh": "防水：否"}[language] in text
