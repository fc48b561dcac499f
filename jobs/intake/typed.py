"""Landed strings → typed columns, and the rules that each row breaks."""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.rules import broken, row_rules
from jobs.intake.mapping import TABLE_OF, EntityName, contract_columns
from jobs.lake.registry import BY_NAME

# What an absent value stands for.
_DEFAULTS: dict[EntityName, dict[str, object]] = {"events": {"quantity": 1}, "products": {"in_stock": True}}


def _cast(name: str, kind: pa.DataType) -> Column:
    text = F.col(name)
    if pa.types.is_timestamp(kind):
        return text.try_cast("timestamp")
    if pa.types.is_date(kind):
        # Spark reads '2016' as a day, too.
        return F.when(text.rlike(r"^\d{4}-\d{1,2}-\d{1,2}([T ]|$)"), text.try_cast("date"))
    if pa.types.is_floating(kind):
        number = text.try_cast("double")
        return F.when(~F.isnan(number) & (F.abs(number) != float("inf")), number)
    if pa.types.is_integer(kind):
        # Spreadsheets and frames with gaps write whole numbers as '2.0'.
        number = text.try_cast("double")
        whole = F.when(number == F.rint(number), number.try_cast("int"))
        return F.coalesce(text.try_cast("int"), whole)
    if pa.types.is_boolean(kind):
        return text.try_cast("boolean")
    return text


def typed(entity: EntityName, rows: DataFrame) -> DataFrame:
    """Columns in the types of the registry, and `unreadable`: names of those that hold something else.

    A value that is absent stays null, or becomes its default.
    """
    table = BY_NAME[TABLE_OF[entity]]
    names = contract_columns(entity)
    kinds = {c.name: c.type for c in table.columns if c.name in names and not pa.types.is_string(c.type)}
    bad = [
        F.when(F.col(n).isNotNull() & _cast(n, k).isNull(), F.lit(f"unreadable_{n}"))
        for n, k in kinds.items()
    ]
    flags = F.array_compact(F.array(*bad)) if bad else F.array().cast("array<string>")
    rows = rows.withColumn("unreadable", flags)
    columns = {}
    for name, kind in kinds.items():
        default = _DEFAULTS.get(entity, {}).get(name)
        value = _cast(name, kind)
        if default is not None:
            value = F.when(F.col(name).isNull(), F.lit(default)).otherwise(value)
        columns[name] = value
    return rows.withColumns(columns) if columns else rows


def judged(entity: EntityName, rows: DataFrame) -> DataFrame:
    """Typed rows with `broken`: the names of all critical rules that a row breaks, sorted.

    `raw` is dropped from rows that break none.
    """
    rows = typed(entity, rows)
    critical = [r for r in row_rules(entity) if r.severity == "critical"]
    names = [F.when(F.expr(broken(r)), F.lit(r.name)) for r in critical]
    landed = F.when(F.col("broken").isNull(), F.array().cast("array<string>")).otherwise(
        F.split("broken", ",")
    )
    every = F.concat(landed, F.col("unreadable"), F.array_compact(F.array(*names)))
    rows = rows.withColumn("broken", F.array_sort(F.array_distinct(every)))
    refused = F.size("broken") > 0
    kept = F.when(refused, F.col("raw"))
    return rows.withColumn("refused", refused).withColumn("raw", kept).drop("unreadable")
