"""Airflow itself, with a person in the loop: what it asks, tells, measures and records of a night.

The steps are a small program instead of the real ones: it is Airflow that is looked at here.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shlex
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from jobs.nightly import airflow_environment, prepare_airflow
from jobs.settings import ROOT
from jobs.steps import STEPS
from tests.e2e.components import airflow, running_airflow, wait_for
from tests.e2e.conftest import nightly

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

DS = "2026-01-31"
# Notes what it was called with, and answers as `answers.json` says for the step.
PROGRAM = """
import json, pathlib, sys
here = pathlib.Path(__file__).parent
step, words = sys.argv[1], sys.argv[1:]
with (here / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps(words) + chr(10))
answer = json.loads((here / "answers.json").read_text()).get(step, {})
if step == "report" and "--kept" in words:
    run = words[words.index("--run-id") + 1]
    note = here / "lake" / "runs" / run / "notes" / "approval.json"
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"kept": words[words.index("--kept") + 1]}))
print(json.dumps(answer))
sys.exit(answer.get("exit", 0))
"""
USUAL = {"status": "ok", "warnings": 0, "warned": [], "list_change": 0.1}
ODD = {"status": "warning", "warnings": 1, "warned": ["rows of users are few"], "list_change": 0.95}


class Steps:
    """The small program, and what it was called with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = folder / "step.py"
        self.program.write_text(PROGRAM)
        self.answer(audit=USUAL)

    def answer(self, **by_step: dict[str, Any]) -> None:
        (self.folder / "calls.jsonl").write_text("")
        (self.folder / "answers.json").write_text(json.dumps(by_step))

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "calls.jsonl").read_text().splitlines()]

    @property
    def ran(self) -> set[str]:
        return {words[0] for words in self.calls}


class Ears(ThreadingHTTPServer):
    """Keeps what is posted, by path: the webhook's and OpenLineage's JSON, OpenTelemetry's bytes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.heard: list[tuple[str, bytes]] = []

    def raw(self, path: str) -> bytes:
        return b"".join(body for where, body in [*self.heard] if where == path)

    def at(self, path: str) -> list[dict[str, Any]]:
        return [json.loads(body) for where, body in [*self.heard] if where == path]


class _Handler(BaseHTTPRequestHandler):
    server: Ears

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        packed = self.headers.get("Content-Encoding") == "gzip"
        self.server.heard.append((self.path, gzip.decompress(body) if packed else body))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        """Keep the tests' output quiet."""


@pytest.fixture
def ears() -> Iterator[Ears]:
    server = Ears()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def metrics() -> Iterator[tuple[int, list[str]]]:
    """A StatsD server's port, and the metrics that reached it."""
    got: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.2)
        done = threading.Event()

        def listen() -> None:
            while not done.is_set():
                with contextlib.suppress(TimeoutError):
                    got.extend(server.recv(65536).decode().splitlines())

        thread = threading.Thread(target=listen)
        thread.start()
        yield int(server.getsockname()[1]), got
        done.set()
        thread.join()


def told_to(metrics: tuple[int, list[str]]) -> dict[str, str]:
    """Airflow's settings for its metrics to reach that server."""
    return {
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
        "AIRFLOW__METRICS__STATSD_PORT": str(metrics[0]),
    }


def measured(metrics: tuple[int, list[str]], *wanted: str) -> None:
    """Wait until metrics of these names have come: the last of them may still be read."""
    wait_for(lambda: {*wanted} <= {m.split(":")[0] for m in [*metrics[1]]}, seconds=30)


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    return Steps(tmp_path)


@pytest.fixture
def env(tmp_path: Path, steps: Steps, ears: Ears) -> dict[str, str]:
    home = f"http://127.0.0.1:{ears.server_port}"
    return dict(os.environ) | {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "NIGHTSHELF_CONFIG": "/dev/null",
        "NIGHTSHELF_LAKE": str(tmp_path / "lake"),
        "NIGHTSHELF_COMMAND": shlex.join([sys.executable, str(steps.program)]),
        "NIGHTSHELF_APPROVE": "ask",
        "NIGHTSHELF_NOTIFY_WEBHOOK": f"{home}/webhook",
        "NIGHTSHELF_RETRY_SECONDS": "1",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    }


