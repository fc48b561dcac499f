"""The toy shop of the recommender's tests, staged as the tables that the night reads."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from jobs.lake.registry import BY_NAME
from jobs.night import Night
from models.recommender.base import Behaviour
from tests.models.recommender.shops import AS_OF, ToyShop, toy_shop

DS = (datetime.fromtimestamp(AS_OF, UTC) - timedelta(days=1)).date()
COLD = "z-cold"


def shop(**changes: Any) -> ToyShop:
    return toy_shop(**{"n_users": 120, "categories": 4, "size": 15, "days": 24, **changes})


def event_rows(toy: ToyShop) -> list[dict[str, Any]]:
    e = toy.events
    rows = []
    for number in range(len(e)):
        when = datetime.fromtimestamp(int(e.time[number]), UTC)
        rows.append(
            {
                "event_id": f"e{number}",
                "user_id": f"u{e.user[number]:04d}",
                "product_id": f"p{e.item[number]:04d}",
                "event_type": Behaviour(int(e.behaviour[number])).name.lower(),
                "event_time": when,
                "session_id": f"s{e.session[number]}",
                "arrived": when.date(),
                "ds": when.date(),
            }
        )
    return rows


def product_rows(toy: ToyShop, ds: date) -> list[dict[str, Any]]:
    """The fourth product is out of stock; the sixth and seventh are variants of the fifth."""
    return [
        {
            "product_id": f"p{i:04d}",
            "title_en": f"Thing {i}",
            "title_zh": f"东西{i}" if i % 2 else None,
            "category": f"Shop > Shelf {toy.items.category[i]}",
            "in_stock": None if i == 2 else i != 3,
            "variant_of": "p0004" if i in (5, 6) else None,
            "first_seen": ds - timedelta(days=i),
            "ds": ds,
        }
        for i in range(len(toy.items))
    ]


def put(night: Night, table: str, rows: list[dict[str, Any]], days: list[date]) -> None:
    night.stage(table, pa.Table.from_pylist(rows, schema=BY_NAME[table].schema), partitions=days)


def stage_shop(
    night: Night, toy: ToyShop | None = None, more_events: list[dict[str, Any]] | None = None
) -> ToyShop:
    """Stages events, products and users; one more shopper, `COLD`, has never done anything."""
    toy = toy or shop()
    rows = event_rows(toy) + (more_events or [])
    put(night, "events_clean", rows, sorted({r["ds"] for r in rows} | {night.ds}))
    put(night, "products", product_rows(toy, night.ds), [night.ds])
    users = [f"u{i:04d}" for i in range(toy.events.n_users)] + [COLD]
    put(night, "users", [{"user_id": u, "ds": night.ds} for u in users], [night.ds])
    return toy


def event(day: date, **fields: Any) -> dict[str, Any]:
    when = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=12)
    base = {"event_id": "x", "user_id": "u0000", "product_id": "p0001", "event_type": "purchase"}
    return {**base, "event_time": when, "session_id": None, "arrived": day, "ds": day, **fields}
