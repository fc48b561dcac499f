"""How much of the shoppers' lists would be new to them: what is staged, against what is in service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs import quality
from jobs.lake.catalog import between, partition_value
from jobs.lake.registry import BY_NAME
from jobs.night import Night
from jobs.spark import path, spark, spark_schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

LISTS = "recommendations"


def list_change(night: Night) -> float | None:
    """Mean share of a list's products that the shopper's list in service does not have, from 0 to 1.

    None where no shopper has both. In service: what was published last when the run was pinned, of the newest
    date up to the run's own.
    """
    served = _served(night)
    if served is None:
        return None
    return change(served, quality.staged(night, LISTS))


def _served(night: Night) -> DataFrame | None:
    metadata = night.pins.get(LISTS)
    if metadata is None:
        return None
    spec = BY_NAME[LISTS]
    known = {partition_value(spec, f) for f in night.catalog.files(metadata)}
    days = [day for day in known if day <= night.ds]
    if not days:
        return None
    found = night.catalog.files(metadata, between("ds", max(days), max(days)))
    files = sorted(path(f.file_path.removeprefix("file://")) for f in found)
    return spark(night.settings).read.schema(spark_schema(LISTS)).parquet(*files)


def change(before: DataFrame, after: DataFrame) -> float | None:
    """Mean over the shoppers of both frames: the share of the products after that were not there before."""
    from pyspark.sql import functions as F

    old = before.select("user_id", "product_id").distinct().withColumn("kept", F.lit(1.0))
    new = after.select("user_id", "product_id").distinct()
    shoppers = old.select("user_id").distinct()
    each = (
        new.join(shoppers, "user_id", "left_semi")
        .join(old, ["user_id", "product_id"], "left")
        .groupBy("user_id")
        .agg(F.avg(1.0 - F.coalesce("kept", F.lit(0.0))).alias("new"))
    )
    found = each.agg(F.avg("new")).first()
    return None if found is None or found[0] is None else round(float(found[0]), 4)
