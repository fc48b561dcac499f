"""A shop of cups whose people write in few phrasings: small enough that a network learns it in a minute."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pyarrow as pa

from jobs.lake.publish import Publisher
from jobs.lake.registry import BY_NAME
from jobs.night import Night

BRANDS = ("Lumo", "North Ridge", "Havra")
KINDS = (("mug", "马克杯"), ("bowl", "汤碗"), ("vase", "花瓶"))
COLOURS = (("red", "红色"), ("sky blue", "天蓝色"), ("ivory", "米白色"), ("black", "黑色"))
MATERIALS = (("stoneware", "炻瓷"), ("glass", "玻璃"), ("stainless steel", "不锈钢"), ("bamboo", "竹制"))
SIZES = ("250", "350", "500", "750")
EN = (
    "This {kind} by {brand} is made of {material} and comes in {colour}.",
    "{brand} offers a {colour} {kind} of {material}. It holds {size} ml.",
    "Meet a {material} {kind} from {brand} that holds {size} ml.",
)
ZH = (
    "这款{brand}{kind}采用{material}材质，外观为{colour}。",
    "来自{brand}的{colour}{kind}，选用{material}制作，容量{size}ml。",
    "{brand}{kind}，{material}材质，容量为{size}ml。",
)

Row = dict[str, Any]


def row(number: int, written: bool, day: date) -> Row:
    kind, colour = KINDS[number % 3], COLOURS[number // 3 % 4]
    material, size = MATERIALS[number // 12 % 4], SIZES[number // 48 % 4]
    brand = BRANDS[number // 5 % 3]
    texts = [
        frames[number // 7 % 3].format(
            brand=brand, kind=kind[i], material=material[i], colour=colour[i], size=size
        )
        for i, frames in enumerate((EN, ZH))
    ]
    return {
        "product_id": f"p{number:04d}",
        "title_en": f"{brand} {colour[0]} {kind[0]}",
        "title_zh": f"{brand} {colour[1]}{kind[1]}",
        "category": f"Home > {kind[0]}",
        "brand": brand,
        "price": float("nan") if number % 50 == 0 else 9.5,
        "attributes_en": json.dumps({"colour": colour[0], "material": material[0], "capacity": f"{size} ml"}),
        "attributes_zh": json.dumps({"颜色": colour[1], "材质": material[1], "容量": f"{size}ml"}),
        "description_en": texts[0] if written else None,
        "description_zh": texts[1] if written else None,
        "first_seen": day,
        "ds": day,
    }


def shop(day: date, products: int = 200, written: float = 0.8) -> list[Row]:
    return [row(n, n % 10 < 10 * written, day) for n in range(products)]


def repainted(rows: list[Row], products: int) -> list[Row]:
    """The first so many described products have another colour than their English texts say."""
    for row in [r for r in rows if r["description_en"]][:products]:
        row["attributes_en"] = json.dumps(json.loads(row["attributes_en"]) | {"colour": "green"})
    return rows


def put(night: Night, table: str, rows: list[Row], days: list[date] | None = None) -> None:
    data = pa.Table.from_pylist(rows, schema=BY_NAME[table].schema)
    night.stage(table, data, partitions=days or [night.ds])


def publish(night: Night) -> None:
    """Make what the night staged visible to the next one; the audit is another room's."""
    if night.candidates():
        put(night, "models", [dict(c, ds=night.ds) for c in night.candidates()])
    for record in night.staging.records():
        night.mark_audited(record.table)
    Publisher(night.catalog).publish(night.staging, night.ds.isoformat())


def rows_of(night: Night, channel: str = "description") -> dict[tuple[str, str], Row]:
    found = [r for r in night.read("product_descriptions").to_pylist() if r["channel"] == channel]
    assert len({(r["product_id"], r["language"]) for r in found}) == len(found)
    return {(r["product_id"], r["language"]): r for r in found}
