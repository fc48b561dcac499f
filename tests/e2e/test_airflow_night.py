"""The whole night through Airflow, and what a person and a reader find afterwards."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import psutil
import pytest

from jobs.lake.registry import NIGHTLY
from jobs.night import Night
from jobs.settings import ROOT
from jobs.steps import STEPS
from tests.e2e.conftest import SECRETS, SHOP_START, AirflowNight, Shop
from tests.jobs.erasure.scan import places
from tests.nights import published

pytestmark = pytest.mark.e2e
# No experiment is on, and a small shop's week may be as usual.
MAY_BE_EMPTY = {"experiments", "trending"}


def cli(night: AirflowNight, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "jobs.cli", *args],
        env=night.environment, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_every_step_ran_and_every_table_is_published(airflow_night: AirflowNight) -> None:
    summary = airflow_night.summary
    assert {s["step"] for s in summary["steps"] if s["outcome"] == "done"} == {s.name for s in STEPS}

    assert set(summary["rows"]) == {t.name for t in NIGHTLY}
    assert {name for name, rows in summary["rows"].items() if rows == 0} <= MAY_BE_EMPTY, summary["rows"]
    current = json.loads(Path(airflow_night.settings.lake, "current.json").read_text())
    assert (current["run_id"], current["ds"]) == ("first", airflow_night.ds)
    assert set(current["tables"]) == set(summary["rows"])
    assert Path(summary["report"]).stat().st_size > 10_000


def test_no_secret_is_in_a_log_an_xcom_or_a_file(airflow_night: AirflowNight) -> None:
    """Airflow's folder holds its database, with the XComs, and the tasks' logs."""
    home, lake = Path(airflow_night.environment["AIRFLOW_HOME"]), Path(airflow_night.settings.lake)
    assert any(p.endswith(".log") for p in places(home, "recommend"))
    assert any(p.endswith(".db") for p in places(home, "return_value"))
    assert places(lake, "first")
    assert Path(lake, "pseudonyms", "key.json").exists(), "the key was planted where nothing used it"
    for secret in SECRETS:
        assert places(home, secret) == places(lake, secret) == set()
        assert secret not in airflow_night.told


def test_what_came_in_is_what_the_shop_made(airflow_night: AirflowNight, shop: Shop) -> None:
    """Conservation, against the generator's own count of what it put in."""
    night = Night(airflow_night.settings, date.fromisoformat(airflow_night.ds), "count")
    night.pin()
    rows = [r for r in night.read("intake", start=SHOP_START).to_pylist() if r["entity"] == "events"]
    assert all(r["rows_in"] == r["good"] + r["quarantined"] + r["duplicates"] for r in rows)
    total = {k: sum(r[k] for r in rows) for k in ("rows_in", "good", "quarantined", "duplicates", "late")}
    made = shop.truth["events"]
    assert total == {
        "rows_in": made["rows"],
        "good": made["clean"],
        "quarantined": made["too_late"] + sum(made["bad"].values()),
        "duplicates": made["duplicates"],
        "late": made["late"],
    }


def test_every_shopper_has_a_list_and_every_product_copy(airflow_night: AirflowNight) -> None:
    settings, ds = airflow_night.settings, airflow_night.ds
    users = set(published(settings, "users", ds)["user_id"].to_pylist())
    lists = published(settings, "recommendations", ds)
    assert set(lists["user_id"].to_pylist()) == users
    assert lists.num_rows == settings.top_k * len(users)
    products = set(published(settings, "products", ds)["product_id"].to_pylist())
    copy = published(settings, "product_descriptions", ds)
    channels = settings.channels
    wanted = [(p, lang, c) for p in products for lang in settings.languages for c in channels]
    found = [(r["product_id"], r["language"], r["channel"]) for r in copy.to_pylist()]
    assert sorted(found) == sorted(wanted)


def test_tables_as_json(airflow_night: AirflowNight) -> None:
    listed: list[dict[str, Any]] = json.loads(cli(airflow_night, "tables", "--json").stdout)
    assert {t["name"] for t in listed} == {t.name for t in NIGHTLY}
    for table in listed:
        assert set(table) == {"name", "rows", "snapshot", "location"}
        assert table["rows"] > 0 or table["name"] in MAY_BE_EMPTY
    one = json.loads(cli(airflow_night, "tables", "recommendations", "--json").stdout)
    assert {c["name"] for c in one["columns"]} >= {"user_id", "rank", "reason"}


def test_show_is_readable(airflow_night: AirflowNight) -> None:
    user = published(airflow_night.settings, "users", airflow_night.ds)["user_id"][0].as_py()
    shown = cli(airflow_night, "show", "recommendations", "--user", user)
    assert shown.returncode == 0
    assert "reason" in shown.stdout
    product = published(airflow_night.settings, "products", airflow_night.ds)["product_id"][0].as_py()
    rows = json.loads(
        cli(airflow_night, "show", "product_descriptions", "--product", product, "--json").stdout
    )
    channels = airflow_night.settings.channels
    assert [(r["language"], r["channel"]) for r in rows] == [
        (lang, c) for lang in ("en", "zh") for c in channels
    ]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["show", "recommendations", "--user", "nobody"], "has no row for user_id nobody"),
        (["show", "recomendations"], "did you mean 'recommendations'?"),
        (["show", "intake", "--user", "u"], "has no column user_id"),
        (["rollback", "--run", "nope"], "the latest are: first"),
        (["clean", "--ds", "tomorrow"], "give a date as YYYY-MM-DD"),
        (["nightly"], "give the night's date with --ds"),
        (["clean", "--ds", "2026-01-01", "--run-id", "first"], "is of 2026-01-24, not 2026-01-01"),
        (["pin_inputs", "--ds", "2026-01-01", "--retrain", "maybe"], "use auto, always or never"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_2(
    airflow_night: AirflowNight, args: list[str], says: str
) -> None:
    done = cli(airflow_night, *args)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_night_that_is_interrupted_leaves_nothing_running(
    airflow_night: AirflowNight, how: signal.Signals, tmp_path: Path
) -> None:
    """Neither Airflow, which would go on to the next step, nor the step, nor its JVM."""
    env = airflow_night.environment | {"NIGHTSHELF_LAKE": str(tmp_path / "lake")}
    # Whoever runs the tests in the background may have had Ctrl-C ignored.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "jobs.cli", "nightly"]
    command += ["--ds", airflow_night.ds, "--run-id", "cut"]
    with subprocess.Popen(command, env=env, cwd=ROOT, stderr=subprocess.PIPE, text=True) as night:
        ends = time.monotonic() + 300
        while not {"airflow", "jobs.cli", "java"} <= at_work(tmp_path) and time.monotonic() < ends:
            assert night.poll() is None
            time.sleep(0.2)
        night.send_signal(how)
        told = night.communicate(timeout=60)[1]
    assert time.monotonic() < ends
    assert night.returncode == 130
    assert "nightshelf: interrupted; 'nightshelf tables' shows" in told
    assert at_work(tmp_path) == set()
    assert not (tmp_path / "lake" / "current.json").exists()


def at_work(folder: Path) -> set[str]:
    """What runs for the lake in this folder, besides the night's own command: a Python module, or Java."""
    found, lake = set(), str(folder / "lake")
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            words = process.cmdline()
            # One that is just being made, or ends, has none.
            if words and process.environ().get("NIGHTSHELF_LAKE") == lake and words[3:4] != ["nightly"]:
                found |= {"java"} if Path(words[0]).name == "java" else {*words[2:3]} or {words[0]}
    return found
