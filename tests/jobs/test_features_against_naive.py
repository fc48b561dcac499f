"""Random shops through Spark and through plain Python: every row of the three tables must be equal."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

import pytest
from pyspark.sql import SparkSession

from jobs.event_sums import events_so_far, first_day
from jobs.features import item_features, user_features
from jobs.lake.registry import BY_NAME
from jobs.profiles import user_profiles
from tests.jobs import shop_rows

DS = date(2026, 3, 31)
HISTORY = 120
KINDS = ["view", "view", "view", "favourite", "cart", "purchase", "purchase", "return"]
TASTE = {"view": 1, "favourite": 2, "cart": 3, "purchase": 5, "return": -5}


class Event(NamedTuple):
    user: str | None
    product: str
    kind: str
    time: datetime
    price: float | None
    quantity: int | None
    platform: str | None
    session: str | None
    arrived: date
    ds: date


def rounded(value: float | Decimal, digits: int) -> Decimal:
    number = value if isinstance(value, Decimal) else Decimal(repr(value))
    return number.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def spend(rows: list[Event]) -> Decimal:
    lines = [(e.price, 1 if e.quantity is None else e.quantity) for e in rows]
    return sum((rounded(price, 4) * units for price, units in lines if price is not None), Decimal(0))


def mean_price(rows: list[Event]) -> float | None:
    prices = [rounded(e.price, 4) for e in rows if e.price is not None]
    return float(rounded(sum(prices) / len(prices), 8)) if prices else None


def below(price: float, prices: list[float], shares: list[float]) -> int:
    """How many percentiles (linear interpolation) lie below the price."""
    ordered, count = sorted(prices), 0
    for share in shares:
        place = (len(ordered) - 1) * share
        low, high = math.floor(place), math.ceil(place)
        a, b = ordered[low], ordered[high]
        count += (a if a == b else (high - place) * a + (place - low) * b) < price
    return count


def naive_user(user: str, rows: list[Event]) -> dict[str, Any]:
    recent = [e for e in rows if (DS - e.ds).days < 30]
    bought, bought_30 = ([e for e in some if e.kind == "purchase"] for some in (rows, recent))
    count, count_30 = Counter(e.kind for e in rows), Counter(e.kind for e in recent)
    return {
        "user_id": user,
        "views_30d": count_30["view"],
        "carts_30d": count_30["cart"],
        "purchases_30d": count_30["purchase"],
        "views": count["view"],
        "carts": count["cart"],
        "purchases": count["purchase"],
        "returns": count["return"],
        "spend_30d": float(spend(bought_30)),
        "spend": float(spend(bought)),
        "mean_price": mean_price(bought),
        "active_days": len({e.ds for e in rows}),
        "sessions": len({e.session for e in rows} - {None}),
        "products": len({e.product for e in rows}),
        "recency_days": min(((DS - e.ds).days for e in rows), default=None),
        "tenure_days": max(((DS - e.ds).days for e in rows), default=None),
        "ds": DS,
    }


def naive_item(product: tuple[Any, ...], rows: list[Event], prices: list[float]) -> dict[str, Any]:
    name, category, brand, price, in_stock, first_seen = product
    week = Counter(e.kind for e in rows if (DS - e.ds).days < 7)
    bought = [e for e in rows if e.kind == "purchase"]
    bought_30 = [e for e in bought if (DS - e.ds).days < 30]
    return {
        "product_id": name,
        "category": category,
        "brand": brand,
        "price": price,
        "price_bucket": None if price is None else below(price, prices, [q / 10 for q in range(1, 10)]),
        "in_stock": in_stock,
        "views_7d": week["view"],
        "carts_7d": week["cart"],
        "purchases_7d": week["purchase"],
        "purchases_30d": len(bought_30),
        "purchases": len(bought),
        "returns": sum(e.kind == "return" for e in rows),
        "buyers": len({e.user for e in bought} - {None}),
        "revenue_30d": float(spend(bought_30)),
        "popularity": float(sum(rounded(0.5 ** ((DS - e.ds).days / 7), 12) for e in bought)),
        "age_days": None if first_seen is None else (DS - first_seen).days,
        "ds": DS,
    }


def best(weights: Counter[Any], limit: int | None = None) -> list[Any]:
    kept = [(-w, name) for name, w in weights.items() if name is not None and w > 0]
    return [name for _, name in sorted(kept)[:limit]]


def naive_profile(
    user: str,
    first_seen: date | None,
    rows: list[Event],
    since: date,
    shop: dict[str, tuple[Any, ...]],
    prices: list[float],
) -> dict[str, Any]:
    bought = [e for e in rows if e.kind == "purchase"]
    recency = min(((DS - e.ds).days for e in bought), default=None)
    orders = len({e.session if e.session is not None else str(e.ds) for e in bought})
    typical = mean_price(bought) if mean_price(bought) is not None else mean_price(rows)
    categories: Counter[Any] = Counter()
    brands: Counter[Any] = Counter()
    recent = [e for e in rows if e.ds >= since]
    for e in recent:
        if e.product in shop:
            categories[shop[e.product][1]] += TASTE[e.kind]
            brands[shop[e.product][2]] += TASTE[e.kind]
    band = None if typical is None else ("low", "mid", "high")[below(typical, prices, [1 / 3, 2 / 3])]
    if first_seen and (DS - first_seen).days < 14 and orders <= 1:
        segment = "new"
    elif recency is None:
        segment = "prospect"
    elif recency > 30:
        segment = "dormant" if recency > 90 else "at_risk"
    else:
        segment = "loyal" if orders > 3 else "active"

    def text(values: list[Any]) -> str:
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"))

    return {
        "user_id": user,
        "segment": segment,
        "recency_days": recency,
        "frequency": orders,
        "monetary": float(spend(bought) - spend([e for e in rows if e.kind == "return"])),
        "favourite_categories": text(best(categories, 3)),
        "favourite_brands": text(best(brands, 3)),
        "price_band": band,
        "active_hours": text(best(Counter(e.time.hour for e in recent), 3)),
        "platforms": text(best(Counter(e.platform for e in recent))),
        "first_seen": first_seen,
        "last_seen": max((e.ds for e in rows), default=None),
        "ds": DS,
    }


def random_shop(seed: int) -> tuple[list[Event], list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Some hundred events: nulls, late ones, future ones, returns, odd prices, unknown products."""
    r = random.Random(seed)
    shop = [
        (
            f"p{i:02d}",
            r.choice(["Toys > Balls", "食品 > 茶", 'Home "soft"', None]),
            r.choice(["Pip", "Wren", "Zed", "ärger", None]),
            r.choice([None, 9.99, 9.99, round(r.uniform(1, 500), 2)]),
            r.random() < 0.8,
            r.choice([None, DS - timedelta(days=r.randrange(200))]),
        )
        for i in range(25)
    ]
    people = [(f"u{i:02d}", r.choice([None, DS - timedelta(days=r.randrange(40))])) for i in range(40)]
    rows = []
    for _ in range(600):
        day = DS + timedelta(days=3 - min(r.randrange(140), r.randrange(140)))
        clock = time(r.choice([0, 8, 9, 13, 20, 21, 23]), r.randrange(60), tzinfo=UTC)
        rows.append(
            Event(
                user=r.choice([None, *(f"u{i:02d}" for i in range(30))]),  # the last ten stay idle
                product=f"p{r.randrange(27):02d}",  # two are not in the catalogue
                kind=r.choice(KINDS),
                time=datetime.combine(day, clock),
                price=r.choice([None, 0.1, 0.2, 19.99, r.uniform(0.01, 900)]),
                quantity=r.choice([None, 1, 1, 2, 7]),
                platform=r.choice(["web", "app", "store", None]),
                session=r.choice([None, *(f"s{i}" for i in range(12))]),
                arrived=day + timedelta(days=r.choice([0, 0, 0, 0, 1, 3])),
                ds=day,
            )
        )
    return rows, shop, people


