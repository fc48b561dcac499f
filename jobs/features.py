"""Step `features`: what models read of shoppers and products, profiles that people read, and what trends."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from jobs import spark
from jobs.cli import main
from jobs.event_sums import (
    EVENT_COLUMNS,
    count,
    events_so_far,
    first_day,
    is_kind,
    known_events,
    mean_price,
    money,
    within,
)
from jobs.profiles import user_profiles
from jobs.trending import shown, trending

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from jobs.night import Night

HALF_LIFE_DAYS = 7
DECAY = "decimal(13,12)"  # summed exactly, like money


def user_features(events: DataFrame, users: DataFrame, ds: date) -> DataFrame:
    """One row per shopper in `users`, columns as in the registry.

    `events` as `events_so_far` gives them. Without activity counts and sums are 0, means and days null.
    "The last 30 days" are `ds` and the 29 days before it. `mean_price` is over the purchase lines that say
    a price, whatever their quantity.
    """
    month, purchase = within(ds, 30), is_kind("purchase")
    activity = (
        events.where(F.col("user_id").isNotNull())
        .groupBy("user_id")
        .agg(
            count(is_kind("view") & month).alias("views_30d"),
            count(is_kind("cart") & month).alias("carts_30d"),
            count(purchase & month).alias("purchases_30d"),
            count(is_kind("view")).alias("views"),
            count(is_kind("cart")).alias("carts"),
            count(purchase).alias("purchases"),
            count(is_kind("return")).alias("returns"),
            money(purchase & month).alias("spend_30d"),
            money(purchase).alias("spend"),
            mean_price(purchase).alias("mean_price"),
            F.count_distinct("ds").alias("active_days"),
            F.count_distinct("session_id").alias("sessions"),
            F.count_distinct("product_id").alias("products"),
            F.date_diff(F.lit(ds), F.max("ds")).alias("recency_days"),
            F.date_diff(F.lit(ds), F.min("ds")).alias("tenure_days"),
        )
    )
    rows = users.select("user_id").join(activity, "user_id", "left")
    stay_null = {"user_id", "mean_price", "recency_days", "tenure_days"}
    return rows.fillna(0, [c for c in rows.columns if c not in stay_null]).withColumn("ds", F.lit(ds))


def item_features(events: DataFrame, products: DataFrame, ds: date) -> DataFrame:
    """One row per product in `products`, columns as in the registry.

    `events` as `events_so_far` gives them. `price_bucket` is the number of deciles of the catalogue's prices
    that lie below the product's price, so that equal prices share a bucket. `popularity` is the sum over
    purchases of 0.5 ^ (days since / 7), each term to twelve decimals.
    """
    week, month, purchase = within(ds, 7), within(ds, 30), is_kind("purchase")
    age = F.date_diff(F.lit(ds), F.col("ds"))
    decay = F.pow(F.lit(0.5), age / F.lit(HALF_LIFE_DAYS)).cast(DECAY)
    activity = events.groupBy("product_id").agg(
        count(is_kind("view") & week).alias("views_7d"),
        count(is_kind("cart") & week).alias("carts_7d"),
        count(purchase & week).alias("purchases_7d"),
        count(purchase & month).alias("purchases_30d"),
        count(purchase).alias("purchases"),
        count(is_kind("return")).alias("returns"),
        F.count_distinct(F.when(purchase, F.col("user_id"))).alias("buyers"),
        money(purchase & month).alias("revenue_30d"),
        F.sum(F.when(purchase, decay)).cast("double").alias("popularity"),
    )
    deciles = products.agg(F.percentile("price", [q / 10 for q in range(1, 10)]).alias("deciles"))
    below = F.size(F.filter("deciles", lambda limit: limit < F.col("price")))
    return (
        products.select("product_id", "category", "brand", "price", "in_stock", "first_seen")
        .join(activity, "product_id", "left")
        .fillna(0, [c for c in activity.columns if c != "product_id"])
        .crossJoin(F.broadcast(deciles))
        .withColumn("price_bucket", F.when(F.col("price").isNotNull(), below))
        .withColumn("age_days", F.date_diff(F.lit(ds), F.col("first_seen")))
        .withColumn("ds", F.lit(ds))
        .drop("deciles", "first_seen")
    )


def run(night: Night) -> dict[str, Any]:
    """Stages the four tables from one read of the events, all there are; returns the rows of each."""
    ds, history = night.ds, night.settings.history_days
    read = spark.read(night, "events_clean", date.min, ds).select(*EVENT_COLUMNS)
    # What is counted "ever" has no beginning; tastes and trends are of the days that models learn from.
    events = events_so_far(read, ds).cache()
    recent = known_events(events, ds, history)
    products, users = spark.read(night, "products"), spark.read(night, "users")
    frames = {
        "user_features": user_features(events, users, ds),
        "item_features": item_features(events, products, ds),
        "user_profiles": user_profiles(events, products, users, ds, first_day(ds, history)),
        "trending": trending(recent, products, ds, night.settings.trending_k, night.settings.min_group),
    }
    try:
        rows = {table: spark.stage(night, table, frame) for table, frame in frames.items()}
        top = shown(spark.read(night, "trending"), products)
        night.note("trending", {"rows": rows["trending"], "top": top})
        return {"rows": rows}
    finally:
        events.unpersist()


if __name__ == "__main__":
    main("features")
