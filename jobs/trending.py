"""What is bought or looked at unusually much now: the table `trending`.

A product's visitors of the last 3 days are held against those of the 28 days before, as shares of its
scope, so that a busy weekend of the whole shop makes nothing trend. One visitor counts once a day. With
expected = (the scope's recent visitors) × (the product's share of the scope's visitors before), the ratio
recent / expected has the posterior Gamma(5 + recent, 5 + expected): a prior of five visits that went as
usual (gamma-Poisson shrinkage; DuMouchel, "Bayesian Data Mining in Large Frequency Tables", The American
Statistician 1999). The score is its 5 % quantile, so that small counts do not win by luck; by the cube-root
approximation of Wilson and Hilferty (PNAS 1931).

Persons are counted apart from visitors: shoppers, and sessions that are no known shopper's. Whoever browses
without a session may be any number of visitors, and so is no person.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from pyspark.sql import Window
from pyspark.sql import functions as F

from jobs.event_sums import is_kind, within

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

SHOP = "shop"
RECENT_DAYS, BEFORE_DAYS = 3, 28
PRIOR = 5.0
Z_95 = -1.6448536269514722
BETWEEN_LEVELS = " > "


def trending(events: DataFrame, products: DataFrame, ds: date, top: int, least: int) -> DataFrame:
    """At most `top` products of each scope, columns as in the registry; `events` as of `known_events`.

    A scope is the whole shop, or a category path of any depth. Products that are out of stock are not
    listed, nor those with fewer than `least` recent persons, nor those that are not surely above usual.
    """
    counts = _visits(events, ds)
    places = products.select(
        "product_id", F.coalesce("in_stock", F.lit(True)).alias("sold"), F.explode(_scopes()).alias("scope")
    )
    found = counts.join(places, "product_id")
    totals = found.groupBy("scope", "signal").agg(
        F.sum("recent").alias("all_recent"), F.sum("before").alias("all_before")
    )
    share = F.col("all_recent") * F.col("before") / F.col("all_before")
    listed = (
        found.join(totals.where("all_before > 0"), ["scope", "signal"])
        .withColumn("expected", share)
        .withColumn("score", F.round(_lower_bound(), 6))
        .where(F.col("sold") & (F.col("persons") >= least) & (F.col("score") > 1))
    )
    strongest = Window.partitionBy("scope", "product_id").orderBy(F.desc("score"), F.desc("recent"), "signal")
    order = Window.partitionBy("scope").orderBy(F.desc("score"), F.desc("recent"), "product_id")
    return (
        listed.withColumn("signals", F.row_number().over(strongest))
        .where("signals = 1")
        .withColumn("rank", F.row_number().over(order))
        .where(F.col("rank") <= top)
        .select("scope", "rank", "product_id", "signal", "score", "recent", "before", "expected")
        .withColumn("ds", F.lit(ds))
    )


def _visits(events: DataFrame, ds: date) -> DataFrame:
    """Per product and signal: visitors a day, recent and before, and distinct recent persons."""
    recent = within(ds, RECENT_DAYS)
    signal = F.when(is_kind("purchase"), "bought").when(~is_kind("return"), "looked_at")
    visitor = F.coalesce(
        F.concat(F.lit("u"), "user_id"),
        F.concat(F.lit("s"), "session_id"),
        F.concat(F.lit("t"), F.col("event_time").cast("string")),
    )
    # Events without a session are spread by what they are: as null all would meet in one task of the join.
    alone = F.concat(F.lit("\0"), F.col("event_time").cast("string"), "product_id")
    looked_at = events.where(within(ds, RECENT_DAYS + BEFORE_DAYS)).withColumn(
        "of_session", F.coalesce("session_id", alone)
    )
    # A shopper who signs in, or out, during a session is not two.
    of_shoppers = looked_at.where("user_id IS NOT NULL AND session_id IS NOT NULL").select("of_session")
    marked = looked_at.join(of_shoppers.distinct().withColumn("signed_in", F.lit(True)), "of_session", "left")
    person = F.when(F.expr("user_id IS NOT NULL OR (session_id IS NOT NULL AND signed_in IS NULL)"), visitor)
    return (
        marked.select(
            "product_id", "ds", signal.alias("signal"), visitor.alias("visitor"), person.alias("person")
        )
        .where("signal IS NOT NULL")
        .distinct()
        .groupBy("product_id", "signal")
        .agg(
            F.count_if(recent).alias("recent"),
            F.count_if(~recent).alias("before"),
            F.count_distinct(F.when(recent, F.col("person"))).alias("persons"),
        )
    )


def _scopes() -> Column:
    """The shop, and each level of the product's category; a category called as the whole shop is left out."""
    levels = F.split(F.col("category"), BETWEEN_LEVELS)
    depths = F.sequence(F.lit(1), F.size(levels))
    paths = F.transform(depths, lambda n: F.array_join(F.slice(levels, 1, n), BETWEEN_LEVELS))
    paths = F.filter(F.coalesce(paths, F.array()), lambda p: (F.trim(p) != "") & (p != SHOP))
    return F.array_distinct(F.concat(F.array(F.lit(SHOP)), paths))


def _lower_bound() -> Column:
    shape, rate = F.col("recent") + PRIOR, F.col("expected") + PRIOR
    cube_root = 1 - 1 / (9 * shape) + Z_95 / (3 * F.sqrt(shape))
    return shape * F.pow(cube_root, F.lit(3)) / rate


def shown(table: DataFrame, products: DataFrame, rows: int = 10) -> list[dict[str, Any]]:
    """The shop's first rows with titles, for the report."""
    titles = products.select("product_id", "title_en", "title_zh")
    first = table.where((F.col("scope") == SHOP) & (F.col("rank") <= rows)).join(titles, "product_id", "left")
    return [r.asDict() for r in first.drop("scope", "ds").orderBy("rank").collect()]
