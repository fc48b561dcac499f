"""Drafts of titles, bullets, ad copy and keywords, best first. None is trusted: `channels.write` verifies."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from models.writer.answers import is_no
from models.writer.forms import Lines
from models.writer.phrases import Phrases, fill, load_phrases
from models.writer.text import is_han, sentences, units
from models.writer.verify import Brief, contains, covers

TITLE_CHARS = {"en": 80, "zh": 30}
BULLETS = 5
BULLET_CHARS = {"en": (4, 120), "zh": (3, 60)}
# A sentence with more facts than this is no bullet.
BULLET_FACTS = 2
# A product with fewer attributes also gets a line for its brand and its kind.
FEW_FACTS = 3
# Lines that may come from the description: the others tell what it left out.
BORROWED = 3
AD_CHARS = {"en": (4, 90), "zh": (3, 30)}
KEYWORDS = 12
KEYWORD_CHARS = {"en": (2, 50), "zh": (1, 25)}
# Marketplaces cut search terms at 250 bytes; a Han character has three.
KEYWORDS_BYTES = 249
TITLE_VALUES = 3
MAX_VALUE_WORDS = 4
_NOT_TELLING = frozenset("yes no true false none na 是 否 无 有 其他 其它".split())  # noqa: SIM905
# "No-show" names a cut; "no collar" beside the noun would read as a slip.
_COMPOUND_NO = re.compile(r"no-\w", re.IGNORECASE)
_SMALL = frozenset("and or of with for in by the a an to".split())  # noqa: SIM905
_CLAUSE = re.compile("[\uff0c\uff1b]")
# A whole sentence, not one that was cut behind "Rs." or "No.".
_SENTENCE = re.compile(r"(?<!\b[A-Z][a-z])[.!?\u3002\uff01\uff1f]$")
_END = " .\u3002;\uff1b,\uff0c"

Draft = tuple[str, bool]  # the text, and whether it holds words of the description


@dataclass(frozen=True)
class Request:
    """What drafts are made of. `description`: the product's published one, where a person or the network
    wrote it, else "": a template tells nothing that the phrases would not."""

    description: str
    lines: Lines

    @property
    def brief(self) -> Brief:
        return self.lines.brief

    @property
    def language(self) -> str:
        return self.lines.verifier.language

    @cached_property
    def phrases(self) -> Phrases:
        return load_phrases(self.language)

    @cached_property
    def noun(self) -> str:
        """What the product is called where its whole title would be too much, without its brand.

        Some shops put the product itself, cut short, below its category: a long last level is passed over.
        """
        shown, kind = self.brief.shown, self.brief.kind
        if _long(kind):
            right = [c for c in shown.category if any(map(is_han, units(c))) == (self.language == "zh")]
            kind = next((c for c in reversed(right) if not _long(c)), "")
        found = kind or shown.title or (shown.category[-1] if shown.category else "")
        bare = found[len(shown.brand) :].strip() if shown.brand and found.startswith(shown.brand) else ""
        # "Lumo's" is no brand and a rest.
        return bare if units(bare) and units(found)[-len(units(bare)) :] == units(bare) else found

    @cached_property
    def ranked(self) -> list[tuple[str, str]]:
        """All attributes: those that the phrases name first, in their order; last what is just yes or no."""
        last = len(self.phrases.attributes)
        rank = {n: self.phrases.by_name.get(n.casefold(), (last, None))[0] for n, _ in self.attributes}
        return sorted(self.attributes, key=lambda a: (a[1].casefold() in _NOT_TELLING, rank[a[0]], a))

    @property
    def attributes(self) -> tuple[tuple[str, str], ...]:
        return self.brief.shown.attributes

    def telling(self, place: str) -> list[str]:
        """Short values with a place beside the noun, each once, none that the noun says already."""
        found: list[str] = []
        for name, value in self.ranked:
            phrase = self.phrases.by_name.get(name.casefold())
            told = any(contains(units(said), units(value)) for said in (self.noun, *found))
            if phrase and phrase[1].title == place and _short(value) and not told:
                found.append(value)
        return found


def _long(name: str) -> bool:
    return len(units(name)) > (10 if any(map(is_han, units(name))) else 4) or name.endswith(("...", "…"))


def _short(value: str) -> bool:
    words = units(value)
    if not words or value.casefold() in _NOT_TELLING or all(w.isdigit() for w in words):
        return False
    if is_no(value) and not _COMPOUND_NO.match(value):
        return False
    return sum(map(is_han, words)) <= 6 and sum(not is_han(w) for w in words) <= MAX_VALUE_WORDS


def pick(key: str, choices: int) -> int:
    """A stable choice, so that a category does not read all the same."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") % choices


