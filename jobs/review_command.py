"""`nightshelf review`: the queue out as a sheet, a person's verdicts in, and out of the lake again."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from jobs import review_sheet as sheet
from jobs import reviews
from jobs.errors import BadInput
from jobs.lake.store import Store
from jobs.published import Published
from jobs.review_judge import Judged, judge
from jobs.settings import Settings
from jobs.writer_files import FACTS
from models.writer.facts import read_facts

QUEUE = "review_queue"


def export(settings: Settings, ds: date | None, out: Path | None, bom: bool, as_json: bool) -> None:
    """Write the queue of a date (default: the newest) as a sheet; prints where it is."""
    published = Published(settings)
    days = published.days(QUEUE)
    if not days or (ds and ds not in days):
        known = f"; the newest is {days[-1]}" if days else ""
        raise BadInput(f"there is no review queue of {ds or 'any date'}{known}")
    day = ds or days[-1]
    path = out or Path(f"review-{day}.csv")
    if path.exists():
        raise BadInput(f"{path} exists already and may hold verdicts: move it, or give another --out")
    rows = sorted(published.rows(QUEUE, day), key=lambda r: r["rank"])
    try:
        path.write_bytes(sheet.write(_cells(published, day, rows), bom))
    except OSError as error:
        raise BadInput(f"--out {path} cannot be written: {error.strerror}") from None
    if as_json:
        print(json.dumps({"ds": day.isoformat(), "rows": len(rows), "out": str(path)}))
        return
    print(f"{path}: {len(rows)} texts of {day}. Write accept, edit or reject under verdict; with edit, the")
    print(f"text that is to stand under new_text. Then: nightshelf review import {path}")


def _cells(published: Published, day: date, rows: list[dict[str, Any]]) -> Iterator[dict[str, str]]:
    wanted = {row["product_id"] for row in rows}
    products = {p["product_id"]: p for p in published.rows("products", day, FACTS, wanted)}
    for row in rows:
        facts = read_facts(row["language"], products.get(row["product_id"], row))
        known = [("category", " > ".join(facts.category)), ("brand", facts.brand), *facts.attributes]
        yield {
            **{name: str(row[name] or "") for name in sheet.COLUMNS if name in row},
            "reasons": "; ".join(json.loads(row["reasons"])),
            "title": facts.title,
            "facts": "; ".join(f"{name}: {value}" for name, value in known if value),
        }


def import_(settings: Settings, path: Path, reviewer: str, made: date | None, as_json: bool) -> None:
    """Keep the verdicts of a sheet, all or none; prints what was kept, and warnings to stderr."""
    lines = sheet.read(path)
    judged = judge(Published(settings), lines, made)
    if judged.problems:
        told = [f"{path}, line {number}: {what}" for number, what in judged.problems]
        rows = "1 row is" if len(told) == 1 else f"{len(told)} rows are"
        raise BadInput("\n".join([f"nothing was imported from {path}: {rows} wrong", *told]))
    for number, what in judged.warnings:
        print(f"{path}, line {number}: warning: {what}", file=sys.stderr)
    store = Store.of(settings)
    for decision in reviews.taken_back(store, judged.decisions):
        print(
            f"{path}: warning: {' / '.join(decision.key)} was edited, and is accepted as it was before: the "
            f"edit is taken back",
            file=sys.stderr,
        )
    new = reviews.add(store, judged.decisions, reviewer)
    _say(path, judged, new, len(lines), as_json)


def _say(path: Path, judged: Judged, new: list[reviews.Decision], lines: int, as_json: bool) -> None:
    kinds = dict(sorted(Counter(d.verdict for d in new).items()))
    known = len(judged.decisions) - len(new)
    unjudged = lines - len(judged.decisions)
    if as_json:
        told = {"imported": kinds, "known": known, "unjudged": unjudged, "warnings": len(judged.warnings)}
        print(json.dumps(told))
        return
    parts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    imported = f"{len(new)} verdicts imported" + (f" ({parts})" if parts else "")
    print(f"{path}: {imported}, {known} were known already, {unjudged} rows have none")
    if new:
        print(f"They hold for nights from {min(d.made for d in new)} on.")


def erase(settings: Settings, product: str, reviewer: str, as_json: bool) -> None:
    """Remove what people wrote about a product, or a reviewer's name, from the lake's folder of reviews."""
    if bool(product) == bool(reviewer):
        raise BadInput("give either --product ID or --reviewer NAME")
    store = Store.of(settings)
    erased = reviews.erase_product if product else reviews.erase_reviewer
    count = erased(store, product or reviewer)
    if as_json:
        print(json.dumps({"erased": count}))
    elif product:
        print(f"{count} verdicts on {product} were emptied; the next night writes its copy without them")
    else:
        print(f"the name was taken from {count} imports; their verdicts stay")