def test_by_hand_an_unusual_night_does_not_wait_for_a_person(
    env: dict[str, str], steps: Steps, ears: Ears
) -> None:
    """`nightshelf nightly`: nothing is published, the question is printed; and the run is told, measured (by
    OpenTelemetry) and recorded by Airflow's own means.
    """
    home = f"http://127.0.0.1:{ears.server_port}"
    env |= {
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps({"type": "http", "url": home, "endpoint": "lineage"}),
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "shop",
        "AIRFLOW__METRICS__OTEL_ON": "True",
        "OTEL_EXPORTER_OTLP_ENDPOINT": home,
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
    }
    steps.answer(audit=ODD)
    done = nightly(env, "--ds", DS, "--run-id", "odd", "--json")
    assert done.returncode == 10, done.stdout[-2000:] + done.stderr[-2000:]
    summary = json.loads(done.stdout)
    why = "1 warning of the audit; 95% of the products in shoppers' lists are new, usual are 80% at most"
    assert summary["error"].startswith(f"{why}; nobody is asked here. To publish it: nightshelf publish")
    assert steps.ran == {s.name for s in STEPS} - {"publish"}
    assert steps.calls[-1][0] == "report"
    assert steps.calls[-1][-2:] == ["--kept", f"{why}; nobody is asked here"]

    (told,) = ears.at("/webhook")
    assert (told["event"], told["task"], told["ds"]) == ("kept", "approve", DS)
    assert told["why"] == f"{why}; nobody is asked here"

    assert b"ti.finish.nightly.audit.success" in ears.raw("/v1/metrics")
    jobs = {(e["eventType"], e["job"]["name"]) for e in ears.at("/lineage")}
    assert {("START", "nightly.clean"), ("COMPLETE", "nightly.clean")} <= jobs
    assert {e["job"]["namespace"] for e in ears.at("/lineage")} == {"shop"}


# -- The whole of Airflow ---------------------------------------------------------------------------


