"""What the report shows of the lists: what stands in most of them, and nobody's own."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from jobs import recommend_note

if TYPE_CHECKING:
    from jobs.night import Night

CATALOGUE = pa.table(
    {
        "product_id": ["p1", "p2", "p3", "p4"],
        "title_en": ["Mug", "Plate", None, "Fork"],
        "title_zh": [None, None, "碗", None],
    }
)


def shard(night: Night, number: int, rows: list[tuple[str, str, float]]) -> str:
    """A shard of (product, reason, probability); what else a list has is not looked at."""
    product, reason, probability = zip(*rows, strict=True)
    key = f"{night.work('recommendations')}/shard-{number:05d}.parquet"
    columns = {"product_id": product, "reason": reason, "reason_zh": reason, "probability": probability}
    night.store.write_parquet(key, pa.table({k: pa.array(v) for k, v in columns.items()}))
    return key


def told(night: Night, exposure: list[int], *shards: str) -> list[dict[str, Any]]:
    shop: Any = SimpleNamespace(catalogue=CATALOGUE)
    return recommend_note._most_listed(night, shop, list(shards), np.array(exposure))


def test_a_reason_and_a_product_of_too_few_shoppers_are_left_out(make_night: Any) -> None:
    """Five are enough, four are not; a reason's readers are counted over all shards."""
    night = make_night(min_group=5)
    mug, bowl = "Because you bought Plate", "Popular in the shop"
    first = shard(night, 0, [("p1", mug, 0.1)] * 3 + [("p1", "Because you bought Fork", 0.1)] * 4)
    rare = [("p2", "Because you bought Mug", 0.9)] * 4
    second = shard(night, 1, [("p1", mug, 0.4)] * 3 + [("p3", bowl, 0.5)] * 5 + rare)
    assert told(night, [10, 4, 5, 0], first, second) == [
        {
            "product_id": "p1", "title_en": "Mug", "title_zh": None, "shoppers": 10,
            "probability": pytest.approx(0.19), "reasons": [{"reason": mug, "reason_zh": mug, "share": 0.6}],
        },
        {
            "product_id": "p3", "title_en": None, "title_zh": "碗", "shoppers": 5, "probability": 0.5,
            "reasons": [{"reason": bowl, "reason_zh": bowl, "share": 1.0}],
        },
    ]  # fmt: skip


def test_where_every_group_is_too_small_nothing_is_told(make_night: Any) -> None:
    night = make_night(min_group=5)
    assert told(night, [4, 0, 0, 0], shard(night, 0, [("p1", "Picked for your taste", 0.1)] * 4)) == []
    assert told(night, [0, 0, 0, 0]) == []


@pytest.mark.parametrize(
    ("arms", "noted"),
    [
        ({"control": 5, "model": 9}, {"control": 5, "model": 9}),
        # Four would follow from the nine and the thirteen shoppers.
        ({"control": 4, "model": 9}, {}),
        ({"control": 4, "all": 6, "model": 9}, {"model": 9}),
        ({"control": 2, "bold": 3, "model": 9}, {"model": 9}),
        ({"model": 9}, {"model": 9}),
    ],
)
def test_the_size_of_a_small_arm_cannot_be_worked_out(
    make_night: Any, arms: dict[str, int], noted: dict[str, int]
) -> None:
    night = make_night(min_group=5)
    drawn = [arm for arm, users in arms.items() for _ in range(users)]
    key = f"{night.work('recommendations')}/shard-00000.parquet"
    rows = len(drawn)
    columns: dict[str, list[Any]] = {
        "user_id": [f"u{n}" for n in range(rows)], "rank": [1] * rows, "product_id": ["p1"] * rows,
        "source": ["popularity"] * rows, "probability": [0.1] * rows, "bucket": drawn,
        "reason": ["Popular"] * rows, "reason_zh": ["热门"] * rows,
    }  # fmt: skip
    night.store.write_parquet(key, pa.table(columns))
    first_seen = pa.chunked_array([[date(2025, 1, 1)] * len(CATALOGUE)])
    shop: Any = SimpleNamespace(
        catalogue=CATALOGUE.append_column("first_seen", first_seen),
        items=SimpleNamespace(in_stock=np.ones(4, bool), brand=np.zeros(4, np.int64)),
    )
    recommend_note.note(night, shop, [key], [], "v1")
    found = night.notes()["recommendations"]
    assert found["shoppers"] == rows
    assert found["arms"] == noted
