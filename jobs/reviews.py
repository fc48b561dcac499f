"""What people decided about published copy: kept in the lake, read by every later night.

    reviews/<number>-<digest>.json    one import: its reviewer and its decisions, those of a text in order

A decision holds from the date on which it was made: a night reads none of a later date. Among several about
one text the one imported last wins: who accepts a text takes an edit of it back. A rejection of it does not,
for the edit stands in its place already. A file changes only when something in it is erased.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any

from jobs.lake.store import Store
from jobs.night import REVIEWS, Night
from models.writer.text import normalise

VERDICTS = ("accept", "edit", "reject")
# What an erased decision leaves behind: without it, the edit would live on in the nights that follow.
_WITHDRAWN = "withdrawn"
# What is usual moves a little every night: that alone is no new reason against a text.
_USUAL = re.compile(r"(?<= characters, where )\d+(?= are usual$)")
Key = tuple[str, str, str]  # product, language, channel


@dataclass(frozen=True)
class Decision:
    """A person's word on one published text.

    `reasons`: what the person knew to speak against the text that is to stand: accepted, or edited.
    """

    product_id: str
    language: str
    channel: str
    verdict: str
    made: date
    text: str
    new_text: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return self.product_id, self.language, self.channel

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "made": self.made.isoformat(), "reasons": list(self.reasons)}

    @staticmethod
    def of(body: dict[str, Any]) -> Decision:
        made = date.fromisoformat(body["made"])
        return Decision(**{**body, "made": made, "reasons": tuple(body["reasons"])})


@dataclass
class Standing:
    """What people want of one text, after all their decisions. Rejected texts are in `normalise`'s form.

    `edited`, `edit_before`: the text that the edit replaced, in that form, and in its own where it was an
    edit itself.
    """

    edit: str = ""
    edited: str = ""
    edit_before: str = ""
    rejected: set[str] = field(default_factory=set)
    accepted: dict[str, set[str]] = field(default_factory=dict)
    withdrawn: bool = False

    def apply(self, decision: Decision) -> None:
        judged = normalise(decision.text)
        if decision.verdict == "edit":
            self.edit_before = self.edit if normalise(self.edit) == judged else ""
            self.edit, self.edited, self.withdrawn = decision.new_text, judged, False
            self.rejected.discard(normalise(decision.new_text))
            self._settle(decision.new_text, decision.reasons)
        elif decision.verdict == "accept":
            self.rejected.discard(judged)
            if self.edit and judged == self.edited != normalise(self.edit):
                # Withdrawn: where the edit was published, that row is not carried over.
                self.edit, self.withdrawn = self.edit_before, not self.edit_before
            self._settle(decision.text, decision.reasons)
        elif decision.verdict == "reject":
            self.rejected.add(judged)
            if normalise(self.edit) == judged:
                self.edit = ""
        else:
            self.edit, self.withdrawn = "", True

    def _settle(self, text: str, reasons: Iterable[str]) -> None:
        self.accepted.setdefault(normalise(text), set()).update(map(_lasting, reasons))

    def human_text(self, catalogue: str) -> str:
        """What people stand by: the edit, else the catalogue's text unless one rejected it."""
        return self.edit or ("" if self.rejects(catalogue) else catalogue)

    def rejects(self, text: str) -> bool:
        return normalise(text) in self.rejected

    def forbids(self, row: dict[str, Any]) -> bool:
        """Whether a published row may not be published again: rejected, or an edit that was erased."""
        if row["text"] is None:  # refused: there is nothing to forbid
            return False
        edited = row["content_hash"] == edit_hash(row["language"], row["channel"], row["text"])
        return self.rejects(row["text"]) or (self.withdrawn and edited)

    def settled(self, text: str, reasons: Iterable[str]) -> bool:
        """Whether a person accepted this text, knowing all of these reasons against it."""
        known = self.accepted.get(normalise(text))
        return known is not None and set(map(_lasting, reasons)) <= known


def _lasting(reason: str) -> str:
    return _USUAL.sub("", reason)


_NOTHING = Standing()


class Reviews:
    """All decisions up to a date, by product, language and channel."""

    def __init__(self, decisions: Iterable[Decision]) -> None:
        self._standings: dict[Key, Standing] = {}
        for decision in decisions:
            self._standings.setdefault(decision.key, Standing()).apply(decision)

    @staticmethod
    def as_of(night: Night) -> Reviews:
        """The decisions that the run pinned, made on its date or before."""
        return Reviews.of_all(d for d in _decisions(night.store, pinned(night)) if d.made <= night.ds)

    @staticmethod
    def of_all(decisions: Iterable[Decision]) -> Reviews:
        """`decisions` in the order in which they were imported, which holds within one date."""
        return Reviews(sorted(decisions, key=lambda d: d.made))

    def of(self, product_id: str, language: str, channel: str) -> Standing:
        return self._standings.get((product_id, language, channel), _NOTHING)

    def rejected(self, channel: str) -> Iterator[tuple[str, str, str]]:
        """Product, language and text, in `normalise`'s form, of what people rejected in a channel."""
        for (product, language, found), standing in self._standings.items():
            if found == channel:
                yield from ((product, language, text) for text in standing.rejected)

    def edited_products(self) -> set[str]:
        return {key[0] for key, standing in self._standings.items() if standing.edit}


