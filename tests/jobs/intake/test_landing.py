"""Raw files land as mapped strings, in their own day, whole or not at all."""

from __future__ import annotations

import gzip
import json
import logging
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from jobs.errors import BadInput
from jobs.intake.landing import Landed, land, manifests, parts
from jobs.intake.raw import reading
from jobs.lake.store import Store
from jobs.settings import ROOT, Settings

pytestmark = pytest.mark.usefixtures("small_shuffles")

EVENTS = """
source = "shop"
[read]
timezone = "Europe/London"
[events.columns]
user_id = "who"
product_id = "what"
event_time = "when"
price = "price"
[events.sql]
event_type = "'purchase'"
"""
HEADER = "who,what,when,price\n"
Lander = Callable[..., list[Landed]]


@pytest.fixture
def lander(tmp_path: Path, lake_settings: Settings, spark: SparkSession) -> Lander:
    """`lander({"a.csv": "text"}, mapping=EVENTS, arrived="2026-01-03")` lands these files from one folder."""

    def do(
        files: dict[str, str | bytes], mapping: str = EVENTS, arrived: str = "", **changes: Any
    ) -> list[Landed]:
        folder = tmp_path / "raw"
        folder.mkdir(exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
        path = tmp_path / "shop.toml"
        path.write_text(mapping, encoding="utf-8")
        day = date.fromisoformat(arrived) if arrived else None
        settings = lake_settings.model_copy(update=changes)
        return land(settings, path, [str(folder / name) for name in files], day, spark)

    return do


@pytest.fixture
def rows(lake_settings: Settings) -> Callable[..., list[dict[str, Any]]]:
    """What lies in the landing of one entity, visible batches only; sorted by `order`."""
    store = Store.of(lake_settings)

    def read(entity: str = "events", order: str = "event_time") -> list[dict[str, Any]]:
        folders = [p.folder for p in parts(store) if p.entity == entity]
        keys = [k for f in folders for k in store.list(f) if k.endswith(".parquet")]
        found = [r for k in keys for r in store.read_parquet(k).to_pylist()]
        return sorted(found, key=lambda r: (str(r[order]), r["row_hash"]))

    return read


def nothing_landed(settings: Settings) -> bool:
    return not Store.of(settings).list("landing")


def test_rows_land_as_they_came_with_their_day_in_utc(lander: Lander, rows: Any) -> None:
    lines = ["u1,p1,2026-07-01 00:30:00,9.90", "u2,p2,2026-07-01T12:00:00Z,x", ' ,"p,3",2026-07-02,']
    done = lander({"a (1) [x]+é.csv": HEADER + "\n".join(lines) + "\n"})
    assert [(d.entity, d.rows, d.first_day, d.last_day) for d in done] == [
        ("events", 3, date(2026, 6, 30), date(2026, 7, 1))
    ]
    first, second, third = rows()
    # London in summer is an hour ahead: half past midnight there is the day before in UTC.
    assert (first["event_time"], first["ds"]) == ("2026-06-30 23:30:00.000000Z", date(2026, 6, 30))
    assert (second["event_time"], second["price"]) == ("2026-07-01 12:00:00.000000Z", "x")
    assert (third["user_id"], third["product_id"], third["price"]) == (None, "p,3", None)
    assert json.loads(first["raw"]) == {
        "who": "u1",
        "what": "p1",
        "when": "2026-07-01 00:30:00",
        "price": "9.90",
    }
    assert {r["file"] for r in rows()} == {"a (1) [x]+é.csv"}
    assert all(r["arrived"] == r["ds"] and r["source"] == "shop" and r["copies"] == 1 for r in rows())
    assert len({r["event_id"] for r in rows()}) == 3


def test_without_an_id_of_its_own_an_event_is_its_content(lander: Lander, rows: Any) -> None:
    lander({"a.csv": HEADER + "u,p,2026-01-01 10:00:00,1\n" * 2 + "u,p,2026-01-01 10:00:01,1\n"})
    assert [r["event_id"] == rows()[0]["event_id"] for r in rows()] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-01 10:00:00 UTC", "2026-01-01 10:00:00.000000Z"),
        ("2026-07-01T10:00:00+0200", "2026-07-01 08:00:00.000000Z"),
        ("2026-07-01 10:00", "2026-07-01 09:00:00.000000Z"),
        ("2026-07-01 10:00:00 GMT+8", "2026-07-01 02:00:00.000000Z"),
        ("2026-07-01 10:00:00 UTC+08:00", "2026-07-01 02:00:00.000000Z"),
        ("2026-07-01 10:00:00.5UTC-03:30", "2026-07-01 13:30:00.500000Z"),
        ("2026-07-01 1:0:0 +8", "2026-06-30 17:00:00.000000Z"),
        ("2026-07-01 10:00:00 UT", "2026-07-01 10:00:00.000000Z"),
        ("2026-07-01 10:00:00 CET", "2026-07-01 08:00:00.000000Z"),
        ("2026-07-01 10:00:00 PST8PDT", "2026-07-01 17:00:00.000000Z"),
        ("2026-07-01 10:00:00 Asia/Shanghai", "2026-07-01 02:00:00.000000Z"),
        # Spark would make an instant of each of these.
        ("2026-07-01 10:00:00 PST", None),
        ("2026-07-01 10:00:00 BST", None),
        ("2026-07-01 10:00:00 IST", None),
        # Spark would read the first as today's noon and the second as New Year's day.
        ("12:30", None),
        ("2026", None),
        ("2026-02-30", None),
        ("1950-01-01", None),
        ("01/07/2026", None),
    ],
)
def test_times_are_read_in_the_mappings_zone_or_not_at_all(
    spark: SparkSession, text: str, instant: str | None
) -> None:
    from pyspark.sql import functions as F
    from pyspark.sql import types as T

    from jobs.intake.mapped import _instant
    from jobs.intake.raw import as_text

    frame = spark.createDataFrame([(text,)], "t string")
    found = frame.select(as_text(_instant(F.col("t"), "Europe/London", ""), T.TimestampType())).first()
    assert found is not None
    assert found[0] == instant


