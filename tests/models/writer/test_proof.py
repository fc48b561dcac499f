"""What the facts bear out, and what they only hold the words of."""

from __future__ import annotations

import json
from typing import Any

import pytest

from models.writer.clean import Marks, make_pair, restore, slot_values, source
from models.writer.prototypes import Prototype, Prototypes
from models.writer.text import units
from models.writer.verify import Brief, Verifier
from tests.models.writer.shop import ROWS, facts, judge, product

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


@pytest.mark.parametrize(
    ("language", "told", "text", "ok"),
    [
        ("en", {"Material": "faux leather"}, "A leather mug.", False),
        ("en", {"Material": "faux leather"}, "A mug of genuine leather.", False),
        ("en", {"Material": "faux leather"}, "A mug of faux leather.", True),
        ("en", {"Material": "vegan leather"}, "A leather mug.", False),
        ("en", {"Material": "vegan leather"}, "A vegan leather mug.", True),
        ("en", {"Material": "PU leather"}, "A leather mug.", False),
        ("en", {"Material": "PU waterproof cloth"}, "A waterproof mug.", True),
        ("en", {"Surface": "walnut effect"}, "Walnut, and made to last.", False),
        ("en", {"Surface": "walnut effect"}, "With a walnut-effect surface.", True),
        ("en", {"Material": "leather"}, "A leather mug.", True),
        ("zh", {"材质": "人造皮革"}, "采用皮革。", False),
        ("zh", {"材质": "人造皮革"}, "采用人造皮革。", True),
        ("zh", {"材质": "PU皮革"}, "采用皮革。", False),
        ("zh", {"材质": "PU皮革"}, "PU皮革材质。", True),
        ("zh", {"材质": "仿羊绒"}, "羊绒面料。", False),
        ("zh", {"材质": "羊绒"}, "羊绒面料。", True),
        ("zh", {"图案": "大理石纹"}, "采用大理石。", False),
        ("zh", {"图案": "大理石纹"}, "大理石纹。", True),
    ],
)
def test_what_is_imitated_is_no_material_even_where_no_product_of_the_shop_has_it(
    language: str, told: dict[str, str], text: str, ok: bool
) -> None:
    mine = product(1, "Lumo", "red/红色", "stoneware/炻瓷") | {f"attributes_{language}": json.dumps(told)}
    verifier = judge(language, [mine, *ROWS[1:]])
    failed = verifier.verify(text, verifier.brief(facts(language, mine))).failed
    assert ("values" not in failed) == ok, failed


def verdict(language: str, told: dict[str, str], text: str, title: str = "") -> dict[str, str]:
    """What fails of a text about a product; the shop has every value that the texts below claim."""
    known = {
        "en": [
            "waterproof",
            "outdoor",
            "alcohol",
            "sugar",
            "leather",
            "silk",
            "cotton",
            "charger",
            "windproof",
            "gold",
        ],
        "zh": [
            "机洗",
            "手洗",
            "漂白",
            "防水",
            "酒精",
            "香精",
            "真丝",
            "羊绒",
            "皮革",
            "户外",
            "快充",
            "真皮",
            "胡桃木",
        ],
    }[language]
    field = f"attributes_{language}"
    others = [
        product(10 + i, "Havra", "red/红色", "x/炻瓷") | {field: json.dumps({str(i % 3): value})}
        for i, value in enumerate([*known, *known])
    ]
    mine = product(1, "Lumo", "red/红色", "stoneware/炻瓷") | {field: json.dumps(told)}
    if title:
        mine[f"title_{language}"] = title
    verifier = judge(language, [mine, *others])
    failed = verifier.verify(text, verifier.brief(facts(language, mine))).failed
    return {check: why for check, why in failed.items() if check in ("claims", "values")}


