"""Descriptions of a category that read almost the same or begin the same: limited and reported.

The blocks are written first, each by itself, with the texts that could stand in for a description. Then the
texts of each category are put on a shelf: those of people and of yesterday, then the new ones by product id.
A new text that is too like one on the shelf, or begins as too many do, gives way to another of the product's
texts that is not; where there is none, the least bad stays and is counted. The outcome depends neither on the
size of the blocks nor on the order in which they were written. Only the blocks that are touched are written
again. One language's columns are held at a time, and of them one category as more than columns.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.copy_reading import ByProduct
from jobs.copy_rows import change_note, channel_rows
from jobs.copy_tasks import Desk, Row
from jobs.lake.registry import BY_NAME
from jobs.lake.store import Store
from models.writer.alike import PERMUTATIONS, Choice, Shelf, opening, opening_quota, signatures
from models.writer.channels import DESCRIPTION

TABLE = "product_descriptions"
TEXTS = pa.schema(
    [
        ("product_id", pa.string()),
        ("language", pa.string()),
        ("category", pa.string()),
        ("family", pa.string()),
        ("fixed", pa.bool_()),
        ("rank", pa.int32()),
        ("text", pa.string()),
        ("tier", pa.string()),
        ("checks", pa.string()),
        ("opening", pa.string()),
        ("signature", pa.binary(PERMUTATIONS)),
    ]
)
_COMPARED = ["product_id", "category", "family", "fixed", "rank", "opening", "signature"]
# Of smaller categories an opening's share says nothing.
MIN_CATEGORY = 10
EXAMPLES = 3
_SHOWN_CHARS = 300

Key = tuple[str, str]  # product, language
Place = tuple[int, str, int]  # block, product, rank


@dataclass
class Limited:
    """The shards to publish, in the order of the blocks, and what the report shows by language."""

    shards: list[str]
    report: dict[str, Row] = field(default_factory=dict)


def save_texts(store: Store, base: str, texts: Sequence[Row]) -> None:
    """Keep a block's descriptions with their signatures and openings."""
    rows: list[Row] = []
    for language in dict.fromkeys(t["language"] for t in texts):
        mine = [t for t in texts if t["language"] == language]
        signed = signatures([t["text"] for t in mine], language)
        for text, signature in zip(mine, signed, strict=True):
            start = opening(text["text"], language)
            rows.append({**text, "opening": start, "signature": signature.tobytes()})
    store.write_parquet(f"{base}.texts", pa.Table.from_pylist(rows, schema=TEXTS))


def save_rows(store: Store, base: str, rows: Sequence[Row], note: Mapping[str, Any]) -> None:
    store.write(f"{base}.json", json.dumps(note, ensure_ascii=False, sort_keys=True).encode())
    # Last: its presence says that the block is done.
    store.write_parquet(f"{base}.parquet", pa.Table.from_pylist(rows, schema=BY_NAME[TABLE].schema))


def limit(desk: Desk, shards: Sequence[str], products: ByProduct) -> Limited:
    """Choose among the descriptions of all blocks, which are blocks of `products`."""
    store = desk.night.store
    if not shards:
        return Limited([])
    chosen: dict[int, dict[Key, int]] = {}
    findings: dict[str, _Findings] = {language: _Findings(language) for language in desk.judges}
    for language, found in findings.items():
        for category, rows in _categories(_texts(store, shards, language)):
            found.take(desk, category, rows, chosen)
    done = list(shards)
    size = desk.night.settings.block_size
    for block, ranks in sorted(chosen.items()):
        ids = {product for product, _ in ranks}
        sources = [row for row in products.block(block * size, size) if row["product_id"] in ids]
        done[block] = _rewritten(desk, shards[block], ranks, sources)
    report = {name: found.report(store, shards) for name, found in findings.items()}
    return Limited(done, report)


def _texts(store: Store, shards: Sequence[str], language: str) -> pa.Table:
    """What is compared of a language's texts, with the number of its block."""
    found = []
    for number, base in enumerate(shards):
        texts = store.read_parquet(f"{base}.texts", [*_COMPARED, "language"])
        texts = texts.filter(pc.equal(texts["language"], language)).select(_COMPARED)
        block = pa.array(np.full(texts.num_rows, number, np.int32))
        found.append(texts.append_column("block", block))
    return pa.concat_tables(found)


def _categories(texts: pa.Table) -> Iterator[tuple[str, list[list[Row]]]]:
    """A category and its products' texts: the fixed ones first, then by id; each best first."""
    texts = texts.append_column("new", pc.invert(texts["fixed"]).cast(pa.int8()))
    texts = texts.sort_by([(name, "ascending") for name in ("category", "new", "product_id", "rank")])
    names = texts["category"]
    begins = pc.not_equal(names[1:], names[:-1]).to_numpy()
    for start, end in pairwise([0, *(np.flatnonzero(begins) + 1).tolist(), len(names)]):
        products: dict[str, list[Row]] = {}
        for row in texts.slice(start, end - start).to_pylist():
            products.setdefault(row["product_id"], []).append(row)
        if products:
            yield names[start].as_py(), list(products.values())