def test_a_time_format_is_used_and_a_wrong_one_is_told(
    lander: Lander, rows: Any, lake_settings: Settings
) -> None:
    mapping = EVENTS.replace("[read]", '[read]\ntime_format = "d/M/yyyy H:mm"')
    lander({"a.csv": HEADER + "u,p,1/7/2026 0:30,1\n"}, mapping)
    assert rows()[0]["event_time"] == "2026-06-30 23:30:00.000000Z"
    wrong = EVENTS.replace("[read]", '[read]\ntime_format = "yyyy-bbb"')
    with pytest.raises(BadInput, match=r"shop\.toml.*read\.time_format.*yyyy-bbb"):
        lander({"b.csv": HEADER + "u,p,1/7/2026 0:31,1\n"}, wrong)


def test_an_instant_made_in_sql_keeps_its_zone(lander: Lander, rows: Any) -> None:
    sql = (
        EVENTS.replace('event_time = "when"', "")
        + 'event_time = "timestamp_seconds(try_cast(when as bigint))"\n'
    )
    lander({"a.csv": HEADER + "u,p,1782864000,1\n"}, sql)
    assert rows()[0]["event_time"] == "2026-07-01 00:00:00.000000Z"


def test_late_events_keep_their_day_and_the_rest_fall_to_the_day_of_arrival(
    lander: Lander, rows: Any
) -> None:
    times = ["2026-01-09", "2026-01-07", "2026-01-06", "2026-01-11", "soon"]
    text = HEADER + "".join(f"u,p,{t} 12:00:00,1\n" if t != "soon" else "u,p,soon,1\n" for t in times)
    lander({"a.csv": text}, arrived="2026-01-10", lookback_days=3)
    found = {str(r["event_time"])[:10]: (r["ds"].day, r["broken"]) for r in rows()}
    assert found == {
        "2026-01-09": (9, None),
        "2026-01-07": (7, None),
        "2026-01-06": (10, "too_late"),
        "2026-01-11": (10, "from_the_future"),
        "soon": (10, None),
    }
    assert {r["arrived"] for r in rows()} == {date(2026, 1, 10)}


def test_a_time_of_a_zone_that_is_not_sure_is_refused_and_not_cast_later(lander: Lander, rows: Any) -> None:
    times = ["2026-01-10 12:00:00 IST", "12:30", "2026-01-10 12:00:00 GMT+8"]
    lander({"a.csv": HEADER + "".join(f"u,p,{t},1\n" for t in times)}, arrived="2026-01-10")
    assert {r["event_time"]: r["broken"] for r in rows()} == {
        times[0]: "unreadable_event_time",
        times[1]: "unreadable_event_time",
        "2026-01-10 04:00:00.000000Z": None,
    }


