"""A small made-up shop whose shoppers have habits that a graph can learn and popularity cannot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.recommender.base import DAY, Behaviour, Interactions, Items

AS_OF = 20_000 * DAY


@dataclass(frozen=True)
class ToyShop:
    events: Interactions
    items: Items


def toy_shop(
    seed: int = 1, n_users: int = 240, categories: int = 6, size: int = 20, days: int = 40
) -> ToyShop:
    """Every shopper walks through one category in order, looks before buying, and strays now and then."""
    rng = np.random.default_rng(seed)
    n_items = categories * size
    rows: list[tuple[int, int, int, int, int]] = []
    session = 0
    for user in range(n_users):
        home, at = int(rng.integers(categories)), int(rng.integers(size))
        for day in sorted(rng.choice(days, size=int(rng.integers(6, 14)), replace=False)):
            at = (at + 1) % size
            item = home * size + at if rng.random() > 0.2 else int(rng.integers(n_items))
            time = AS_OF - (days - int(day)) * DAY + int(rng.integers(DAY - 600))
            rows.append((user, item, time, Behaviour.VIEW, session))
            if rng.random() < 0.8:
                rows.append((user, item, time + 300, Behaviour.PURCHASE, session))
            session += 1
    return ToyShop(interactions(rows, n_users, n_items), catalogue(categories, size))


def interactions(rows: list[tuple[int, int, int, int, int]], n_users: int, n_items: int) -> Interactions:
    """From (user, item, time, behaviour, session)."""
    columns = np.array(rows, np.int64).reshape(-1, 5).T
    return Interactions(
        user=columns[0].astype(np.int32),
        item=columns[1].astype(np.int32),
        time=columns[2],
        behaviour=columns[3].astype(np.int8),
        session=columns[4].astype(np.int32),
        n_users=n_users,
        n_items=n_items,
    )


def catalogue(categories: int, size: int, **changes: np.ndarray) -> Items:
    n = categories * size
    fields = {
        "product_id": np.array([f"p{i:04d}" for i in range(n)]),
        "category": (np.arange(n) // size).astype(np.int32),
        "brand": np.full(n, -1, np.int32),
        "parent": np.arange(n, dtype=np.int32),
        "in_stock": np.ones(n, np.bool_),
    }
    return Items(**{**fields, **changes})
