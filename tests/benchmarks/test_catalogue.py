"""A catalogue as a task: what is held out, and what is said of files that are none."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from benchmarks.catalogue.read import products, split
from benchmarks.catalogue.task import Plan, run
from benchmarks.formats import Unreadable
from jobs.sample.shop import generate


def test_variants_are_held_out_together_and_always_the_same_ones() -> None:
    rows = [{"product_id": f"p{i}", "variant_of": f"f{i // 4}"} for i in range(2000)]
    rows += [{"product_id": f"single{i}"} for i in range(400)]
    known, held = split(rows)
    assert split(list(reversed(rows)))[1] == list(reversed(held))
    assert len(known) + len(held) == len(rows)
    assert 0.06 < len(held) / len(rows) < 0.14
    families = [{row.get("variant_of", row["product_id"]) for row in part} for part in (known, held)]
    assert not families[0] & families[1]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"absent\.jsonl': no such file"):
        products(tmp_path / "absent.jsonl")


@pytest.mark.usefixtures("spark")
def test_nothing_held_out_is_said(tmp_path: Path) -> None:
    generate(tmp_path, seed=1, products=40, users=5, start=date(2026, 1, 1), days=1)
    both, one = tmp_path / "products-*.jsonl", tmp_path / "products-2026-01-01.jsonl"
    assert len(products(both)) == len(products(one)) > 30
    with pytest.raises(Unreadable, match="nothing is held out"):
        run(both, one, None, "sample-shop", Plan(), lambda items, *_: items)
