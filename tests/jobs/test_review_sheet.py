"""The queue as a sheet and back, on a small lake, with what people and spreadsheets do to sheets."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import describe, review_queue, review_sheet, train_writer, writer_files
from jobs.errors import BadInput
from jobs.lake.store import LocalStore
from jobs.night import Night
from jobs.published import Published
from jobs.review_command import erase, export, import_
from jobs.review_judge import judge
from jobs.reviews import REVIEWS, edit_hash
from jobs.settings import ROOT, Settings, load_settings
from tests.jobs.writer_shop import Row, publish, put, rows_of, shop

DAY = date(2026, 1, 10)
EDIT = "A red mug of stoneware by Lumo, for 250 ml of tea."
KEY = ("p0000", "en")


def settings_of(lake: Path) -> Settings:
    return load_settings(lake=str(lake), review_share=0.0, channels=["description"])


def run_night(lake: Path, day: date, run_id: str = "", **changes: Any) -> Night:
    """A published night of six products without a person's words; `changes` are of the first one."""
    night = Night(settings_of(lake), day, run_id or f"run-{day}")
    night.pin()
    rows = shop(day, 6, 0.0)
    rows[0] |= changes
    put(night, "products", rows)
    describe.run(night)
    review_queue.run(night)
    publish(night)
    return night


def open_desk(folder: Path) -> SimpleNamespace:
    lake, sheet = folder / "lake", folder / "queue.csv"
    run_night(lake, DAY)
    export(settings_of(lake), None, sheet, True, False)
    return SimpleNamespace(
        lake=lake, settings=settings_of(lake), sheet=sheet, store=LocalStore(lake), folder=folder
    )


@pytest.fixture
def desk(tmp_path: Path) -> SimpleNamespace:
    """A lake with one published night, its settings, and the exported sheet."""
    return open_desk(tmp_path)


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The same, for tests after which the lake is as it was."""
    return open_desk(tmp_path_factory.mktemp("desk"))


def cells_of(sheet: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(sheet.read_text("utf-8-sig"), newline="")))


def fill(sheet: Path, rows: list[dict[str, str]], name: str = "filled.csv", **options: Any) -> Path:
    """The sheet as a spreadsheet writes it."""
    path = sheet.with_name(name)
    with path.open("w", encoding=options.pop("encoding", "utf-8-sig"), newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), **options)
        writer.writeheader()
        writer.writerows(rows)
    return path


def filled(desk: SimpleNamespace, **changes: str) -> Path:
    """The exported sheet with the English row of the first product changed."""
    rows = cells_of(desk.sheet)
    for row in rows:
        if (row["product_id"], row["language"]) == KEY:
            row |= changes
    return fill(desk.sheet, rows)


def files(desk: SimpleNamespace) -> dict[str, bytes]:
    return {k: desk.store.read(k) for k in desk.store.list(REVIEWS)}


def take(desk: SimpleNamespace, sheet: Path, made: date | None = None) -> None:
    import_(desk.settings, sheet, "Ann", made, False)


# -- the sheet ---------------------------------------------------------------------


def test_the_sheet_says_what_a_person_needs_and_opens_in_a_spreadsheet(read_only) -> None:
    assert read_only.sheet.read_bytes().startswith(
        b"\xef\xbb\xbfds,product_id,language,channel,risk,reasons,"
    )
    rows = cells_of(read_only.sheet)
    assert len(rows) == 12
    row = next(r for r in rows if (r["product_id"], r["language"]) == KEY)
    assert row["title"] == "Lumo red mug"
    assert "material: stoneware" in row["facts"]
    assert "category: Home > mug" in row["facts"]
    assert row["reasons"] == "a template wrote it: no model was asked"
    assert (row["verdict"], row["new_text"]) == ("", "")
    plain = read_only.folder / "plain.csv"
    export(read_only.settings, DAY, plain, False, False)
    assert plain.read_bytes() == read_only.sheet.read_bytes().removeprefix(b"\xef\xbb\xbf")


def test_a_sheet_with_verdicts_is_not_overwritten(read_only) -> None:
    with pytest.raises(BadInput, match="exists already and may hold verdicts"):
        export(read_only.settings, None, read_only.sheet, True, False)


def test_a_date_without_a_queue_is_told(read_only) -> None:
    with pytest.raises(BadInput, match="no review queue of 2026-02-01; the newest is 2026-01-10"):
        export(read_only.settings, date(2026, 2, 1), read_only.folder / "x.csv", True, False)


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "  =1",
    "'=1",
    "'",
    "''x",
    "＝1",
    '=HYPERLINK("x")',
]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula_and_each_comes_back_as_it_was(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(review_sheet.write([{"ds": "d", "text": text, "new_text": text}]))
    (cells,) = cells_of(path)
    assert cells["text"].startswith("'")
    (line,) = review_sheet.read(path)
    assert (line.cells["text"], line.cells["new_text"]) == (text, text)


TEXTS = st.text(alphabet=st.sampled_from("=+-@'\t\r\n a,;\"＝红 "), max_size=8)
CALCULATED = ("=", "+", "-", "@", "＝")


@settings(max_examples=500, deadline=None)
@given(TEXTS)
def test_guarding_is_undone_exactly(text: str) -> None:
    guarded = review_sheet.guard(text)
    assert review_sheet.unguard(guarded) == text
    assert not guarded.lstrip().startswith(CALCULATED)


@settings(max_examples=500, deadline=None)
@given(TEXTS)
def test_no_part_of_a_sheet_is_a_formula_to_a_spreadsheet_that_parts_it_elsewhere(text: str) -> None:
    """Most of Europe's part cells at semicolons, and then know nothing of the quotes of ours."""
    sheet = review_sheet.write([{"title": text, "text": text}], bom=False).decode()
    for part in re.split("[;\t\r\n]", sheet):
        assert not part.lstrip(' \u00a0\u3000"').startswith(CALCULATED)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("S; =1+1", "S;' =1+1"),
        ("S\t@SUM(A1)", "S\t'@SUM(A1)"),
        ('S;"=1', "S;'\"=1"),
        ("One.\r\n- Two.", "One.\r\n'- Two."),
        ("S; M - L; 5 = 5\n\n'Six'", "S; M - L; 5 = 5\n\n''Six'"),
    ],
)
def test_a_formula_inside_of_a_cell_is_guarded_where_it_would_begin(text: str, written: str) -> None:
    assert review_sheet.guard(text) == written
    assert review_sheet.unguard(written) == text


