"""The session that every Spark step shares."""

from __future__ import annotations

from pyspark.sql import SparkSession


def test_java_has_room_for_the_code_of_a_long_session(spark: SparkSession) -> None:
    """With one compiler alone Java reserves 48 MB for compiled code; a session of some 200 stages filled
    them and died.
    """
    pools = spark._jvm.java.lang.management.ManagementFactory.getMemoryPoolMXBeans()
    code = [p.getUsage().getMax() for p in pools if "Code" in p.getName()]
    assert sum(code) >= 200 << 20