@pytest.mark.parametrize("encoding", ["gb18030", "big5", "utf-8-sig"])
@pytest.mark.parametrize("kind", ["jsonl", "json"])
def test_json_is_read_in_the_encoding_of_the_mapping(
    lander: Lander, rows: Any, kind: str, encoding: str
) -> None:
    lines = [json.dumps({"sku": str(n), "t": f"一{n}上"}, ensure_ascii=False) for n in range(3)]
    text = "\n".join(lines) if kind == "jsonl" else "[" + ",".join(lines) + "]"
    mapping = f"""
source = "shop"
[read]
format = "{kind}"
encoding = "{encoding}"
[products.columns]
product_id = "sku"
title_zh = "t"
"""
    lander({"p.json": text.encode(encoding)}, mapping, "2026-01-02")
    found = rows("products", "product_id")
    assert [r["title_zh"] for r in found] == ["一0上", "一1上", "一2上"]
    assert json.loads(found[0]["raw"])["t"] == "一0上"


@pytest.mark.parametrize(("kind", "more"), [("json", ""), ("csv", "multiline = true")])
def test_wide_characters_are_read_where_lines_need_not_be_told_apart_first(
    lander: Lander, rows: Any, kind: str, more: str
) -> None:
    text = '[{"sku": "1", "t": "一上"}]' if kind == "json" else "sku,t\n1,一上\n"
    for name, encoding in (("bom", "utf-16"), ("le", "utf-16-le")):
        mapping = f"""
source = "{name}"
[read]
format = "{kind}"
encoding = "{encoding}"
{more}
[products.columns]
product_id = "sku"
title_zh = "t"
"""
        lander({f"{name}.{kind}": text.encode(encoding)}, mapping, "2026-01-02")
    assert [r["title_zh"] for r in rows("products", "product_id")] == ["一上", "一上"]


def test_a_delimiter_of_several_characters_parts_rows_and_leaves_quotes(lander: Lander, rows: Any) -> None:
    mapping = EVENTS.replace("[read]", '[read]\ndelimiter = "||"')
    text = 'who||what||when||price\nu|v||"p||""q"""||2026-01-01||1\n||||2026-01-02||2\n'
    lander({"a.csv": text}, mapping)
    found = [(r["user_id"], r["product_id"], r["price"], r["broken"]) for r in rows()]
    assert found == [("u|v", 'p||"q"', "1", None), (None, None, "2", None)]


def test_rows_without_a_day_fall_to_the_latest_of_a_history(lander: Lander, rows: Any) -> None:
    lander({"a.csv": HEADER + "u,p,2026-01-01,1\nu,p,2026-01-05,1\nu,p,whenever,1\n"})
    assert [(r["event_time"][:10], r["ds"].day, r["arrived"].day) for r in rows()] == [
        ("2026-01-01", 1, 1),
        ("2026-01-05", 5, 5),
        ("whenever", 5, 5),
    ]


def test_a_history_without_any_readable_time_is_refused(lander: Lander, lake_settings: Settings) -> None:
    with pytest.raises(BadInput, match=r"no row of a\.csv has a readable 'events\.event_time'"):
        lander({"a.csv": HEADER + "u,p,1 May,1\n"})
    assert nothing_landed(lake_settings)


def test_the_same_files_land_once_whatever_they_are_called(
    lander: Lander, rows: Any, lake_settings: Settings
) -> None:
    text = HEADER + "u,p,2026-01-01,1\n"
    lander({"a.csv": text})
    before = Store.of(lake_settings).list("landing")
    again = lander({"a.csv": text, "copy of a.csv": text})
    assert [(d.status, d.rows) for d in again] == [("known", 0)]
    assert "landed already" in again[0].sentence()
    assert Store.of(lake_settings).list("landing") == before
    # A known file beside a new one: only the new one lands.
    mixed = lander({"a.csv": text, "b.csv": HEADER + "u,p,2026-01-02,1\n"})
    assert [(d.status, d.files, d.rows) for d in mixed] == [("landed", ("b.csv",), 1)]
    assert len(rows()) == 2


def test_a_changed_mapping_leaves_landed_files_and_says_so(lander: Lander, rows: Any) -> None:
    text = HEADER + "u,p,2026-01-01,1\n"
    lander({"a.csv": text})
    again = lander({"a.csv": text}, EVENTS.replace("'purchase'", "'view'"))
    assert "a.csv was landed with an earlier version of the mapping" in again[0].sentence()
    assert [r["event_type"] for r in rows()] == ["purchase"]


