"""Settings that cannot be read: one line that names what and where, and never what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jobs import settings
from jobs.errors import BadInput
from jobs.settings import load_settings


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SOURCES", "[{", "setting 'sources': not valid JSON"),
        ("LANGUAGES", "en", """setting 'languages': not valid JSON, which a list needs, such as '["en"]'"""),
        ("MIN_GROUP", "many", "setting 'min_group': Input should be a valid integer"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(f"NIGHTSHELF_{name}", value)
    with pytest.raises(BadInput) as caught:
        load_settings()
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


def test_a_file_of_settings_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "nightshelf.toml"
    file.write_text('s3_secret_key = "planted-secret\n')
    monkeypatch.setenv("NIGHTSHELF_CONFIG", str(file))
    with pytest.raises(BadInput, match=r"nightshelf\.toml: not valid TOML: .*line 1") as caught:
        load_settings()
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_lake_is_not_the_working_directory(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("NIGHTSHELF_LAKE", value)
    with pytest.raises(BadInput, match=r"setting 'lake': .*it is empty: give a folder or s3://"):
        load_settings()


@pytest.mark.parametrize(
    "value",
    [
        *("s3a://bucket/x", "s3://", "s3:///x", "S3://bucket/x", " s3://bucket/x", "s3:/bucket/x"),
        *("gs://bucket/x", "hdfs://host/x", "file://", "file://x"),
        *("s3://user:planted@bucket/x", "~no-such-user/lake"),
    ],
)
def test_a_wrong_scheme_is_no_folder(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("NIGHTSHELF_LAKE", value)
    with pytest.raises(BadInput, match="setting 'lake': ") as caught:
        load_settings()
    assert "planted" not in str(caught.value)
    assert "s3://bucket/prefix" in str(caught.value) or value.startswith("~")


@pytest.mark.parametrize(
    ("value", "lake"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("file:///srv/lake", "/srv/lake"),
        ("/srv/lake", "/srv/lake"),
        ("lake", str(Path.cwd() / "lake")),
        ("~/lake", str(Path.home() / "lake")),
        ("file://~/lake", str(Path.home() / "lake")),
    ],
)
def test_a_lake_is_a_folder_or_a_bucket(value: str, lake: str) -> None:
    assert load_settings(lake=value).lake == lake


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_postgresql_is_spoken_to_by_the_driver_that_is_installed(scheme: str) -> None:
    assert load_settings(catalog=f"{scheme}://u:p@host/db").catalog == "postgresql+psycopg2://u:p@host/db"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql+asyncpg://u:planted@host/db", "psycopg2 alone"),
        ("postgresql+psycopg://u:planted@host/db", "psycopg2 alone"),
        ("sqlite+aiosqlite:///planted", "sqlite:///"),
        ("mysql://u:planted@host/db", "PostgreSQL or SQLite"),
        ("postgres+psycopg2://u:planted@host/db", "PostgreSQL or SQLite"),
        ("postgres://u:x@planted@host/db", "write '@' as %40"),
        (" ", "PostgreSQL or SQLite"),
    ],
)
def test_another_driver_or_database_is_refused(url: str, told: str) -> None:
    with pytest.raises(BadInput, match="setting 'catalog': ") as caught:
        load_settings(catalog=url)
    assert told in str(caught.value)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    "endpoint", ["127.0.0.1:9", "http://", "ftp://host", "https://host:port", "http://host:99999"]
)
def test_an_endpoint_is_a_whole_url(endpoint: str) -> None:
    with pytest.raises(BadInput, match=r"setting 's3_endpoint': .*such as http://"):
        load_settings(s3_endpoint=endpoint)


def test_what_is_left_out_of_the_store_stays_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTSHELF_S3_ENDPOINT", "")
    found = load_settings()
    assert (found.s3_endpoint, found.s3_region) == ("", "us-east-1")
    for endpoint in ("http://s3:7070", "https://store.shop.example/", "http://[::1]:9000"):
        assert load_settings(s3_endpoint=endpoint).s3_endpoint == endpoint


@pytest.mark.parametrize("region", ["", "eu west", "eu-west-1-"])
def test_a_region_is_a_name(monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    monkeypatch.setenv("NIGHTSHELF_S3_REGION", region)
    with pytest.raises(BadInput, match="setting 's3_region': "):
        load_settings()


@pytest.mark.parametrize("value", ["folder", "absent.toml", "~no-such-user/x.toml"])
def test_a_file_of_settings_that_is_named_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str
) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NIGHTSHELF_CONFIG", value)
    with pytest.raises(BadInput, match=f"NIGHTSHELF_CONFIG: {value} is not a file"):
        load_settings()


def test_no_file_of_settings_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for value in ("", "/dev/null"):
        monkeypatch.setenv("NIGHTSHELF_CONFIG", value)
        assert load_settings().top_k == 20


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("NIGHTSHELF_TOPK", "NIGHTSHELF_TOP_K"),
        ("NIGHTSHELF_PSEUDONYM_KEX", "NIGHTSHELF_PSEUDONYM_KEY"),
        ("NIGHTSHELF_APROVE", "NIGHTSHELF_APPROVE"),
        ("NIGHTSHELF_EXPERIMNT__NAME", "NIGHTSHELF_EXPERIMENT"),
    ],
)
def test_a_variable_that_nothing_reads_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, meant: str
) -> None:
    settings._warn.cache_clear()
    monkeypatch.setenv(name, "planted")
    load_settings()
    load_settings()
    (told,) = caplog.messages
    assert told.startswith(f"{name} is set, and nothing reads it: is {meant} meant?")
    assert "planted" not in told


def test_variables_that_others_read_or_set_are_not_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("CRON", "POD_IMAGE", "CATALOG_FILE", "SERVICE_HOST", "API_SERVICE_PORT_HTTP", "PORT"):
        monkeypatch.setenv(f"NIGHTSHELF_{name}", "x")
    monkeypatch.setenv("NIGHTSHELF_API_PORT_8080_TCP_ADDR", "10.0.0.1")
    monkeypatch.setenv("NIGHTSHELF_EXPERIMENT__NAME", "spring")
    monkeypatch.setenv("nightshelf_top_k", "5")
    found = load_settings()
    assert (found.experiment.name, found.top_k) == ("spring", 5)
    assert caplog.messages == []


def test_every_variable_that_the_project_reads_is_known() -> None:
    """Beside this file, which misspells some."""
    folders = ("jobs", "dags", "docker", "scripts", "benchmarks", "tests", "docs")
    files = [p for folder in folders for p in Path(settings.ROOT, folder).rglob("*") if p.is_file()]
    text = {p: p.read_text(errors="ignore") for p in files if p.suffix not in (".pyc", ".png")}
    here = Path(__file__).resolve()
    named = {n for p, t in text.items() if p != here for n in re.findall(r"NIGHTSHELF_[A-Z0-9_]*[A-Z0-9]", t)}
    assert len(named) > 50
    # Beginnings, to which the rest of a name is added.
    beginnings = {"NIGHTSHELF_NOTIFY", "NIGHTSHELF_POD", "NIGHTSHELF_S3"}
    assert {n for n in named if not settings._is_known(n)} <= beginnings