# -- title ---------------------------------------------------------------------------------


def titles(request: Request) -> Iterator[Draft]:
    """Brand, telling attributes, noun; fewer attributes until it fits; at last the bare names."""
    before, after = request.telling("before"), request.telling("after")
    brand = request.brief.shown.brand
    if brand and contains(units(request.noun), units(brand)):
        brand = ""
    for count in range(TITLE_VALUES, -1, -1):
        # What stands behind the noun tells sizes apart: it is the last to go.
        behind = after[: min(1, count)]
        front = before[: count - len(behind)]
        title = _title(request.language, brand, front, request.noun, behind)
        if title and len(title) <= TITLE_CHARS[request.language]:
            yield title, False
    names = [n for n in (request.brief.shown.title, request.noun, brand) if n]
    yield from ((name, False) for name in names)
    # A name of another language may stand where a value of this one stands beside it.
    values = [*before, *after, *(v for _, v in request.ranked if _short(v))]
    yield from ((f"{name} {value}", False) for value in values for name in names)


def _title(language: str, brand: str, front: list[str], noun: str, behind: list[str]) -> str:
    if language == "zh" and not any(map(is_han, units(noun))):
        return " ".join(part for part in (brand, noun, *front, *behind) if part)
    if language == "zh":
        core = "".join(v if is_han(v[-1]) else f"{v} " for v in front) + noun
        return " ".join(part for part in (brand, core, *behind) if part)
    core = " ".join(_capital(part) for part in (brand, *front, noun) if part)
    return ", ".join(part for part in (core, *behind) if part)


def _capital(words: str) -> str:
    return " ".join(w[0].upper() + w[1:] if w.isalpha() and w not in _SMALL else w for w in words.split(" "))


# -- bullets -------------------------------------------------------------------------------


def bullets(request: Request) -> Iterator[Draft]:
    """Lines of the description that hold and tell a fact or two, then a phrase for each other attribute."""
    borrowed, told = _borrowed_lines(request)
    others = _phrased_lines(request, told, BULLETS - len(borrowed))
    lines = [*borrowed, *others][:BULLETS]
    if lines:
        yield "\n".join(lines), bool(borrowed)
    plain = _phrased_lines(request, set(), BULLETS) if borrowed else []
    if plain:
        yield "\n".join(plain[:BULLETS]), False


def _borrowed_lines(request: Request) -> tuple[list[str], set[str]]:
    """At most `BORROWED` lines, and the attribute values that they tell."""
    values = {v for _, v in request.attributes}
    lines: list[str] = []
    told: set[str] = set()
    for piece in _pieces(request):
        found = units(piece)
        new = {v for v in values - told if covers(found, v)}
        if 1 <= len(new) <= BULLET_FACTS and request.lines.allow(piece, BULLET_CHARS[request.language]):
            lines.append(piece)
            told |= new
            if len(lines) == BORROWED:
                break
    return lines, told


def _pieces(request: Request) -> Iterator[str]:
    """Sentences of the description; in Chinese their clauses, which stand by themselves."""
    for sentence in sentences(request.description):
        parts = _CLAUSE.split(sentence) if request.language == "zh" else [sentence]
        # A person's description may hold tabs and line breaks; a line of copy holds neither.
        yield from filter(None, (" ".join(p.split()).strip(_END) for p in parts))