def test_a_batch_without_its_manifest_is_not_there(
    lander: Lander, rows: Any, lake_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.lake.store import LocalStore

    def full(self: LocalStore, key: str, data: bytes) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(LocalStore, "write", full)
    with pytest.raises(OSError, match="no space"):
        lander({"a.csv": HEADER + "u,p,2026-01-01,1\n"})
    monkeypatch.undo()
    assert rows() == []
    lander({"a.csv": HEADER + "u,p,2026-01-01,1\n"})
    assert len(rows()) == 1


def test_files_may_differ_in_columns_and_their_order(lander: Lander, rows: Any) -> None:
    mapping = EVENTS.replace("[events.columns]", '[events]\noptional = ["price"]\n[events.columns]')
    lander(
        {
            "a.csv": HEADER + "u,p,2026-01-01,1\n",
            "b.csv.gz": gzip.compress(b"extra,when,what,who\ne,2026-01-02,q,v\n"),
        },
        mapping,
    )
    assert [(r["user_id"], r["product_id"], r["price"]) for r in rows()] == [
        ("u", "p", "1"),
        ("v", "q", None),
    ]
    assert json.loads(rows()[1]["raw"])["extra"] == "e"


def test_a_torn_line_is_kept_whole_and_refused_once(lander: Lander, rows: Any) -> None:
    mapping = (
        EVENTS
        + """
[users]
where = "who <> ''"
[users.columns]
user_id = "who"
day = "when"
"""
    )
    lander({"a.csv": HEADER + "u,p,2026-01-01,1\nu,p\nu,p,2026-01-01,1,too,many\n"}, mapping)
    broken = [r for r in rows() if r["broken"]]
    assert {r["broken"] for r in broken} == {"unreadable_row"}
    assert sorted(json.loads(r["raw"])["_line"] for r in broken) == ["u,p", "u,p,2026-01-01,1,too,many"]
    assert [r["broken"] for r in rows("users", "user_id")] == [None]


def test_json_lines_keep_nested_values_as_they_were(lander: Lander, rows: Any) -> None:
    mapping = """
source = "shop"
[read]
format = "jsonl"
[products]
optional = ["parent"]
[products.columns]
product_id = "sku"
attributes_zh = "attrs"
variant_of = "parent"
price = "price"
"""
    line = '{"sku": 7, "attrs": {"颜色": "红", "size": [1, 2]}, "price": 1.5}'
    lander({"p.jsonl": f"{line}\nnot json\n\n"}, mapping, "2026-01-02")
    good, bad = sorted(rows("products", "product_id"), key=lambda r: r["broken"] or "")
    assert (good["product_id"], good["price"], good["variant_of"]) == ("7", "1.5", None)
    assert json.loads(good["attributes_zh"]) == {"颜色": "红", "size": [1, 2]}
    assert good["raw"] == line
    assert (bad["broken"], json.loads(bad["raw"])) == ("unreadable_row", {"_line": "not json"})


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ('{"a": {"t": "x"}, "b\\"": {"t": "x"}, "c": {}}', ["a", 'b"', "c"]),
        ('[{"t": "x"}, {"t": "y"}]', ["0", "1"]),
    ],
)
def test_one_json_document_is_rows_by_key(lander: Lander, rows: Any, text: str, keys: list[str]) -> None:
    mapping = """
source = "shop"
[read]
format = "json"
[products.columns]
product_id = "_key"
title_en = "t"
"""
    lander({"p.json": text}, mapping, "2026-01-02")
    found = rows("products", "product_id")
    assert [r["product_id"] for r in found] == keys
    assert found[0]["title_en"] == "x"
    assert len({r["row_hash"] for r in found}) == len(found)
    assert text.startswith("[") or json.loads(found[1]["raw"]) == {"_key": 'b"', "t": "x"}


