"""A shop of four mugs and a lamp, in both languages: small enough to know every right answer by heart."""

from __future__ import annotations

import json
from typing import Any

from models.writer.facts import Facts, Lexicon, read_facts
from models.writer.verify import Brief, Verifier


def product(number: int, brand: str, colour: str, material: str, **more: Any) -> dict[str, Any]:
    en_colour, zh_colour = colour.split("/")
    en_material, zh_material = material.split("/")
    row = {
        "product_id": f"p{number}",
        "title_en": f"{brand} {en_colour} mug",
        "title_zh": f"{brand} {zh_colour}马克杯",
        "category": "Home > Kitchen > mug",
        "brand": brand,
        "attributes_en": json.dumps({"colour": en_colour, "material": en_material, "capacity": "350 ml"}),
        "attributes_zh": json.dumps({"颜色": zh_colour, "材质": zh_material, "容量": "350ml"}),
    }
    return row | more


ROWS = [
    product(1, "Lumo", "red/红色", "stoneware/炻瓷"),
    product(2, "Lumo", "sky blue/天蓝色", "stoneware/炻瓷"),
    product(3, "North Ridge", "red/红色", "stainless steel/不锈钢"),
    product(4, "North Ridge", "sky blue/天蓝色", "stainless steel/不锈钢"),
]
LANGUAGES = ("en", "zh")


def facts(language: str, row: dict[str, Any] | None = None) -> Facts:
    return read_facts(language, row or ROWS[0])


def judge(language: str, rows: list[dict[str, Any]] | None = None) -> Verifier:
    return Verifier(language, Lexicon.build(read_facts(language, r) for r in rows or ROWS))


def brief(language: str, row: dict[str, Any] | None = None) -> Brief:
    return judge(language).brief(facts(language, row))
