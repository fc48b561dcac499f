"""How a shopper is recognised: by id in columns, and in text that came from outside as a value or a word."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from expectations.rule import MAX_ID
from jobs.errors import BadInput

# Shorter numbers stand in reports and notes for a hundred other things.
_TELLING_DIGITS = 6
# What stands instead of a raw row that is another's, or a product's, and names the shopper.
SCRUBBED = '{"_line":"(forgotten)"}'


def checked(user_id: str) -> str:
    """The id as tables hold it, without blanks around it. Raises `BadInput` for what can be no id.

    The message does not repeat the id: it may end in a log.
    """
    text = user_id.strip(" ")
    if not text:
        raise BadInput("--user: the id is empty; give it as the shop has it")
    if len(text) > MAX_ID:
        raise BadInput(f"--user: the id has {len(text)} characters; an id has at most {MAX_ID}")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in text):
        raise BadInput("--user: the id holds a control character; give it as the shop has it")
    return text


def _telling(user_id: str) -> bool:
    return not user_id.isdigit() or len(user_id) >= _TELLING_DIGITS


def _forms(plain: str) -> list[str]:
    spelt = [plain, json.dumps(plain, ensure_ascii=False)[1:-1], json.dumps(plain)[1:-1]]
    return [*spelt, html.escape(plain), quote(plain), quote(plain, safe="")]


@dataclass(frozen=True)
class Person:
    """One shopper, and the forms in which their id may stand in text; `aliases`: further ids of theirs."""

    user_id: str
    aliases: tuple[str, ...] = ()

    @cached_property
    def forms(self) -> tuple[str, ...]:
        """The id plain, inside JSON, in HTML and in a URL; an alias where it surely means them."""
        named = [self.user_id, *(a for a in self.aliases if _telling(a))]
        return tuple(dict.fromkeys(form for plain in named for form in _forms(plain)))

    @cached_property
    def word(self) -> re.Pattern[str]:
        """The id in any form, not as a part of a longer word."""
        return re.compile(rf"(?<!\w){self._any_form}(?!\w)")

    @cached_property
    def number(self) -> re.Pattern[str]:
        """A numeric id, not as a part of a longer number, a time or a path."""
        return re.compile(rf"(?<![\w/+-])(?<!\d[.,:])(?<!\.){self._any_form}(?![\w/+-]|[.,:]\d)")

    @property
    def _any_form(self) -> str:
        return "(?:" + "|".join(map(re.escape, self.forms)) + ")"

    @property
    def telling(self) -> bool:
        """Whether the id as a bare word surely means the shopper, and not some number."""
        return _telling(self.user_id)

    @property
    def wordlike(self) -> bool:
        """Whether the id may as well be an ordinary word, or the name of a field."""
        return re.fullmatch(r"[^\W\d]+(?:[-'][^\W\d]+)*", self.user_id) is not None

    @property
    def numeric(self) -> bool:
        """Whether the id may as well be a count, a part of a fraction or a time, or a product's number."""
        return not any(c.isalpha() for c in self.user_id)

    def by_name(self) -> list[Person]:
        """One of each id that surely means the shopper in a text: what holds of one may not of another."""
        return [Person(name) for name in (self.user_id, *(a for a in self.aliases if _telling(a)))]

    def has_id(self, column: pa.Array) -> pa.Array:
        """True where a column of ids is the shopper's; never null."""
        return pc.fill_null(pc.equal(column.cast(pa.string()), self.user_id), False)

    def may_stand_in(self, column: pa.Array) -> pa.Array:
        """A quick look: true where the id may stand in a text; never null."""
        found = pa.array([False] * len(column), pa.bool_())
        for form in self.forms:
            found = pc.or_(found, pc.fill_null(pc.match_substring(column, form), False))
        return found

    def named_in(self, column: pa.Array) -> pa.Array:
        """`named_by`, for a column of raw rows; never null."""
        near = self.may_stand_in(column)
        if not pc.any(near).as_py():
            return near
        pairs = zip(near.to_pylist(), column, strict=True)
        return pa.array([wanted and self.named_by(raw.as_py()) for wanted, raw in pairs], pa.bool_())

    def named_by(self, raw: str | None) -> bool:
        """Whether a raw row names the shopper: a word of it is the id. A short number must be a whole value,
        or a word of a row that could not be told apart.
        """
        if not raw:
            return False
        if self.telling:
            return bool(self.word.search(raw))
        try:
            body = json.loads(raw)
        except ValueError:
            return bool(self.word.search(raw))
        if isinstance(body, dict) and "_line" in body:
            return bool(self.word.search(str(body["_line"])))
        return any(re.sub(r"\.0+$", "", str(value).strip()) == self.user_id for value in _scalars(body))


def scrub(batch: pa.RecordBatch, named: pa.Array) -> pa.RecordBatch:
    """The batch with `SCRUBBED` in `raw` where `named` is true."""
    at = batch.schema.get_field_index("raw")
    raw = pc.if_else(named, pa.scalar(SCRUBBED, batch.column(at).type), batch.column(at))
    return batch.set_column(at, batch.schema.field(at), raw)


def _scalars(value: Any) -> list[Any]:
    """All values of nested JSON; JSON inside a string is looked into too."""
    if isinstance(value, dict):
        return [x for part in value.values() for x in _scalars(part)]
    if isinstance(value, list):
        return [x for part in value for x in _scalars(part)]
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return _scalars(json.loads(value))
        except ValueError:
            return [value]
    return [value]
