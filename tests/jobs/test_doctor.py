"""What doctor says of a deployment: what is wrong ends with 1, what is worth knowing does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs import doctor
from jobs.errors import BadInput
from jobs.lake.store import LocalStore
from jobs.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def no_catalogs_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYICEBERG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NIGHTSHELF_CONFIG", "/dev/null")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"ATHENA__TYPE": "glue"}, "athena (glue): no transaction over several tables"),
        ({"LAKEKEEPER__URI": "https://catalog.shop.example"}, "lakekeeper (rest): no transaction"),
        ({"OWN__URI": "postgresql+psycopg2://host/db"}, ""),
        ({}, ""),
    ],
)
def test_a_catalog_without_a_transaction_is_a_note(
    lake_settings: Settings, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], says: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"PYICEBERG_CATALOG__{name}", value)
    found = doctor.readers(lake_settings)
    assert found.ok, "tables in Glue are no fault"
    assert found.warning is bool(says)
    assert says in found.found
    assert bool(says) is ("docs/deploy.md" in found.remedy)


def test_long_lived_keys_of_aws_are_a_note() -> None:
    on_aws = load_settings(lake="s3://bucket/lake", s3_access_key="AKIA", s3_secret_key="planted-secret")
    found = doctor.keys(on_aws)
    assert (found.ok, found.warning) == (True, True)
    assert "planted-secret" not in str(found)
    assert not doctor.keys(load_settings(lake="s3://bucket/lake")).warning
    elsewhere = on_aws.model_copy(update={"s3_endpoint": "https://store.shop.example"})
    assert not doctor.keys(elsewhere).warning


@pytest.mark.parametrize("url", ["glue", "https://catalog.shop.example", "mysql://host/db"])
def test_another_catalog_is_refused_and_not_half_used(url: str) -> None:
    with pytest.raises(BadInput, match=r"setting 'catalog': .*PostgreSQL or SQLite.*docs/deploy.md"):
        load_settings(catalog=url)


def test_a_note_is_shown_and_ends_with_0(
    lake_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYICEBERG_CATALOG__ATHENA__TYPE", "glue")
    # What this machine has of memory and disk is no matter here.
    monkeypatch.setattr(doctor, "CHECKS", (doctor.store, doctor.catalog, doctor.readers, doctor.keys))
    assert doctor.examine(lake_settings, as_json=False) == 0
    shown = capsys.readouterr().out
    assert "note  readers" in shown
    assert "→ let them read through current.json" in shown
    assert doctor.examine(lake_settings, as_json=True) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [f["check"] for f in listed if f["warning"]] == ["readers"]


def test_a_store_that_keeps_what_is_deleted_is_wrong(
    lake_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert doctor.store(lake_settings).ok
    monkeypatch.setattr(LocalStore, "delete", lambda *_: None)
    found = doctor.store(lake_settings)
    assert not found.ok
    assert "what is deleted in" in found.found


def test_uploads_that_maintenance_could_not_list_are_wrong(
    lake_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object) -> None:
        raise BadInput("this machine's role needs s3:ListBucketMultipartUploads")

    monkeypatch.setattr(LocalStore, "dangling_uploads", refused)
    monkeypatch.setattr(doctor, "CHECKS", (doctor.store,))
    assert doctor.examine(lake_settings, as_json=False) == 1
    assert "role needs s3:ListBucketMultipartUploads" in capsys.readouterr().out


def test_an_error_is_printed_as_it_is(
    lake_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(_: Settings) -> doctor.Finding:
        raise BadInput("[/b] no bucket [blue] :tea:")

    monkeypatch.setattr(doctor, "CHECKS", (refused,))
    assert doctor.examine(lake_settings, as_json=False) == 1
    assert "wrong refused  [/b] no bucket [blue] :tea:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError(""), "RuntimeError"),
        (KeyError(), "KeyError"),
        (ValueError("\n\n  first\nsecond"), "first"),
        (FileExistsError(17, "File exists", "/etc/passwd"), "[Errno 17] File exists: '/etc/passwd'"),
    ],
)
def test_an_error_that_nobody_foresaw_hides_no_other_check(
    lake_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    told: str,
) -> None:
    def raises(_: Settings) -> doctor.Finding:
        raise error

    monkeypatch.setattr(doctor, "CHECKS", (doctor.store, raises, doctor.keys))
    assert doctor.examine(lake_settings, as_json=True) == 1
    found = json.loads(capsys.readouterr().out)
    assert [(f["check"], f["ok"]) for f in found] == [("store", True), ("raises", False), ("keys", True)]
    assert found[1]["found"] == told
