from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from jobs.event_sums import events_so_far, known_events
from jobs.features import item_features, run, user_features
from jobs.lake.registry import BY_NAME
from jobs.night import Night
from tests.conftest import MakeNight
from tests.jobs.shop_rows import EVENTS, by_key, event, events, products, users

DS = date(2026, 1, 31)
SEEN = date(2026, 1, 1)


def test_a_night_knows_nothing_later_older_or_not_yet_arrived(spark: SparkSession) -> None:
    rows = [
        event("u", "today", "view", "2026-01-31"),
        event("u", "tomorrow", "view", "2026-02-01"),
        event("u", "late, here", "view", "2026-01-29", arrived="2026-01-31"),
        event("u", "late, on its way", "view", "2026-01-30", arrived="2026-02-01"),
        event("u", "oldest", "view", "2026-01-22"),  # the tenth day, counting today
        event("u", "too old", "view", "2026-01-21"),
    ]
    known = known_events(events(spark, rows), DS, history_days=10).collect()
    assert {r.product_id for r in known} == {"today", "late, here", "oldest"}
    ever = events_so_far(events(spark, rows), DS).collect()
    assert {r.product_id for r in ever} == {"today", "late, here", "oldest", "too old"}


def test_user_features_of_literal_rows(spark: SparkSession) -> None:
    rows = [
        event("u", "a", "view", "2026-01-01", session="s1"),  # 31st day: ever, not in the last 30 days
        event("u", "a", "purchase", "2026-01-01", price=5.0, session="s1"),
        event("u", "a", "view", "2026-01-02", session="s2"),  # 30th day: both
        event("u", "b", "cart", "2026-01-30", session="s3"),
        event("u", "b", "purchase", "2026-01-30", price=0.1, quantity=3, session="s3"),
        event("u", "c", "purchase", "2026-01-30", price=None, session="s3"),  # counts, without money
        event("u", "b", "return", "2026-01-31", price=0.1, session=None),  # no session to count
        event("u", "d", "favourite", "2026-01-31", session="s4"),
        event(None, "a", "view", "2026-01-31", session="s5"),  # nobody's
        event("stranger", "a", "view", "2026-01-31"),  # not among the users
    ]
    people = users(spark, [("u", SEEN), ("idle", SEEN)])
    found = by_key(user_features(events(spark, rows), people, DS), "user_id")
    assert set(found) == {"u", "idle"}
    assert found["u"] == {
        "user_id": "u",
        "views_30d": 1,
        "carts_30d": 1,
        "purchases_30d": 2,
        "views": 2,
        "carts": 1,
        "purchases": 3,
        "returns": 1,
        "spend_30d": 0.3,  # 3 × 0.1 exactly, not 0.30000000000000004
        "spend": 5.3,
        "mean_price": 2.55,
        "active_days": 4,
        "sessions": 4,
        "products": 4,
        "recency_days": 0,
        "tenure_days": 30,
        "ds": DS,
    }
    nulls = {"mean_price", "recency_days", "tenure_days"}
    assert {k for k, v in found["idle"].items() if v is None} == nulls
    assert all(v == 0 for k, v in found["idle"].items() if k not in nulls | {"user_id", "ds"})