def test_parquet_columns_become_text_and_instants_keep_their_zone(lander: Lander, rows: Any) -> None:
    table = pa.table(
        {
            "who": [7],
            "what": ["p"],
            "when": pa.array([datetime(2026, 7, 1, 0, 30)], pa.timestamp("us", tz="UTC")),  # noqa: DTZ001
            "price": [1.25],
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    lander(
        {"a.parquet": sink.getvalue().to_pybytes()}, EVENTS.replace("[read]", '[read]\nformat = "parquet"')
    )
    row = rows()[0]
    assert (row["user_id"], row["price"], row["event_time"]) == ("7", "1.25", "2026-07-01 00:30:00.000000Z")


def test_parquet_files_of_one_batch_may_differ_in_their_types(lander: Lander, rows: Any) -> None:
    files = {}
    for name, who, price in (("a", pa.array([7]), pa.array([1.25])), ("b", pa.array(["u"]), pa.array(["2"]))):
        table = pa.table({"who": who, "what": ["p"], "when": ["2026-01-01"], "price": price})
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        files[f"{name}.parquet"] = sink.getvalue().to_pybytes()
    lander(files, EVENTS.replace("[read]", '[read]\nformat = "parquet"'))
    assert sorted((r["user_id"], r["price"]) for r in rows()) == [("7", "1.25"), ("u", "2")]


def test_explode_makes_one_event_per_element_and_refuses_a_row_without_any(lander: Lander, rows: Any) -> None:
    mapping = EVENTS.replace(
        "[events.columns]", "[events]\nexplode = \"split(nullif(what, ''), '[|]')\"\n[events.columns]"
    )
    mapping = mapping.replace('product_id = "what"', 'product_id = "item"')
    lander({"a.csv": HEADER + "u,x|x|y,2026-01-01,1\nu,,2026-01-02,1\n"}, mapping)
    assert [r["product_id"] for r in rows("events", "product_id")] == [None, "x", "x", "y"]
    assert len({r["row_hash"] for r in rows()}) == 4


def test_rows_refused_by_name_land_and_rows_of_no_section_are_counted(lander: Lander, rows: Any) -> None:
    mapping = EVENTS.replace("[events.columns]", "[events]\nwhere = \"who <> 'robot'\"\n[events.columns]")
    mapping += "[events.refuse]\nnot_a_product = \"what = 'POST'\"\n"
    done = lander(
        {"a.csv": HEADER + "u,POST,2026-01-01,1\nu,p,2026-01-02,1\nrobot,p,2026-01-01,1\n,p,2026-01-01,1\n"},
        mapping,
    )
    assert [(r["product_id"], r["broken"]) for r in rows()] == [("POST", "not_a_product"), ("p", None)]
    assert done[0].skipped == 2
    assert "2 rows belong to no section" in done[0].sentence()


def test_products_of_one_day_land_once_with_the_count_of_their_copies(lander: Lander, rows: Any) -> None:
    mapping = 'source = "shop"\n[products.columns]\nproduct_id = "what"\nprice = "price"\nday = "when"\n'
    text = (
        HEADER
        + "u,p,2026-01-01,1\nv,p,2026-01-01 09:00:00,1\nu,p,2026-01-01,2\nu,p,2026-01-02,1\nu,p,huh,1\n"
    )
    done = lander({"a.csv": text}, mapping)
    assert done[0].rows == 5
    found = sorted(
        (r["ds"].day, r["price"], r["broken"] or "", r["copies"]) for r in rows("products", "price")
    )
    assert found == [(1, "1", "", 2), (1, "2", "", 1), (2, "1", "", 1), (2, "1", "unreadable_day", 1)]


DATED = EVENTS.replace("[read]", "[read]\narrived_from_filename = '-(\\d{4}-?\\d\\d-?\\d\\d)[.]'")


def test_the_day_of_arrival_may_stand_in_the_files_name(lander: Lander, rows: Any) -> None:
    same = HEADER + "u,p,2026-01-01 10:00:00,1\n"
    lander({"e-2026-01-02.csv": same, "e-20260103.csv": same}, DATED)
    assert [(r["ds"].day, r["arrived"].day) for r in rows("events", "arrived")] == [(1, 2), (1, 3)]
    with pytest.raises(BadInput, match=r"e-2026-13-01\.csv: no date in its name"):
        lander({"e-2026-13-01.csv": HEADER + "u,p,2026-01-01 10:00:01,1\n"}, DATED)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('price = "price"', 'price = "prise"'), ["a.csv", "no column 'prise'", "did you mean 'price'"]),
        (("'purchase'", "prise"), ["'events.sql.event_type'", "no column 'prise'", "did you mean 'price'"]),
        (("'purchase'", "upper("), ["'events.sql.event_type'", "Syntax error"]),
        (("'purchase'", "uper(what)"), ["'events.sql.event_type'", "uper"]),
        (("'purchase'", "uuid()"), ["'events.sql.event_type'", "one row alone"]),
        (("'purchase'", "max(what)"), ["'events.sql.event_type'", "one row alone"]),
        (("'purchase'", "lag(what) over (order by what)"), ["one row alone"]),
        (("'purchase'", "explode(split(what, 'x'))"), ["one row alone"]),
        (("'purchase'", "java_method('java.lang.System', 'nanoTime')"), ["one row alone"]),
        (("'purchase'", "string(current_date())"), ["'events.sql.event_type'", "clock"]),
        (("'purchase'", "cast(what as int)"), ["shop.toml", "cast(what as int)", "try_cast"]),
        (("[events.columns]", '[events]\nwhere = "what"\n[events.columns]'), ["'events.where'", "boolean"]),
        (("[events.columns]", '[events]\nexplode = "what"\n[events.columns]'), ["'events.explode'", "array"]),
        (
            ("[events.columns]", '[events]\nfiles = "*.jsonl"\n[events.columns]'),
            ["a.csv", "no section", "*.jsonl"],
        ),
    ],
)
def test_a_mapping_that_does_not_fit_is_told_and_nothing_is_written(
    lander: Lander, lake_settings: Settings, capfd: Any, change: tuple[str, str], told: Sequence[str]
) -> None:
    assert change[0] in EVENTS
    with pytest.raises(BadInput) as caught:
        lander({"a.csv": HEADER + "u,p,2026-01-01,1\n"}, EVENTS.replace(*change))
    for part in told:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert nothing_landed(lake_settings)
    # One sentence, and no stack trace of Spark's beside it.
    assert "\tat " not in capfd.readouterr().err


