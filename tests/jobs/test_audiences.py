"""The lists turned round, by hand."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest

from jobs import audiences as module
from jobs.audiences import audiences

CATALOGUE = pa.table(
    {"product_id": ["p1", "p2", "p3"], "category": ["Home > Mugs", "Home > Mugs", None]},
)


def lists(*rows: tuple[str, str, float]) -> pa.Table:
    user, product, chance = zip(*rows, strict=True)
    return pa.table({"user_id": list(user), "product_id": list(product), "probability": list(chance)})


SHARDS = [
    lists(("u1", "p1", 0.5), ("u1", "p2", 0.2), ("u2", "p1", 0.1)),
    lists(("u3", "p1", 0.5), ("u3", "p3", 0.3), ("u4", "p1", 0.2), ("u5", "p2", 0.05)),
]


def made(cap: int = 10, smallest: int = 1, shards: list[pa.Table] = SHARDS) -> dict[tuple[str, str], list]:
    table = audiences(iter(shards), CATALOGUE, cap, smallest, "v1", pa.scalar(date(2026, 1, 10)))
    found: dict[tuple[str, str], list] = {}
    for row in table.to_pylist():
        members = found.setdefault((row["audience"], row["target"]), [])
        members.append((row["user_id"], pytest.approx(row["probability"])))
        assert row["rank"] == len(members)
    return found


def test_a_products_audience_is_who_is_shown_it_likeliest_first_and_ties_by_id() -> None:
    assert made()["product", "p1"] == [("u1", 0.5), ("u3", 0.5), ("u4", 0.2), ("u2", 0.1)]
    assert made()["product", "p3"] == [("u3", 0.3)]


def test_a_categorys_audience_may_buy_any_of_its_products() -> None:
    # u1: 1 - .5 * .8. p3 has no category.
    assert made()["category", "Home > Mugs"] == [
        ("u1", 0.6), ("u3", 0.5), ("u4", 0.2), ("u2", 0.1), ("u5", 0.05),
    ]  # fmt: skip
    assert [kind for kind, _ in made()].count("category") == 1


def test_the_cap_keeps_the_best_of_all_shards() -> None:
    assert made(cap=2)["product", "p1"] == [("u1", 0.5), ("u3", 0.5)]
    assert made(cap=2, shards=SHARDS[::-1]) == made(cap=2)


def many(shards: int) -> list[pa.Table]:
    """Four shoppers a shard, of whom some tie."""
    return [
        lists(*((f"u{s}-{n}", f"p{1 + (s + n) % 3}", (1 + (s * 7 + n) % 19) / 20) for n in range(4)))
        for s in range(shards)
    ]


@pytest.mark.parametrize("rows", [1, 3, 10, 1_000_000])
@pytest.mark.parametrize("cap", [2, 50])
def test_the_same_table_however_many_rows_are_merged_at_once(
    monkeypatch: pytest.MonkeyPatch, rows: int, cap: int
) -> None:
    shards = many(30)
    whole = made(cap=cap, shards=[pa.concat_tables(shards)])
    monkeypatch.setattr(module, "MERGE_ROWS", rows)
    assert made(cap=cap, shards=shards) == whole


def test_merges_grow_with_the_logarithm_of_the_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    merges = []
    best = module._best
    monkeypatch.setattr(module, "_best", lambda rows, cap: merges.append(len(rows)) or best(rows, cap))
    monkeypatch.setattr(module, "MERGE_ROWS", 1)
    counted = []
    for shards in (8, 64, 512):
        merges.clear()
        made(cap=10_000, shards=many(shards))
        counted.append(len(merges))
    assert counted[0] < counted[1] < counted[2] <= 12
    # Where a cap holds the audiences small, what is sorted grows with the rows alone.
    merges.clear()
    made(cap=5, shards=many(512))
    assert sum(merges) <= 3 * 512 * 8


def test_a_small_audience_is_nobodys_business() -> None:
    assert set(made(smallest=3)) == {("product", "p1"), ("category", "Home > Mugs")}
    # Nor does a cap below the smallest group let one through.
    assert made(cap=2, smallest=3) == {}


def test_no_lists_no_audiences() -> None:
    assert made(shards=[]) == {}
    assert made(shards=[lists(("u1", "p1", 1.0)).slice(0, 0)]) == {}
