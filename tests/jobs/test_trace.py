"""A row of copy is traced to the attributes it came from, and a row that does not fit them is found."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from unicodedata import category

import pytest

from jobs import describe
from jobs.errors import BadInput
from jobs.lake.publish import Publisher
from jobs.lake.store import LocalStore
from jobs.night import Night
from jobs.reviews import Decision, add
from jobs.settings import load_settings
from jobs.trace import Origin, run_of, trace, trace_copy
from tests.jobs.writer_shop import publish, put, shop

DAY = date(2026, 1, 10)
EDIT = "A stoneware mug by Lumo, in red."


def run_night(
    lake: Path, day: date = DAY, run_id: str = "", channel: str = "description", **changes
) -> Night:
    """Four products, the first with the catalogue's text in English only; `changes` are of the second."""
    night = Night(load_settings(lake=str(lake), channels=[channel]), day, run_id or f"run-{day}")
    night.pin()
    rows = shop(day, 4, 0.0)
    rows[0]["description_en"] = "A red mug that people like."
    rows[1] |= changes
    put(night, "products", rows)
    describe.run(night)
    publish(night)
    return night


def traced(
    lake: Path, product: str = "p0001", ds: date | None = None, **changes
) -> dict[tuple[str, str], Origin]:
    found = trace(load_settings(**{"lake": str(lake), "channels": ["description"], **changes}), product, ds)
    return {(o.row["language"], o.row["channel"]): o for o in found}


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def test_a_machines_row_is_traced_to_its_attributes(lake) -> None:
    run_night(lake)
    origin = traced(lake)["en", "description"]
    assert (origin.source, origin.fits) == ("machine", True)
    assert dict(origin.facts.attributes) == {"colour": "red", "material": "stoneware", "capacity": "250 ml"}
    assert traced(lake)["zh", "description"].fits


def test_the_catalogues_text_and_an_edit_are_told_apart_with_who_decided(lake) -> None:
    night = run_night(lake)
    text = traced(lake)["en", "description"].row["text"]
    made = DAY + timedelta(days=1)
    add(night.store, [Decision("p0001", "en", "description", "edit", made, text, EDIT)], "Ann")
    run_night(lake, made)
    own = traced(lake, "p0000")["en", "description"]
    assert (own.source, own.fits, own.decisions) == ("catalogue", True, ())
    edited = traced(lake)["en", "description"]
    assert (edited.source, edited.fits) == ("edit", True)
    assert [(d["verdict"], d["reviewer"]) for d in edited.decisions] == [("edit", "Ann")]
    # The night before did not know of it, and is told as it was.
    before = traced(lake, ds=DAY)["en", "description"]
    assert (before.source, before.fits, before.decisions) == ("machine", True, ())


def test_a_text_written_after_a_rejection_fits_as_well(lake) -> None:
    night = run_night(lake)
    text = traced(lake)["en", "description"].row["text"]
    made = DAY + timedelta(days=1)
    add(night.store, [Decision("p0001", "en", "description", "reject", made, text)])
    run_night(lake, made)
    assert traced(lake)["en", "description"].fits


def test_other_attributes_or_settings_do_not_fit(lake) -> None:
    run_night(lake)
    assert not traced(lake, seed=7)["en", "description"].fits
    # Only the products of the date are published anew: the copy was made from others.
    night = Night(load_settings(lake=str(lake), channels=["description"]), DAY, "forged")
    night.pin()
    rows = shop(DAY, 4, 0.0)
    rows[1]["attributes_en"] = json.dumps({"colour": "black"})
    put(night, "products", rows)
    publish(night)
    found = traced(lake)
    assert not found["en", "description"].fits
    assert found["zh", "description"].fits


def test_without_descriptions_a_rejected_one_is_not_what_a_row_leans_on(lake) -> None:
    night = run_night(lake, channel="ad_copy")
    own = "A red mug that people like."
    add(night.store, [Decision("p0000", "en", "description", "reject", DAY + timedelta(days=1), own)], "Ann")
    assert traced(lake, "p0000", channels=["ad_copy"])["en", "ad_copy"].fits
    run_night(lake, DAY + timedelta(days=1), channel="ad_copy")
    assert traced(lake, "p0000", channels=["ad_copy"])["en", "ad_copy"].fits


def test_after_a_rollback_the_earlier_runs_rows_are_traced(lake) -> None:
    run_night(lake, run_id="first")
    night = run_night(lake, run_id="second", attributes_en=json.dumps({"colour": "black"}))
    assert dict(traced(lake)["en", "description"].facts.attributes) == {"colour": "black"}
    Publisher(night.catalog).rollback("first")
    origin = traced(lake)["en", "description"]
    assert origin.fits
    assert dict(origin.facts.attributes)["colour"] == "red"


def test_a_night_after_a_rollback_brings_no_later_run_of_an_earlier_date_back(lake) -> None:
    night = run_night(lake, run_id="first")
    later = run_night(lake, run_id="second", attributes_en=json.dumps({"colour": "black"}))
    Publisher(night.catalog).rollback("first")
    run_night(lake, DAY + timedelta(days=1), run_id="third")
    # What that run read has no part in the rows: whether it is there or gone must not matter.
    LocalStore(lake).delete([later.key("run.json")])
    assert traced(lake, ds=DAY)["en", "description"].fits
    log = Publisher(night.catalog).log()
    assert [run_of(log, DAY + timedelta(days=n)) for n in (0, 1)] == ["first", "third"]
    # A rollback may go to what was published before the one before it.
    Publisher(night.catalog).rollback("second")
    assert run_of(Publisher(night.catalog).log(), DAY) == "second"


def test_a_language_that_is_no_longer_written_is_traced_still(lake) -> None:
    run_night(lake)
    assert traced(lake, languages=["zh"])["en", "description"].fits


def test_it_is_told_in_words_and_as_json(lake, capsys: pytest.CaptureFixture[str]) -> None:
    run_night(lake)
    settings = load_settings(lake=str(lake), channels=["description"])
    trace_copy(settings, "p0001", None, False)
    told = capsys.readouterr().out
    for words in (
        "p0001 · en · description · 2026-01-10 · template, labelled AI-generated",
        "fact       material: stoneware",
        "check      values: passed",
        " fits: yes",
    ):
        assert words in told, told
    trace_copy(settings, "p0001", DAY, True)
    rows = json.loads(capsys.readouterr().out)
    assert [r["hash_fits"] for r in rows] == [True, True]
    assert rows[0]["facts"]["attributes"]["colour"] == "red"


def test_what_is_not_there_is_told(lake) -> None:
    night = run_night(lake)
    with pytest.raises(BadInput, match="no copy of product 'p9' on 2026-01-10"):
        traced(lake, "p9")
    with pytest.raises(BadInput, match="no copy of product 'p0001' on 2026-02-01"):
        traced(lake, ds=date(2026, 2, 1))
    LocalStore(lake).delete([night.key("run.json")])
    with pytest.raises(BadInput, match="the folder of run 'run-2026-01-10' is gone"):
        traced(lake)


def test_a_terminal_is_sent_no_control_character_of_the_catalogues(
    lake, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "A red\x1b[2J mug\x07, \x9b31mof glass."
    run_night(lake, description_en=text)
    settings = load_settings(lake=str(lake), channels=["description"])
    for as_json in (False, True):
        trace_copy(settings, "p0001", None, as_json)
        told = capsys.readouterr().out
        assert {c for c in told if category(c) == "Cc"} == {"\n"}
    assert json.loads(told)[0]["text"] == text
