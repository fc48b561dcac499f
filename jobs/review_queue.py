"""Tonight's copy that a person should look at, riskiest first, and a random sample of the rest.

A text that a person accepted comes back only with a new reason against it. The queue holds at most
`review_limit` texts; a tenth of the places is kept for the sample, from which quality can be estimated.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from jobs import writer_files as files
from jobs.cli import main
from jobs.lake.registry import BY_NAME
from jobs.night import Night
from jobs.review_risk import RISKS, SAMPLED, Lengths, Reason, kind, reasons
from jobs.reviews import Reviews

TABLE = "review_queue"
COPY = "product_descriptions"
SAMPLE_PLACES = 10  # one place in so many is the sample's
_TITLES = ("product_id", "title_en", "title_zh")

Row = dict[str, Any]


@dataclass(frozen=True)
class Item:
    """One text for the queue. `draw`: a stable number in [0, 1), another one each night."""

    row: Row
    reasons: tuple[Reason, ...]
    draw: float
    sampled: bool

    @property
    def risk(self) -> str:
        return self.reasons[0].risk if self.reasons else RISKS[-1]

    @property
    def place(self) -> tuple[Any, ...]:
        """What the queue is sorted by: risk, then how much speaks for a look, then chance."""
        gravest = sum(r.risk == self.risk for r in self.reasons)
        key = [self.row[name] for name in ("product_id", "language", "channel")]
        return RISKS.index(self.risk), -gravest, -len(self.reasons), self.draw, key

    def as_row(self, rank: int) -> Row:
        why = [r.says for r in self.reasons] + ([SAMPLED] if self.sampled else [])
        kept = {name: self.row.get(name) for name in BY_NAME[TABLE].schema.names}
        return {**kept, "rank": rank, "risk": self.risk, "reasons": json.dumps(why, ensure_ascii=False)}


class Shortlist:
    """The first `limit` items by place; of the sample as many as have places kept. Memory is bounded."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.kept = min(limit, max(1, limit // SAMPLE_PLACES)) if limit else 0
        self._risky: list[Item] = []
        self._sample: list[Item] = []

    def add(self, item: Item) -> None:
        if item.reasons:
            self._risky.append(item)
            if len(self._risky) > 4 * self.limit + 100:
                self._risky = sorted(self._risky, key=lambda i: i.place)[: self.limit]
        if item.sampled:
            self._sample = sorted([*self._sample, item], key=lambda i: i.draw)[: self.kept]

    def chosen(self) -> list[Item]:
        """The queue in its order."""
        drawn = {id(i.row) for i in self._sample}
        others = (i for i in sorted(self._risky, key=lambda i: i.place) if id(i.row) not in drawn)
        room = max(0, self.limit - len(self._sample))
        return sorted([*self._sample, *_first(others, room)], key=lambda i: i.place)


def _first(items: Iterable[Item], count: int) -> list[Item]:
    return [item for _, item in zip(range(count), items, strict=False)]


def run(night: Night) -> dict[str, Any]:
    shortlist, counts = Shortlist(night.settings.review_limit), Counter[str]()
    for item in items(night):
        counts["texts"] += 1
        counts[item.risk if item.reasons else "unremarkable"] += 1
        shortlist.add(item)
    chosen = shortlist.chosen()
    rows = [item.as_row(rank) for rank, item in enumerate(chosen, 1)]
    night.stage(TABLE, pa.Table.from_pylist(rows, schema=BY_NAME[TABLE].schema))
    risks = Counter(row["risk"] for row in rows)
    night.note(TABLE, _note(night, rows, counts))
    return {"rows": len(rows), "found": dict(sorted(counts.items())), "queued": dict(sorted(risks.items()))}


def items(night: Night) -> Iterator[Item]:
    """Every text of the night with what speaks for a look; what a person has settled is left out."""
    reviews = Reviews.as_of(night)
    lengths, versions = _lengths(night), _versions(night)
    rules = files.rules(night)
    for batch in night.batches(COPY):
        for row in batch.to_pylist():
            found = reasons(row, rules[row["language"]], versions, lengths.get(kind(row)))
            standing = reviews.of(row["product_id"], row["language"], row["channel"])
            if not standing.settled(row["text"] or "", (r.says for r in found)):
                yield _item(night, row, found)


def _item(night: Night, row: Row, found: list[Reason]) -> Item:
    place = "\0".join([night.ds.isoformat(), row["product_id"], row["language"], row["channel"]])
    draw = files.share(f"review{night.settings.seed}\0{place}")
    return Item(row, tuple(found), draw, draw < night.settings.review_share)


def _lengths(night: Night) -> Mapping[tuple[str, str, bool], Lengths | None]:
    sizes: dict[tuple[str, str, bool], list[int]] = defaultdict(list)
    for batch in night.batches(COPY, columns=["language", "channel", "tier", "text"]):
        for row in batch.to_pylist():
            if row["text"]:
                sizes[kind(row)].append(len(row["text"]))
    return {k: Lengths.of(found) for k, found in sizes.items()}


def _versions(night: Night) -> set[str | None]:
    """The model versions whose texts were published on the day before this one."""
    days: list[date] = [d for d in night.partitions(COPY) if d < night.ds]
    if not days:
        return set()
    column = night.read(COPY, start=days[-1], end=days[-1], columns=["model_version"])["model_version"]
    return set(column.unique().to_pylist())


def _note(night: Night, rows: list[Row], counts: Counter[str]) -> Row:
    """What the report shows: the queue with the products' titles."""
    wanted = {row["product_id"] for row in rows}
    titles = {p["product_id"]: p for p in files.rows(night, _TITLES) if p["product_id"] in wanted}
    told = []
    for row in rows:
        title = titles.get(row["product_id"], {})
        known = {k: row[k] for k in ("rank", "risk", "product_id", "language", "channel", "tier", "text")}
        other = title.get("title_en") or title.get("title_zh") or ""
        name = title.get(f"title_{row['language']}") or other
        told.append({**known, "title": name, "reasons": json.loads(row["reasons"])})
    return {"counts": dict(counts), "limit": night.settings.review_limit, "rows": told}


if __name__ == "__main__":
    main("review_queue")
