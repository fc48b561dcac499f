"""The whole deployment, driven as operators do: everything through Airflow's REST API, the lake on S3.

The tests stand in the order of a week: the first night, a run by hand, a task again, old dates.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import create_engine, inspect

from jobs.lake.registry import NIGHTLY
from jobs.night import safe_run_id
from jobs.steps import STEPS
from scripts.services import airflow, postgres
from tests.e2e.browser import NARROW, WIDE, chromium, log_in, pictures
from tests.faults.invariants import View, broken_now, naming, remember
from tests.stack import Services, services

SPARK = {"ingest", "clean", "check_inputs", "features", "ab_report", "audit"}

pytestmark = [pytest.mark.e2e, pytest.mark.s3, pytest.mark.slow, pytest.mark.timeout(5400)]


@pytest.fixture(scope="module")
def running() -> Iterator[Services]:
    with services() as found:
        yield found


@pytest.fixture(scope="module")
def scheduled(running: Services) -> dict[str, Any]:
    """The run that was due when the DAG was let go."""
    running.api.unpause("consumer")
    running.api.unpause("nightly")
    return running.api.wait("nightly", run_type="scheduled")[0]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def published_by(running: Services, run_id: str, ds: str) -> None:
    """`current.json` and every table on the store are of this run."""
    current = running.lake.current()
    assert current
    assert (current["run_id"], current["ds"]) == (safe_run_id(run_id), ds)
    assert set(current["tables"]) == {t.name for t in NIGHTLY}
    assert all(m.startswith("s3://") for m in current["tables"].values())
    assert running.lake.rows(current["tables"]["recommendations"], ds)
    assert [p["run_id"] for p in running.lake.publishes()][-1] == safe_run_id(run_id)
    broken = broken_now(View(running.lake))
    assert not any(broken.values()), broken


def versions(running: Services) -> set[tuple[str, str]]:
    """Every model that was trained."""
    return {(m["model"], m["version"]) for m in running.lake.rows(running.lake.pointers()["models"])}


def test_the_scheduled_night(running: Services, scheduled: dict[str, Any]) -> None:
    tasks = running.api.tasks("nightly", scheduled["dag_run_id"])
    assert {name: t["state"] for name, t in tasks.items()} == {s.name: "success" for s in STEPS}
    # Where there is a cluster, steps are submitted to it.
    assert {name for name, t in tasks.items() if t["operator"] == "SparkStepOperator"} == SPARK
    published_by(running, scheduled["dag_run_id"], running.ds)


def test_who_waits_for_a_table_runs_after_publish(running: Services, scheduled: dict[str, Any]) -> None:
    """Assets: events come from `publish` alone, and start the DAG that is scheduled by them."""
    (run,) = running.api.wait("consumer", seconds=180)
    events = running.api.call("GET", "assets/events", source_run_id=scheduled["dag_run_id"], limit=100)
    assert {e["source_task_id"] for e in events["asset_events"]} == {"publish"}
    assert {e["name"] for e in events["asset_events"]} == {f"nightshelf.{t.name}" for t in NIGHTLY}
    publish = running.api.tasks("nightly", scheduled["dag_run_id"])["publish"]
    assert at(run["start_date"]) >= at(publish["end_date"])
    told = running.api.xcom("consumer", run["dag_run_id"], "read")
    assert told == [f"nightly {scheduled['dag_run_id']} publish"]


def test_what_people_see(running: Services, scheduled: dict[str, Any], tmp_path: Path) -> None:
    """Airflow's graph of the green night, and its report, wide and narrow."""
    url, run = airflow.url(running.stack.ports["airflow"]), scheduled["dag_run_id"]
    shown = tmp_path / "report.html"
    shown.write_bytes(running.lake.fetch(running.api.xcom("nightly", run, "report")["report"]))
    folder = pictures(tmp_path)
    with chromium() as browser:
        page = browser.new_page(viewport=WIDE)
        page.set_default_timeout(120_000)
        log_in(page, url, airflow.USER, running.stack.secrets().airflow)
        page.goto(f"{url}/dags/nightly/runs/{quote(run)}")
        page.get_by_title("Show Graph").click()
        nodes = page.locator(".react-flow__node")
        nodes.get_by_text("report", exact=True).wait_for()
        page.screenshot(path=folder / "airflow-graph.png")
        shown_states = {
            s.name: page.locator(f'.react-flow__node[data-id="{s.name}"]').inner_text().split() for s in STEPS
        }
        assert all({name, "success"} <= set(words) for name, words in shown_states.items()), shown_states
        for name, size in (("wide", WIDE), ("narrow", NARROW)):
            page = browser.new_page(viewport=size)
            wrong: list[str] = []
            page.on("console", lambda said, wrong=wrong: wrong.append(said.text))
            page.on("requestfailed", lambda asked, wrong=wrong: wrong.append(asked.url))
            page.goto(shown.as_uri())
            page.screenshot(path=folder / f"report-{name}.png", full_page=True)
            assert page.get_by_text("Published").first.is_visible()
            over = "document.documentElement.scrollWidth - window.innerWidth"
            assert page.evaluate(over) <= 0, f"the {name} page scrolls sideways"
            assert wrong == []


