"""Small frames of events, products and shoppers, for tests of the features."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import (
    BooleanType,
    DateType,
    DoubleType,
    IntegerType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

EVENTS = StructType(
    [
        StructField("user_id", StringType()),
        StructField("product_id", StringType()),
        StructField("event_type", StringType()),
        StructField("event_time", TimestampType()),
        StructField("price", DoubleType()),
        StructField("quantity", IntegerType()),
        StructField("platform", StringType()),
        StructField("session_id", StringType()),
        StructField("arrived", DateType()),
        StructField("ds", DateType()),
    ]
)
PRODUCTS = StructType(
    [
        StructField("product_id", StringType()),
        StructField("category", StringType()),
        StructField("brand", StringType()),
        StructField("price", DoubleType()),
        StructField("in_stock", BooleanType()),
        StructField("first_seen", DateType()),
        StructField("ds", DateType()),
    ]
)
USERS = StructType(
    [
        StructField("user_id", StringType()),
        StructField("first_seen", DateType()),
        StructField("ds", DateType()),
    ]
)

Row = tuple[Any, ...]


def event(
    user: str | None,
    product: str,
    kind: str,
    when: str,
    price: float | None = 10.0,
    quantity: int | None = 1,
    platform: str | None = "web",
    session: str | None = "s1",
    arrived: str = "",
) -> Row:
    """`when`: "2026-01-31" or "2026-01-31 13"; it arrived that day unless `arrived` says otherwise."""
    day = date.fromisoformat(when[:10])
    time = datetime.fromisoformat(f"{when}:00" if len(when) > 10 else f"{when} 12:00").replace(tzinfo=UTC)
    come = date.fromisoformat(arrived) if arrived else day
    return (user, product, kind, time, price, quantity, platform, session, come, day)


def events(spark: SparkSession, rows: list[Row]) -> DataFrame:
    return spark.createDataFrame(rows, EVENTS)


def products(spark: SparkSession, rows: list[Row]) -> DataFrame:
    """Rows of product, category, brand, price, in stock, first seen."""
    return spark.createDataFrame([(*r, None) for r in rows], PRODUCTS)


def users(spark: SparkSession, rows: list[Row]) -> DataFrame:
    """Rows of shopper, first seen."""
    return spark.createDataFrame([(*r, None) for r in rows], USERS)


def by_key(frame: DataFrame, key: str) -> dict[str, dict[str, Any]]:
    rows = [r.asDict() for r in frame.collect()]
    assert len({r[key] for r in rows}) == len(rows), f"a {key} has two rows"
    return {r[key]: r for r in rows}
