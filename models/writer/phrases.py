"""Fixed words of the channels, kept as data: `phrases/<language>.toml`."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files

# Not as a path: executors have this package inside an archive.
FOLDER = files(__package__) / "phrases"
_FIELD = re.compile(r"\{(\w+)\}")
_PLACES = ("before", "after", "")


@dataclass(frozen=True)
class AttributePhrase:
    """What is said of one attribute. `title`: its place beside the noun, `before`, `after` or "" for none."""

    id: str
    names: tuple[str, ...]
    title: str
    bullet: str


@dataclass(frozen=True)
class Tone:
    """One variant of ad copy; `from_description`: a fitting sentence of the description goes first."""

    name: str
    from_description: bool
    frames: tuple[str, ...]


@dataclass(frozen=True)
class Phrases:
    """All fixed words of one language, and a hash that changes with any of them."""

    label: str
    detail: str
    brand: str
    kind: str
    attributes: tuple[AttributePhrase, ...]
    tones: Mapping[str, Tone]
    digest: str

    @cached_property
    def by_name(self) -> dict[str, tuple[int, AttributePhrase]]:
        """Attribute name in small letters → its rank in texts, and its phrase."""
        return {n: (rank, a) for rank, a in enumerate(self.attributes) for n in a.names}


def fill(frame: str, fields: Mapping[str, str]) -> str:
    """The frame with its fields; "" where one is missing. Values are never read as frames themselves."""
    if not all(fields.get(name) for name in _FIELD.findall(frame)):
        return ""
    return _FIELD.sub(lambda match: fields[match[1]], frame)


@lru_cache
def load_phrases(language: str) -> Phrases:
    """The phrases of a language; `ValueError` for one that has none, or for a broken file."""
    file = FOLDER / f"{language}.toml"
    if not file.is_file():
        raise ValueError(f"no phrases for language '{language}': there is no phrases/{language}.toml")
    data = file.read_bytes()
    entries = tomllib.loads(data.decode())
    found = tuple(
        AttributePhrase(e["id"], tuple(e["names"]), e["title"], e["bullet"]) for e in entries["attribute"]
    )
    for phrase in found:
        if phrase.title not in _PLACES or "{value}" not in phrase.bullet:
            raise ValueError(f"phrases/{language}.toml, attribute '{phrase.id}': title or bullet")
    tones = {e["name"]: Tone(e["name"], e["from_description"], tuple(e["frames"])) for e in entries["tone"]}
    return Phrases(
        label=entries["label"],
        detail=entries["detail"],
        brand=entries["brand"],
        kind=entries["kind"],
        attributes=found,
        tones=tones,
        digest=hashlib.sha256(data).hexdigest(),
    )