def test_rows_of_one_section_are_taken_back_when_the_next_one_fails(
    lander: Lander, lake_settings: Settings
) -> None:
    users = "[users.columns]\nday = 'when'\n[users.sql]\nuser_id = 'cast(who as int)'\n"
    with pytest.raises(BadInput, match="cast") as told:
        lander({"a.csv": HEADER + "jane.doe@example.org,p,2026-01-01,1\n"}, EVENTS + users)
    assert nothing_landed(lake_settings)
    assert "CAST_INVALID_INPUT" in str(told.value)
    assert "jane.doe" not in str(told.value)


def test_products_without_a_day_need_one(lander: Lander, lake_settings: Settings) -> None:
    mapping = 'source = "shop"\n[products.columns]\nproduct_id = "what"\n'
    with pytest.raises(BadInput, match=r"\[products\] does not say from which day.*--ds"):
        lander({"a.csv": HEADER + "u,p,2026-01-01,1\n"}, mapping)
    assert nothing_landed(lake_settings)


def test_one_unreadable_file_among_good_ones_lands_nothing(lander: Lander, lake_settings: Settings) -> None:
    torn = gzip.compress((HEADER + "u,p,2026-01-01,1\n" * 99).encode())[:-9]
    with pytest.raises(BadInput, match=r"b\.csv\.gz: the gzip file is torn"):
        lander({"a.csv": HEADER + "u,p,2026-01-01,1\n", "b.csv.gz": torn})
    assert nothing_landed(lake_settings)


def test_a_manifest_tells_rows_by_day_and_arrival(lander: Lander, lake_settings: Settings) -> None:
    lander({"a.csv": HEADER + "u,p,2026-01-01,1\nu,p,2026-01-02,1\nu,q,2026-01-02,1\n"}, arrived="2026-01-02")
    [manifest] = manifests(Store.of(lake_settings))
    assert manifest["entities"]["events"]["days"] == [
        ["2026-01-01", "2026-01-02", 1],
        ["2026-01-02", "2026-01-02", 2],
    ]