@pytest.mark.parametrize(
    ("told", "text", "ok"),
    [
        # The name with a "no" before it, a nought with its unit, and other ways to say no.
        ({"Waterproof": "Non-waterproof"}, "It is waterproof.", False),
        ({"Waterproof": "non waterproof"}, "It is non-waterproof.", True),
        ({"Waterproof": "Waterproof"}, "It is waterproof.", True),
        ({"Organic content": "0%"}, "An organic mug.", False),
        ({"Organic content": "100%"}, "An organic mug.", True),
        ({"Recycled": "0 %"}, "A recycled mug.", False),
        ({"Recycled": "40 %"}, "A recycled mug.", True),
        ({"Warranty": "n.a."}, "With a warranty.", False),
        ({"Warranty": "unknown"}, "With a warranty.", False),
        ({"Warranty": "unknown"}, "It has no warranty.", False),
        ({"Warranty": "none"}, "It has no warranty.", True),
        ({"Feature": "not only waterproof"}, "It is waterproof.", True),
        ({"Waterproof": "not only waterproof but windproof"}, "It is waterproof and windproof.", True),
        # As far as the clause goes.
        ({"Use": "not for outdoor use"}, "An outdoor mug.", False),
        ({"Use": "Not suitable for outdoor use"}, "An outdoor mug.", False),
        ({"Use": "Not suitable for outdoor use"}, "It is not for outdoor use.", True),
        ({"Use": "not for children, for outdoor use"}, "An outdoor mug.", True),
        ({"Use": "for outdoor use"}, "It is not for outdoor use.", False),
        ({"Not suitable for": "outdoor use"}, "An outdoor mug.", False),
        ({"Suitable for": "outdoor use"}, "An outdoor mug.", True),
        ({"Note": "Doesn't come with a charger"}, "With a charger.", False),
        ({"Note": "Doesn't come with a charger"}, "The charger is not included.", False),
        ({"Note": "don't use outdoor"}, "An outdoor mug.", False),
        ({"Note": "not waterproof or windproof"}, "It is windproof.", False),
        ({"Note": "not waterproof but windproof"}, "It is windproof.", True),
        ({"Note": "not waterproof but windproof"}, "It is waterproof.", False),
        # What a text denies must be denied.
        ({"Waterproof": "yes"}, "It isn't waterproof.", False),
        ({"Waterproof": "yes"}, "It isn\u2019t really waterproof.", False),
        ({"Waterproof": "yes"}, "It is not a waterproof mug.", False),
        ({"Waterproof": "no"}, "It isn't waterproof.", True),
        ({"Waterproof": "no"}, "It is not a waterproof mug.", True),
        ({"Waterproof": "yes"}, "Not only waterproof.", True),
        ({"Material": "leather"}, "Don't miss this leather mug.", True),
        ({"Material": "leather"}, "Cotton is not leather.", False),
        # "Free" behind it.
        ({"Formula": "alcohol-free"}, "With alcohol.", False),
        ({"Formula": "alcohol-free"}, "It is alcohol-free.", True),
        ({"Formula": "alcohol-free"}, "It is free of alcohol.", True),
        ({"Formula": "sugar-free"}, "It is sugar-free.", True),
        ({"Formula": "with sugar"}, "It is sugar-free.", False),
        ({"Sugar": "0 g"}, "It is sugar-free.", True),
        # "Free" behind what the facts only name, or have.
        ({"sugar": "regular sugar"}, "Sugar-free nuts.", False),
        ({"fragrance": "rose"}, "Fragrance-free.", False),
        ({"plating": "nickel"}, "Nickel-free.", False),
        ({"base": "alcohol"}, "Alcohol-free, and red.", False),
        ({"note": "low in alcohol, not alcohol-free"}, "It is not alcohol-free.", True),
        ({"lid": "bamboo lid"}, "It comes with a bamboo spoon.", False),
        ({"lid": "bamboo lid"}, "It comes with a handy bamboo lid.", True),
        ({"size": "M"}, "It comes in size L.", False),
        ({"size": "M"}, "It comes in size M.", True),
        ({"use": "gluten-free"}, "It is free from gluten.", True),
        ({"use": "snack"}, "Gluten free, and red.", False),
        ({"Waterproof": "yes"}, "It is waterproofed.", True),
        # What is not added may be there all the same.
        ({"sugar": "no added sugar"}, "It is sugar-free.", False),
        ({"sugar": "no added sugar"}, "It has no sugar.", False),
        ({"sugar": "no added sugar"}, "With zero sugar.", False),
        ({"sugar": "no added sugar"}, "It has no added sugar.", True),
        ({"sugar": "no added sugar"}, "It is made without added sugar.", True),
        ({"sugar": "no added sugar"}, "With added sugar.", False),
        ({"sugar": "no extra sugar"}, "It has no sugar.", False),
        ({"sugar": "low sugar"}, "With zero sugar.", False),
        ({"sugar": "low sugar"}, "It has no added sugar.", False),
        ({"sugar": "zero sugar"}, "It is sugar-free.", True),
        ({"Formula": "zero sugar"}, "With sugar.", False),
        ({"sugar": "none"}, "With zero sugar.", True),
        ({"use": "outdoor"}, "A sub-zero outdoor mug.", True),
        ({"Box": "charger free of charge"}, "With a charger.", True),
        ({"Box": "charger, free shipping"}, "With a charger.", True),
        # Imitations.
        ({"Material": "faux leather"}, "It is made of leather.", False),
        ({"Material": "faux leather"}, "Leather grows softer with use.", False),
        ({"Material": "faux leather"}, "It is made of faux leather.", True),
        ({"Material": "imitation leather"}, "It is made of faux leather.", True),
        ({"Material": "faux leather"}, "It is not leather.", True),
        ({"Material": "leather"}, "It is made of faux leather.", False),
        ({"Material": "not leather"}, "It is made of faux leather.", False),
        ({"Material": "leather"}, "It is not faux leather.", True),
        ({"Material": "artificial silk"}, "A silk mug.", False),
        ({"Material": "mock silk lining, leather"}, "It is made of leather.", True),
        ({"Material": "synthetic leather"}, "It is made of leather.", False),
        ({"Material": "synthetic waterproof resin"}, "It is waterproof.", True),
        ({"Material": "leather-look"}, "A leather mug.", False),
        ({"Material": "leather-look"}, "A leather-look mug.", True),
        ({"Material": "leather-look"}, "A mug of faux leather.", True),
        ({"Material": "leather-look", "Handle": "leather"}, "A leather handle.", True),
        ({"Material": "leather"}, "The leather looks great.", True),
        ({"Finish": "gold plated"}, "A gold mug.", False),
        ({"Finish": "gold plated"}, "A gold-plated mug.", True),
        ({"Finish": "gold-tone"}, "Gold, made to last.", False),
        ({"Colour": "gold", "Finish": "gold plated"}, "A gold mug.", True),
        ({"Use": "outdoor look"}, "An outdoor mug.", True),
        ({"Kind": "artificial plant", "Leaves": "silk"}, "Artificial silk leaves.", True),
        ({"Leaves": "silk"}, "Artificial silk leaves.", False),
        ({"Note": "not for children"}, "It is not for children and is near leather.", False),
        ({"Note": "not for children", "By": "leather"}, "It is not for children and is near leather.", True),
        ({"Void": "does not cover any outdoor use"}, "For outdoor use.", False),
        ({"Void": "does not cover any outdoor use"}, "Void: does not cover any outdoor use.", True),
        ({"Material": "faux leather", "Handle": "leather"}, "A leather handle.", True),
    ],
)
def test_english_that_takes_a_claim_back(told: dict[str, str], text: str, ok: bool) -> None:
    failed = verdict("en", told, text)
    assert (failed == {}) == ok, failed


