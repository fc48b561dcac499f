"""Landed rows of shoppers who are to be forgotten, told by their tombstones alone."""

from __future__ import annotations

from functools import partial

from pyspark.sql import Column
from pyspark.sql import functions as F

from jobs.intake.mapping import EntityName, contract_columns
from jobs.lake.forgotten import Forgotten

# Where words of a row end that could not be told apart into columns. Ids keep their '@', '.', '-' and '_'.
_BETWEEN_WORDS = r"[\s,;|\"'{}\[\]()<>=&:\\/]+"
UNREADABLE_ROW = "unreadable_row"
# As `jobs.erasure.person` writes it.
_SCRUBBED = '{"_line":"(forgotten)"}'


def theirs(entity: EntityName, forgotten: Forgotten) -> Column:
    """True for a row of a forgotten shopper, by its id; false, never null, for every other.

    Of an unreadable row, whose columns hold nothing, every word is held against the tombstones.
    """

    known = partial(_known, forgotten)
    unreadable = F.col("broken").contains(UNREADABLE_ROW)
    named = unreadable & F.exists(F.split("raw", _BETWEEN_WORDS), known)
    if "user_id" in contract_columns(entity):
        by_id = F.col("user_id").isNotNull() & known(F.col("user_id"))
        named = by_id | (F.col("user_id").isNull() & named)
    return F.coalesce(named, F.lit(False))


def scrubbed(entity: Column, forgotten: Forgotten) -> Column:
    """The column `raw`, but for rows that name a forgotten shopper in one of their values.

    Such a row is a product's, made from a shopper's purchase, or another shopper's, where a short number
    says nothing.
    """
    telling = F.when(entity == "products", F.lit(True)).otherwise(F.lit(False))

    def names(value: Column) -> Column:
        # Spreadsheets write whole numbers as '2.0'.
        text = F.regexp_replace(F.trim(value), r"\.0+$", "")
        return (telling | ~text.rlike(r"^[0-9]{1,5}$")) & _known(forgotten, text)

    values = F.map_values(F.from_json("raw", "map<string,string>"))
    return F.when(F.exists(values, names), F.lit(_SCRUBBED)).otherwise(F.col("raw"))


def _known(forgotten: Forgotten, text: Column) -> Column:
    return F.sha2(F.concat(F.lit(forgotten.salt), text), 256).isin(sorted(forgotten.hashes))
