"""Memory and time of `describe` as the catalogue grows; no model: templates write.

    python -m benchmarks.describe_growth [--scales 1,8] [--products 1000]

A made-up catalogue of a multiple of `--products` products, in two languages and all channels; a third of them
has texts of its own. The first night writes everything. On the second one product in fifty has another
attribute, and the rest is carried over. Each night is a process of its own; memory is its largest resident
size. `bytes_per_product` is what the second night's memory grew by, from the smallest size to the largest.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.memory import peak_mb
from jobs import describe
from jobs.lake.publish import Publisher
from jobs.lake.registry import BY_NAME
from jobs.night import Night
from jobs.settings import load_settings

FIRST = date(2026, 1, 10)
KINDS = (("mug", "马克杯"), ("bowl", "汤碗"), ("vase", "花瓶"), ("jug", "水壶"), ("plate", "餐盘"))
COLOURS = (("red", "红色"), ("sky blue", "天蓝色"), ("ivory", "米白色"), ("black", "黑色"), ("green", "绿色"))
MATERIALS = (("stoneware", "炻瓷"), ("glass", "玻璃"), ("stainless steel", "不锈钢"), ("bamboo", "竹制"))
BRANDS = tuple(f"{first}{last}" for first in ("Lu", "Ha", "No", "Ve") for last in ("mo", "vra", "rid", "ka"))
TEXTS = (
    "This {kind} by {brand} is made of {material} and comes in {colour}. It holds {size} ml.",
    "这款{brand}{kind}采用{material}材质，外观为{colour}，容量{size}ml。",
)
CATEGORY_SIZE = 500


def product(number: int, day: date) -> dict[str, Any]:
    """One in fifty has another colour on the second day."""
    changed = int(day > FIRST and number % 50 == 0)
    kind, colour = KINDS[number % 5], COLOURS[(number // 5 + changed) % 5]
    material, size = MATERIALS[number // 25 % 4], 200 + number // 100 % 90 * 10
    brand = BRANDS[number * 7 % len(BRANDS)]
    said = [
        text.format(kind=kind[i], brand=brand, material=material[i], colour=colour[i], size=size)
        for i, text in enumerate(TEXTS)
    ]
    own = number % 3 == 0
    return {
        "product_id": f"p{number:07d}",
        "title_en": f"{brand} {colour[0]} {kind[0]}",
        "title_zh": f"{brand} {colour[1]}{kind[1]}",
        "category": f"Home > Shelf {number // CATEGORY_SIZE:04d}",
        "brand": brand,
        "attributes_en": json.dumps({"colour": colour[0], "material": material[0], "capacity": f"{size} ml"}),
        "attributes_zh": json.dumps({"颜色": colour[1], "材质": material[1], "容量": f"{size}ml"}),
        "description_en": said[0] if own else None,
        "description_zh": said[1] if own else None,
        "first_seen": FIRST,
        "ds": day,
    }


def night_of(lake: str, day: date) -> Night:
    return Night(load_settings(lake=lake, block_size=512), day, f"night-{day}")


def put(lake: str, day: date, products: int) -> None:
    """Stage the catalogue of a day."""
    night = night_of(lake, day)
    night.pin()
    rows = [product(n, day) for n in range(products)]
    night.stage("products", pa.Table.from_pylist(rows, schema=BY_NAME["products"].schema))


def write(lake: str, day: date) -> dict[str, float]:
    """Describe a day: what it took."""
    night = night_of(lake, day)
    start = time.perf_counter()
    summary = describe.run(night)
    seconds = time.perf_counter() - start
    told = {k: summary[k] for k in ("rows", "written", "carried_over")}
    return {"seconds": round(seconds, 1), "peak_mb": peak_mb(), **told}


def publish(lake: str, day: date) -> None:
    night = night_of(lake, day)
    for record in night.staging.records():
        night.mark_audited(record.table)
    Publisher(night.catalog).publish(night.staging, night.ds.isoformat())


def own_process(*arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.describe_growth", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def one_size(products: int) -> dict[str, Any]:
    """Both nights of a catalogue."""
    found: dict[str, Any] = {"products": products}
    with tempfile.TemporaryDirectory(prefix="nightshelf-growth-") as folder:
        lake = str(Path(folder, "lake"))
        for name, day in (("first", FIRST), ("second", FIRST + timedelta(days=1))):
            put(lake, day, products)
            found[name] = own_process("--lake", lake, "--day", day.isoformat())
            publish(lake, day)
            told = {"night": name, "products": products, **found[name]}
            print(json.dumps(told), file=sys.stderr, flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scales", default="1,8")
    parser.add_argument("--products", type=int, default=1000, help="products at scale 1")
    parser.add_argument("--lake", help=argparse.SUPPRESS)
    parser.add_argument("--day", type=date.fromisoformat, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.lake:
        print(json.dumps(write(args.lake, args.day)))
        return 0
    sizes = [one_size(args.products * int(scale)) for scale in args.scales.split(",")]
    small, large = sizes[0], sizes[-1]
    grown = (large["second"]["peak_mb"] - small["second"]["peak_mb"]) * 2**20
    each = round(grown / max(1, large["products"] - small["products"]))
    print(json.dumps({"bytes_per_product": each, "sizes": sizes}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