@pytest.mark.parametrize(
    ("told", "text", "ok"),
    [
        ({"洗涤": "手洗，不可机洗"}, "支持机洗。", False),
        ({"洗涤": "手洗，不可机洗"}, "不可机洗。", True),
        ({"洗涤": "手洗，不可机洗"}, "可以手洗。", True),
        ({"洗涤": "手洗，不可机洗"}, "不可手洗。", False),
        ({"洗涤": "不可漂白，可机洗"}, "支持机洗。", True),
        ({"洗涤": "不可漂白、可机洗"}, "支持机洗。", True),
        ({"洗涤": "不可漂白可机洗"}, "支持机洗。", True),
        ({"洗涤": "可机洗"}, "不可机洗。", False),
        ({"洗涤": "请勿用洗衣机机洗"}, "支持机洗。", False),
        ({"可机洗": "否"}, "不支持机洗。", True),
        ({"支持防水": "否"}, "不防水。", True),
        ({"防水": "不防水"}, "防水。", False),
        ({"是否防水": "不支持防水"}, "防水。", False),
        ({"防水": "防水"}, "防水。", True),
        ({"有无防水": "有防水"}, "防水。", True),
        ({"特点": "温和，不含酒精"}, "含酒精。", False),
        ({"特点": "温和，不含酒精"}, "不含任何酒精。", True),
        ({"特点": "含酒精"}, "不含酒精。", False),
        ({"特点": "不含酒精、香精"}, "含香精。", False),
        ({"特点": "不含酒精的防水"}, "防水。", True),
        ({"不含": "酒精"}, "含酒精。", False),
        ({"特点": "不宜长时间在户外"}, "适合户外。", False),
        ({"特点": "不能快充但防水"}, "防水。", True),
        ({"特点": "不能快充但防水"}, "支持快充。", False),
        ({"特点": "不仅防水"}, "防水。", True),
        # They are no denials.
        ({"材质": "不锈钢", "特点": "防水"}, "不锈钢，防水。", True),
        ({"特点": "不粘锅 防水"}, "防水。", True),
        ({"特点": "非常防水"}, "防水。", True),
        ({"特点": "未来感，特别防水"}, "防水。", True),
        # Imitations.
        ({"材质": "仿真丝"}, "采用真丝。", False),
        ({"材质": "仿真丝"}, "采用仿真丝。", True),
        ({"图案": "胡桃木纹"}, "胡桃木杯。", False),
        ({"图案": "胡桃木纹"}, "胡桃木纹。", True),
        ({"颜色": "胡桃木色"}, "采用胡桃木。", False),
        ({"材质": "真丝"}, "真丝质感柔软。", True),
        ({"材质": "真丝质感涤纶"}, "采用真丝。", False),
        ({"材质": "真丝"}, "采用仿真丝。", False),
        ({"材质": "真丝"}, "采用真丝。", True),
        ({"材质": "仿羊绒"}, "采用羊绒。", False),
        ({"材质": "类羊绒"}, "采用羊绒。", False),
        ({"类型": "鞋类真皮"}, "采用真皮。", True),
        ({"材质": "人造皮革"}, "采用皮革。", False),
        ({"材质": "人造皮革"}, "采用人造皮革。", True),
        ({"材质": "皮革"}, "采用人造皮革。", False),
        ({"材质": "非真皮"}, "并非真皮。", True),
        ({"材质": "人造革"}, "真皮马克杯。", False),
        ({"尺码": "M"}, "本款为L码。", False),
        ({"尺码": "M"}, "本款为M码。", True),
        ({"糖分": "无添加糖"}, "无糖。", False),
        ({"糖分": "无糖"}, "无糖。", True),
    ],
)
def test_chinese_that_takes_a_claim_back(told: dict[str, str], text: str, ok: bool) -> None:
    failed = verdict("zh", told, text)
    assert (failed == {}) == ok, failed