@pytest.mark.parametrize(("encoding", "delimiter"), [("utf-8", ","), ("utf-8-sig", ";"), ("utf-8", "\t")])
def test_what_spreadsheets_save_is_read(desk, encoding: str, delimiter: str) -> None:
    rows = [r | {"extra": "mine"} for r in cells_of(desk.sheet)]
    rows[0] |= {"verdict": " Accept "}
    rows[0]["ds"] = "2026/1/10"
    take(desk, fill(desk.sheet, rows, encoding=encoding, delimiter=delimiter))
    assert len(files(desk)) == 1


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"ds,product_id\n1,2\n", "line 1: no column language, channel, text, verdict, new_text"),
        (b"", "line 1: no column ds, product_id"),
        ("ds,text\n红".encode("gb18030"), "is not UTF-8: save the sheet as 'CSV UTF-8"),
        (b"ds,product_id,language,channel,text,verdict,new_text\na,b\n", "line 2: 2 cells under 7 columns"),
        (b"ds,product_id,language,channel,text,verdict,new_text,verdict\n", "column verdict stands twice"),
        (b'ds,product_id,language,channel,text,verdict,new_text\n"a"b,,,,,,\n', "line 2: not CSV"),
    ],
)
def test_a_file_that_is_no_sheet_is_one_message(tmp_path: Path, body: bytes, why: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(body)
    with pytest.raises(BadInput) as caught:
        review_sheet.read(path)
    assert why in str(caught.value)


def test_lines_are_those_of_the_file_where_cells_hold_line_breaks(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(review_sheet.write([{"text": "a\r\nb\nc"}, {"text": "d"}]))
    assert [(line.number, line.cells["text"]) for line in review_sheet.read(path)] == [
        (2, "a\r\nb\nc"),
        (5, "d"),
    ]


# -- what is refused ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"verdict": "fine"}, "verdict 'fine': write accept, edit, reject"),
        ({"verdict": "edit"}, "verdict edit without a new_text"),
        ({"verdict": "accept", "new_text": "x"}, "verdict accept with a new_text"),
        ({"new_text": "Mine."}, "new_text is filled in without a verdict"),
        ({"verdict": "reject", "text": "Another."}, "text is not what was published"),
        ({"verdict": "accept", "product_id": "p9"}, "p9 / en / description is no copy of 2026-01-10"),
        ({"verdict": "accept", "language": "fr"}, "p0000 / fr / description is no copy"),
        ({"verdict": "accept", "ds": "2026-01-09"}, "no copy of that date is published"),
        ({"verdict": "accept", "ds": "10 Jan"}, "ds '10 Jan'"),
        ({"verdict": "edit", "new_text": "x" * 4001}, "new_text has 4001 characters: shorten it to 4000"),
        ({"verdict": "edit", "new_text": "A red\x07 mug."}, "control character U+0007"),
        ({"verdict": "edit", "new_text": "The best mug."}, "'the best', which is banned (eu-superlative)"),
        ({"verdict": "edit", "new_text": "A mug, www.shop.com"}, "which is banned (any-url)"),
        ({"verdict": "edit", "new_text": "一只好看的红色马克杯。"}, "not English: the row's language is en"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_imported(read_only, changes: dict[str, str], why: str) -> None:
    with pytest.raises(BadInput) as caught:
        take(read_only, filled(read_only, **changes))
    number = next(
        i for i, r in enumerate(cells_of(read_only.sheet), 2) if (r["product_id"], r["language"]) == KEY
    )
    assert f"filled.csv, line {number}: " in str(caught.value)
    assert why in str(caught.value)
    assert caught.value.exit_code == 2
    assert files(read_only) == {}


def test_the_shops_own_rules_hold_for_edits(read_only) -> None:
    strict = read_only.settings.model_copy(update={"competitors": ["Mugworld"]})
    sheet = filled(read_only, verdict="edit", new_text="A red stoneware mug, unlike Mugworld's.")
    with pytest.raises(BadInput, match="'mugworld', which is banned"):
        import_(strict, sheet, "", None, False)
    assert files(read_only) == {}


def test_one_bad_row_keeps_the_good_ones_out_and_each_bad_one_is_told(read_only) -> None:
    rows = cells_of(read_only.sheet)
    rows[0] |= {"verdict": "accept"}
    rows[3] |= {"verdict": "perhaps"}
    rows[5] |= {"verdict": "edit"}
    with pytest.raises(BadInput) as caught:
        take(read_only, fill(read_only.sheet, rows))
    told = str(caught.value).splitlines()
    assert told[0].endswith("filled.csv: 2 rows are wrong")
    assert [t.split(": ")[0].rsplit(", ", 1)[1] for t in told[1:]] == ["line 5", "line 7"]
    assert files(read_only) == {}


@pytest.mark.parametrize("written", ["2026/1/10", "10.01.2026", "1/10/2026", "10/1/2026"])
def test_dates_as_spreadsheets_write_them_again_are_read(read_only, written: str) -> None:
    lines = review_sheet.read(filled(read_only, verdict="accept", ds=written))
    judged = judge(Published(read_only.settings), lines, None)
    assert judged.problems == []
    assert [d.made for d in judged.decisions] == [DAY + timedelta(days=1)]


def test_a_date_that_may_be_two_is_asked_about(read_only, monkeypatch: pytest.MonkeyPatch) -> None:
    both = [DAY, date(2026, 10, 1)]
    monkeypatch.setattr(Published, "days", lambda *_: both)
    with pytest.raises(BadInput, match="ds '1/10/2026' may be 2026-10-01 or 2026-01-10: write which of them"):
        take(read_only, filled(read_only, verdict="accept", ds="1/10/2026"))


def test_the_catalogue_is_read_for_edits_alone(read_only, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    rows = Published.rows

    def told(self: Published, table: str, *more: Any, **equal: str) -> Any:
        asked.append(table)
        return rows(self, table, *more, **equal)

    monkeypatch.setattr(Published, "rows", told)
    for changes, catalogue in (({"verdict": "accept"}, False), ({"verdict": "edit", "new_text": EDIT}, True)):
        asked.clear()
        sheet = filled(read_only, **changes)
        assert len(judge(Published(read_only.settings), review_sheet.read(sheet), None).decisions) == 1
        assert ("products" in asked) == catalogue


def test_two_verdicts_on_one_text_are_refused(read_only) -> None:
    rows = cells_of(read_only.sheet)
    rows[0] |= {"verdict": "accept"}
    with pytest.raises(BadInput, match=r"line 14: .* has a verdict on line 2 already"):
        take(read_only, fill(read_only.sheet, [*rows, rows[0] | {"verdict": "reject"}]))


def test_a_verdict_cannot_count_for_the_night_of_the_text_itself(read_only) -> None:
    with pytest.raises(BadInput, match="--ds 2026-01-10 is not after 2026-01-10"):
        take(read_only, filled(read_only, verdict="accept"), DAY)


# -- what is kept ------------------------------------------------------------------


def test_the_same_file_twice_changes_nothing(desk, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = filled(desk, verdict="edit", new_text=EDIT)
    take(desk, sheet)
    before = files(desk)
    assert "1 verdicts imported (1 edit), 0 were known already, 11 rows have none" in capsys.readouterr().out
    take(desk, sheet)
    assert files(desk) == before
    assert "0 verdicts imported, 1 were known already" in capsys.readouterr().out


def test_an_edit_that_checks_doubt_is_kept_with_a_warning(desk, capsys: pytest.CaptureFixture[str]) -> None:
    take(desk, filled(desk, verdict="edit", new_text="A red stoneware mug for 900 ml of tea, by Lumo."))
    told = capsys.readouterr().err
    assert "warning: a person's text fails numbers: '900 ml' is in no attribute" in told
    assert len(files(desk)) == 1


def test_from_the_sheet_to_the_third_night(desk) -> None:
    """Export, edit, import; the next night publishes it, and a changed catalogue does not take it away."""
    take(desk, filled(desk, verdict="edit", new_text=EDIT))
    second = rows_of(run_night(desk.lake, DAY + timedelta(days=1)))[KEY]
    assert (second["text"], second["tier"], second["ai_label"]) == (EDIT, "human", None)
    assert second["content_hash"] == edit_hash("en", "description", EDIT)
    third = run_night(
        desk.lake,
        DAY + timedelta(days=2),
        description_en="Newer words of the catalogue.",
        attributes_en=json.dumps({"colour": "black", "material": "glass", "capacity": "500 ml"}),
    )
    assert rows_of(third)[KEY]["text"] == EDIT
    # The attributes changed under it: a person is asked to look again.
    queued = {(r["product_id"], r["language"]): r for r in third.read("review_queue").to_pylist()}
    assert queued[KEY]["risk"] == "high"
    assert "fails" in queued[KEY]["reasons"]
    learnt = train_writer.load_pairs(second_night(desk), writer_files.verifiers(second_night(desk)))
    assert EDIT in {p.text for p, _ in learnt.train + learnt.held}
    # The first night again, as it was.
    assert rows_of(run_night(desk.lake, DAY, "again"))[KEY]["tier"] == "template"


def second_night(desk: SimpleNamespace) -> Night:
    night = Night(desk.settings, DAY + timedelta(days=1), "look")
    night.pin()
    return night


def test_accepted_texts_leave_the_queue_and_rejected_ones_leave_the_shop(desk) -> None:
    rows: list[dict[str, str]] = cells_of(desk.sheet)
    verdicts = {("p0000", "en"): "accept", ("p0001", "zh"): "reject"}
    for row in rows:
        row["verdict"] = verdicts.get((row["product_id"], row["language"]), "")
    take(desk, fill(desk.sheet, rows))
    before = {(r["product_id"], r["language"]): r["text"] for r in rows}
    night = run_night(desk.lake, DAY + timedelta(days=1))
    queued: dict[Any, Row] = {
        (r["product_id"], r["language"]): r for r in night.read("review_queue").to_pylist()
    }
    assert ("p0000", "en") not in queued
    assert rows_of(night)["p0000", "en"]["text"] == before["p0000", "en"]
    assert rows_of(night)["p0001", "zh"]["text"] != before["p0001", "zh"]


def test_erasing_asks_for_one_of_the_two_and_says_what_it_did(
    desk, capsys: pytest.CaptureFixture[str]
) -> None:
    take(desk, filled(desk, verdict="edit", new_text=EDIT))
    with pytest.raises(BadInput, match="either --product ID or --reviewer NAME"):
        erase(desk.settings, "", "", False)
    erase(desk.settings, "", "Ann", False)
    assert not any(b"Ann" in body for body in files(desk).values())
    capsys.readouterr()
    erase(desk.settings, "p0000", "", True)
    assert json.loads(capsys.readouterr().out) == {"erased": 1}
    assert not any(EDIT.encode() in body for body in files(desk).values())


def test_the_command_line_reads_the_sheet_and_exits_as_documented(desk) -> None:
    environment = os.environ | {"NIGHTSHELF_LAKE": str(desk.lake)}

    def cli(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "jobs.cli", "review", *args]
        return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)

    bad = cli("import", str(filled(desk, verdict="edit", new_text="The best mug.")))
    assert bad.returncode == 2
    assert "Traceback" not in bad.stderr
    good = cli("import", str(filled(desk, verdict="edit", new_text=EDIT)), "--reviewer", "Ann", "--json")
    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout) == {"imported": {"edit": 1}, "known": 0, "unjudged": 11, "warnings": 0}
