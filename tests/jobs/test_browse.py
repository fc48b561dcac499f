"""What people look up is printed as it is: text of the shop's is no markup of the screen."""

from __future__ import annotations

import json
import re
import sys
from unicodedata import category

import pyarrow as pa
import pytest

from jobs import browse, cli
from jobs.lake.publish import Publisher
from jobs.lake.registry import BY_NAME
from jobs.night import Night
from jobs.settings import Settings
from tests.expectations.good_rows import good
from tests.jobs.small_lake import put

TITLE = "[/b] Mug [blue] :tea:"
# Clears the screen, rings, colours what follows in eight bits, names the window.
SEQUENCES = "\x1b[2J \x07 \x9b31m \x1b]0;x\x07 \x7f \t"


@pytest.fixture
def lake(night: Night, lake_settings: Settings) -> Settings:
    """A lake in which one product, and one list, hold text that looks like markup."""
    put(night, "products", [good("products", title_en=TITLE)])
    put(night, "recommendations", [good("recommendations", reason="Because of [red] tea [/]")])
    for record in night.staging.records():
        night.mark_audited(record.table)
    Publisher(night.catalog).publish(night.staging, night.ds.isoformat())
    return lake_settings


def shown(lake: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("jobs.settings.settings", lambda: lake)
    monkeypatch.setattr(sys, "argv", ["nightshelf", *arguments])
    # Wide enough that no cell is folded.
    monkeypatch.setenv("COLUMNS", "400")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "products"], TITLE),
        (["show", "recommendations"], TITLE),
        (["show", "recommendations"], "Because of [red] tea [/]"),
    ],
)
def test_show_prints_text_as_it_is(
    lake: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], says: str,
) -> None:  # fmt: skip
    assert shown(lake, monkeypatch, *arguments) == 0
    assert says in capsys.readouterr().out


def test_a_limit_keeps_the_first_rows_of_the_order(
    night: Night, lake_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """However the rows lie in their files."""
    products = ["p3", "p1", "p2"]
    put(night, "products", [good("products", product_id=p, title_en=f"Mug {p}") for p in products])
    put(night, "recommendations", [
        good("recommendations", rank=int(p[1]), product_id=p, user_id=u)
        for u in ("u2", "u1")
        for p in products
    ])  # fmt: skip
    for record in night.staging.records():
        night.mark_audited(record.table)
    Publisher(night.catalog).publish(night.staging, night.ds.isoformat())
    for chosen, wanted in (
        (["--user", "u1"], [("u1", 1), ("u1", 2)]),
        (["--product", "p2"], [("u1", 2), ("u2", 2)]),
    ):
        assert (
            shown(lake_settings, monkeypatch, "show", "recommendations", *chosen, "--limit", "2", "--json")
            == 0
        )
        rows = json.loads(capsys.readouterr().out)
        assert [(r["user_id"], r["rank"]) for r in rows] == wanted
    assert shown(lake_settings, monkeypatch, "show", "recommendations", "--user", "u1") == 0
    assert re.findall("Mug p.", capsys.readouterr().out) == ["Mug p1", "Mug p2", "Mug p3"]


def test_tables_prints_names_and_folders_as_they_are(
    lake: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(browse.LakeCatalog, "pointers", lambda _: {})
    monkeypatch.setattr(browse, "NOTHING_YET", "nothing in [/lake] yet")
    for arguments in (["tables"], ["tables", "products"]):
        assert shown(lake, monkeypatch, *arguments) == 0
        assert "nothing in [/lake] yet" in capsys.readouterr().out


def test_a_terminal_is_sent_no_control_character(
    night: Night, lake_settings: Settings, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    checks = json.dumps({"form": f"broken {SEQUENCES}"})
    put(night, "products", [good("products", title_en=f"Mug {SEQUENCES}")])
    put(night, "product_descriptions", [good("product_descriptions", text=f"A {SEQUENCES}", checks=checks)])
    for record in night.staging.records():
        night.mark_audited(record.table)
    Publisher(night.catalog).publish(night.staging, night.ds.isoformat())
    marked = re.sub(r"[\x00-\x1f\x7f-\x9f]", "\ufffd", SEQUENCES)
    for table, says in (("products", f"Mug {marked}"), ("product_descriptions", f"broken {marked}")):
        assert shown(lake_settings, monkeypatch, "show", table) == 0
        out = capsys.readouterr().out
        assert says in out
        assert {c for c in out if category(c) == "Cc"} == {"\n"}
        # A program is told all the same what it was.
        assert shown(lake_settings, monkeypatch, "show", table, "--json") == 0
        out = capsys.readouterr().out
        assert {c for c in out if category(c) == "Cc"} == {"\n"}
        (row,) = json.loads(out)
        assert SEQUENCES in row["title_en" if table == "products" else "text"]


def test_a_table_without_rows_is_not_a_lake_without_nights(
    lake: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown(lake, monkeypatch, "show", "erasures") == 2
    assert "no row of 'erasures' was ever published" in capsys.readouterr().err
    assert shown(lake, monkeypatch, "tables", "erasures") == 0
    assert "no row of 'erasures' was ever published" in capsys.readouterr().out


def test_runs_of_another_date_are_not_shown(
    night: Night, lake_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its parts are runs, not dates."""
    rows = [good("runs", run_id=night.run_id, ds=night.ds)]
    data = pa.Table.from_pylist(rows, schema=BY_NAME["runs"].schema)
    night.stage("runs", data, partitions=[night.run_id])
    for record in night.staging.records():
        night.mark_audited(record.table)
    Publisher(night.catalog).publish(night.staging, night.ds.isoformat())
    assert shown(lake_settings, monkeypatch, "show", "runs", "--ds", night.ds.isoformat()) == 0
    assert night.run_id in capsys.readouterr().out
    assert shown(lake_settings, monkeypatch, "show", "runs", "--ds", "2026-01-01") == 2
    assert "no row for ds 2026-01-01" in capsys.readouterr().err
