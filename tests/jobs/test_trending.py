"""What trends: held against a plain version, and against what a small count must not do."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import date, timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession
from scipy.stats import gamma

from jobs.event_sums import known_events
from jobs.trending import trending
from tests.jobs.shop_rows import Row, event, events, products

DS = date(2026, 1, 31)
SEEN = date(2026, 1, 1)


def day(ago: int) -> str:
    return str(DS - timedelta(days=ago))


def naive(
    rows: list[Row], catalogue: list[tuple[Any, ...]], top: int, least: int
) -> dict[str, list[tuple[Any, ...]]]:
    """(product, signal, recent, before) per scope, best first."""
    seen = {
        (r[1], "bought" if r[2] == "purchase" else "looked_at", r[0] or r[7] or r[3], (DS - r[9]).days)
        for r in rows
        if r[2] != "return"
    }
    signed_in = {r[7] for r in rows if r[0] and r[7]}
    persons = {r[0] or r[7] for r in rows if r[0] or r[7] not in signed_in} - {None}
    scopes = {
        p[0]: ["shop", *([p[1]] if p[1] else []), *([p[1].split(" > ")[0]] if p[1] else [])]
        for p in catalogue
    }
    found = {}
    for scope in {s for names in scopes.values() for s in names}:
        best: dict[str, tuple[Any, ...]] = {}
        for signal in ("bought", "looked_at"):
            mine = [v for v in seen if v[1] == signal and scope in scopes.get(v[0], ())]
            now, then = [v for v in mine if v[3] < 3], [v for v in mine if 3 <= v[3] < 31]
            for product, _, _, in_stock in [(p[0], p[1], p[2], p[4]) for p in catalogue]:
                recent, before = sum(v[0] == product for v in now), sum(v[0] == product for v in then)
                if (
                    in_stock is False
                    or not then
                    or len({v[2] for v in now if v[0] == product} & persons) < least
                ):
                    continue
                bound = gamma(5 + recent).ppf(0.05) / (5 + len(now) * before / len(then))
                if bound > 1 and (product not in best or bound > best[product][0]):
                    best[product] = (bound, product, signal, recent, before)
        if best:
            found[scope] = [b[1:] for b in sorted(best.values(), key=lambda b: (-b[0], -b[3], b[1]))[:top]]
    return found


def random_visits(seed: int) -> tuple[list[Row], list[tuple[Any, ...]]]:
    """Twelve products, some of which suddenly draw visitors: by name, by visit, or by nothing but time."""
    r = random.Random(seed)
    shelves = ["Toys > Balls", "Toys > Dolls", "食品", None]
    catalogue = [
        (f"p{i:02d}", shelves[i % 4], None, 1.0, r.choice([True, True, None, False]), SEEN) for i in range(12)
    ]
    rows = []
    for number in range(900):
        ago = r.choice([0, 1, 2, *range(3, 33)])
        hot = ago < 3 and r.random() < 0.6
        product = f"p{r.randrange(3) if hot else r.randrange(13):02d}"  # one is not in the catalogue
        who = r.choice([None, f"u{r.randrange(60)}"])
        visit = r.choice([None, f"s{number // 2}"])
        kind = r.choice(["view", "view", "cart", "purchase", "return"])
        rows.append(event(who, product, kind, f"{day(ago)} {r.randrange(10, 24)}", session=visit))
    return rows, catalogue


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_spark_and_plain_python_agree(spark: SparkSession, seed: int) -> None:
    rows, catalogue = random_visits(seed)
    frame = known_events(events(spark, rows).repartition(3), DS, 365)
    got = defaultdict(list)
    for row in (
        trending(frame, products(spark, catalogue), DS, top=4, least=6).orderBy("scope", "rank").collect()
    ):
        got[row["scope"]].append((row["product_id"], row["signal"], row["recent"], row["before"]))
        assert row["rank"] == len(got[row["scope"]])
        assert row["score"] > 1
    assert dict(got) == naive(rows, catalogue, top=4, least=6)
    assert got["shop"]


def trend(
    spark: SparkSession, rows: list[Row], catalogue: list[str], **options: Any
) -> list[tuple[str, str]]:
    shelf = products(spark, [(name, "shop", None, 1.0, True, SEEN) for name in catalogue])
    frame = known_events(events(spark, rows), DS, 365)
    table = trending(frame, shelf, DS, **{"top": 5, "least": 5, **options})
    return [(r["scope"], r["product_id"]) for r in table.orderBy("scope", "rank").collect()]


def visits(product: str, ago: int, people: int, kind: str = "view") -> list[Row]:
    return [event(f"{product}-{ago}-{n}", product, kind, day(ago)) for n in range(people)]


def test_a_big_rise_is_listed_and_a_small_count_is_not(spark: SparkSession) -> None:
    usual = [row for ago in range(31) for row in visits("steady", ago, 30)]
    rise = [row for ago in range(31) for row in visits("rising", ago, 40 if ago < 3 else 4)]
    luck = visits("lucky", 0, 2)  # infinitely more than before, and by two people
    # A category that is called "shop" is not mixed up with the shop.
    assert trend(spark, usual + rise + luck, ["steady", "rising", "lucky"], least=1) == [("shop", "rising")]


def test_a_busy_day_of_the_whole_shop_makes_nothing_trend(spark: SparkSession) -> None:
    rows = [row for ago in range(31) for p in "abc" for row in visits(p, ago, 60 if ago < 3 else 10)]
    assert trend(spark, rows, list("abc")) == []


def test_few_shoppers_who_come_back_are_not_reported(spark: SparkSession) -> None:
    usual = [row for ago in range(31) for row in visits("steady", ago, 10)]
    fans = [event(f"fan{n}", "hyped", "view", day(ago)) for ago in range(3) for n in range(4)]
    assert trend(spark, usual + fans, ["steady", "hyped"], least=5) == []
    assert trend(spark, usual + fans, ["steady", "hyped"], least=4) == [("shop", "hyped")]


def test_a_shop_without_a_before_has_no_trend(spark: SparkSession) -> None:
    assert trend(spark, visits("a", 0, 50), ["a", "b"]) == []


def test_only_shoppers_and_unknown_sessions_are_persons(spark: SparkSession) -> None:
    """Each product is looked at forty times, in sessions and by shoppers named by the number of the look."""
    looks: dict[str, tuple[str | None, str | None]] = {
        "by-nobody": (None, None),  # by one person, maybe
        "by-visits": (None, "visit{n}"),
        "by-five-visits": (None, "five{five}"),
        "by-four-visits": (None, "four{four}"),
        "before-signing-in": (None, "of-fan{n}"),  # sessions in which a shopper is known elsewhere
        "by-five-fans": ("fan{five}", "fans{n}"),
        "by-four-fans": ("fan{four}", "fans{n}"),  # who came back in other sessions
    }
    rows = [row for ago in range(31) for row in visits("steady", ago, 10)]
    rows += [event(f"fan{n}", "steady", "view", f"{day(0)} 10", session=f"of-fan{n}") for n in range(40)]
    for n in range(40):
        name = {"n": n, "four": n % 4, "five": n % 5}
        for product, (who, visit) in looks.items():
            who, visit = who and who.format(**name), visit and visit.format(**name)
            rows.append(event(who, product, "view", f"{day(n % 3)} {10 + n // 3}", session=visit))
    found = trend(spark, rows, ["steady", *looks], top=10)
    assert {product for _, product in found} == {"by-visits", "by-five-visits", "by-five-fans"}
