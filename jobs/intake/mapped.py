"""Raw rows → landed rows: the mapping applied, the day found, nothing typed yet."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jobs.errors import BadInput
from jobs.intake.mapping import DAY, ENTITIES, Entity, EntityName, Mapping, contract_columns, nearest
from jobs.intake.raw import FILE, RAW, UNREADABLE, as_text, quoted

# A time of day that says its own zone: `…:56Z`, `…:56 UTC`, `…:56.1 +02:00`, `…:56 Europe/London`.
_SECOND = r":\d{1,2}(\.\d+)?\s*"
_OFFSET = r"(UTC|GMT|UT)?[+-]\d{1,2}(:?\d{1,2}){0,2}"
_ZONED = rf"{_SECOND}(Z|UTC|GMT|UT|UCT|{_OFFSET}|[CEMW]ET|[CEMP]ST\d[CEMP]DT|[A-Za-z]+/\S+)$"
# Any other name is not to be guessed at: Spark takes BST for Bangladesh's time, and PST in July for PDT.
_NAMED = _SECOND + r"[A-Za-z]\S*$"
# Spark also reads '12:30' as half past twelve today, and '2016' as a day: no time without its whole date.
_DATED = r"^\d{4}-\d{1,2}-\d{1,2}([T ]|$)"
_CLOCK = re.compile(
    r"\b(current_date|current_timestamp|current_time|curdate|now|localtimestamp|unix_timestamp\s*\(\s*\))\b",
    re.I,
)


def landing_schema(entity: EntityName) -> T.StructType:
    """Landed rows: the contract's columns as strings, then where each row comes from."""
    texts = [*contract_columns(entity), "broken", "raw", "row_hash", "file", "source"]
    fields = [T.StructField(n, T.StringType()) for n in texts]
    days = [T.StructField("arrived", T.DateType()), T.StructField("ds", T.DateType())]
    return T.StructType([*fields, T.StructField("copies", T.LongType()), *days])


LANDING: dict[EntityName, T.StructType] = {name: landing_schema(name) for name in ENTITIES}


@dataclass(frozen=True)
class Arrival:
    """When the rows of a file arrived: on one given date, on the date in its name, or each on its own day."""

    given: date | None
    pattern: str
    lookback_days: int

    def column(self) -> Column:
        if self.given is not None:
            return F.lit(self.given)
        if self.pattern:
            digits = F.regexp_replace(F.regexp_extract(FILE, self.pattern, 1), r"\D", "")
            return F.to_date(F.try_to_timestamp(digits, F.lit("yyyyMMdd")))
        return F.lit(None).cast("date")

    @property
    def known(self) -> bool:
        return self.given is not None or bool(self.pattern)


def file_date(name: str, pattern: str) -> date | None:
    """The date in a file's name, as `Arrival.column` finds it; None where there is none."""
    found = re.search(pattern, name)
    digits = re.sub(r"\D", "", found.group(1)) if found else ""
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])) if len(digits) == 8 else None
    except ValueError:
        return None


