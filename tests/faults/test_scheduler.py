"""Airflow's scheduler killed in the middle of a night, in the whole deployment: the night ends, once."""

from __future__ import annotations

import signal

import pytest

from jobs.night import safe_run_id
from jobs.steps import STEPS
from scripts.services import process
from tests.faults.invariants import View
from tests.faults.recorder import Case
from tests.stack import services

pytestmark = [pytest.mark.slow, pytest.mark.s3, pytest.mark.timeout(3000)]


def test_the_scheduler_killed_in_mid_run(case: Case) -> None:
    """Its tasks go on without it, and the next scheduler may start them again beside themselves."""
    with services() as running:
        running.api.unpause("nightly")
        run = running.api.wait_for_task("nightly", "features", "running")
        scheduler = next(p for p in running.stack.state.living() if p.name == "airflow-scheduler")
        process.stop([(scheduler.identity, signal.SIGKILL)])
        case.fault()
        case.check(View(running.lake, settled=False, ds=running.ds))
        assert running.stack.health()["airflow-scheduler"] == "stopped"
        assert "services: starting airflow-scheduler" in running.up()
        running.api.wait("nightly", run=run)
        tasks = running.api.tasks("nightly", run)
        assert {name: t["state"] for name, t in tasks.items()} == {s.name: "success" for s in STEPS}
        case.check(View(running.lake, ds=running.ds))
        assert [p["run_id"] for p in running.lake.publishes()] == [safe_run_id(run)]
        current = running.lake.current()
        assert current
        assert current["run_id"] == safe_run_id(run)
