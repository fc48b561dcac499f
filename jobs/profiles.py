"""What people read of a shopper: recency, frequency, spend, tastes, habits, and one word for all of it.

Segments follow RFM (recency, frequency, monetary; Hughes, "Strategic Database Marketing", 1994) with fixed
thresholds, so that a shopper's segment does not move because others did. The first that fits:

| segment | who |
|---|---|
| new | first seen in the last 14 days, and at most one order |
| prospect | never bought, as far as the lake's events reach |
| dormant | last purchase more than 90 days ago |
| at_risk | last purchase more than 30 days ago |
| loyal | 4 orders or more |
| active | everybody else |
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from jobs.event_sums import amount, is_kind, mean_price

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

NEW_DAYS, AT_RISK_DAYS, DORMANT_DAYS = 14, 30, 90
LOYAL_ORDERS = 4
FAVOURITES = 3
# How much one event says about taste; what came back speaks against.
TASTE = {"view": 1, "favourite": 2, "cart": 3, "purchase": 5, "return": -5}


def user_profiles(
    events: DataFrame, products: DataFrame, users: DataFrame, ds: date, since: date
) -> DataFrame:
    """One row per shopper in `users`, columns as in the registry; `events` as `events_so_far` gives them.

    Tastes and habits are of `since` and the days after it, all else is of ever. Without activity counts and
    sums are 0, lists are `[]`, the rest is null. Favourites are ranked by the sum of `TASTE` over events and
    must be above zero; hours and platforms by events; ties go by name.
    `price_band` tells on which side of the terciles of the catalogue's prices the shopper's mean price lies:
    of purchases, else of all that was looked at.
    """
    known = events.where(F.col("user_id").isNotNull())
    thirds = products.agg(F.percentile("price", [1 / 3, 2 / 3]).alias("thirds"))
    below = F.size(F.filter("thirds", lambda limit: limit < F.col("mean_price")))
    band = F.element_at(F.array(F.lit("low"), F.lit("mid"), F.lit("high")), below + 1)
    last_purchase = F.date_diff(F.lit(ds), F.col("last_purchase"))
    habits = _habits(known.where(F.col("ds") >= F.lit(since)), products)
    lists = [c for c in habits.columns if c != "user_id"]
    return (
        users.select("user_id", "first_seen")
        .join(_totals(known), "user_id", "left")
        .join(habits, "user_id", "left")
        .crossJoin(F.broadcast(thirds))
        .fillna(0, ["frequency", "monetary"])
        .fillna("[]", lists)
        .withColumn("recency_days", last_purchase)
        .withColumn("price_band", F.when(F.col("mean_price").isNotNull(), band))
        .withColumn("segment", _segment(ds))
        .withColumn("ds", F.lit(ds))
        .drop("last_purchase", "mean_price", "thirds")
    )


def _totals(events: DataFrame) -> DataFrame:
    """Per shopper: last purchase, orders, money, typical price, last day seen."""
    purchase = is_kind("purchase")
    order = F.coalesce(F.col("session_id"), F.col("ds").cast("string"))
    signed = F.when(purchase, amount()).when(is_kind("return"), -amount())
    return events.groupBy("user_id").agg(
        F.max(F.when(purchase, F.col("ds"))).alias("last_purchase"),
        F.count_distinct(F.when(purchase, order)).alias("frequency"),
        F.sum(signed).cast("double").alias("monetary"),
        F.coalesce(mean_price(purchase), mean_price(F.lit(True))).alias("mean_price"),
        F.max("ds").alias("last_seen"),
    )


def _habits(events: DataFrame, products: DataFrame) -> DataFrame:
    """Per shopper: favourite categories and brands, busiest hours, platforms, each a JSON array."""
    taste = F.coalesce(*[F.when(is_kind(k), F.lit(weight)) for k, weight in TASTE.items()], F.lit(0))
    hour = F.date_format("event_time", "HH")
    facts = F.array(
        _fact("category", F.col("category"), taste),
        _fact("brand", F.col("brand"), taste),
        _fact("hour", hour, F.lit(1)),
        _fact("platform", F.col("platform"), F.lit(1)),
    )
    ranked = (
        events.join(products.select("product_id", "category", "brand"), "product_id", "left")
        .select("user_id", F.explode(facts).alias("fact"))
        .where(F.col("fact.name").isNotNull())
        .groupBy("user_id", "fact.about", "fact.name")
        .agg(F.sum("fact.weight").alias("weight"))
        .where(F.col("weight") > 0)
    )
    return ranked.groupBy("user_id").agg(
        F.to_json(_best("category", FAVOURITES)).alias("favourite_categories"),
        F.to_json(_best("brand", FAVOURITES)).alias("favourite_brands"),
        F.to_json(F.transform(_best("hour", FAVOURITES), lambda h: h.cast("int"))).alias("active_hours"),
        F.to_json(_best("platform")).alias("platforms"),
    )


def _fact(about: str, name: Column, weight: Column) -> Column:
    return F.struct(F.lit(about).alias("about"), name.alias("name"), weight.alias("weight"))


def _best(about: str, limit: int | None = None) -> Column:
    """Names of one kind of fact, heaviest first, ties by name: an array."""
    entry = F.struct((-F.col("weight")).alias("order"), F.col("name").alias("name"))
    order = F.array_sort(F.collect_list(F.when(F.col("about") == about, entry)))
    names = F.transform(order, lambda e: e["name"])
    return names if limit is None else F.slice(names, 1, limit)


def _segment(ds: date) -> Column:
    days_known = F.date_diff(F.lit(ds), F.col("first_seen"))
    return (
        F.when((days_known < NEW_DAYS) & (F.col("frequency") <= 1), "new")
        .when(F.col("frequency") == 0, "prospect")
        .when(F.col("recency_days") > DORMANT_DAYS, "dormant")
        .when(F.col("recency_days") > AT_RISK_DAYS, "at_risk")
        .when(F.col("frequency") >= LOYAL_ORDERS, "loyal")
        .otherwise("active")
    )