def values_of(mapping: Mapping, name: EntityName, raw: DataFrame) -> DataFrame:
    """The contract's columns as text, and the mapping's own rules that a row breaks.

    Raises `BadInput` for a column that no file has, or SQL that Spark refuses.
    """
    entity: Entity = getattr(mapping, name)
    check = _Checker(mapping, name)
    frame = raw
    for column in entity.optional:
        if column.lower() not in {c.lower() for c in frame.columns}:
            frame = frame.withColumn(column, F.lit(None).cast("string"))
    if entity.where:
        check.expression(frame, "where", entity.where, T.BooleanType)
        # What could not be told apart cannot be told to belong elsewhere: it is kept, and refused.
        frame = frame.where(F.expr(entity.where) | F.col(UNREADABLE))
    if entity.explode:
        check.expression(frame, "explode", entity.explode, T.ArrayType)
        # Outer: a row with an empty array stays, and is refused for what it lacks.
        frame = frame.select("*", F.posexplode_outer(F.expr(entity.explode)).alias("pos", "item"))
    texts: dict[str, Column] = {}
    kinds: dict[str, T.DataType] = {}
    for key, column in entity.columns.items():
        check.column(frame, f"columns.{key}", column)
        texts[key], kinds[key] = quoted(column), T.StringType()
    for key, sql in entity.sql.items():
        kinds[key] = check.expression(frame, f"sql.{key}", sql)
        texts[key] = F.expr(sql)
    refused = [F.when(F.col(UNREADABLE), F.lit("unreadable_row"))]
    for rule, sql in entity.refuse.items():
        check.expression(frame, f"refuse.{rule}", sql, T.BooleanType)
        refused.append(F.when(F.expr(sql), F.lit(rule)))
    columns = [
        _clean(as_text(texts[k], kinds[k]) if k in texts else F.lit(None).cast("string")).alias(k)
        for k in (*contract_columns(name), DAY)
    ]
    place = F.col("pos").cast("string") if entity.explode else F.lit("")
    return frame.select(
        *columns, F.array_compact(F.array(*refused)).alias("broken"), place.alias("place"), RAW, FILE
    )


def _clean(column: Column) -> Column:
    """Blank is absent."""
    text = F.trim(column)
    return F.when(text != "", text)


def landed_rows(mapping: Mapping, name: EntityName, values: DataFrame, arrival: Arrival) -> DataFrame:
    """Rows in the landing's schema, but with a null `ds` (and `arrived`) where no day is known."""
    entity: Entity = getattr(mapping, name)
    time_column = "event_time" if name == "events" else DAY
    instant = _instant(F.col(time_column), entity.read.timezone, entity.read.time_format)
    frame = values.withColumn("instant", instant).withColumn("known", arrival.column())
    own = F.to_date("instant")
    known = F.col("known")
    if name == "events":
        castable = F.col("event_time").try_cast("timestamp").isNotNull()
        too_late = own < F.date_sub(known, arrival.lookback_days)
        rules = [
            # Left as it came, a cast would take it for some other instant.
            F.when(own.isNull() & castable, F.lit("unreadable_event_time")),
            F.when(own > known, F.lit("from_the_future")),
            F.when(too_late, F.lit("too_late")),
        ]
        misplaced = (own > known) | too_late
        day = F.when(misplaced | own.isNull(), F.coalesce(known, own)).otherwise(own)
        # The day is settled here; a time that was read is written so that it reads the same anywhere.
        frame = frame.withColumn(
            "event_time", F.coalesce(as_text(F.col("instant"), T.TimestampType()), F.col("event_time"))
        )
    else:
        rules = [F.when(F.col(DAY).isNotNull() & own.isNull(), F.lit("unreadable_day"))]
        day = F.coalesce(known, own)
    broken = F.array_compact(F.concat(F.col("broken"), F.array(*rules)))
    frame = frame.withColumn("ds", day).withColumn("arrived", F.coalesce(known, day))
    if name == "events" and "event_id" not in {**entity.columns, **entity.sql}:
        identity = F.struct(F.lit(mapping.source).alias("source"), *contract_columns(name)[1:])
        frame = frame.withColumn("event_id", F.sha2(F.to_json(identity), 256))
    return frame.select(
        *contract_columns(name),
        F.when(F.size(broken) > 0, F.array_join(F.array_distinct(broken), ",")).alias("broken"),
        F.col(RAW).alias("raw"),
        F.sha2(F.concat(RAW, "place"), 256).alias("row_hash"),
        F.col(FILE).alias("file"),
        F.lit(mapping.source).alias("source"),
        F.lit(1).cast("long").alias("copies"),
        "arrived",
        "ds",
    )


def distinct_versions(name: EntityName, rows: DataFrame) -> DataFrame:
    """Equal products (or users) of one day as one row, with the count of its copies."""
    content = [*contract_columns(name), "broken", "source", "arrived", "ds"]
    one = F.min(F.struct("row_hash", "file", "raw")).alias("one")
    grouped = rows.groupBy(*content).agg(F.sum("copies").alias("copies"), one)
    return grouped.select(*content, "copies", "one.*").select(*LANDING[name].names)