def test_a_run_by_hand_with_params(running: Services, scheduled: dict[str, Any]) -> None:
    before = versions(running)
    run = running.api.trigger("nightly", ds=running.ds, max_users=20, retrain="never", run_id="by-hand")
    running.api.wait("nightly", run=run)
    published_by(running, "by-hand", running.ds)
    current = running.lake.current()
    assert current
    lists = running.lake.rows(current["tables"]["recommendations"], running.ds)
    assert len({r["user_id"] for r in lists}) == 20
    assert versions(running) == before


def test_one_task_again(running: Services, scheduled: dict[str, Any]) -> None:
    """Cleared with what comes after it, a task runs again, and the date has the same rows."""
    (run,) = [r for r in running.api.runs("nightly", run_type="manual") if r["conf"]["run_id"] == "by-hand"]
    name, before = run["dag_run_id"], running.lake.published(running.ds)
    again = {"describe", "review_queue", "audit", "publish", "report"}
    body = {
        "dry_run": False,
        "dag_run_id": name,
        "task_ids": ["describe"],
        "include_downstream": True,
        "only_failed": False,
    }
    cleared = running.api.call("POST", "dags/nightly/clearTaskInstances", body)
    assert {t["task_id"] for t in cleared["task_instances"]} == again
    running.api.wait("nightly", run=name)
    tries = {task: t["try_number"] for task, t in running.api.tasks("nightly", name).items()}
    assert tries == {s.name: 2 if s.name in again else 1 for s in STEPS}
    published_by(running, "by-hand", running.ds)
    assert running.lake.published(running.ds) == before
    assert [p["run_id"] for p in running.lake.publishes()].count("by-hand") == 2


def test_backfill_of_five_dates(running: Services, scheduled: dict[str, Any]) -> None:
    dates = [running.day(n) for n in (5, 4, 3, 2, 1)]
    before = remember(running.lake)
    body = {
        "dag_id": "nightly",
        "from_date": f"{dates[0]}T00:00:00Z",
        "to_date": f"{dates[-1]}T23:59:00Z",
        "max_active_runs": 1,
    }
    running.api.call("POST", "backfills", body)
    runs = running.api.wait("nightly", len(dates), 4500, run_type="backfill")
    assert sorted(r["logical_date"][:10] for r in runs) == dates
    newest = max(runs, key=lambda r: r["end_date"])
    published_by(running, newest["dag_run_id"], newest["logical_date"][:10])
    current = running.lake.current()
    assert current
    for table in ("recommendations", "product_descriptions", "user_features"):
        days = {f.partition for f in running.lake.data_files(current["tables"][table])}
        assert days == {*dates, running.ds}, table
    # Rows of later days came with the same import, and are not known yet.
    for table, ds in itertools.product(("users", "products"), dates):
        assert max(str(r["first_seen"]) for r in running.lake.rows(current["tables"][table], ds)) <= ds
    # The newest date's rows lie where they lay.
    after = remember(running.lake)
    assert {t: d.get(running.ds) for t, d in before.files.items() if t not in ("models", "runs")} == {
        t: d.get(running.ds) for t, d in after.files.items() if t not in ("models", "runs")
    }


