"""The night on 400,000 real purchases, through Airflow, from the raw file to `current.json`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs.settings import Source, load_settings
from tests.datasets import dataset
from tests.e2e.conftest import environment, nightly
from tests.nights import published

DS = "2011-11-10"


@pytest.mark.e2e
@pytest.mark.slow
def test_online_retail_night(tmp_path: Path) -> None:
    raw = dataset("online-retail")
    settings = load_settings(
        lake=str(tmp_path / "lake"),
        sources=[Source(mapping="online-retail", files=[str(raw / "*.csv.gz")])],
        spark_memory="2g",
    )
    done = nightly(environment(settings, tmp_path), "--ds", DS, "--json", timeout=1800)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    summary = json.loads(done.stdout)
    assert all(s["outcome"] == "done" for s in summary["steps"])
    users = published(settings, "users", DS).num_rows
    assert users > 4000
    assert summary["rows"]["recommendations"] == users * settings.top_k
    assert summary["rows"]["events_clean"] > 380_000
    recommender = next(m for m in summary["models"] if m["model"] == "recommender")
    assert recommender["verdict"] == "accepted", recommender["why"]
    assert json.loads(Path(settings.lake, "current.json").read_text())["ds"] == DS