def pinned(night: Night) -> list[str]:
    """The files that the run read; a run from before there were any read none."""
    keys: list[str] = night.record.get("reviews", [])
    return keys


def edit_hash(language: str, channel: str, text: str) -> str:
    """Content hash of a row that a person edited: of the text, as no machine decides about it."""
    body = json.dumps(["review", language, channel, text], ensure_ascii=True)
    return hashlib.sha256(body.encode()).hexdigest()


# -- the files -------------------------------------------------------------------


def history(store: Store, keys: Iterable[str], key: Key) -> Iterator[dict[str, Any]]:
    """What was decided about one text, in the order of import, and by whom."""
    for batch in _batches(store, keys):
        for decision in map(Decision.of, batch["decisions"]):
            if decision.key == key:
                yield {**decision.as_json(), "reviewer": batch["reviewer"] or None}


def _decisions(store: Store, keys: Iterable[str]) -> Iterator[Decision]:
    for batch in _batches(store, keys):
        yield from map(Decision.of, batch["decisions"])


def _batches(store: Store, keys: Iterable[str]) -> Iterator[dict[str, Any]]:
    for key in sorted(keys):
        yield json.loads(store.read(key))


def add(store: Store, decisions: Sequence[Decision], reviewer: str = "") -> list[Decision]:
    """Keep the decisions that are not known yet, as one file; returns those.

    Known is what earlier imports said last of the same text, with the same words on the same date: what was
    said before and then revised is said anew.
    """
    keys = store.list(REVIEWS)
    asked = _by_place(decisions)
    said = _by_place(d for d in _decisions(store, keys) if _place(d) in asked)
    new = [d for place, found in asked.items() for d in found[_overlap(said.get(place, []), found) :]]
    if new:
        _write(store, _next(keys, new), {"reviewer": reviewer, "decisions": [d.as_json() for d in new]})
    return new


def taken_back(store: Store, decisions: Sequence[Decision]) -> list[Decision]:
    """Those that accept a text in whose place an edit stands so far; asked before they are added."""
    asked = {d.key for d in decisions}
    known = [d for d in _decisions(store, store.list(REVIEWS)) if d.key in asked]
    before, after = Reviews.of_all(known), Reviews.of_all([*known, *decisions])
    return [d for d in decisions if d.verdict == "accept" and before.of(*d.key).edit != after.of(*d.key).edit]


def _place(decision: Decision) -> tuple[Key, date]:
    return decision.key, decision.made


def _by_place(decisions: Iterable[Decision]) -> dict[tuple[Key, date], list[Decision]]:
    """What was decided about each text on each date, in order; the same twice in a row once."""
    found: dict[tuple[Key, date], list[Decision]] = {}
    for decision in decisions:
        here = found.setdefault(_place(decision), [])
        if here[-1:] != [decision]:
            here.append(decision)
    return found


def _overlap(said: Sequence[Decision], asked: Sequence[Decision]) -> int:
    """How many of the first asked are the last that was said, in the same order."""
    return next(n for n in range(len(asked), -1, -1) if said[len(said) - n :] == asked[:n])


def _next(keys: Sequence[str], decisions: Sequence[Decision]) -> str:
    last = max((int(k.rsplit("/", 1)[-1].split("-")[0]) for k in keys), default=0)
    body = json.dumps([d.as_json() for d in decisions], sort_keys=True)
    return f"{REVIEWS}/{last + 1:06d}-{hashlib.sha256(body.encode()).hexdigest()[:16]}.json"


def _write(store: Store, key: str, batch: dict[str, Any]) -> None:
    store.write(key, json.dumps(batch, ensure_ascii=False, sort_keys=True, indent=1).encode())


def erase_product(store: Store, product_id: str) -> int:
    """Remove every word that people wrote about a product; returns the decisions emptied.

    What is left says only that there was one, so that no later night goes on with the edit.
    """

    def emptied(decision: Decision) -> Decision:
        if decision.product_id != product_id:
            return decision
        return replace(decision, verdict=_WITHDRAWN, text="", new_text="", reasons=())

    return _rewrite(store, lambda batch: _emptied(batch, emptied))


def erase_reviewer(store: Store, reviewer: str) -> int:
    """Remove a reviewer's name; the decisions stay. Returns the imports that bore it."""

    def nameless(batch: dict[str, Any]) -> int:
        bore = bool(reviewer) and batch["reviewer"] == reviewer
        if bore:
            batch["reviewer"] = ""
        return int(bore)

    return _rewrite(store, nameless)


def _emptied(batch: dict[str, Any], change: Callable[[Decision], Decision]) -> int:
    before = [Decision.of(body) for body in batch["decisions"]]
    after = [change(d) for d in before]
    batch["decisions"] = [d.as_json() for d in after]
    return sum(a != b for a, b in zip(before, after, strict=True))


def _rewrite(store: Store, change: Callable[[dict[str, Any]], int]) -> int:
    """Apply a change to every file, under the same key; returns what the changes counted."""
    total = 0
    for key in store.list(REVIEWS):
        batch = json.loads(store.read(key))
        changed = change(batch)
        if changed:
            _write(store, key, batch)
        total += changed
    return total