def test_a_shopper_is_forgotten_and_no_night_brings_them_back(
    running: Services, scheduled: dict[str, Any]
) -> None:
    """Of everything that the nights before wrote; Airflow's audit log is told no id."""
    current = running.lake.current()
    assert current
    lists = running.lake.rows(current["tables"]["recommendations"], running.ds)
    gone = min(r["user_id"] for r in lists)
    named = naming(running.lake, gone)
    assert named >= {"events_clean", "user_features", "user_profiles", "recommendations"}
    kept = {t: [r for r in running.lake.rows(m) if gone not in str(r)] for t, m in current["tables"].items()}
    running.api.unpause("forget_user")
    run = running.api.trigger("forget_user", user_id=gone)
    running.api.wait("forget_user", run=run)

    def nothing_of_them() -> None:
        broken = broken_now(View(running.lake, forgotten={gone: named}))
        assert not any(broken.values()), broken

    nothing_of_them()
    pointers = running.lake.pointers()
    assert {t: running.lake.rows(pointers[t]) for t in kept if t != "intake"} == {
        t: rows for t, rows in kept.items() if t != "intake"
    }
    audit = running.api.call("GET", "eventLogs", dag_id="forget_user", limit=100)["event_logs"]
    assert any("***" in str(e["extra"]) for e in audit)
    assert gone not in json.dumps(audit)
    logs = [p for p in running.stack.folder.rglob("*.log") if "dag_id=forget_user" in str(p)]
    assert logs
    logs += running.stack.folder.glob("spark/worker-*/app-*/*/std*")
    assert [p for p in logs if gone.encode() in p.read_bytes()] == []

    again = running.api.trigger("nightly", ds=running.ds, retrain="auto", run_id="after-erasure")
    running.api.wait("nightly", run=again)
    assert [p["run_id"] for p in running.lake.publishes()][-1] == "after-erasure"
    nothing_of_them()


def in_database(running: Services, wanted: list[str]) -> set[str]:
    """Tables of Airflow's that hold one of these words: rendered fields, XComs, runs' confs, audit log."""
    engine = create_engine(postgres.url(running.stack.ports["postgres"], airflow.DATABASE))
    with contextlib.closing(engine.raw_connection()) as connection, connection.cursor() as cursor:
        tables = inspect(engine).get_table_names()
        assert {"xcom", "rendered_task_instance_fields", "dag_run", "log"} <= {*tables}
        found = set()
        for table in tables:
            cursor.execute(
                f'SELECT count(*) FROM "{table}" r, unnest(%s) w WHERE strpos(r::text, w) > 0', (wanted,)
            )
            found |= {table} if cursor.fetchone()[0] else set()
    engine.dispose()
    return found


def test_no_secret_in_logs_or_in_the_lake(running: Services, scheduled: dict[str, Any]) -> None:
    """Of all these nights: logs of services, of tasks and of Spark's executors, reports, run records, and all
    that Airflow's database keeps.
    """
    secrets = [s.encode() for s in running.stack.secrets().all()]
    executors = [*running.stack.folder.glob("spark/worker-*/app-*/*/std*")]
    assert executors
    logs = [p for p in running.stack.folder.rglob("*.log") if p.is_file()] + executors
    nights = {p["run_id"] for p in running.lake.publishes() if p["kind"] == "night"}
    assert nights
    assert sum("task_id=publish" in str(p) for p in logs) >= len(nights)
    assert [str(p) for p in logs if any(s in p.read_bytes() for s in secrets)] == []
    kept = running.lake.listing("runs")
    assert any(uri.endswith("report.html") for uri in kept)
    assert [uri for uri in kept if any(s in running.lake.fetch(uri) for s in secrets)] == []
    run = scheduled["dag_run_id"]
    assert "dag_run" in in_database(running, [run]), "else nothing would ever be found"
    assert in_database(running, [s.decode() for s in secrets]) == set()