def test_item_features_of_literal_rows(spark: SparkSession) -> None:
    catalogue = [
        ("a", "Toys", "Pip", 10.0, True, date(2026, 1, 1)),
        ("idle", "Toys", None, None, False, None),  # no price: no bucket; no first day: no age
    ]
    rows = [
        event("u", "a", "purchase", "2026-01-31", price=2.0, quantity=2),  # weight 1
        event("v", "a", "purchase", "2026-01-24", price=1.0),  # 7 days ago: weight ½, not in the last 7 days
        event("u", "a", "purchase", "2026-01-01", price=1.0),  # 30 days ago: not in the last 30 days
        event("u", "a", "view", "2026-01-25"),  # the 7th day, counting today
        event("u", "a", "view", "2026-01-24"),
        event(None, "a", "cart", "2026-01-31"),
        event("u", "a", "return", "2026-01-31"),
        event("u", "gone", "purchase", "2026-01-31"),  # not in the catalogue
    ]
    found = by_key(item_features(events(spark, rows), products(spark, catalogue), DS), "product_id")
    assert set(found) == {"a", "idle"}
    assert found["a"] == {
        "product_id": "a",
        "category": "Toys",
        "brand": "Pip",
        "price": 10.0,
        "price_bucket": 0,
        "in_stock": True,
        "views_7d": 1,
        "carts_7d": 1,
        "purchases_7d": 1,
        "purchases_30d": 2,
        "purchases": 3,
        "returns": 1,
        "buyers": 2,
        "revenue_30d": 5.0,
        "popularity": pytest.approx(1.5 + 0.5 ** (30 / 7), abs=1e-11),
        "age_days": 30,
        "ds": DS,
    }
    assert found["idle"]["price_bucket"] is None
    assert found["idle"]["age_days"] is None
    assert found["idle"]["popularity"] == 0.0
    assert found["idle"]["in_stock"] is False


def test_price_buckets_are_deciles_and_equal_prices_share_one(spark: SparkSession) -> None:
    def buckets(prices: list[float]) -> list[int]:
        rows = [(f"p{i:02d}", None, None, p, True, SEEN) for i, p in enumerate(prices)]
        found = by_key(item_features(events(spark, []), products(spark, rows), DS), "product_id")
        return [found[f"p{i:02d}"]["price_bucket"] for i in range(len(prices))]

    assert buckets([float(p) for p in range(1, 11)]) == list(range(10))
    assert buckets([7.0] * 5) == [0] * 5
    assert buckets([1.0, 1.0, 1.0, 1.0, 9.0]) == [0, 0, 0, 0, 9]


def test_run_reads_the_lake_once_and_stages_four_tables(make_night: MakeNight) -> None:
    """With `history_days` = 30 the purchase of 400 days ago counts as ever bought, and is no habit any more;
    what is yet to come counts for nothing.
    """
    night = make_night("2026-01-31", history_days=30)
    rows = [
        event("u", "a", "purchase", "2024-12-27 20", price=12.0),
        event("u", "a", "view", "2026-01-20 08"),
        event("u", "a", "purchase", "2026-02-01"),
        event("u", "a", "purchase", "2026-01-30", arrived="2026-02-01"),
    ]
    days = [r[-1] for r in rows]
    stage(night, "events_clean", [dict(zip(EVENTS.names, r, strict=True)) for r in rows], days)
    stage(night, "products", [{"product_id": "a", "price": 10.0, "first_seen": SEEN, "ds": DS}], [DS])
    stage(night, "users", [{"user_id": "u", "first_seen": SEEN, "ds": DS}], [DS])
    assert run(night) == {"rows": {"user_features": 1, "item_features": 1, "user_profiles": 1, "trending": 0}}
    assert night.notes()["trending"] == {"rows": 0, "top": []}
    (user,) = night.read("user_features").to_pylist()
    assert (user["views"], user["purchases"], user["recency_days"], user["ds"]) == (1, 1, 11, DS)
    assert (user["spend"], user["spend_30d"], user["tenure_days"], user["active_days"]) == (12.0, 0.0, 400, 2)
    (item,) = night.read("item_features").to_pylist()
    assert (item["purchases"], item["buyers"], item["price_bucket"], item["age_days"]) == (1, 1, 0, 30)
    (profile,) = night.read("user_profiles").to_pylist()
    assert (profile["segment"], profile["frequency"], profile["active_hours"]) == ("dormant", 1, "[8]")


def stage(night: Night, table: str, rows: list[dict[str, Any]], days: list[date]) -> None:
    night.stage(table, pa.Table.from_pylist(rows, schema=BY_NAME[table].schema), days)
