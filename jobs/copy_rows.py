"""Rows of product copy for a block of products: the description, and the channels that are made of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from jobs.copy_tasks import EDITED, HUMAN, KEEP, MODEL, NONE, TEMPLATE, Desk, Row, Ruling, Task, is_catalogues
from jobs.writer_files import sorted_counts
from models.writer import channels
from models.writer.channels import CHANNELS, DESCRIPTION, TITLE, Channel
from models.writer.drafts import Request
from models.writer.facts import Facts
from models.writer.forms import Lines
from models.writer.verify import Verdict
from models.writer.write import Copy, others, write

AI_LABEL = {"en": "AI-generated", "zh": "AI生成"}
# Texts of each tier, channel and language that a block keeps for the report.
SAMPLES = {DESCRIPTION: 3}
SAMPLES_OF_OTHERS = 1
REFUSED = 5
# Descriptions whose sentences serve other channels: a template's say nothing that phrases would not.
_SERVING = ("human", "model", "retry")


class Block(NamedTuple):
    """The rows of a block in the order of their keys; `texts`: its descriptions and what could stand in for
    them, as `alike.TEXTS` lays out; its note for the report."""

    rows: list[Row]
    texts: list[Row]
    note: Row


def write_block(desk: Desk, tasks: Sequence[Task]) -> Block:
    rows: list[Row] = []
    texts: list[Row] = []
    note = empty_note()
    for language in desk.judges:
        mine = [t for t in tasks if t.facts.language == language]
        new = [t for t in mine if t.action in (MODEL, TEMPLATE)]
        finished = dict(zip(map(id, new), _copies(desk, language, new), strict=True))
        for task in mine:
            copy, *spare = finished.get(id(task), [None])
            description = description_row(desk, task, copy)
            note["written_by_model"] += task.action == MODEL
            if description:
                rows.append(description)
                take_note(note, description, task.earlier)
            for row in channel_rows(desk, task, description):
                rows.append(row)
                take_note(note, row, task.others.get(row["channel"]))
            if copy and description:
                _take_refused(note, description, copy)
            if description and description["text"]:
                texts += _texts(task, description, [s for s in spare if s])
    rows.sort(key=lambda r: (r["product_id"], r["language"], r["channel"]))
    return Block(rows, texts, note)


def _texts(task: Task, row: Row, spare: Sequence[Copy]) -> Iterator[Row]:
    """The description and what could stand in for it, best first."""
    about = {
        "product_id": row["product_id"],
        "language": row["language"],
        "category": " > ".join(task.facts.category),
        "family": task.family,
        "fixed": task.action not in (MODEL, TEMPLATE),
    }
    chosen = {k: row[k] for k in ("text", "tier", "checks")}
    others = ({"text": c.text, "tier": c.tier, "checks": _json(c.checks())} for c in spare)
    for rank, wrote in enumerate((chosen, *others)):
        yield {**about, "rank": rank, **wrote}


def _copies(desk: Desk, language: str, tasks: Sequence[Task]) -> Iterator[list[Copy]]:
    """Finished copy for the tasks, in order, each with what could stand in for it.

    The network is asked for those that are the model's only.
    """
    judge = desk.judges[language]
    briefs = [judge.brief(t.facts, t.rejected) for t in tasks]
    asked = [i for i, t in enumerate(tasks) if t.action == MODEL]
    candidates: list[list[str]] = [[] for _ in tasks]
    if asked and desk.writer is not None:
        for i, texts in zip(asked, desk.writer.candidates([briefs[i] for i in asked]), strict=True):
            candidates[i] = texts
    for brief, texts, copy in zip(briefs, candidates, write(briefs, candidates, judge), strict=True):
        yield [copy, *others(copy, brief, texts, judge)]


def description_row(desk: Desk, task: Task, copy: Copy | None) -> Row | None:
    """The description to publish; `copy` is there for what a machine wrote tonight."""
    if task.action == NONE:
        return None
    if task.action == KEEP:
        assert task.earlier is not None
        return _kept(desk, task.facts, task.earlier)
    if copy is None:  # a person's text is published as it is; its checks tell a person where to look
        verdict = desk.verdict(task.facts, DESCRIPTION, task.text)
        return _human(desk, task, DESCRIPTION, task.content_hash, task.text, verdict)
    asked = desk.version if task.action == MODEL else None
    return _row(desk, task, DESCRIPTION, task.content_hash) | {
        "text": copy.text or None,
        "tier": copy.tier,
        "model_version": asked,
        "ai_label": AI_LABEL[task.facts.language] if copy.text else None,
        "checks": _json(copy.checks()),
    }


def _kept(desk: Desk, facts: Facts, earlier: Row) -> Row:
    """Yesterday's row for tonight. A person's words stand, but their checks are those of tonight's facts and
    rules: made anew, unless a catalogue text's hash says that neither changed."""
    row = {**earlier, "ds": desk.night.ds}
    if row["tier"] != "human":
        return row
    if is_catalogues(row):
        row["content_hash"] = desk.catalogue_hash(facts, row["channel"], row["text"])
        if row["content_hash"] == earlier["content_hash"]:
            return row
    return row | {"checks": _json(desk.verdict(facts, row["channel"], row["text"]).as_json())}