@dataclass
class _Findings:
    """What a language's categories showed. Texts are named by block and product until the report is made."""

    language: str
    texts: int = 0
    changed: int = 0
    alike: int = 0
    largest: list[tuple[int, str, list[Place], float]] = field(default_factory=list)
    crowded: int = 0
    openings: list[tuple[float, int, str, str]] = field(default_factory=list)

    def take(
        self, desk: Desk, category: str, products: Sequence[Sequence[Row]], chosen: dict[int, dict[Key, int]]
    ) -> None:
        """Put a category on its shelf; `chosen` gets the ranks that are not the first."""
        settings = desk.night.settings
        families = len({p[0]["family"] for p in products})
        shelf = Shelf(settings.near_duplicate, opening_quota(settings.opening_share, families))
        for texts in products:
            first = texts[0]
            signed = np.frombuffer(b"".join(t["signature"] for t in texts), np.uint8)
            openings = [t["opening"] for t in texts]
            rank = shelf.place(
                Choice(first["product_id"], first["family"], signed.reshape(-1, PERMUTATIONS), openings)
            )
            if rank:
                chosen.setdefault(first["block"], {})[first["product_id"], self.language] = rank
                self.changed += 1
        texts = [p[rank] for p, rank in zip(products, shelf.ranks, strict=True)]
        self._note(category, texts, shelf, families)

    def _note(self, category: str, products: Sequence[Row], shelf: Shelf, families: int) -> None:
        self.texts += len(products)
        clusters = shelf.clusters()
        self.alike += sum(map(len, clusters))
        near = {frozenset((a, b)): s for a, b, s in shelf.pairs}
        for cluster in clusters[:EXAMPLES]:
            members = set(cluster)
            pair = next(sorted(p) for p in near if p <= members)
            shown = [(products[i]["block"], products[i]["product_id"], products[i]["rank"]) for i in pair]
            self.largest.append((len(cluster), category, shown, near[frozenset(pair)]))
        self.largest = sorted(self.largest, key=lambda c: (-c[0], c[1]))[:EXAMPLES]
        self.crowded += sum(max(0, len(f) - shelf.quota) for f in shelf.opened.values())
        if families >= MIN_CATEGORY:
            found = [(len(f) / families, len(f), category, text) for text, f in shelf.opened.items()]
            self.openings = sorted(self.openings + found, key=lambda o: (-o[0], o[2], o[3]))[:EXAMPLES]

    def report(self, store: Store, shards: Sequence[str]) -> Row:
        return {
            "texts": self.texts,
            "near_duplicates": self.alike,
            "share": round(self.alike / self.texts, 6) if self.texts else 0.0,
            "another_chosen": self.changed,
            "largest": self.largest[0][0] if self.largest else 0,
            "examples": [
                {
                    "category": c,
                    "texts": size,
                    "similarity": round(s, 3),
                    "pair": _read(store, shards, self.language, p),
                }
                for size, c, p, s in self.largest
            ],
            "begin_too_alike": self.crowded,
            "openings": [
                {"category": c, "opening": text, "products": n, "share": round(share, 6)}
                for share, n, c, text in self.openings
                if n > 1
            ],
        }


def _read(store: Store, shards: Sequence[str], language: str, wanted: Sequence[Place]) -> list[Row]:
    found = []
    columns = ["product_id", "language", "rank", "text"]
    for block, product, rank in wanted:
        for row in store.read_parquet(f"{shards[block]}.texts", columns).to_pylist():
            if (row["product_id"], row["language"], row["rank"]) == (product, language, rank):
                found.append({"product_id": product, "text": row["text"][:_SHOWN_CHARS]})
    return found


def _rewritten(desk: Desk, base: str, ranks: Mapping[Key, int], sources: Sequence[Row]) -> str:
    """The block with other descriptions for some products, and their other channels made anew.

    `sources`: the catalogue's rows of these products, by id.
    """
    store = desk.night.store
    digest = hashlib.sha256(json.dumps(sorted((*k, r) for k, r in ranks.items())).encode()).hexdigest()
    target = f"{base}-{digest[:12]}"
    if store.exists(f"{target}.parquet"):
        return target
    texts = store.read_parquet(f"{base}.texts").to_pylist()
    instead = {(t["product_id"], t["language"]): t for t in texts
               if ranks.get((t["product_id"], t["language"])) == t["rank"]}  # fmt: skip
    rows = {(r["product_id"], r["language"], r["channel"]): r
            for r in store.read_parquet(f"{base}.parquet").to_pylist()}  # fmt: skip
    note = json.loads(store.read(f"{base}.json"))
    before = desk.before(sources)
    for source in sources:
        for language in desk.judges:
            key = source["product_id"], language
            if key in instead:
                task = desk.task(source, language, before.get(key, {}))
                old = rows[(*key, DESCRIPTION)]
                new = {**old, **{k: instead[key][k] for k in ("text", "tier", "checks")}}
                for row in [new, *channel_rows(desk, task, new)]:
                    place = (*key, row["channel"])
                    change_note(note, rows[place], row, task.others.get(row["channel"]))
                    rows[place] = row
    save_rows(store, target, [rows[k] for k in sorted(rows)], note)
    return target
