"""Rules of what copy may not say, kept as data: `rules/any.toml` for everywhere, and one file per market.

A market is where a law holds: `cn`, `eu`, `us`. The caller chooses which markets a language is written for.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files

from models.writer.text import normalise, typewritten

# Not as a path: executors have this package inside an archive.
FOLDER = files(__package__) / "rules"
EVERYWHERE = "any"
_FILES = {f.name.removesuffix(".toml") for f in FOLDER.iterdir() if f.name.endswith(".toml")}
MARKETS = tuple(sorted(_FILES - {EVERYWHERE}))
LANGUAGES = ("en", "zh")
DEFAULT_MARKETS = {"en": ("eu", "us"), "zh": ("cn",)}
_CHECKS = ("claims", "contacts", "markup")
_SEVERITIES = ("banned", "stated", "qualified")
_EITHER = "[ -]"
_KEYS = {"id", "check", "severity", "source", "phrases", "pattern", "exempt"}


@dataclass(frozen=True)
class Rule:
    """One kind of claim. `banned`: never; `stated`: only what the product's own strings say; `qualified`: the
    same, and people are shown it, for it needs proof.
    """

    id: str
    check: str
    severity: str
    source: str
    phrases: tuple[str, ...] = ()
    pattern: str = ""
    exempt: str = ""

    @cached_property
    def _literals(self) -> dict[str, re.Pattern[str]]:
        """Phrase, with a space for each hyphen → itself as a word with either: "risk free" is not in "frisk
        freely".
        """
        ends = [(p, p[0].isascii(), p[-1].isascii()) for p in map(_spaced, map(_plain, self.phrases))]
        return {
            p: re.compile(
                f"{'(?<![a-z0-9])' if a else ''}{_EITHER.join(map(re.escape, p.split(' ')))}"
                f"{'(?![a-z0-9])' if b else ''}"
            )
            for p, a, b in ends
        }

    @cached_property
    def _regex(self) -> re.Pattern[str] | None:
        return re.compile(self.pattern) if self.pattern else None

    @cached_property
    def _exempt(self) -> re.Pattern[str] | None:
        return re.compile(self.exempt) if self.exempt else None

    def find(self, text: str) -> Iterator[re.Match[str]]:
        """Where a text that `normalise` has seen breaks the rule; a match has its marks `typewritten`."""
        text = typewritten(text)
        free: list[tuple[int, int]] | None = None
        # Few texts hold a phrase, and to look for a plain string costs next to nothing.
        spaced = _spaced(text)
        patterns = [pattern for phrase, pattern in self._literals.items() if phrase in spaced]
        patterns += [self._regex] if self._regex else []
        for match in (m for pattern in patterns for m in pattern.finditer(text)):
            if free is None:
                free = [m.span() for m in self._exempt.finditer(text)] if self._exempt else []
            if not any(a <= match.start() and match.end() <= b for a, b in free):
                yield match

    def matches(self, text: str) -> Iterator[str]:
        """What breaks the rule in a text that `normalise` has seen."""
        return (text[match.start() : match.end()] for match in self.find(text))


def claimed(match: re.Match[str]) -> tuple[int, int]:
    """Where the words stand that a product's attributes must have, of a match that `Rule.find` gave: what the
    pattern's group holds, else all of it. A person is told the whole match.

    Of "comes with a bamboo spoon" it is the spoon: with a bamboo lid comes no spoon.
    """
    return match.span(match.lastindex or 0)


def _plain(phrase: str) -> str:
    return typewritten(normalise(phrase))


def _spaced(text: str) -> str:
    """The text with spaces for hyphens, each in its own place: both are written."""
    return text.replace("-", " ")


@dataclass(frozen=True)
class Rules:
    """The rules in force for one language, and a hash that changes with any of them."""

    language: str
    markets: tuple[str, ...]
    rules: tuple[Rule, ...]
    digest: str

    @cached_property
    def banned(self) -> tuple[str, ...]:
        """Literal phrases that are banned whatever the product is: decoding masks them."""
        return tuple(p for r in self.rules if r.severity == "banned" for p in r.phrases)


def load_rules(
    language: str, markets: Collection[str] | None = None, competitors: Collection[str] = ()
) -> Rules:
    """The rules in force for a language: everywhere's, its markets', and the shop's competitors.

    `markets`: by default `DEFAULT_MARKETS`; their order is no matter. `competitors`: names that no text may
    say. `ValueError` for a language or a market that there is none of, for a market whose rules are in
    another language, and for a broken file or name.
    """
    if language not in LANGUAGES:
        raise ValueError(f"no rules for language '{language}': there are {', '.join(LANGUAGES)}")
    chosen = tuple(sorted(set(DEFAULT_MARKETS[language] if markets is None else markets)))
    if not chosen:
        raise ValueError(f"no market is named for language '{language}': there are {', '.join(MARKETS)}")
    for market in chosen:
        if market not in MARKETS:
            raise ValueError(f"no market '{market}': there are {', '.join(MARKETS)}")
        if language not in _read(market)[0]:
            written = ", ".join(_read(market)[0])
            raise ValueError(f"market '{market}' has no rules for language '{language}', only for {written}")
    return _load(language, chosen, tuple(sorted(set(competitors))))


@lru_cache
def _load(language: str, markets: tuple[str, ...], competitors: tuple[str, ...]) -> Rules:
    found: list[Rule] = []
    digest = hashlib.sha256()
    for name in (EVERYWHERE, *markets):
        _, rules, data = _read(name)
        digest.update(data)
        found += rules
    if competitors:
        found.append(_competitors(competitors))
        digest.update(json.dumps(competitors).encode())
    return Rules(language, markets, tuple(found), digest.hexdigest())


def digest() -> str:
    """Hash of all rules of all markets, in force or not."""
    whole = hashlib.sha256()
    for name in (EVERYWHERE, *MARKETS):
        whole.update(_read(name)[2])
    return whole.hexdigest()


def _competitors(names: Sequence[str]) -> Rule:
    for name in names:
        if len(normalise(name)) < 2:
            raise ValueError(f"'{name}' is no competitor's name: it needs two characters or more")
    return Rule(
        id="shop-competitor",
        check="claims",
        severity="banned",
        source="the shop's own list; 广告法 第十三条; Directive 2006/114/EC art. 4; 15 U.S.C. § 1125(a)",
        phrases=tuple(names),
    )


@lru_cache
def _read(name: str) -> tuple[tuple[str, ...], tuple[Rule, ...], bytes]:
    """A file's languages, its rules, and its bytes."""
    data = (FOLDER / f"{name}.toml").read_bytes()
    content = tomllib.loads(data.decode())
    return tuple(content["languages"]), tuple(parse(name, entry) for entry in content["rule"]), data


def parse(name: str, entry: dict[str, object]) -> Rule:
    """A rule from its entry in `rules/<name>.toml`; `ValueError` that names the entry and what is wrong."""
    wrong = [f"unknown key '{k}'" for k in sorted(set(entry) - _KEYS)]
    wrong += [f"no {k}" for k in ("id", "source") if not entry.get(k)]
    wrong += ["no phrases and no pattern"] if not (entry.get("phrases") or entry.get("pattern")) else []
    for key, known in (("check", _CHECKS), ("severity", _SEVERITIES)):
        wrong += [f"{key} is not one of {', '.join(known)}"] if entry.get(key) not in known else []
    if wrong:
        raise ValueError(f"rules/{name}.toml, rule '{entry.get('id')}': {'; '.join(wrong)}")
    fields = {k: tuple(v) if isinstance(v, list) else str(v) for k, v in entry.items()}
    return Rule(**fields)  # type: ignore[arg-type]
