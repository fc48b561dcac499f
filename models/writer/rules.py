"""Rules of what copy may not say, kept as data: `rules/any.toml` and one file per language."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from models.writer.text import normalise

FOLDER = Path(__file__).resolve().parent / "rules"
LANGUAGES = tuple(sorted(p.stem for p in FOLDER.glob("*.toml") if p.stem != "any"))
_KEYS = {"id", "check", "severity", "source", "phrases", "pattern", "exempt"}


@dataclass(frozen=True)
class Rule:
    """One kind of claim. `banned`: never; `qualified`: only what the product's own strings say."""

    id: str
    check: str
    severity: str
    source: str
    phrases: tuple[str, ...] = ()
    pattern: str = ""
    exempt: str = ""

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        # A word is banned as a word: "risk free" is not in "frisk freely".
        ends = [(p, p[0].isascii(), p[-1].isascii()) for p in map(normalise, self.phrases)]
        literal = [
            f"{'(?<![a-z0-9])' if a else ''}{re.escape(p)}{'(?![a-z0-9])' if b else ''}" for p, a, b in ends
        ]
        return re.compile("|".join([*literal, *([self.pattern] if self.pattern else [])]))

    @cached_property
    def _exempt(self) -> re.Pattern[str] | None:
        return re.compile(self.exempt) if self.exempt else None

    def matches(self, text: str) -> Iterator[str]:
        """What breaks the rule in a text that `normalise` has seen."""
        free = [m.span() for m in self._exempt.finditer(text)] if self._exempt else []
        for match in self._regex.finditer(text):
            if not any(a <= match.start() and match.end() <= b for a, b in free):
                yield match[0]


@dataclass(frozen=True)
class Rules:
    """All rules that hold in one language, and a hash that changes with any of them."""

    language: str
    rules: tuple[Rule, ...]
    digest: str

    def phrases(self) -> list[str]:
        """Literal phrases that are banned whatever the product is: decoding masks them."""
        return [p for r in self.rules if r.severity == "banned" for p in r.phrases]


@lru_cache
def load_rules(language: str) -> Rules:
    """The rules of a language; `ValueError` for one that has none, or for a broken file."""
    if language not in LANGUAGES:
        raise ValueError(f"no rules for language '{language}': there are {', '.join(LANGUAGES)}")
    found: list[Rule] = []
    digest = hashlib.sha256()
    for name in ("any", language):
        data = (FOLDER / f"{name}.toml").read_bytes()
        digest.update(data)
        found += [_rule(name, entry) for entry in tomllib.loads(data.decode())["rule"]]
    return Rules(language, tuple(found), digest.hexdigest())


def _rule(name: str, entry: dict[str, object]) -> Rule:
    unknown = set(entry) - _KEYS
    if unknown or entry.get("severity") not in ("banned", "qualified"):
        raise ValueError(f"rules/{name}.toml, rule '{entry.get('id')}': {unknown or 'severity'}")
    fields = {k: tuple(v) if isinstance(v, list) else str(v) for k, v in entry.items()}
    return Rule(**fields)  # type: ignore[arg-type]