def _instant(text: Column, timezone: str, time_format: str) -> Column:
    """The UTC instant that a text names; null where it cannot be read, or is before 1970."""
    if time_format:
        read = F.try_to_timestamp(text, F.lit(time_format))
        zoned = F.lit(bool(re.search(r"[VzOXxZ]", re.sub(r"'[^']*'", "", time_format))))
        # `as_text` marks what was an instant in SQL already.
        own = F.when(text.rlike(r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d{6}Z$"), text.try_cast("timestamp"))
    else:
        zoned = text.rlike(_ZONED)
        sure = text.rlike(_DATED) & (zoned | ~text.rlike(_NAMED))
        read = F.when(sure, text.try_cast("timestamp"))
        own = F.lit(None).cast("timestamp")
    local = F.to_utc_timestamp(read, timezone)
    instant = F.coalesce(own, F.when(zoned, read).otherwise(local))
    return F.when(instant >= F.lit("1970-01-01").cast("timestamp"), instant)


class _Checker:
    """Lets Spark analyse each part of a mapping by itself, so that a message can name it."""

    def __init__(self, mapping: Mapping, entity: EntityName) -> None:
        self._where = f"mapping {mapping.path}: '{entity}."

    def _fail(self, key: str, what: str) -> BadInput:
        return BadInput(f"{self._where}{key}': {what}")

    def column(self, frame: DataFrame, key: str, column: str) -> None:
        known = [c for c in frame.columns if c not in (RAW, UNREADABLE)]
        if column not in known:
            raise self._fail(key, f"the files have no column '{column}'; {nearest(column, known)}")

    def expression(
        self, frame: DataFrame, key: str, sql: str, wanted: type[T.DataType] | None = None
    ) -> T.DataType:
        if _CLOCK.search(sql):
            raise self._fail(key, "a mapping may not read the clock: the same files must give the same rows")
        try:
            probe = frame.select(F.expr(sql).alias("probe"))
            kind = probe.schema[0].dataType
        except PySparkException as error:
            bare = _unquoted(sql, [c for c in frame.columns if c not in (RAW, UNREADABLE)])
            hint = f"; in SQL column {bare} stands in backticks: `{bare}`" if bare else ""
            raise self._fail(key, sentence(error, frame.columns) + hint) from None
        plan = _plan(probe)
        # One projection on the rows themselves; anything else looks beyond its row.
        by_row = plan.nodeName() == "Project" and plan.child().sameResult(_plan(frame))
        if not by_row or not plan.deterministic():
            raise self._fail(
                key, "must be made of one row alone: no aggregate, window, generator or random number"
            )
        if wanted is not None and not isinstance(kind, wanted):
            raise self._fail(key, f"gives {kind.simpleString()}, but {wanted.typeName()} is needed")
        return kind


def _plan(frame: DataFrame) -> Any:
    return frame._jdf.queryExecution().analyzed()


def _unquoted(sql: str, columns: list[str]) -> str:
    """The column that an expression names without the backticks it needs; empty where there is none."""
    bare = re.sub(r"`[^`]*`|'[^']*'|\"[^\"]*\"", " ", sql)
    odd = (c for c in columns if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", c))
    return max((c for c in odd if c.lower() in bare.lower()), key=len, default="")


def sentence(error: PySparkException, columns: list[str]) -> str:
    """What Spark has against an expression, in one line, with a remedy."""
    condition = error.getCondition() or ""
    if condition.startswith("UNRESOLVED_COLUMN"):
        parts = re.findall(r"`((?:[^`]|``)+)`", (error.getMessageParameters() or {}).get("objectName", ""))
        name = parts[-1] if parts else "?"
        known = [c for c in columns if c not in (RAW, UNREADABLE)]
        return f"the files have no column '{name}'; {nearest(name, known)}"
    text = str(error).strip().split("SQLSTATE")[0].split("\n")[0].strip()
    return re.sub(r"^\[[A-Z_.]+\]\s*", "", text)[:300] + "; see Spark's SQL reference"
