"""What both writer jobs read and keep: facts, the shop's lexicon, a writer's files in the lake."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from jobs import writer_preset
from jobs.errors import BadInput
from jobs.lake.store import Store
from jobs.night import Night
from jobs.settings import Settings
from models.writer.channels import ALL, unknown
from models.writer.facts import Lexicon, read_facts
from models.writer.preset import FILES as PRESET_FILES
from models.writer.preset import PresetWriter
from models.writer.rules import LANGUAGES, Rules, digest, load_rules
from models.writer.verify import Verifier
from models.writer.writer import FILES, Writer

AnyWriter = Writer | PresetWriter
MODEL = "writer"
FACTS = ("product_id", "title_en", "title_zh", "category", "brand", "attributes_en", "attributes_zh")


def languages(settings: Settings) -> list[str]:
    """The languages to write; `BadInput` for one that has no rules."""
    for language in settings.languages:
        if language not in LANGUAGES:
            raise BadInput(
                f"setting 'languages': there are no rules for '{language}'; use {', '.join(LANGUAGES)}, "
                "or add rules and templates in that language (models/writer/rules, models/writer/template.py)"
            )
    return list(dict.fromkeys(settings.languages))


def rules(night: Night) -> dict[str, Rules]:
    """The rules in force for every language to write; `BadInput` where the settings name none."""
    return rules_of(night.settings)


def rules_of(settings: Settings, among: Collection[str] | None = None) -> dict[str, Rules]:
    """As `rules`, for a command that is no step of a night. `among`: of these languages instead."""
    for language in settings.markets:
        if language not in LANGUAGES:
            raise BadInput(f"setting 'markets': '{language}' is no language of {', '.join(LANGUAGES)}")
    found = {}
    for language in languages(settings) if among is None else among:
        try:
            markets = settings.markets.get(language, ())
            found[language] = load_rules(language, markets, settings.competitors)
        except ValueError as error:
            raise BadInput(f"settings 'markets' and 'competitors': {error}") from error
    return found


def channels(night: Night) -> list[str]:
    """The channels to write; `BadInput` for one that is not known."""
    for name in unknown(night.settings.channels):
        raise BadInput(f"setting 'channels': there is no channel '{name}'; use {', '.join(ALL)}")
    return list(dict.fromkeys(night.settings.channels))


def rows(night: Night, columns: tuple[str, ...] = FACTS) -> Iterator[dict[str, Any]]:
    """The products of the date, a batch at a time."""
    for batch in night.batches("products", columns=list(columns)):
        yield from batch.to_pylist()


def verifiers(night: Night, among: Collection[str] | None = None) -> dict[str, Verifier]:
    """One verifier per language to write, or `among` these, each with the lexicon of the whole shop as of the
    date.
    """
    return {
        language: Verifier(language, Lexicon.build(read_facts(language, row) for row in rows(night)), found)
        for language, found in rules_of(night.settings, among).items()
    }


def location(version: str) -> str:
    return f"models/{MODEL}/{version}"


def save(store: Store, version: str, writer: AnyWriter) -> None:
    for name, data in writer.to_files().items():
        store.write(f"{location(version)}/{name}", data)


def load(store: Store, where: str, preset: str = "") -> AnyWriter | None:
    """The writer kept there; None where its files are gone or of a kind that this code does not know.

    `preset`: folder of the base for adapters; `BadInput` where it is another base than theirs.
    """
    try:
        if writer_preset.is_kept(store, where):
            return writer_preset.load(store, where, preset)
        return Writer.from_files({name: store.read(f"{where}/{name}") for name in FILES})
    except (FileNotFoundError, LookupError, TypeError, ValueError):
        return None


def are_there(store: Store, where: str) -> bool:
    """Whether a writer's files lie there, without reading them."""
    names = PRESET_FILES if writer_preset.is_kept(store, where) else FILES
    return all(store.exists(f"{where}/{name}") for name in names)


def code_hash() -> str:
    """Hash of the code and rules that decide what is written: a change of a constant is a new version."""
    folder = Path(__file__).resolve().parent.parent / "models" / "writer"
    found = hashlib.sha256()
    for file in [folder.parent / "backend.py", *sorted(folder.glob("*.py"))]:
        found.update(file.name.encode() + b"\0" + file.read_bytes())
    found.update(digest().encode())
    return found.hexdigest()


def share(key: str) -> float:
    """A stable number in [0, 1) of a string."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") / 2.0**64


def sorted_counts(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
