"""Mapped rows under pseudonyms, before the first of them is written."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.rules import broken, row_rules
from jobs.intake.mapping import DAY, EntityName, contract_columns
from jobs.intake.raw import RAW
from jobs.lake.pseudonyms import Pseudonyms

# What stands instead of a raw row that could not be told apart: nobody can say whose id is in it. With a
# keyed digest of the row, or all such rows would be one to whoever goes by their hash.
UNTOLD = '{{"_line":"(not kept)","_digest":"{}"}}'


def pseudonymised(entity: EntityName, values: DataFrame, pseudonyms: Pseudonyms) -> DataFrame:
    """`values_of` with pseudonyms for ids; of a raw row only the mapped columns are kept.

    What is wrong with an id is told of the id as it came: a pseudonym is always well formed.
    """
    columns = contract_columns(entity)
    # Not as SQL: a key in Spark's plan could end in a log.
    hashed = F.udf(_hashing(pseudonyms.key), "string", useArrow=True)
    if "user_id" in columns:
        rules = [r for r in row_rules(entity) if r.columns == ("user_id",) and r.severity == "critical"]
        wrong = F.array(*(F.when(F.expr(broken(r)), F.lit(r.name)) for r in rules))
        # A missing id stays missing: the rules tell that of the column itself.
        told = F.when(F.col("user_id").isNotNull(), F.array_compact(wrong)).otherwise(F.array())
        values = values.withColumn("broken", F.concat("broken", told.cast("array<string>")))
        values = values.withColumn("user_id", hashed("user_id"))
    mapped = F.to_json(F.struct(*columns, DAY))
    unreadable = F.array_contains("broken", "unreadable_row")
    before, after = UNTOLD.format("|").split("|")
    untold = F.concat(F.lit(before), hashed(F.col(RAW)), F.lit(after))
    return values.withColumn(RAW, F.when(unreadable, untold).otherwise(mapped))


def _hashing(key: bytes) -> Callable[[str | None], str | None]:
    # A function of its own, which travels whole: Spark's workers need not have this package.
    digest = hmac.digest

    def hashed(text: str | None) -> str | None:
        return None if text is None else digest(key, text.encode(), "sha256").hex()

    return hashed