def serving_text(description: Row) -> str:
    """What the other channels may take from a description."""
    return description["text"] if description["tier"] in _SERVING else ""


@dataclass(frozen=True)
class _Sheet:
    """A product's description as the other channels see it; what they need of it is made when first asked."""

    desk: Desk
    task: Task
    description: Row | None

    @cached_property
    def source(self) -> str:
        if self.description is None:
            return self.task.text
        return serving_text(self.description)

    @cached_property
    def request(self) -> Request:
        judge = self.desk.judges[self.task.facts.language]
        return Request(self.source, Lines(judge.brief(self.task.facts), judge))

    @property
    def author(self) -> tuple[str, str | None]:
        """Tier and model version of a text that borrows from the description. What a machine cuts out of a
        person's text is no person's text: it may be written anew."""
        if self.description is None or self.description["tier"] == "human":
            return "template", None
        return self.description["tier"], self.description["model_version"]


def channel_rows(desk: Desk, task: Task, description: Row | None) -> list[Row]:
    """The product's rows of all other channels.

    A channel that is switched off has the rows that people edited.
    """
    sheet = _Sheet(desk, task, description)
    found = [_channel_row(sheet, channel) for channel in desk.made()]
    for name in CHANNELS:
        if name not in desk.channels:
            ruling = desk.ruling(task.facts, name, "", task.others.get(name))
            row = _standing_row(desk, task, name, ruling)
            found += [row] if row else []
    return found


def _standing_row(desk: Desk, task: Task, channel: str, ruling: Ruling) -> Row | None:
    """The row of a text that people decided: a new edit, or what stands since yesterday."""
    if ruling.action == EDITED:
        verdict = desk.verdict(task.facts, channel, ruling.text)
        return _human(desk, task, channel, ruling.content_hash, ruling.text, verdict)
    if ruling.action == KEEP and ruling.earlier is not None:
        return _kept(desk, task.facts, ruling.earlier)
    return None


def _channel_row(sheet: _Sheet, channel: Channel) -> Row:
    desk, task = sheet.desk, sheet.task
    own = task.title if channel.name == TITLE else ""
    ruling = desk.ruling(task.facts, channel.name, own, task.others.get(channel.name))
    decided = _standing_row(desk, task, channel.name, ruling)
    if decided:
        return decided
    standing = desk.reviews.of(task.facts.product_id, task.facts.language, channel.name)
    rejected = frozenset(standing.rejected)
    wanted = desk.channel_hash(task.facts, channel, sheet.source, rejected)
    earlier = ruling.earlier
    if earlier is not None and earlier["content_hash"] == wanted:
        return _kept(desk, task.facts, earlier)
    if ruling.action == HUMAN:
        # The shop's own title serves where it keeps to the channel's form and rules.
        verdict = channels.verdict(channel.name, ruling.text, sheet.request.lines)
        if verdict.ok:
            return _human(desk, task, channel.name, ruling.content_hash, ruling.text, verdict)
    return _machine_row(sheet, channel, wanted, rejected)


def _machine_row(sheet: _Sheet, channel: Channel, wanted: str, rejected: frozenset[str]) -> Row:
    written = channels.write(channel, sheet.request, rejected)
    tier, version = sheet.author if written.borrowed else ("template", None)
    return _row(sheet.desk, sheet.task, channel.name, wanted) | {
        "text": written.text or None,
        "tier": tier if written.text else "refused",
        "model_version": version,
        "ai_label": AI_LABEL[sheet.task.facts.language] if written.text else None,
        "checks": _json(written.checks()),
    }


