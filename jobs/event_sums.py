"""Which events count, and how they are summed: what features and profiles share.

Money is summed as decimals and only the sum is made a double, so that the rows do not depend on the order
in which Spark happens to add.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

MONEY = "decimal(20,4)"
EVENT_COLUMNS = (
    "user_id",
    "product_id",
    "event_type",
    "event_time",
    "price",
    "quantity",
    "platform",
    "session_id",
    "arrived",
    "ds",
)


def first_day(ds: date, history_days: int) -> date:
    return ds - timedelta(days=history_days - 1)


def events_so_far(events: DataFrame, ds: date) -> DataFrame:
    """All events that a night of `ds` may know: happened and arrived by then."""
    return events.where((F.col("ds") <= F.lit(ds)) & (F.col("arrived") <= F.lit(ds)))


def known_events(events: DataFrame, ds: date, history_days: int) -> DataFrame:
    """The events that a night of `ds` may learn from: those so far of the last `history_days` days, `ds`
    included.
    """
    return events_so_far(events, ds).where(F.col("ds") >= F.lit(first_day(ds, history_days)))


def is_kind(event_type: str) -> Column:
    return F.col("event_type") == event_type


def within(ds: date, days: int) -> Column:
    """On `ds` or one of the `days` - 1 days before it."""
    return F.col("ds") > F.lit(ds - timedelta(days=days))


def count(condition: Column) -> Column:
    return F.count(F.when(condition, 1))


def amount() -> Column:
    """price × quantity, a decimal; null without a price, one unit where the quantity is not said."""
    return F.col("price").cast(MONEY) * F.coalesce(F.col("quantity"), F.lit(1))


def money(condition: Column) -> Column:
    """Sum of `amount`, exact to four decimals of price; null where no line says a price."""
    return F.sum(F.when(condition, amount())).cast("double")


def mean_price(condition: Column) -> Column:
    """Mean unit price over the lines that say one, whatever their quantity; eight decimals."""
    return F.avg(F.when(condition, F.col("price").cast(MONEY))).cast("double")
