from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from pyspark.sql import SparkSession

from jobs.profiles import user_profiles
from tests.jobs.shop_rows import Row, by_key, event, events, products, users

DS = date(2026, 1, 31)
OLD = date(2025, 6, 1)
CATALOGUE = [
    ("doll", "Toys > Dolls", "Pip", 10.0, True, OLD),
    ("ball", "Toys > Balls", "Pip", 20.0, True, OLD),
    ("tea", "Food > Tea", "Wren", 30.0, True, OLD),
    ("rug", "Home > Rugs", None, 40.0, True, OLD),
]


def profiles(
    spark: SparkSession, rows: list[Row], people: list[Row], since: date = OLD
) -> dict[str, dict[str, Any]]:
    frame = user_profiles(events(spark, rows), products(spark, CATALOGUE), users(spark, people), DS, since)
    return by_key(frame, "user_id")


def test_profile_of_literal_rows(spark: SparkSession) -> None:
    rows = [
        event("u", "doll", "view", "2026-01-20 09", platform="web"),
        event("u", "doll", "purchase", "2026-01-20 09", price=10.0, quantity=2, session="s1"),
        event("u", "ball", "purchase", "2026-01-20 21", price=20.0, session="s1"),  # the same order
        event("u", "ball", "return", "2026-01-25 21", price=20.0, session="s2"),  # speaks against balls
        event("u", "tea", "purchase", "2026-01-26 08", price=30.0, session=None, platform="app"),
        event("u", "tea", "purchase", "2026-01-26 08", price=None, session=None, platform="app"),
        event("u", "gone", "cart", "2026-01-28 21", platform="app"),  # no longer in the catalogue
        event("u", "gone", "view", "2026-01-28 08", platform=None),
        event(None, "rug", "purchase", "2026-01-31"),
    ]
    found = profiles(spark, rows, [("u", OLD), ("idle", OLD)])
    assert found["u"] == {
        "user_id": "u",
        "segment": "active",
        "recency_days": 5,
        "frequency": 2,  # session s1, and the day without a session
        "monetary": 50.0,  # 20 + 20 + 30 − 20
        "favourite_categories": '["Food > Tea","Toys > Dolls"]',  # balls came back
        "favourite_brands": '["Wren","Pip"]',
        "price_band": "low",  # mean 20 is not above the first tercile, 20
        "active_hours": "[8,21,9]",  # three at 8 and at 21: the earlier first
        "platforms": '["web","app"]',
        "first_seen": OLD,
        "last_seen": date(2026, 1, 28),
        "ds": DS,
    }
    assert found["idle"] == {
        "user_id": "idle",
        "segment": "prospect",
        "recency_days": None,
        "frequency": 0,
        "monetary": 0.0,
        "favourite_categories": "[]",
        "favourite_brands": "[]",
        "price_band": None,
        "active_hours": "[]",
        "platforms": "[]",
        "first_seen": OLD,
        "last_seen": None,
        "ds": DS,
    }


def test_ties_go_by_name_and_three_favourites_are_kept(spark: SparkSession) -> None:
    """One view each of four categories, in an order that is not theirs."""
    rows = [event("u", p, "view", "2026-01-30") for p in ("tea", "doll", "rug", "ball")]
    found = profiles(spark, rows, [("u", OLD)])["u"]
    assert found["favourite_categories"] == '["Food > Tea","Home > Rugs","Toys > Balls"]'
    assert found["favourite_brands"] == '["Pip","Wren"]'


def test_price_band_by_the_terciles_of_the_catalogue(spark: SparkSession) -> None:
    """The catalogue's terciles are 20 and 30; without purchases, views tell."""
    prices = {"at 20": 20.0, "over 20": 20.01, "at 30": 30.0, "over 30": 30.01, "none": None}
    rows = [event(user, "doll", "view", "2026-01-30", price=price) for user, price in prices.items()]
    rows.append(event("at 20", "rug", "favourite", "2026-01-30", price=None))
    rows += [
        event("buyer", "rug", "view", "2026-01-30", price=400.0),
        event("buyer", "doll", "purchase", "2026-01-30", price=10.0),
    ]
    found = profiles(spark, rows, [(user, OLD) for user in (*prices, "buyer")])
    assert {user: row["price_band"] for user, row in found.items()} == {
        "at 20": "low",
        "over 20": "mid",
        "at 30": "mid",
        "over 30": "high",
        "none": None,
        "buyer": "low",
    }


def test_what_was_bought_is_of_ever_and_tastes_are_of_the_window(spark: SparkSession) -> None:
    """Whoever bought 400 days ago is no prospect, in a lake that learns from 90 days."""
    long_ago = DS - timedelta(days=400)
    rows = [
        event("gone", "doll", "purchase", long_ago.isoformat(), price=30.0, platform="store"),
        event("back", "doll", "purchase", long_ago.isoformat(), session="s0"),
        event("back", "tea", "view", "2026-01-30 08", session="s1"),
    ]
    since = DS - timedelta(days=89)
    found = profiles(spark, rows, [("gone", long_ago), ("back", long_ago)], since)
    names = ("segment", "recency_days", "frequency", "monetary", "last_seen", "favourite_brands", "platforms")
    assert [found["gone"][n] for n in names] == ["dormant", 400, 1, 30.0, long_ago, "[]", "[]"]
    last = date(2026, 1, 30)
    assert [found["back"][n] for n in names] == ["dormant", 400, 1, 10.0, last, '["Wren"]', '["web"]']


def test_segments(spark: SparkSession) -> None:
    """One shopper per rule and per side of its threshold: orders this many days ago, first seen then."""
    cases: list[tuple[str, list[int], int]] = [
        ("new", [], 13),
        ("prospect", [], 14),
        ("new", [0], 13),
        ("active", [0], 14),
        ("active", [0, 1], 13),  # two orders: no longer new
        ("active", [30], 200),
        ("at_risk", [31], 200),
        ("at_risk", [90], 200),
        ("dormant", [91], 200),
        ("dormant", [91, 92, 93, 94], 200),
        ("loyal", [0, 1, 2, 3], 200),
        ("active", [0, 1, 2], 200),
        ("at_risk", [31, 32, 33, 34], 200),
    ]
    rows, people = [], []
    for number, (_, orders, known) in enumerate(cases):
        people.append((f"u{number}", DS - timedelta(days=known)))
        for days in orders:
            day = (DS - timedelta(days=days)).isoformat()
            rows.append(event(f"u{number}", "doll", "purchase", day, session=f"s{days}"))
    people.append(("unknown age", None))
    found = profiles(spark, rows, people)
    assert {f"u{i}": found[f"u{i}"]["segment"] for i in range(len(cases))} == {
        f"u{i}": segment for i, (segment, _, _) in enumerate(cases)
    }
    assert found["unknown age"]["segment"] == "prospect"