class Api:
    """Airflow's REST API, where every caller is an admin."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.token = self._call("GET", "/auth/token", root=True)["access_token"]

    def _call(self, method: str, path: str, body: Any = None, root: bool = False) -> Any:
        headers = {"Content-Type": "application/json"}
        if not root:
            headers["Authorization"] = f"Bearer {self.token}"
        data = json.dumps(body).encode() if body is not None else None
        url = self.base + ("" if root else "/api/v2") + path
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def trigger(self, run: str, **conf: Any) -> str:
        body = {"dag_run_id": run, "logical_date": None, "conf": {"ds": DS, **conf}}

        def begun() -> bool:
            """Airflow's other parts may hold its SQLite file; a run that is there (409) was begun."""
            try:
                self._call("POST", "/dags/nightly/dagRuns", body)
            except urllib.error.HTTPError as error:
                if error.code not in (409, 500):
                    raise
                return error.code == 409
            return True

        wait_for(begun, seconds=60)
        return f"/dags/nightly/dagRuns/{run}"

    def states(self, run: str) -> dict[str, str]:
        found = self._call("GET", f"{run}/taskInstances?limit=100")["task_instances"]
        return {t["task_id"]: t["state"] for t in found}

    def state(self, run: str) -> str:
        return str(self._call("GET", run)["state"])

    def question(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = self._call("GET", f"{run}/taskInstances/approve/-1/hitlDetails")
        return found

    def clear(self, run: str, task: str) -> None:
        """This task and all that comes after it are to run again."""
        body = {
            "dry_run": False,
            "dag_run_id": run.rpartition("/")[2],
            "task_ids": [task],
            "include_downstream": True,
            "only_failed": False,
        }
        self._call("POST", "/dags/nightly/clearTaskInstances", body)

    def answer(self, run: str, option: str) -> None:
        body = {"chosen_options": [option], "params_input": {}}
        self._call("PATCH", f"{run}/taskInstances/approve/-1/hitlDetails", body)


@pytest.fixture
def api(env: dict[str, str], tmp_path: Path, metrics: tuple[int, list[str]], ears: Ears) -> Iterator[Api]:
    env |= airflow_environment() | env | told_to(metrics)
    env |= {
        "AIRFLOW__TRACES__OTEL_ON": "True",
        "OTEL_TRACES_EXPORTER": "otlp_proto_http",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{ears.server_port}",
    }
    (tmp_path / "airflow").mkdir()
    env |= {"NIGHTSHELF_APPROVE_MINUTES": "2.5", "NIGHTSHELF_DEADLINE_MINUTES": "1"}
    env |= {"AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5"}
    prepare_airflow(env, tmp_path / "prepare.log")
    with running_airflow(env, tmp_path) as base:
        airflow(env, "dags", "unpause", "-y", "nightly")
        yield Api(base)


def test_a_person_is_asked_and_told(
    api: Api, steps: Steps, ears: Ears, metrics: tuple[int, list[str]]
) -> None:
    """Through Airflow's REST API: a usual night, one approved, one that nobody answers, one that fails."""

    def ended(run: str) -> str:
        return str(wait_for(lambda: api.state(run) in ("success", "failed") and api.state(run), seconds=300))

    def asked(run: str) -> Any:
        return wait_for(lambda: api.states(run).get("approve") == "awaiting_input" and api.question(run))

    usual = api.trigger("usual")
    assert ended(usual) == "success"
    assert api.states(usual)["publish"] == "success"
    assert ears.at("/webhook") == [], "a usual night needs no person"
    measured(metrics, "airflow.dagrun.duration.success", "airflow.ti.finish.nightly.publish.success")
    assert wait_for(lambda: b"nightly" in ears.raw("/v1/traces"), seconds=30)

    steps.answer(audit=ODD)
    approved = api.trigger("approved")
    question = asked(approved)
    assert "1 warning of the audit" in question["body"]
    assert "95% of the products" in question["body"]
    assert "rows of users are few" in question["body"]
    assert "First asked 20" in question["body"]
    assert "publish" not in steps.ran
    api.answer(approved, "Approve")
    assert ended(approved) == "success"
    assert api.states(approved)["publish"] == "success"
    assert [t["event"] for t in ears.at("/webhook")] == ["approval"]

    steps.answer(audit=ODD)
    alone = api.trigger("alone")
    asked(alone)
    assert ended(alone) == "success", "kept back is no failure"
    states = api.states(alone)
    assert (states["approve"], states["publish"], states["report"]) == ("success", "skipped", "success")
    report = steps.calls[-1]
    assert report[report.index("--kept") + 1].endswith("nobody answered in time")
    told = [t for t in ears.at("/webhook") if t["run"] == "alone"]
    # A person took longer than the night may: that is told while it waits, by the triggerer.
    assert [t["event"] for t in told] == ["approval", "late", "kept"]
    assert {t["ds"] for t in told} == {DS}

    # Thought better of: the night that was kept back is published after all.
    steps.answer(audit=ODD)
    api.clear(alone, "approve")
    asked(alone)
    api.answer(alone, "Approve")
    wait_for(lambda: api.states(alone)["report"] == "success" and api.state(alone) == "success", seconds=300)
    assert api.states(alone)["publish"] == "success"
    assert "--kept" not in steps.calls[-1]

    # Another audit, other numbers. Airflow keeps its first question: people are sent the new ones.
    steps.answer(audit=ODD | {"list_change": 0.99})
    api.clear(alone, "audit")
    asked(alone)
    last = [t for t in ears.at("/webhook") if t["event"] == "approval"][-1]
    assert "99% of the products" in last["why"]
    api.answer(alone, "Reject")
    wait_for(lambda: api.states(alone)["report"] == "success" and api.state(alone) == "success", seconds=300)
    assert api.states(alone)["publish"] == "skipped"

    steps.answer(clean={"exit": 10})
    failed = api.trigger("failed")
    assert ended(failed) == "failed"
    assert [words[0] for words in steps.calls].count("clean") == 1, "a gate that failed is not tried again"
    assert wait_for(lambda: [t for t in ears.at("/webhook") if t["event"] == "failed"])[0]["run"] == "failed"
