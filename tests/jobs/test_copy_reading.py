"""Rows by ranges of product ids: the same as a scan of the whole day finds, and few are held."""

from __future__ import annotations

import random
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.copy_reading import ByProduct
from jobs.lake.registry import BY_NAME
from jobs.night import Night

TABLE = "product_descriptions"
SCHEMA = BY_NAME[TABLE].schema
IDS = [f"p{n}" for n in range(60)] + ["é", "中", "\U0001f600", "Z", "p"]


def rows_of(night: Night, ids) -> list[dict]:
    return [
        {"product_id": i, "language": lang, "channel": "title", "text": f"{i} {lang}", "ds": night.ds}
        for i in ids
        for lang in ("en", "zh")
    ]


def put_files(night: Night, parts, known=("product_id", "ds"), rows_each=7) -> None:
    """Each part is a file, its rows in the order given, a few in a group; `known`: columns with bounds."""
    keys = []
    for number, part in enumerate(parts):
        keys.append(f"{night.new_data_dir(TABLE)}/part-{number}.parquet")
        sink = pa.BufferOutputStream()
        data = pa.Table.from_pylist(part, schema=SCHEMA)
        pq.write_table(data, sink, row_group_size=rows_each, write_statistics=list(known))
        night.store.write(keys[-1], sink.getvalue().to_pybytes())
    night.stage_files(TABLE, keys)


def key(row):
    return row["product_id"], row["language"]


@pytest.mark.parametrize("order", ["sorted", "shuffled", "no bounds"])
def test_any_range_has_the_rows_that_a_scan_finds(make_night, order):
    night, draw = make_night(), random.Random(7)
    rows = rows_of(night, sorted(IDS))
    if order != "sorted":
        draw.shuffle(rows)
    known = ["ds"] if order == "no bounds" else ["product_id", "ds"]
    put_files(night, [rows[:40], rows[40:41], rows[41:]], known)
    table = ByProduct(night, TABLE, night.ds)
    scanned = night.read(TABLE).to_pylist()
    for _ in range(60):
        first, last = sorted(draw.choices([*IDS, "", "p1x", "q"], k=2))
        found = table.between(first, last)
        assert [r["product_id"] for r in found] == sorted(r["product_id"] for r in found)
        assert sorted(found, key=key) == sorted(
            (r for r in scanned if first <= r["product_id"] <= last), key=key
        )


def test_blocks_are_all_products_once_in_the_order_of_their_ids(make_night):
    night = make_night()
    rows = rows_of(night, IDS)
    put_files(night, [rows[::2], rows[1::2]])
    table = ByProduct(night, TABLE, night.ds, ["product_id", "language"])
    found = [table.block(start, 9) for start in range(0, len(table.ids), 9)]
    assert [r["product_id"] for block in found for r in block] == sorted(2 * IDS)
    assert [len(block) for block in found] == [18] * 7 + [4]
    assert set(found[0][0]) == {"product_id", "language"}
    assert table.block(len(IDS), 9) == []


def test_only_the_row_groups_that_a_range_meets_are_held(make_night):
    night = make_night()
    rows = rows_of(night, sorted(IDS))
    put_files(night, [rows[:60], rows[60:]], rows_each=10)
    table = ByProduct(night, TABLE, night.ds)
    held = []
    for start in range(0, len(table.ids), 5):
        table.block(start, 5)
        held.append(sum(t.num_rows for t in table._held.values()))
    assert max(held) <= 20


def test_a_day_without_rows_has_none(make_night):
    night = make_night()
    put_files(night, [rows_of(night, ["p1"])])
    table = ByProduct(night, TABLE, night.ds - timedelta(days=1))
    assert (len(table.ids), table.between("", "z"), table.block(0, 9)) == (0, [], [])
