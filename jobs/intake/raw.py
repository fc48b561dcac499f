"""Raw files as Spark frames: every column a string, beside the row as it came."""

from __future__ import annotations

import codecs
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from itertools import pairwise

from pyspark.logger import PySparkLogger
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jobs.errors import BadInput
from jobs.intake.files import RawFile
from jobs.intake.mapping import Read
from jobs.spark import path

# Beside the raw columns: the row as a JSON object, whether it could be told apart, its file's base name.
RAW, UNREADABLE, FILE = "_raw", "_unreadable", "_file"
_CORRUPT = "_corrupt"
_RESERVED = {RAW, UNREADABLE, FILE, _CORRUPT}
_MOST_KEYS = 2000
_MAP = "map<string,string>"
_CONF = {
    # Any charset the JVM knows; the default list has no Chinese one.
    "spark.sql.legacy.javaCharsets": "true",
    # With pruning, a row with too many fields passes unnoticed when few are read.
    "spark.sql.csv.parser.columnPruning.enabled": "false",
}


@contextmanager
def reading(spark: SparkSession) -> Iterator[None]:
    """Settings for reading raw files; errors in a mapping's SQL are told once, without stack traces."""
    before = {key: spark.conf.get(key, None) for key in _CONF}
    # By Spark's own class: a plain logger of that name would break every later error of the process.
    logger = PySparkLogger.getLogger("SQLQueryContextLogger")
    was_disabled, logger.disabled = logger.disabled, True
    spark.sparkContext.setLogLevel("OFF")
    for key, value in _CONF.items():
        spark.conf.set(key, value)
    try:
        yield
    finally:
        for key, old in before.items():
            if old is None:
                spark.conf.unset(key)
            else:
                spark.conf.set(key, old)
        spark.sparkContext.setLogLevel("ERROR")
        logger.disabled = was_disabled


def read_raw(spark: SparkSession, files: Sequence[RawFile], read: Read) -> DataFrame:
    """All files as one frame; files may differ in columns, in their order and in their types."""
    groups: dict[tuple[tuple[str, ...], ...], list[RawFile]] = defaultdict(list)
    for file in files:
        # Spark reads all Parquet files that it is given by the types of one of them.
        groups[file.columns, file.types].append(file)
    readers = {"csv": _csv, "jsonl": _json_lines, "json": _json, "parquet": _parquet}
    frames = []
    for (columns, _), members in groups.items():
        _refuse_reserved(members[0], columns)
        paths = [_literal(path(f.uri)) for f in members]
        frames.append(readers[read.format](spark, paths, members, read))
    return reduce(lambda a, b: a.unionByName(b, allowMissingColumns=True), frames)


def _refuse_reserved(file: RawFile, columns: Sequence[str]) -> None:
    for name in columns:
        if name.lower() in _RESERVED:
            raise BadInput(f"{file.uri}: column '{name}': the name is taken by the intake; rename it")


def _literal(uri: str) -> str:
    """A path that Hadoop takes as it stands, not as a glob."""
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", uri)


def _file_name() -> Column:
    # The name comes as part of a URL, where '+' stands for itself.
    name = F.element_at(F.split(F.col("_metadata.file_path"), "/"), -1)
    return F.url_decode(F.replace(name, F.lit("+"), F.lit("%2B"))).alias(FILE)


def quoted(name: str) -> Column:
    return F.col("`" + name.replace("`", "``") + "`")


def _csv(spark: SparkSession, paths: list[str], files: list[RawFile], read: Read) -> DataFrame:
    names = files[0].columns
    schema = T.StructType([T.StructField(n, T.StringType()) for n in (*names, _CORRUPT)])
    frame = spark.read.schema(schema).csv(
        paths,
        header=True,
        sep=read.delimiter,
        quote='"',
        escape='"',
        multiLine=read.multiline,
        encoding=_java_charset(read.encoding),
        columnNameOfCorruptRecord=_CORRUPT,
        mode="PERMISSIVE",
    )
    columns = [quoted(n) for n in names]
    line = F.to_json(F.struct(F.col(_CORRUPT).alias("_line")))
    raw = F.when(F.col(_CORRUPT).isNull(), F.to_json(F.struct(*columns))).otherwise(line)
    return frame.select(*columns, raw.alias(RAW), F.col(_CORRUPT).isNotNull().alias(UNREADABLE), _file_name())


def _java_charset(encoding: str) -> str:
    name = codecs.lookup(encoding).name
    if name.startswith(("utf-16-", "utf-32-")):
        return name.replace("-le", "le").replace("-be", "be")
    return "utf-8" if name == "utf-8-sig" else name