def test_a_title_takes_back_what_it_denies() -> None:
    assert verdict("zh", {}, "防水。", "智能手环（不支持防水）")
    assert verdict("zh", {}, "防水。", "智能手环 不支持快充 防水") == {}
    assert verdict("zh", {}, "防水。", "智能手环（不支持快充）防水") == {}
    assert verdict("en", {}, "An outdoor lamp.", "Desk lamp, not for outdoor use")
    assert verdict("en", {}, "A leather lamp.", "Desk lamp (not for outdoor use) leather") == {}


def test_a_text_remembered_of_alike_products_is_not_told_of_what_denies_it() -> None:
    def scarf(number: int, care: str) -> dict[str, Any]:
        told = json.dumps({"颜色": "红色", "材质": "羊毛", "洗涤": care})
        return ROWS[0] | {"product_id": f"s{number}", "title_zh": "Lumo 围巾", "attributes_zh": told}

    rows = [
        *(scarf(i, "可机洗") for i in range(3)),
        *(scarf(i, "机洗") for i in (3, 4)),
        scarf(5, "手洗，不可机洗"),
    ]
    verifier = judge("zh", rows)
    briefs = [verifier.brief(facts("zh", row)) for row in rows]
    texts = ["这款围巾采用羊毛材质，红色好搭配。支持机洗，打理方便。"] * 3
    pairs = [
        make_pair(facts("zh", row), text, verifier, Marks()) for row, text in zip(rows, texts, strict=False)
    ]
    forms = dict(slot_values(briefs[-1]))
    own = frozenset(u for s in briefs[-1].evidence.facts.strings() for u in units(s))
    known = Prototypes(Prototype.of(p) for p in pairs if p)
    offered = [restore(t, forms) for t in known.find(source(briefs[-1], ["颜色", "材质"]), forms, own)]
    assert [t for t in offered if "支持机洗" in t]
    assert not [t for t in offered if "支持机洗" in t and verifier.verify(t, briefs[-1]).ok]
    assert [t for t in offered if verifier.verify(t, briefs[0]).ok]
