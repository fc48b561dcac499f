"""Landed rows of shoppers who are to be forgotten, told by their tombstones alone."""

from __future__ import annotations

from functools import partial

from pyspark.sql import Column
from pyspark.sql import functions as F

from expectations.rule import MAX_ID
from jobs.intake.mapping import EntityName, contract_columns
from jobs.lake.forgotten import Forgotten

# Where words of a row end that could not be told apart into columns. Ids keep their '@', '.', '-' and '_'.
_BETWEEN_WORDS = r"[\s,;|\"'{}\[\]()<>=&:\\/]+"
_DIVIDERS = (",", ";", "\t", "[|]")
_NUMBER = r"[:,\[]\s*(-?[0-9]+(?:[.][0-9]+)?)(?=\s*[,}\]])"
# An id, with as much around it that is none of it.
_LONGEST = 2 * MAX_ID
UNREADABLE_ROW = "unreadable_row"
# As `jobs.erasure.person` writes it.
_SCRUBBED = '{"_line":"(forgotten)"}'


def theirs(entity: EntityName, forgotten: Forgotten) -> Column:
    """True for a row of a forgotten shopper, by its id; false, never null, for every other.

    An unreadable row is one by whatever stands in it: its columns hold nothing, or have moved.
    """
    unreadable = F.col("broken").contains(UNREADABLE_ROW)
    named = unreadable & F.exists(_line_parts("raw"), partial(_names, forgotten))
    if "user_id" in contract_columns(entity):
        named = F.coalesce(_is(forgotten, F.col("user_id")), F.lit(False)) | named
    return F.coalesce(named, F.lit(False))


def scrubbed(entity: Column, forgotten: Forgotten) -> Column:
    """The column `raw`, but for rows that name a forgotten shopper in one of their values, at any depth.

    Such a row is a product's, made from a shopper's purchase, or another shopper's, where a short number
    says nothing.
    """
    telling = F.when(entity == "products", F.lit(True)).otherwise(F.lit(False))

    def names(value: Column) -> Column:
        return (telling | ~_plain(value).rlike(r"^[0-9]{1,5}$")) & _names(forgotten, value)

    line = F.when(F.get_json_object("raw", "$._line").isNotNull(), _line_parts("raw")).otherwise(F.array())
    parts = F.concat(_values("raw"), line)
    return F.when(F.exists(parts, names), F.lit(_SCRUBBED)).otherwise(F.col("raw"))


def _values(raw: str) -> Column:
    """Texts of a raw row that may be an id: its values, and below them what is quoted or a number."""
    own = F.map_values(F.from_json(raw, "map<string,string>"))
    # JSON inside a string has its quotes escaped.
    quoted = F.split(F.replace(F.col(raw), F.lit('\\"'), F.lit('"')), '"')
    numbers = F.regexp_extract_all(raw, F.lit(_NUMBER), F.lit(1))
    nothing = F.array().cast("array<string>")
    return _short(F.concat(*(F.coalesce(found, nothing) for found in (own, quoted, numbers))))


def _line_parts(raw: str) -> Column:
    """Of a line that could not be told apart: every word, and every field, whichever sign divides them."""
    line = F.coalesce(F.get_json_object(raw, "$._line"), F.col(raw))
    words = F.split(raw, _BETWEEN_WORDS)
    return _short(F.concat(words, *(F.split(line, divider) for divider in _DIVIDERS)))


def _short(texts: Column) -> Column:
    """Those that may be an id: a text of megabytes is neither tidied nor hashed."""
    return F.filter(texts, lambda text: F.length(text).between(1, _LONGEST))


def _plain(value: Column) -> Column:
    """Without blanks and quotes around it, and as a whole number where a spreadsheet wrote '2.0'."""
    return F.regexp_replace(F.trim(value, F.lit(" \t\r\n\"'")), r"\.0+$", "")


def _names(forgotten: Forgotten, text: Column) -> Column:
    """Whether a text of a raw row, as it is or tidied, is a forgotten id."""
    return _is(forgotten, text) | _is(forgotten, _plain(text))


def _is(forgotten: Forgotten, user_id: Column) -> Column:
    return F.sha2(F.concat(F.lit(forgotten.salt), user_id), 256).isin(sorted(forgotten.hashes))
