"""What to do for each product: people's words stand, what is still true stays, the rest is written anew.

Every decision is a pure function of the product's row, yesterday's rows, people's decisions and the model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from jobs.copy_reading import ByProduct
from jobs.night import Night
from jobs.reviews import Reviews, Standing, edit_hash
from jobs.writer_files import AnyWriter
from models.writer import channels
from models.writer.channels import ALL, CHANNELS, DESCRIPTION, Channel
from models.writer.facts import Facts, read_facts
from models.writer.forms import Lines
from models.writer.phrases import load_phrases
from models.writer.text import clean_string
from models.writer.verify import Verdict, Verifier

# HUMAN: the catalogue's words; EDITED: a person's, made here; NONE: no description is asked for.
KEEP, HUMAN, EDITED, MODEL, TEMPLATE, NONE = "keep", "human", "edited", "model", "template", "none"
# So many digits of the hash of a catalogue's text say whose words they are, the rest what its checks are of.
_WORDS = 32

Row = dict[str, Any]


@dataclass(frozen=True)
class Ruling:
    """What people's words and yesterday's row decide about one text; no action: a machine writes."""

    action: str = ""
    content_hash: str = ""
    text: str = ""
    earlier: Row | None = None


@dataclass(frozen=True)
class Task:
    """One product in one language: what to do about its description, and what its other channels start from.

    `title`: the shop's own in this language; `others`: yesterday's rows by channel; `family`: the product
    that this one is a variant of, or itself.
    """

    action: str
    facts: Facts
    content_hash: str
    text: str = ""
    earlier: Row | None = None
    rejected: frozenset[str] = frozenset()
    title: str = ""
    others: Mapping[str, Row] = field(default_factory=dict)
    family: str = ""

    def fingerprint(self) -> list[str]:
        """All that the task's rows depend on, beside what the whole night shares."""
        kept = _json([self.earlier if self.action == KEEP else None, dict(self.others)])
        return [self.facts.product_id, self.facts.language, self.action, self.content_hash, self.text,
                self.title, self.family, sha(asdict(self.facts)), kept]  # fmt: skip