def _row(desk: Desk, task: Task, channel: str, content_hash: str) -> Row:
    return {
        "product_id": task.facts.product_id,
        "language": task.facts.language,
        "channel": channel,
        "content_hash": content_hash,
        "ds": desk.night.ds,
    }


def _human(desk: Desk, task: Task, channel: str, content_hash: str, text: str, verdict: Verdict) -> Row:
    own = {"text": text, "tier": "human", "model_version": None, "ai_label": None}
    return {**_row(desk, task, channel, content_hash), **own, "checks": _json(verdict.as_json())}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


# -- the block's note ----------------------------------------------------------------------


def empty_note() -> Row:
    return {"tiers": Counter(), "carried_over": 0, "written_by_model": 0, "failed": Counter(),
            "samples": [], "refused": []}  # fmt: skip


def take_note(note: Row, row: Row, earlier: Row | None) -> None:
    """Count the row, and keep a few for people to read; `earlier`: yesterday's row, if there is one."""
    kind = f"{row['tier']}.{row['language']}.{row['channel']}"
    note["tiers"][kind] += 1
    note["carried_over"] += _carried_over(row, earlier)
    if sum(s["kind"] == kind for s in note["samples"]) < SAMPLES.get(row["channel"], SAMPLES_OF_OTHERS):
        told = {k: row[k] for k in ("product_id", "language", "channel", "tier", "text", "model_version")}
        note["samples"].append({"kind": kind, **told, "checks": json.loads(row["checks"])})


def _carried_over(row: Row, earlier: Row | None) -> bool:
    """Whether a row is yesterday's: a machine's with its hash, a person's with the same words and checks."""
    if earlier is None:
        return False
    beside = ("ds", "content_hash") if row["tier"] == "human" else ("ds",)
    return {**earlier, **{name: row[name] for name in beside}} == row


def change_note(note: Row, old: Row, new: Row, earlier: Row | None) -> None:
    """Put a row in the place of a counted one; `earlier`: yesterday's row, which either may be."""
    note["carried_over"] += _carried_over(new, earlier) - _carried_over(old, earlier)
    kinds = [f"{row['tier']}.{row['language']}.{row['channel']}" for row in (old, new)]
    note["tiers"][kinds[0]] -= 1
    note["tiers"][kinds[1]] = note["tiers"].get(kinds[1], 0) + 1
    told = ("product_id", "language", "channel")
    for sample in note["samples"]:
        if all(sample[k] == new[k] for k in told):
            shown = {k: new[k] for k in ("tier", "text", "model_version")}
            sample.update(shown, kind=kinds[1], checks=json.loads(new["checks"]))


def _take_refused(note: Row, row: Row, copy: Copy) -> None:
    for text, verdict in copy.refused[:1]:
        note["failed"].update(list(verdict.failed))
        if len(note["refused"]) < REFUSED:
            about = {"product_id": row["product_id"], "language": row["language"], "published": row["tier"]}
            note["refused"].append({**about, "text": text, "why": verdict.failed})


def add_notes(desk: Desk, notes: Sequence[Row]) -> Row:
    """The report's note: the blocks' notes added up."""
    kinds: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for note in notes:
        kinds.update(note["tiers"])
        failed.update(note["failed"])
    samples: list[Row] = []
    for sample in (s for n in notes for s in n["samples"]):
        most = SAMPLES.get(sample["channel"], SAMPLES_OF_OTHERS)
        if sum(s["kind"] == sample["kind"] for s in samples) < most:
            samples.append(sample)
    tiers, by_language, by_channel = Counter[str](), Counter[str](), dict[str, Counter[str]]()
    for kind, count in kinds.items():
        tier, language, channel = kind.split(".", 2)
        tiers[tier] += count
        by_language[f"{tier}.{language}"] += count
        by_channel.setdefault(channel, Counter())[tier] += count
    carried_over = sum(n["carried_over"] for n in notes)
    return {
        "rows": kinds.total(),
        "tiers": sorted_counts(tiers),
        "tiers_by_language": sorted_counts(by_language),
        "tiers_by_channel": {c: sorted_counts(by_channel[c]) for c in desk.channels if c in by_channel},
        "written": kinds.total() - carried_over,
        "written_by_model": sum(n["written_by_model"] for n in notes),
        "carried_over": carried_over,
        "first_choice_refused": sorted_counts(failed),
        "model_version": desk.version,
        "samples": samples,
        "refused": [r for n in notes for r in n["refused"]][: 4 * REFUSED],
    }
