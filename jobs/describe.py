"""Write copy for every product in every language: what a person wrote, what is still true, and the rest anew.

In blocks of products, each a shard under the run's work folder: a rerun after a crash starts at the first
missing one. Only what changed is written; a row that a person wrote is never overwritten by a machine.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs import writer_files as files
from jobs.cli import main
from jobs.lake.registry import BY_NAME
from jobs.night import Night
from jobs.reviews import Reviews, edit_hash
from models.writer.facts import Facts, read_facts
from models.writer.verify import Verifier
from models.writer.write import Copy, write

TABLE = "product_descriptions"
CHANNEL = "description"
AI_LABEL = {"en": "AI-generated", "zh": "AI生成"}
SAMPLES = 3  # texts of each tier and language that a shard keeps for the report
REFUSED = 5
_INPUT = (*files.FACTS, "description_en", "description_zh")
_KEEP, _HUMAN, _MODEL, _TEMPLATE = "keep", "human", "model", "template"

Row = dict[str, Any]


@dataclass(frozen=True)
class Block:
    """A block of products: its number, its first product, what the network may still write, where it goes.

    `base`: key of the block's files without their endings; it holds a hash of all that the block depends on.
    """

    number: int
    start: int
    budget: int | None
    base: str


@dataclass(frozen=True)
class Task:
    """One text to decide: what to do, and the hash that its row will carry."""

    action: str
    facts: Facts
    content_hash: str
    text: str = ""
    earlier: Row | None = None
    rejected: frozenset[str] = frozenset()

    def fingerprint(self) -> list[str]:
        kept = json.dumps(self.earlier, default=str, sort_keys=True) if self.action == _KEEP else ""
        return [self.facts.product_id, self.facts.language, self.action, self.content_hash, self.text, kept]


@dataclass
class Desk:
    """What all blocks share: judges, the model in service, yesterday's rows, what may still be written."""

    night: Night
    judges: Mapping[str, Verifier]
    version: str | None
    writer: files.AnyWriter | None
    earlier: pa.Table
    reviews: Reviews
    code: str
    budget: int | None
    digests: dict[str, str] = field(default_factory=dict)

    def content_hash(self, facts: Facts, version: str | None, rejected: frozenset[str] = frozenset()) -> str:
        """Of all that decides a machine's text: facts, language, channel, model, rules, code, settings, and
        what people rejected.
        """
        from_facts = [
            asdict(facts),
            CHANNEL,
            version or "",
            self.code,
            self.judges[facts.language].rules.digest,
        ]
        unwanted = [sorted(rejected)] if rejected else []
        return _sha([*from_facts, self.night.settings.seed, *unwanted])

    def tasks(self, rows: Sequence[Row]) -> list[Task]:
        """What to do for a block's products, in every language."""
        before = self._earlier(rows)
        found = []
        for row in rows:
            options = [self._decide(row, lang, before.get((row["product_id"], lang))) for lang in self.judges]
            if any(t.action == _MODEL for t in options):
                if self.budget is not None and self.budget <= 0:
                    options = [self._spare(t) for t in options]
                elif self.budget is not None:
                    self.budget -= 1
            found += options
        return found

    def _decide(self, row: Row, language: str, earlier: Row | None) -> Task:
        facts = read_facts(language, row)
        text = (row[f"description_{language}"] or "").strip()
        standing = self.reviews.of(facts.product_id, language, CHANNEL)
        if standing.edit:
            return self._edited(facts, standing.edit, earlier)
        if earlier is not None and standing.forbids(earlier):
            earlier = None
        text = standing.human_text(text)
        if earlier is not None and earlier["tier"] == "human":
            edited = earlier["content_hash"] != human_hash(language, earlier["text"])
            # The shop's own newer text replaces its older one; what a person edited here stays.
            if edited or not text or text == earlier["text"]:
                return Task(_KEEP, facts, earlier["content_hash"], earlier=earlier)
        if text:
            return Task(_HUMAN, facts, human_hash(language, text), text)
        rejected = frozenset(standing.rejected)
        wanted = self.content_hash(facts, self.version, rejected)
        if earlier is not None and earlier["content_hash"] == wanted:
            return Task(_KEEP, facts, wanted, earlier=earlier)
        action = _MODEL if self.writer else _TEMPLATE
        return Task(action, facts, wanted, earlier=earlier, rejected=rejected)

    def _edited(self, facts: Facts, text: str, earlier: Row | None) -> Task:
        """A person's words stand whatever the catalogue says; their checks are those of tonight's facts."""
        wanted = edit_hash(facts.language, CHANNEL, text)
        if earlier is None or earlier["content_hash"] != wanted:
            return Task(_HUMAN, facts, wanted, text)
        judge = self.judges[facts.language]
        checks = _json(judge.verify(text, judge.brief(facts)).as_json())
        return Task(_KEEP, facts, wanted, earlier={**earlier, "checks": checks})

    def _spare(self, task: Task) -> Task:
        """Beyond tonight's limit: what is still true of the product stays, else a template writes."""
        if task.action != _MODEL:
            return task
        old = task.earlier
        if old is not None:
            still = self.content_hash(task.facts, old["model_version"], task.rejected)
            if old["content_hash"] == still:
                return Task(_KEEP, task.facts, still, earlier=old)
        hashed = self.content_hash(task.facts, None, task.rejected)
        return Task(_TEMPLATE, task.facts, hashed, rejected=task.rejected)

    def _earlier(self, rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
        ids = pa.array([r["product_id"] for r in rows], pa.string())
        mask = pc.and_(pc.is_in(self.earlier["product_id"], ids), pc.equal(self.earlier["channel"], CHANNEL))
        return {(r["product_id"], r["language"]): r for r in self.earlier.filter(mask).to_pylist()}


def _sha(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def human_hash(language: str, text: str) -> str:
    """Of a text that came with the shop's catalogue; an edited row carries another."""
    return _sha(["catalogue", language, CHANNEL, text])


def run(night: Night) -> dict[str, Any]:
    desk, rows, size = open_desk(night), products(night), night.settings.block_size
    in_spark, blocks = night.settings.writing == "spark", []
    starts = range(0, rows.num_rows, size)
    for number, start in enumerate(night.track(starts, "writing copy", len(starts))):
        budget, tasks = desk.budget, desk.tasks(rows.slice(start, size).to_pylist())
        blocks.append(Block(number, start, budget, base(desk, number, tasks)))
        if not in_spark:
            write_shard(desk, blocks[-1].base, tasks)
    if in_spark:
        from jobs import spark_writing

        spark_writing.write(night, blocks)
    if blocks:
        night.stage_files(TABLE, [f"{block.base}.parquet" for block in blocks])
    else:
        night.stage(TABLE, BY_NAME[TABLE].schema.empty_table())
    note = _summary(desk, [json.loads(night.store.read(f"{block.base}.json")) for block in blocks])
    night.note("descriptions", note)
    return {k: note[k] for k in ("rows", "tiers", "written_by_model", "carried_over", "model_version")}


def products(night: Night) -> pa.Table:
    """The date's products in the order of their ids, which is that of the blocks."""
    return night.read("products", columns=list(_INPUT)).sort_by("product_id")


def open_desk(night: Night) -> Desk:
    """On the run's pinned inputs; every process that opens it decides alike."""
    row = night.model_in_service(files.MODEL)
    writer = files.load(night.store, row["location"], night.settings.writer_preset) if row else None
    return Desk(
        night=night,
        judges=files.verifiers(night),
        version=row["version"] if row and writer else None,
        writer=writer,
        earlier=_newest_earlier(night),
        reviews=Reviews.as_of(night),
        code=files.code_hash(),
        budget=night.options.max_products,
    )


def _newest_earlier(night: Night) -> pa.Table:
    """The rows of the newest published day before the date; none on the first night."""
    days: list[date] = [d for d in night.partitions(TABLE) if d < night.ds]
    if not days:
        return BY_NAME[TABLE].schema.empty_table()
    return night.read(TABLE, start=days[-1], end=days[-1])


def base(desk: Desk, number: int, tasks: Sequence[Task]) -> str:
    """Key of the block's files without their endings; it holds a hash of all that the block depends on."""
    night = desk.night
    settings = [night.ds.isoformat(), desk.version, desk.code, [d.rules.digest for d in desk.judges.values()]]
    key = _sha([settings, [_lexicon(desk, lang) for lang in desk.judges], [t.fingerprint() for t in tasks]])
    return night.work(f"describe/{number:05d}-{key[:24]}")


def write_shard(desk: Desk, base: str, tasks: Sequence[Task]) -> None:
    """The block's note and its Parquet file, unless a run that died has left them."""
    store = desk.night.store
    if not store.exists(f"{base}.parquet"):
        rows, note = _write_block(desk, tasks)
        store.write(f"{base}.json", json.dumps(note, ensure_ascii=False, sort_keys=True).encode())
        # Last: its presence says that the block is done.
        store.write_parquet(f"{base}.parquet", pa.Table.from_pylist(rows, schema=BY_NAME[TABLE].schema))


def _lexicon(desk: Desk, language: str) -> str:
    """Hash of what the verifier knows of the shop: another product's value may refuse this one's text."""
    if language not in desk.digests:
        known = desk.judges[language].lexicon
        desk.digests[language] = _sha([sorted(known.values), sorted(known.brands.values())])
    return desk.digests[language]


def _write_block(desk: Desk, tasks: Sequence[Task]) -> tuple[list[Row], Row]:
    rows: list[Row] = []
    note: Row = {"tiers": Counter(), "carried_over": 0, "written_by_model": 0, "failed": Counter(),
                 "samples": [], "refused": []}  # fmt: skip
    for language in desk.judges:
        mine = [t for t in tasks if t.facts.language == language]
        new = [t for t in mine if t.action in (_MODEL, _TEMPLATE)]
        finished = {id(t): c for t, c in zip(new, _copies(desk, language, new), strict=True)}
        for task in mine:
            copy = finished.get(id(task))
            rows.append(_row(desk, task, copy))
            _take_note(note, rows[-1], task, copy)
    return sorted(rows, key=lambda r: (r["product_id"], r["language"])), note


def _copies(desk: Desk, language: str, tasks: Sequence[Task]) -> Iterator[Copy]:
    """Finished copy for the tasks, in order; the network is asked for those that are the model's only."""
    judge = desk.judges[language]
    briefs = [judge.brief(t.facts, t.rejected) for t in tasks]
    asked = [i for i, t in enumerate(tasks) if t.action == _MODEL]
    candidates: list[list[str]] = [[] for _ in tasks]
    if asked and desk.writer is not None:
        for i, texts in zip(asked, desk.writer.candidates([briefs[i] for i in asked]), strict=True):
            candidates[i] = texts
    return write(briefs, candidates, judge)


def _row(desk: Desk, task: Task, copy: Copy | None) -> Row:
    """The row to publish; `copy` is there for what a machine wrote tonight."""
    if task.action == _KEEP:
        assert task.earlier is not None
        return {**task.earlier, "ds": desk.night.ds}
    language = task.facts.language
    row = {
        "product_id": task.facts.product_id,
        "language": language,
        "channel": CHANNEL,
        "content_hash": task.content_hash,
        "ds": desk.night.ds,
    }
    if copy is None:  # the shop's own text is published as it is; its checks tell a person where to look
        judge = desk.judges[language]
        checks = judge.verify(task.text, judge.brief(task.facts)).as_json()
        own = {"text": task.text, "tier": "human", "model_version": None, "ai_label": None}
        return {**row, **own, "checks": _json(checks)}
    asked = desk.version if task.action == _MODEL else None
    label = AI_LABEL[language] if copy.text else None
    wrote = {"text": copy.text or None, "tier": copy.tier, "model_version": asked, "ai_label": label}
    return {**row, **wrote, "checks": _json(copy.checks())}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _take_note(note: Row, row: Row, task: Task, copy: Copy | None) -> None:
    """Count the row, and keep a few for people to read."""
    kind = f"{row['tier']}.{row['language']}"
    note["tiers"][kind] += 1
    note["carried_over"] += task.action == _KEEP
    note["written_by_model"] += task.action == _MODEL
    if sum(s["kind"] == kind for s in note["samples"]) < SAMPLES:
        told = {k: row[k] for k in ("product_id", "language", "tier", "text", "model_version")}
        note["samples"].append({"kind": kind, **told, "checks": json.loads(row["checks"])})
    for text, verdict in copy.refused[:1] if copy else ():
        note["failed"].update(list(verdict.failed))
        if len(note["refused"]) < REFUSED:
            about = {"product_id": row["product_id"], "language": row["language"], "published": row["tier"]}
            note["refused"].append({**about, "text": text, "why": verdict.failed})


def _summary(desk: Desk, notes: Sequence[Row]) -> Row:
    """The report's note: the shards' notes added up."""
    tiers: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for note in notes:
        tiers.update(note["tiers"])
        failed.update(note["failed"])
    samples: list[Row] = []
    for sample in (s for n in notes for s in n["samples"]):
        if sum(s["kind"] == sample["kind"] for s in samples) < SAMPLES:
            samples.append(sample)
    by_tier: Counter[str] = Counter()
    for kind, count in tiers.items():
        by_tier[kind.split(".")[0]] += count
    return {
        "rows": tiers.total(),
        "tiers": files.sorted_counts(by_tier),
        "tiers_by_language": files.sorted_counts(tiers),
        "written_by_model": sum(n["written_by_model"] for n in notes),
        "carried_over": sum(n["carried_over"] for n in notes),
        "first_choice_refused": files.sorted_counts(failed),
        "model_version": desk.version,
        "samples": samples,
        "refused": [r for n in notes for r in n["refused"]][: 4 * REFUSED],
    }


if __name__ == "__main__":
    main("describe")