@dataclass
class Desk:
    """What all blocks share: channels, judges, the model in service, yesterday's rows (None: there are none),
    people's decisions, what may still be written."""

    night: Night
    channels: Sequence[str]
    judges: Mapping[str, Verifier]
    version: str | None
    writer: AnyWriter | None
    earlier: ByProduct | None
    reviews: Reviews
    code: str
    budget: int | None
    digests: dict[str, str] = field(default_factory=dict)

    def made(self) -> list[Channel]:
        """The channels beside the description."""
        return [CHANNELS[name] for name in self.channels if name in CHANNELS]

    def content_hash(self, facts: Facts, version: str | None, rejected: frozenset[str] = frozenset()) -> str:
        """Of all that decides a machine's description: facts, language, channel, model, rules, code,
        settings, and what people rejected.
        """
        return self._hash(facts, DESCRIPTION, version or "", rejected)

    def channel_hash(self, facts: Facts, channel: Channel, source: str, rejected: frozenset[str]) -> str:
        """As `content_hash`, for another channel. It depends on the model through `source` alone, the
        description that it leans on."""
        phrases = load_phrases(facts.language).digest
        source = source if channel.leans_on_description else ""
        return self._hash(facts, channel.name, sha([source, phrases]), rejected)

    def catalogue_hash(self, facts: Facts, channel: str, text: str) -> str:
        """Of a text that came with the shop's catalogue: its words, and the facts, rules and code that its
        checks are of."""
        checked_by = self._hash(facts, channel, "", frozenset())
        return _words_hash(facts.language, channel, text)[:_WORDS] + checked_by[_WORDS:]

    def _hash(self, facts: Facts, channel: str, made_of: str, rejected: frozenset[str]) -> str:
        rules = self.judges[facts.language].rules.digest
        unwanted = [sorted(rejected)] if rejected else []
        return sha([asdict(facts), channel, made_of, self.code, rules, self.night.settings.seed, *unwanted])

    def tasks(self, rows: Sequence[Row]) -> list[Task]:
        """What to do for a block's products, in every language; `rows` in the order of their ids."""
        before = self.before(rows)
        found = []
        for row in rows:
            mine = {lang: before.get((row["product_id"], lang), {}) for lang in self.judges}
            options = [self.task(row, lang, rows_before) for lang, rows_before in mine.items()]
            if any(t.action == MODEL for t in options):
                if self.budget is not None and self.budget <= 0:
                    options = [self._spare(t) for t in options]
                elif self.budget is not None:
                    self.budget -= 1
            found += options
        return found

    def task(self, row: Row, language: str, before: Mapping[str, Row]) -> Task:
        """What to do in one language, whatever tonight's limit; `before`: yesterday's rows by channel."""
        task = self._decide(row, language, before.get(DESCRIPTION))
        others = {name: found for name, found in before.items() if name != DESCRIPTION}
        title = clean_string(row[f"title_{language}"] or "")
        family = str(row["variant_of"] or row["product_id"])
        return replace(task, others=others, title=title, family=family)

    def _decide(self, row: Row, language: str, earlier: Row | None) -> Task:
        facts = read_facts(language, row)
        text = (row[f"description_{language}"] or "").strip()
        found = self.ruling(facts, DESCRIPTION, text, earlier)
        if found.action == EDITED:
            return Task(HUMAN, facts, found.content_hash, found.text)
        if DESCRIPTION not in self.channels and found.action != KEEP:
            return Task(NONE, facts, "", found.text)
        if found.action:
            return Task(found.action, facts, found.content_hash, found.text, found.earlier)
        rejected = frozenset(self.reviews.of(facts.product_id, language, DESCRIPTION).rejected)
        wanted = self.content_hash(facts, self.version, rejected)
        if found.earlier is not None and found.earlier["content_hash"] == wanted:
            return Task(KEEP, facts, wanted, earlier=found.earlier)
        action = MODEL if self.writer else TEMPLATE
        return Task(action, facts, wanted, earlier=found.earlier, rejected=rejected)

    def ruling(self, facts: Facts, channel: str, own: str, earlier: Row | None) -> Ruling:
        """What people decide about a text. `own`: the catalogue's; a row comes back where it may be kept."""
        language = facts.language
        standing = self.reviews.of(facts.product_id, language, channel)
        if standing.edit:  # a person's words stand whatever the catalogue says
            wanted = edit_hash(language, channel, standing.edit)
            if earlier is None or earlier["content_hash"] != wanted:
                return Ruling(EDITED, wanted, standing.edit)
            return Ruling(KEEP, wanted, earlier=earlier)
        if earlier is not None and standing.forbids(earlier):
            earlier = None
        text = standing.human_text(own)
        if earlier is not None and earlier["tier"] == "human":
            edited = not is_catalogues(earlier)
            # The shop's own newer text replaces its older one; what a person edited here stays.
            if edited or not text or text == earlier["text"]:
                return Ruling(KEEP, earlier["content_hash"], earlier=earlier)
        if text:
            return Ruling(HUMAN, self.catalogue_hash(facts, channel, text), text, earlier)
        return Ruling(earlier=earlier)

    def verdict(self, facts: Facts, channel: str, text: str) -> Verdict:
        """A channel's checks on a text that a person wrote."""
        judge = self.judges[facts.language]
        return channels.verdict(channel, text, Lines(judge.brief(facts), judge))

    def _spare(self, task: Task) -> Task:
        """Beyond tonight's limit: what is still true of the product stays, else a template writes."""
        if task.action != MODEL:
            return task
        old = task.earlier
        if old is not None:
            still = self.content_hash(task.facts, old["model_version"], task.rejected)
            if old["content_hash"] == still:
                return replace(task, action=KEEP, content_hash=still)
        hashed = self.content_hash(task.facts, None, task.rejected)
        return replace(task, action=TEMPLATE, content_hash=hashed, earlier=None)

    def before(self, rows: Sequence[Row]) -> dict[tuple[str, str], dict[str, Row]]:
        """(product, language) → channel → yesterday's row."""
        if not rows or self.earlier is None:
            return {}
        found: dict[tuple[str, str], dict[str, Row]] = {}
        for row in self.earlier.between(rows[0]["product_id"], rows[-1]["product_id"]):
            found.setdefault((row["product_id"], row["language"]), {})[row["channel"]] = row
        return found

    def lexicon(self, language: str) -> str:
        """Hash of what the verifier knows of the shop: another product's value may refuse this one's text."""
        if language not in self.digests:
            known = self.judges[language].lexicon
            self.digests[language] = sha([sorted(known.values), sorted(known.brands.values())])
        return self.digests[language]

    def fingerprint(self, tasks: Iterable[Task]) -> str:
        """Hash of everything that a block's rows depend on."""
        languages = [
            [name, judge.rules.digest, load_phrases(name).digest, self.lexicon(name)]
            for name, judge in self.judges.items()
        ]
        night = [self.night.ds.isoformat(), list(self.channels), self.version, self.code]
        people = [self._said_by_people(t) for t in tasks]
        return sha([night, languages, [t.fingerprint() for t in tasks], people])

    def _said_by_people(self, task: Task) -> list[Any]:
        """What people said about the product's channels; an edit stands also where one is switched off."""
        key = task.facts.product_id, task.facts.language
        found = [(c, self.reviews.of(*key, c)) for c in ALL]
        return [[c, s.edit, sorted(s.rejected), s.withdrawn] for c, s in found if s != Standing()]


def sha(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def is_catalogues(row: Row) -> bool:
    """Whether a row of tier `human` holds the shop's own text; one that a person edited has another hash."""
    words = _words_hash(row["language"], row["channel"], row["text"])
    return bool(row["content_hash"][:_WORDS] == words[:_WORDS])


def _words_hash(language: str, channel: str, text: str) -> str:
    return sha(["catalogue", language, channel, text])
