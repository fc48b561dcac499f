"""Rows of a forgotten shopper are known by tombstones alone, wherever in a raw row the id stands."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.intake.forgotten import scrubbed, theirs
from jobs.intake.mapping import EntityName
from jobs.lake.forgotten import Forgotten

pytestmark = pytest.mark.usefixtures("small_shuffles")
SALT = "salt"
GONE = ("zoe.secret-77", "auth0|5f7c", "urn:u:7", "Ann Lee", "17850", "42")
SCRUBBED = '{"_line":"(forgotten)"}'


@pytest.fixture
def forgotten() -> Forgotten:
    return Forgotten(SALT, frozenset(hashlib.sha256((SALT + who).encode()).hexdigest() for who in GONE))


def line(text: str) -> str:
    return json.dumps({"_line": text})


@pytest.mark.parametrize(
    ("user_id", "broken", "raw", "gone"),
    [
        ("zoe.secret-77", None, "{}", True),
        ("bob", None, "{}", False),
        # An id of its own in the tables.
        ("17850.0", None, "{}", False),
        (None, None, "{}", False),
        (None, "unreadable_row", line("e1;zoe.secret-77;tea"), True),
        (None, "unreadable_row", line("e1,auth0|5f7c,tea"), True),
        (None, "unreadable_row", line('e1\turn:u:7\t"tea"'), True),
        (None, "unreadable_row", line('e1,"Ann Lee",tea,too,many'), True),
        (None, "unreadable_row", line("e1, Ann Lee ,tea,too,many"), True),
        (None, "unreadable_row", line("536365,85123A,WHITE, HEART,6,2.55,17850.0,UK"), True),
        # A comma within a description has moved each column by one: what looks like an id is a price.
        ("2.55", "unreadable_row", line("536365,85123A,WHITE, HEART,6,2.55,17850,UK"), True),
        ("2.55", "unreadable_row", line("536365,85123A,WHITE, HEART,6,2.55,17851,UK"), False),
        (None, "unreadable_row", line("e1,zoe.secret-77x,tea"), False),
        # Told apart, and no shopper of its own: what names another in it is scrubbed.
        (None, "price_positive", json.dumps({"seller": "zoe.secret-77"}), False),
    ],
)
def test_a_row_is_theirs(
    spark: SparkSession, forgotten: Forgotten, user_id: Any, broken: Any, raw: str, gone: bool
) -> None:
    frame = spark.createDataFrame([(user_id, broken, raw)], "user_id string, broken string, raw string")
    assert frame.select(theirs("events", forgotten)).first() == (gone,)


@pytest.mark.parametrize(
    ("entity", "row", "gone"),
    [
        ("products", {"id": "tea", "seller": "zoe.secret-77"}, True),
        ("products", {"id": "tea", "buyer": 17850.0}, True),
        ("products", {"id": "tea", "buyer": "42"}, True),
        ("products", {"id": "tea", "customer": {"id": "Ann Lee", "email": "x"}}, True),
        ("products", {"id": "tea", "customers": [{"id": "x"}, {"id": 17850}]}, True),
        ("products", {"id": "tea", "customer": json.dumps({"id": "auth0|5f7c"})}, True),
        ("products", {"_line": "tea,urn:u:7,too,many"}, True),
        ("products", {"id": "tea", "title": "zoe.secret-77-like"}, False),
        ("products", {"id": "tea", "by": {"urn:u:7": 1}}, True),
        ("products", {"id": "tea", "price": 4.2, "size": "421"}, False),
        ("events", {"who": "bob", "friend": "zoe.secret-77"}, True),
        # Of another's row a short number says nothing.
        ("events", {"who": "bob", "quantity": 42}, False),
        ("events", {"who": "bob", "quantity": "17850"}, False),
    ],
)
def test_a_row_that_names_them_is_not_kept(
    spark: SparkSession, forgotten: Forgotten, entity: EntityName, row: dict[str, Any], gone: bool
) -> None:
    raw = json.dumps(row)
    frame = spark.createDataFrame([(raw,)], "raw string")
    kept = frame.select(scrubbed(F.lit(entity), forgotten).alias("raw")).first()
    assert kept == ((SCRUBBED if gone else raw),)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("filling", [" ", '"', "' ", ", ", ",0", ".0", "\\", "ab "])
def test_a_very_long_row_is_looked_through_in_time(
    spark: SparkSession, forgotten: Forgotten, filling: str
) -> None:
    """Blanks, quotes, commas and noughts without end: a search that starts over at each takes minutes."""
    raw = line(filling * (300_000 // len(filling)) + "x")
    frame = spark.createDataFrame(
        [("unreadable_row", None, raw)], "broken string, user_id string, raw string"
    )
    kept = scrubbed(F.lit("products"), forgotten) == F.col("raw")
    assert frame.select(theirs("events", forgotten), kept).first() == (False, True)
