"""The deployment page: its code runs, and the settings it names are the settings that there are."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from jobs.causes import permission
from jobs.lake.publish import Publisher
from jobs.night import Night
from jobs.settings import ROOT, Settings, load_settings
from tests.expectations.good_rows import DS, good
from tests.jobs.small_lake import put

PAGE = (ROOT / "docs" / "deploy.md").read_text()
STORE = (ROOT / "jobs" / "lake" / "s3.py").read_text()
# Made by boto3 of calls that the store also makes by itself, and of uploads in parts.
MANAGED = {"Copy", "UploadFile", "DownloadFile"}


def publish(settings: Settings, days_ago: int, run: str) -> dict[str, str]:
    """Publish two small tables of a date; returns what `current.json` says."""
    night = Night(settings, DS - timedelta(days=days_ago), run)
    night.pin()
    for table in ("users", "products"):
        put(night, table, [good(table, ds=night.ds)], [night.ds])
        night.mark_audited(table)
    Publisher(night.catalog).publish(night.staging, night.ds.isoformat())
    tables: dict[str, str] = json.loads(night.store.read("current.json"))["tables"]
    return tables


def test_tables_are_shown_in_another_catalog_and_follow_the_next_night(tmp_path: Path) -> None:
    found = re.search(r"<!-- test: readers -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert found
    each = "t: readers.load_table(f'nightshelf.{t}').metadata_location for t in current['tables']"
    show = f"\nprint(json.dumps({{{each}}}))"
    settings = load_settings(lake=str(tmp_path / "var" / "lake"))
    environment = dict(os.environ) | {
        "PYICEBERG_CATALOG__READERS__URI": f"sqlite:///{tmp_path}/readers.db",
        "PYICEBERG_CATALOG__READERS__WAREHOUSE": str(tmp_path / "elsewhere"),
    }
    for days_ago, run in ((1, "first"), (0, "second")):
        tables = publish(settings, days_ago, run)
        done = subprocess.run(
            [sys.executable, "-c", found.group(1) + show],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == tables
        assert all(Path(m.removeprefix("file://")).exists() for m in tables.values())


def test_the_page_names_settings_that_there_are() -> None:
    """Each `NIGHTSHELF_*` of the page is read somewhere; the DAGs' own are all on the page."""
    dags = "".join(p.read_text() for p in (ROOT / "dags").glob("*.py"))
    pod = {f"NIGHTSHELF_POD_{n}" for n in re.findall(r'_setting\("([A-Z_]+)"', dags)}
    read = set(re.findall(r"NIGHTSHELF_[A-Z0-9_]+[A-Z0-9]", dags)) - {"NIGHTSHELF_POD"} | pod
    known = read | {f"NIGHTSHELF_{n.upper()}" for n in Settings.model_fields}
    named = set(re.findall(r"NIGHTSHELF_[A-Z0-9_]+[A-Z0-9]", PAGE))
    assert named <= known
    new = {n for n in read if n.startswith(("NIGHTSHELF_POD_", "NIGHTSHELF_APPROVE", "NIGHTSHELF_NOTIFY"))}
    assert new | {"NIGHTSHELF_RUN_WITH", "NIGHTSHELF_SPARK_CONNECTION"} <= named


def test_the_role_of_the_page_may_do_what_the_store_asks() -> None:
    """Every permission that a refused call would be told to lack stands in the row on access."""
    calls = re.findall(r"self\.client\.(?:get_paginator\(\")?([a-z_0-9]+)", STORE)
    names = {"".join(part.title() for part in call.split("_")) for call in calls}
    needed = {word for name in names - MANAGED for word in re.findall(r"s3:(\w+)", permission(name))}
    assert {"ListBucketMultipartUploads", "AbortMultipartUpload", "DeleteObject", "PutObject"} <= needed
    (row,) = (line for line in PAGE.splitlines() if line.startswith("| access |"))
    assert needed <= set(re.findall(r"`(?:s3:)?(\w+)`", row))
