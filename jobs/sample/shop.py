"""Writes the raw files of a believable shop: events, products and shoppers, one file a day of each."""

from __future__ import annotations

import json
import shutil
import uuid
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pyarrow import csv

from jobs.errors import BadInput
from jobs.sample import catalogue as catalogues
from jobs.sample import shoppers as people
from jobs.sample.feed import Feed, Register, raw_events
from jobs.sample.mess import Post, Tally
from jobs.sample.traffic import Traffic

TRUTH = "truth.json"
_CSV = csv.WriteOptions(quoting_style="needed")


@dataclass(frozen=True)
class Summary:
    """What was written; the same as `truth.json`.

    `events`: rows = clean + duplicates + too_late + the sum of bad; `late` are those of `clean` that arrive
    1 to 3 days after their day; `clean_by_kind` and `clean_by_day` count them by type and by the day on
    which they happened. `by_arrival` holds the same per file. `products`, `users`: rows, distinct ids, bad
    by kind. `copy`: the number of texts, and the flawed ones: product, language, kind, words.
    """

    seed: int
    scale: float
    start: str
    days: int
    events: dict[str, Any]
    by_arrival: dict[str, dict[str, Any]]
    products: dict[str, Any]
    users: dict[str, Any]
    copy: dict[str, Any]

    def __str__(self) -> str:
        e = self.events
        return (
            f"{e['rows']:,} events of {self.days} days ({e['clean']:,} clean, {e['late']:,} late among them; "
            f"{e['duplicates']:,} duplicates, {e['too_late']:,} too late, {sum(e['bad'].values()):,} bad), "
            f"{self.products['distinct']:,} products, {self.users['distinct']:,} shoppers"
        )


def generate(
    folder: Path,
    seed: int,
    scale: float = 1.0,
    products: int = 2400,
    users: int = 3000,
    start: date = date(2026, 1, 1),
    days: int = 56,
) -> Summary:
    """Writes the shop's files into `folder`, which must be new, empty, or an earlier sample.

    `scale` multiplies the events (about 100 per shopper in 56 days): the number of shoppers grows with its
    power of 3/4, their activity with the rest. The same arguments give the same bytes. Raises `BadInput`
    for arguments out of range and for a folder that holds something else.
    """
    _check(folder, scale, products, users, days)
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
    part.mkdir(parents=True)
    try:
        summary = _write(part, seed, scale, products, users, start, days)
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return summary


def _check(folder: Path, scale: float, products: int, users: int, days: int) -> None:
    if not (0 < scale <= 1000):
        raise BadInput(f"scale {scale} is not between 0 and 1000")
    for name, value in (("products", products), ("users", users), ("days", days)):
        if value < 1:
            raise BadInput(f"{name} is {value}; it must be at least 1")
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file; name a folder")
    if folder.exists() and any(folder.iterdir()) and not (folder / TRUTH).exists():
        raise BadInput(f"{folder} holds other files; name a new folder, or empty this one")


def _write(
    folder: Path, seed: int, scale: float, products: int, users: int, start: date, days: int
) -> Summary:
    crowd = max(1, round(users * scale**0.75))
    catalogue = catalogues.build(seed, products, days)
    shoppers = people.build(seed, crowd, days)
    traffic = Traffic(seed, catalogue, shoppers, start.weekday(), activity=scale * users / crowd)
    feed, post, register = Feed(seed, catalogue), Post(seed), Register(seed, shoppers)
    total, by_arrival = Tally(), {}
    written = 0
    for day in range(days):
        today = start + timedelta(days=day)
        events = traffic.day(day)
        post.send(day, str(today), raw_events(events, catalogue, today, written))
        written += len(events)
        arrived, tally = post.deliver(day)
        csv.write_csv(arrived, folder / f"events-{today}.csv", _CSV)
        # In a small shop no product changes on some day; an import refuses a file without a row.
        if changed := feed.day(day):
            (folder / f"products-{today}.jsonl").write_bytes(changed)
        (folder / f"users-{today}.csv").write_bytes(register.day(day))
        total.add(tally)
        by_arrival[str(today)] = tally.counts()
    summary = Summary(
        seed=seed,
        scale=scale,
        start=str(start),
        days=days,
        events=total.counts(),
        by_arrival=by_arrival,
        products=feed.truth,
        users=register.truth,
        copy=feed.copy_truth,
    )
    text = json.dumps(asdict(summary), ensure_ascii=False, indent=1, sort_keys=True)
    (folder / TRUTH).write_text(text + "\n", encoding="utf-8")
    return summary
