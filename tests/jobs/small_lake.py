"""A night of a very small shop, staged from literal rows: two shoppers, two products."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from jobs.lake.registry import BY_NAME
from jobs.night import Night
from tests.expectations.good_rows import DS, NOON, good

Rows = list[dict[str, Any]]


def put(night: Night, table: str, rows: Rows, days: list[date] | None = None) -> None:
    """Stage rows as the whole content of their days."""
    data = pa.Table.from_pylist(rows, schema=BY_NAME[table].schema)
    night.stage(table, data, partitions=days or [DS])


def events(per_day: dict[int, int]) -> Rows:
    """So many events so many days ago, each arriving on its day."""
    rows = []
    for ago, count in per_day.items():
        day = timedelta(days=ago)
        for number in range(count):
            changes = {
                "event_id": f"{ago}-{number}",
                "event_time": NOON - day,
                "ds": DS - day,
                "arrived": DS - day,
                "list_ds": None,
                "list_rank": None,
            }
            rows.append(good("events_clean", user_id=f"u{number % 2 + 1}", **changes))
    return rows


def stage_inputs(night: Night, **instead: Rows) -> None:
    """Ten days of ten events, two products, two shoppers; `instead` replaces a table's rows."""
    rows: dict[str, Rows] = {
        "events_clean": events(dict.fromkeys(range(10), 10)),
        "products": [good("products"), good("products", product_id="p2")],
        "users": [good("users"), good("users", user_id="u2")],
        "quarantine": [good("quarantine")],
        "intake": [good("intake", rows_in=106, good=100, quarantined=1, duplicates=5)],
    } | instead
    for table, found in rows.items():
        put(night, table, found, sorted({r["ds"] for r in found} | {DS}))


def stage_outputs(night: Night, **instead: Rows) -> None:
    """Everything that the steps after `check_inputs` stage, right in every respect."""
    users, products = ("u1", "u2"), ("p1", "p2")
    pairs = [("p1", "p2"), ("p2", "p1")]
    rows: dict[str, Rows] = {
        "user_features": [good("user_features", user_id=u) for u in users],
        "user_profiles": [good("user_profiles", user_id=u) for u in users],
        "item_features": [good("item_features", product_id=p) for p in products],
        "recommendations": [
            good("recommendations", user_id=u, rank=r, product_id=p)
            for u in users
            for r, p in enumerate(products, start=1)
        ],
        "audiences": [good("audiences")],
        "trending": [good("trending")],
        "experiments": [],
        "similar_items": [good("similar_items", product_id=a, similar_id=b) for a, b in pairs],
        "product_descriptions": [
            good("product_descriptions", product_id=p, language=language, channel=channel)
            for p in products
            for language in night.settings.languages
            for channel in night.settings.channels
        ],
        "review_queue": [good("review_queue")],
    } | instead
    for table, found in rows.items():
        put(night, table, found)


def failed_rules(note: dict[str, Any]) -> dict[tuple[str, str], int | None]:
    """(table, rule) → broken rows, of the rules that failed according to a note."""
    return {
        (table, o["rule"]): o["broken"]
        for table, entry in note["tables"].items()
        for o in entry["outcomes"]
        if not o["ok"]
    }
