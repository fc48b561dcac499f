"""What the facts bear out, and what they only hold the words of."""

from __future__ import annotations

import json

import pytest

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
        ("en", {}, "waterproof", False),
        ("zh", {"防水": "是"}, "防水", True),
        ("zh", {"防水": "否"}, "防水", False),
        ("zh", {"防水": "否"}, "防水：否", True),
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


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_template_may_tell_what_is_denied(language: str) -> None:
    from models.writer import template

    told = {"en": {"Waterproof": "No"}, "zh": {"防水": "否"}}[language]
    row = ROWS[0] | {f"attributes_{language}": json.dumps(told)}
    verifier = judge(language)
    text, verdict = template.write(verifier.brief(facts(language, row)), verifier)
    assert verdict.ok
    assert {"en": "Waterproof: No", "zh": "防水：否"}[language] in text