def _text(spark: SparkSession, paths: list[str], read: Read, whole: bool = False) -> DataFrame:
    """Lines, or whole files, as `value`, beside the file's name: Spark itself takes their bytes for UTF-8."""
    value, charset = F.col("value"), _java_charset(read.encoding)
    if charset not in ("utf-8", "ascii"):
        value = F.decode(value.cast("binary"), charset)
    unmarked = F.ltrim(value, F.lit("\ufeff"))
    return spark.read.text(paths, wholetext=whole).select(unmarked.alias("value"), _file_name())


def _json_lines(spark: SparkSession, paths: list[str], files: list[RawFile], read: Read) -> DataFrame:
    lines = _text(spark, paths, read).withColumnRenamed("value", "_value")
    return _from_json_rows(lines.where("length(trim(_value)) > 0"), [], files)


def _json(spark: SparkSession, paths: list[str], files: list[RawFile], read: Read) -> DataFrame:
    """Files that are one object keyed by id, or one array, as rows; the id is the column `_key`."""
    whole = _text(spark, paths, read, whole=True)
    keyed = F.from_json("value", _MAP)
    listed = F.from_json("value", T.ArrayType(T.StringType()))
    is_list = F.ltrim(F.col("value")).startswith("[")
    bad = whole.where(F.when(is_list, listed.isNull()).otherwise(keyed.isNull())).select(FILE).first()
    if bad is not None:
        raise BadInput(f"{bad[0]}: not valid JSON; give one object keyed by id, an array, or JSON Lines")
    parts = []
    if whole.where(~is_list).limit(1).count():
        parts.append(whole.where(~is_list).select(F.explode(keyed).alias("_key", "_value"), FILE))
    if whole.where(is_list).limit(1).count():
        rows = whole.where(is_list).select(F.posexplode(listed).alias("_key", "_value"), FILE)
        parts.append(rows.withColumn("_key", F.col("_key").cast("string")))
    return _from_json_rows(reduce(DataFrame.unionByName, parts), ["_key"], files)


def _from_json_rows(rows: DataFrame, extra: list[str], files: list[RawFile]) -> DataFrame:
    """One JSON object per row, its values as text: a nested value stays the JSON it was."""
    as_map = F.from_json("_value", _MAP)
    found = rows.select(F.explode(F.map_keys(as_map)).alias("key")).distinct().limit(_MOST_KEYS + 1).collect()
    keys = sorted(r["key"] for r in found)
    if len(keys) > _MOST_KEYS:
        raise BadInput(
            f"{files[0].uri}: more than {_MOST_KEYS} different keys; is it one object keyed by id?"
        )
    twice = [k for a, k in pairwise(keys) if a.lower() == k.lower()]
    if twice:
        raise BadInput(f"{files[0].uri}: key '{twice[0]}' comes in two spellings of case; keep one")
    _refuse_reserved(files[0], keys)
    schema = T.StructType([T.StructField(k, T.StringType()) for k in keys])
    # An object without a key would otherwise be an empty struct, which Spark refuses.
    fields = F.from_json("_value", schema if keys else "_none string")
    unreadable = as_map.isNull()
    line = F.to_json(F.struct(F.col("_value").alias("_line")))
    raw = F.when(unreadable, line).otherwise(_with_key() if extra else F.col("_value"))
    parsed = rows.select(*extra, FILE, fields.alias("_fields"), raw.alias(RAW), unreadable.alias(UNREADABLE))
    columns = [quoted("_fields").getField(k).alias(k) for k in keys]
    return parsed.select(*columns, *extra, RAW, UNREADABLE, FILE)


def _with_key() -> Column:
    """The object in `_value` with its id in front: equal objects under two ids are two rows."""
    key = F.to_json(F.struct("_key"))
    rest = F.ltrim(F.expr("substring(trim(_value), 2)"))
    comma = F.when(rest == "}", F.lit("")).otherwise(F.lit(","))
    return F.concat(F.regexp_replace(key, r"\}$", ""), comma, rest)


def _parquet(spark: SparkSession, paths: list[str], files: list[RawFile], read: Read) -> DataFrame:
    frame = spark.read.parquet(*paths)
    fields = frame.schema.fields
    texts = [as_text(quoted(f.name), f.dataType).alias(f.name) for f in fields]
    return frame.select(
        *texts, F.to_json(F.struct(*texts)).alias(RAW), F.lit(False).alias(UNREADABLE), _file_name()
    )


def as_text(column: Column, kind: T.DataType) -> Column:
    """A value as text that `try_cast` reads back; an instant carries its zone, nested values become JSON."""
    if isinstance(kind, T.TimestampType):
        return F.date_format(column, "yyyy-MM-dd HH:mm:ss.SSSSSS'Z'")
    if isinstance(kind, T.StructType | T.ArrayType | T.MapType):
        return F.to_json(column)
    return column.cast("string")