@pytest.mark.parametrize("seed", [1, 2])
def test_spark_and_plain_python_agree_exactly(spark: SparkSession, seed: int) -> None:
    rows, shop, people = random_shop(seed)
    known = [e for e in rows if e.ds <= DS and e.arrived <= DS]
    since = DS - timedelta(days=HISTORY - 1)
    assert 0 < len([e for e in known if e.ds >= since]) < len(known) < len(rows)
    frame = shop_rows.events(spark, [tuple(e) for e in rows]).repartition(3)
    events = events_so_far(frame, DS).cache()
    products, users = shop_rows.products(spark, shop), shop_rows.users(spark, people)
    prices = [p[3] for p in shop if p[3] is not None]
    by_name = {p[0]: p for p in shop}
    mine = {u: [e for e in known if e.user == u] for u, _ in people}
    expected = {
        "user_features": [naive_user(u, mine[u]) for u, _ in people],
        "item_features": [naive_item(p, [e for e in known if e.product == p[0]], prices) for p in shop],
        "user_profiles": [naive_profile(u, seen, mine[u], since, by_name, prices) for u, seen in people],
    }
    found = {
        "user_features": user_features(events, users, DS),
        "item_features": item_features(events, products, DS),
        "user_profiles": user_profiles(events, products, users, DS, first_day(DS, HISTORY)),
    }
    for table, frame in found.items():
        key = BY_NAME[table].key[0]
        assert set(frame.columns) == set(BY_NAME[table].schema.names)
        got = {r[key]: r.asDict() for r in frame.collect()}
        assert len(got) == len(expected[table])
        for row in expected[table]:
            assert got[row[key]] == row
    events.unpersist()
