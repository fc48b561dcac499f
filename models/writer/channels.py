"""The channels of copy, each with its form, how it is made and what it leans on, declared once.

`description` is written by `write.py`; the others are made of its published text and the product's facts,
so that the network runs once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from models.writer.drafts import (
    AD_CHARS,
    BULLET_CHARS,
    BULLETS,
    KEYWORD_CHARS,
    KEYWORDS,
    KEYWORDS_BYTES,
    Draft,
    Request,
    advertisements,
    bullets,
    keywords,
    titles,
)
from models.writer.forms import Form, Lines, names_product, tells_facts, tells_or_names, verify
from models.writer.phrases import load_phrases
from models.writer.rules import LANGUAGES
from models.writer.verify import Verdict

DESCRIPTION, TITLE, AD_COPY = "description", "title", "ad_copy"
PLAIN = "plain"
# Google Merchant Center takes titles of 150 characters, Taobao of 60 bytes: 30 Han or 60 Latin characters.
_TITLE_LENGTH = {"en": (2, 150), "zh": (2, 60)}


@dataclass(frozen=True)
class Channel:
    """One channel beside the description. `drafts`: texts to be verified, best first; `leans_on_description`:
    whether another description may change the text."""

    name: str
    form: Form
    drafts: Callable[[Request], Iterator[Draft]]
    leans_on_description: bool


@dataclass(frozen=True)
class Written:
    """A finished text; `borrowed`: it holds words of the description; `refused`: drafts that failed."""

    text: str
    borrowed: bool
    verdict: Verdict
    refused: tuple[tuple[str, Verdict], ...] = ()

    def checks(self) -> dict[str, bool | str]:
        """Check → true. That richer drafts did not fit is by design; that a person rejected one is told."""
        told = [v.failed["rejected"] for _, v in self.refused if "rejected" in v.failed]
        return self.verdict.as_json() | ({"rejected": told[0]} if told else {})


def _whole(bounds: dict[str, tuple[int, int]], lines: int) -> dict[str, tuple[int, int]]:
    return {language: (low, (high + 1) * lines) for language, (low, high) in bounds.items()}


def _advertisement(name: str, tone: str) -> Channel:
    form = Form(AD_CHARS, AD_CHARS, (1, 1), tells_or_names)
    return Channel(name, form, partial(advertisements, tone), leans_on_description=True)


def _tones() -> list[str]:
    """Tones that every language has phrases for, the plain one first."""
    known = [set(load_phrases(language).tones) for language in LANGUAGES]
    return sorted(set.intersection(*known), key=lambda tone: (tone != PLAIN, tone))


def _channels() -> dict[str, Channel]:
    keywords_length = {language: (low, KEYWORDS_BYTES) for language, (low, _) in KEYWORD_CHARS.items()}
    title = Form(_TITLE_LENGTH, _TITLE_LENGTH, (1, 1), names_product, stuffing=True)
    points = Form(_whole(BULLET_CHARS, BULLETS), BULLET_CHARS, (1, BULLETS), tells_facts(3))
    phrases = Form(keywords_length, KEYWORD_CHARS, (1, KEYWORDS), names_product)
    found = [
        Channel(TITLE, title, titles, leans_on_description=False),
        Channel("bullets", points, bullets, leans_on_description=True),
        *(_advertisement(AD_COPY if t == PLAIN else f"{AD_COPY}.{t}", t) for t in _tones()),
        Channel("search_keywords", phrases, keywords, leans_on_description=False),
    ]
    return {channel.name: channel for channel in found}


CHANNELS = _channels()
ALL = (DESCRIPTION, *CHANNELS)


def verdict(channel: str, text: str, lines: Lines) -> Verdict:
    """The checks of any channel on a text, whoever wrote it."""
    if channel in CHANNELS:
        return verify(CHANNELS[channel].form, text, lines)
    return lines.verifier.verify(text, lines.brief)


def write(channel: Channel, request: Request, rejected: frozenset[str] = frozenset()) -> Written:
    """The first draft of the channel that passes its checks, or "" where none does.

    `rejected`: texts that a person does not want to read again, as `normalise` gives them.
    """
    if request.brief.silent:
        return Written("", False, Verdict({"facts": request.brief.silent}))
    refused: list[tuple[str, Verdict]] = []
    for text, borrowed in channel.drafts(request):
        verdict = verify(channel.form, text, request.lines, rejected)
        if verdict.ok:
            return Written(text, borrowed, verdict, tuple(refused))
        refused.append((text, verdict))
    last = refused[-1][1] if refused else Verdict({"facts": "nothing that this channel could tell"})
    return Written("", False, last, tuple(refused))


def unknown(names: Sequence[str]) -> list[str]:
    """The names that are no channel's."""
    return [name for name in names if name not in ALL]