def test_the_mapping_that_the_docs_show_works(lander: Lander, rows: Any) -> None:
    text = (ROOT / "docs" / "bring-your-data.md").read_text(encoding="utf-8")
    mapping = text.split("```toml\n")[1].split("```")[0]
    head = "Customer;Sku;Ordered at;Unit price;Quantity;Status\n"
    orders = (
        head + "c;s;2026-07-01 00:30;2.5;-3;\nc;POSTAGE;2026-07-01 00:30;2.5;1;\n;s;2026-07-01;1;1;test\n"
    )
    # A history: none of it is late.
    orders += "c;s;2025-01-31 00:30;2.5;3;\n"
    catalogue = '{"sku": "s", "name": "Tea", "attributes": {"weight": "80 g"}}\n'
    done = lander({"orders-2026-07-01.csv": orders, "catalogue-2026-07-01.jsonl": catalogue}, mapping)
    assert [(d.entity, d.rows, d.skipped) for d in done] == [("events", 3, 1), ("products", 1, 0)]
    found = [
        (r["event_type"], r["quantity"], r["broken"], str(r["ds"])) for r in rows("events", "product_id")
    ]
    assert sorted(found, key=str) == [
        ("purchase", "1", "not_a_product", "2026-06-30"),
        ("purchase", "3", None, "2025-01-31"),
        ("return", "3", None, "2026-06-30"),
    ]
    [product] = rows("products", "product_id")
    assert product["attributes_en"] == '{"weight":"80 g"}'
    assert product["ds"] == date(2026, 7, 1)


def test_the_expressions_that_the_docs_show_do_what_they_say(lander: Lander, rows: Any) -> None:
    text = (ROOT / "docs" / "bring-your-data.md").read_text(encoding="utf-8")
    (price,) = re.findall(r"`price = \"(replace\(regexp_replace.*?)\"`", text)
    (time,) = re.findall(r"`(timestamp_seconds\(.*?)` in", text)
    (user,) = re.findall(r"`(get_json_object\(.*?)`", text)
    mapping = f"""
source = "shop"
read.format = "jsonl"
events.columns.product_id = "what"
[events.sql]
event_type = "'purchase'"
price = "{price}"
event_time = "{time}"
user_id = "{user}"
"""
    row = {"customer": {"id": "u"}, "what": "p", "ts": 1767312000, "Price": "1.299,50 €"}
    lander({"a.jsonl": json.dumps(row)}, mapping)
    [found] = rows()
    assert (found["price"], found["user_id"], str(found["ds"])) == ("1299.50", "u", "2026-01-02")


def test_after_a_reading_sparks_errors_are_told_as_they_are(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first to ask for it makes it, as in a process that has just begun.
    monkeypatch.delitem(logging.root.manager.loggerDict, "SQLQueryContextLogger", raising=False)
    with reading(spark):
        pass
    with pytest.raises(PySparkException, match="CAST_INVALID_INPUT"):
        spark.sql("SELECT CAST(word AS INT) FROM VALUES ('x') AS words(word)").collect()


def test_rows_that_are_refused_on_arrival_are_told_at_once(lander: Lander) -> None:
    mapping = EVENTS + "[events.refuse]\nno_product = \"what = 'POSTAGE'\"\n"
    lines = ["u,p,2026-01-02 09:00:00,1", "u,p,2025-11-02,1", "u,POSTAGE,2025-11-03,1", "u,p,2026-02-01,1"]
    [done] = lander({"a.csv": HEADER + "\n".join(lines) + "\n"}, mapping, arrived="2026-01-02")
    assert done.refused == {"too_late": 2, "no_product": 1, "from_the_future": 1}
    assert done.sentence().endswith("; refused on arrival: 2 too_late, 1 from_the_future, 1 no_product")


def test_a_history_given_as_a_delivery_is_told_how_to_go(lander: Lander) -> None:
    files = {"a.csv": HEADER + "u,p,2025-11-02,1\nu,p,2025-11-03,1\nu,p,2026-01-02 09:00:00,1\n"}
    [done] = lander(files, arrived="2026-01-02")
    assert "3 rows from 1 file(s), days 2026-01-02 to 2026-01-02; refused on arrival: 2 too_late (a hist" in (
        done.sentence()
    )
    assert "without --ds" in done.sentence()


@pytest.mark.parametrize(
    ("sql", "column"),
    [("Unit price", "Unit price"), ("replace(Unit price, ',', '')", "Unit price"), ("单价", "单价")],
)
def test_a_column_that_sql_needs_in_backticks_is_told_so(lander: Lander, sql: str, column: str) -> None:
    files = {"a.csv": HEADER.replace("price", "Unit price,单价") + "u,p,2026-01-01,1,2\n"}
    mapping = EVENTS.replace('price = "price"\n', "") + f'price = "{sql}"\n'
    with pytest.raises(BadInput, match=f"in SQL column {column} stands in backticks: `{column}`"):
        lander(files, mapping)
    [done] = lander(files, mapping.replace(column, f"`{column}`"))
    assert done.rows == 1
