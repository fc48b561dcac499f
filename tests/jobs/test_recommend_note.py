"""What the report shows of the lists: what stands in most of them, and nobody's own."""

from __future__ import annotations

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
