"""Spark with as few tasks as these few rows need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession


@pytest.fixture(scope="package")
def small_shuffles(spark: SparkSession) -> Iterator[None]:
    before = {k: spark.conf.get(k, None) for k in ("spark.sql.shuffle.partitions",)}
    spark.conf.set("spark.sql.shuffle.partitions", "2")
    spark.conf.set("spark.sql.adaptive.coalescePartitions.initialPartitionNum", "2")
    yield
    spark.conf.set("spark.sql.shuffle.partitions", before["spark.sql.shuffle.partitions"])
    spark.conf.set("spark.sql.adaptive.coalescePartitions.initialPartitionNum", "64")
