"""The catalog dies, or its reply is lost, in the middle of a publish: it ends exactly once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.conftest import Barrier, Toy, ended
from tests.faults.postgres import Postgres, Wire
from tests.faults.recorder import Case

MakeBarrier = Callable[[str], Barrier]


@pytest.mark.parametrize("point", ["before_swap", "mid_swap", "after_swap"])
def test_postgresql_killed_in_mid_publish(
    point: str, on_postgres: Toy, server: Postgres, barrier: MakeBarrier, case: Case, expected: Any
) -> None:
    toy, gate = on_postgres, barrier("gate")
    running = toy.start(fail_at=f"{point}={gate.action}@1")
    gate.await_arrival(running)
    server.kill()
    case.fault()
    server.start()
    gate.open()
    done = ended(running)
    # It goes on by itself, or says that trying again helps: never a bug, never a wrong setting.
    case.exit(done.returncode, 0, 20, told=done.stderr)
    case.check(toy.view(settled=done.returncode == 0))
    if done.returncode:
        one_line(done.stderr)
        done = toy.run("publish")
        case.exit(done.returncode, 0, told=done.stderr)
    case.check(toy.view(expected=expected))
    assert [p["run_id"] for p in toy.lake.publishes()] == ["base", "night"]


@pytest.mark.slow
def test_postgresql_stays_away(on_postgres: Toy, server: Postgres, barrier: MakeBarrier, case: Case) -> None:
    """Exit 20 and one sentence, after some patience; then the retry publishes."""
    toy, gate = on_postgres, barrier("gate")
    running = toy.start(fail_at=f"mid_swap={gate.action}@5")
    gate.await_arrival(running)
    server.kill()
    case.fault()
    try:
        gate.open()
        done = ended(running, timeout=200)
        case.exit(done.returncode, 20, told=done.stderr)
        one_line(done.stderr)
    finally:
        server.start()
    case.check(toy.view(settled=False))
    done = toy.run("publish")
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(toy.view())
    assert [p["run_id"] for p in toy.lake.publishes()] == ["base", "night"]


@pytest.mark.parametrize("loss", ["lose_reply", "lose_request"])
def test_commit_lost_on_the_wire(
    loss: str, on_postgres: Toy, wire: Wire, barrier: MakeBarrier, case: Case, expected: Any
) -> None:
    toy, gate = on_postgres, barrier("gate")
    running = toy.start(fail_at=f"mid_swap={gate.action}@18")
    gate.await_arrival(running)
    wire.mode = loss
    gate.open()
    done = ended(running)
    assert wire.lost == 1
    case.fault()
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(toy.view(expected=expected))
    assert [p["run_id"] for p in toy.lake.publishes()] == ["base", "night"]


def test_sqlite_held_by_another_for_seconds(
    toy: Toy, barrier: MakeBarrier, case: Case, expected: Any
) -> None:
    import sqlite3

    gate = barrier("gate")
    running = toy.start(fail_at=f"before_swap={gate.action}")
    gate.await_arrival(running)
    holder = sqlite3.connect(f"{toy.folder}/lake/catalog.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    case.fault()
    gate.open()
    release = threading.Timer(3, holder.rollback)
    release.start()
    done = ended(running)
    release.join()
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(toy.view(expected=expected))


def test_a_catalog_that_is_not_there(toy: Toy, case: Case) -> None:
    """A port where nobody listens: worth trying again, and no password is told."""
    url = "postgresql+psycopg2://nightshelf:hunter2@127.0.0.1:1/postgres"
    done = toy.run(NIGHTSHELF_CATALOG=url)
    case.fault()
    case.exit(done.returncode, 20, told=done.stderr)
    one_line(done.stderr)
    assert "hunter2" not in done.stderr + done.stdout
    case.check(toy.view())


def one_line(stderr: str) -> None:
    """A known failure is told in one sentence, not as a trace of calls."""
    assert "Traceback" not in stderr, stderr[-3000:]
    told = [line for line in stderr.splitlines() if line.startswith("nightshelf: ")]
    assert len(told) == 1, stderr[-3000:]