def _phrased_lines(request: Request, told: set[str], most: int) -> list[str]:
    lines: list[str] = []
    said = {units(v) for v in told}
    for name, value in request.ranked:
        if units(value) in said or len(lines) == most:
            continue
        for line in _lines_about(request, name, value):
            if request.lines.allow(line, BULLET_CHARS[request.language]):
                lines.append(line)
                said.add(units(value))
                break
    shown, phrases = request.brief.shown, request.phrases
    if len(lines) + len(told) < FEW_FACTS:
        spare = ((phrases.brand, shown.brand), (phrases.kind, request.noun))
        named = [fill(f, {"value": v}) for f, v in spare if v and units(v) not in said]
        lines += [line for line in named if request.lines.allow(line, BULLET_CHARS[request.language])]
    return lines


def _lines_about(request: Request, name: str, value: str) -> Iterator[str]:
    phrase = request.phrases.by_name.get(name.casefold())
    if phrase and _short(value):
        yield fill(phrase[1].bullet, {"value": value})
    label = name[:1].upper() + name[1:] if request.language == "en" else name
    for frame in (request.phrases.label, request.phrases.detail):
        yield fill(frame, {"name": label, "value": value})


# -- ad copy -------------------------------------------------------------------------------


def advertisements(tone: str, request: Request) -> Iterator[Draft]:
    """A sentence of the description that is short enough, where the tone takes it; else the tone's frames."""
    found = request.phrases.tones[tone]
    if found.from_description:
        for sentence in (" ".join(s.split()) for s in sentences(request.description)):
            if _SENTENCE.search(sentence):
                yield sentence, True
    frames = _filled(request, list(found.frames))
    # The richest frames come first in the file; those that tell as much take turns.
    rich = [text for text, whole in frames if whole]
    at = pick(f"{tone} {request.brief.shown.product_id}", len(rich)) if rich else 0
    for text in [*rich[at:], *rich[:at], *(text for text, whole in frames if not whole)]:
        yield text, False


def _filled(request: Request, frames: list[str]) -> list[tuple[str, bool]]:
    """The frames that the product fills, and whether each tells brand, noun and attributes."""
    values = [v for v in (*request.telling("before"), *request.telling("after")) if v]
    joiner = "\u3001" if request.language == "zh" else ", "
    brand = request.brief.shown.brand
    named = bool(brand) and contains(units(request.noun), units(brand))
    fields = {"brand": "" if named else brand, "kind": request.noun, "points": joiner.join(values[:2])}
    for name, value in request.ranked:
        phrase = request.phrases.by_name.get(name.casefold())
        if phrase and _short(value):
            fields.setdefault(phrase[1].id, value)
    wanted = [f for f in ("brand", "kind", "points") if fields[f]]
    made = [(fill(f, fields), all("{" + w + "}" in f for w in wanted)) for f in frames]
    return [(text[:1].upper() + text[1:], whole) for text, whole in made if text]


# -- search keywords -----------------------------------------------------------------------


def keywords(request: Request) -> Iterator[Draft]:
    """Phrases that a shopper might type: the noun, with brand, with each telling value; each once."""
    lines: list[str] = []
    seen: set[tuple[str, ...]] = set()
    size = 0
    for phrase in _phrases_searched(request):
        key = tuple(sorted(units(phrase)))
        cost = len(phrase.encode()) + 1
        if key in seen or not key or size + cost > KEYWORDS_BYTES or len(lines) == KEYWORDS:
            continue
        if request.lines.allow(phrase, KEYWORD_CHARS[request.language]):
            seen.add(key)
            lines.append(phrase)
            size += cost
    if lines:
        yield "\n".join(lines), False


def _phrases_searched(request: Request) -> Iterator[str]:
    noun, brand, shown = request.noun, request.brief.shown.brand, request.brief.shown
    before, after = request.telling("before"), request.telling("after")
    gap = "" if request.language == "zh" else " "
    yield noun
    if brand and not contains(units(noun), units(brand)):
        yield f"{brand}{gap}{noun}"
    for value in before:
        yield f"{value}{gap}{noun}"
    if len(before) > 1:
        yield gap.join((*before[-2:], noun))
    for value in after:
        yield f"{noun} {value}"
    # Other words for the same thing, where the facts hold them: category levels, and the shop's "type".
    yield from (level for level in reversed(shown.category[1:]) if not _long(level))
    yield from (v for n, v in request.attributes if n.casefold() in ("type", "类型", "品类") and _short(v))
    yield shown.title
