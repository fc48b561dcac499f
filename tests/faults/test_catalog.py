"""The catalog dies, or its reply is lost, in the middle of a publish: it ends exactly once."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from jobs.lake.catalog import make_tables
from tests.faults.conftest import Barrier, Done, Toy, ended
from tests.faults.forks import Child
from tests.faults.invariants import Before, naming
from tests.faults.postgres import Postgres, Wire
from tests.faults.recorder import Case
from tests.faults.toy import CROWDED, SHOPPER

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
    done = lost_at_commit(toy.start(fail_at=f"mid_swap={gate.action}@18"), loss, wire, gate)
    case.fault()
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(toy.view(expected=expected))
    assert [p["run_id"] for p in toy.lake.publishes()] == ["base", "night"]


def lost_at_commit(running: Child, loss: str, wire: Wire, gate: Barrier) -> Done:
    """Lets the process go on from its gate, with the wire that loses one message of its COMMIT."""
    gate.await_arrival(running)
    wire.mode = loss
    gate.open()
    done = ended(running)
    assert wire.lost == 1
    return done


def settle(toy: Toy) -> None:
    """Wait until no publish is under way: a COMMIT that is late holds its lock."""
    with sa.create_engine(toy.lake.catalog).begin() as connection:
        connection.execute(sa.text("SELECT seq FROM nightshelf_head FOR UPDATE"))


CARE = [("maintain", "late_request"), ("forget", "lose_reply")]
CARE_TOO = [("maintain", "lose_reply"), ("maintain", "lose_request"), ("forget", "lose_request")]


@pytest.mark.parametrize(
    ("command", "loss"), [*CARE, *(pytest.param(*c, marks=pytest.mark.slow) for c in CARE_TOO)]
)
def test_commit_of_care_lost_on_the_wire(
    command: str, loss: str, on_postgres: Toy, wire: Wire, barrier: MakeBarrier, case: Case
) -> None:
    """It says that trying again helps. What a late COMMIT shows is whole; again, it ends what it began."""
    toy, gate = on_postgres, barrier("gate")
    assert toy.run(run="crowded", **{CROWDED: "1"}).returncode == 0
    toy.before = Before(sequence=toy.before.sequence)
    rows, words, told = published(toy), [command], {}
    if command == "forget":
        words += ["--user", SHOPPER]
        told = {"forgotten": {SHOPPER: naming(toy.lake, SHOPPER)}}
    running = toy.process(["jobs.cli", *words], fail_at=f"mid_swap={gate.action}@1")
    done = lost_at_commit(running, loss, wire, gate)
    case.fault()
    case.exit(done.returncode, 20, told=done.stderr)
    one_line(done.stderr)
    settle(toy)
    case.check(toy.view(settled=False, erased=False, **told))
    done = toy.cli(*words)
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(toy.view(**told))
    if command == "maintain":
        assert published(toy) == rows
    kinds = Counter(p["kind"] for p in toy.lake.publishes())
    # An erasure that is given again also publishes again: not all files of before it were removed.
    assert kinds["compact"] == (command == "maintain")
    assert bool(kinds["forget"]) is (command == "forget")


def published(toy: Toy) -> dict[str, list[dict[str, Any]]]:
    return {t: toy.lake.rows(m) for t, m in toy.lake.pointers().items()}


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


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_tables_that_another_night_makes_meanwhile(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Between each look at what is there and the CREATE that follows, another night makes one of them."""
    url = f"sqlite:///{tmp_path}/catalog.db"
    if database == "postgresql":
        server, name = request.getfixturevalue("server"), f"tables_{uuid.uuid4().hex[:12]}"
        server.create(name)
        url = server.url(name)
    ours, others = sa.create_engine(url), sa.create_engine(url)
    tables = sa.MetaData()
    missing = [sa.Table(f"t{i}", tables, sa.Column("id", sa.Integer, primary_key=True)) for i in range(3)]
    names = {t.name for t in missing}
    sa.event.listen(tables, "before_create", lambda *_, **__: missing and missing.pop().create(others))
    make_tables(tables, ours)
    assert not missing
    assert set(sa.inspect(ours).get_table_names()) == names


def test_a_catalog_that_is_not_there(toy: Toy, case: Case) -> None:
    """A port where nobody listens: worth trying again, and no password is told."""
    url = "postgresql+psycopg2://nightshelf:hunter2@127.0.0.1:1/postgres"
    done = toy.run(NIGHTSHELF_CATALOG=url)
    case.fault()
    case.exit(done.returncode, 20, told=done.stderr)
    one_line(done.stderr)
    assert "hunter2" not in done.stderr + done.stdout
    case.check(toy.view())


def test_a_user_of_postgresql_that_may_not_make_tables(server: Postgres, toy: Toy, case: Case) -> None:
    """Since PostgreSQL 15 a user may make none in a database of another's."""
    server.create("of_another")
    with contextlib.closing(server.connect()) as connection:
        connection.cursor().execute("CREATE ROLE guest LOGIN")
    done = toy.run(NIGHTSHELF_CATALOG=f"postgresql+psycopg2://guest@127.0.0.1:{server.port}/of_another")
    case.fault()
    case.exit(done.returncode, 2, told=done.stderr)
    one_line(done.stderr)
    assert "setting 'catalog': permission denied for schema public; its user makes" in done.stderr
    case.check(toy.view())


def one_line(stderr: str) -> None:
    """A known failure is told in one sentence, not as a trace of calls."""
    assert "Traceback" not in stderr, stderr[-3000:]
    told = [line for line in stderr.splitlines() if line.startswith("nightshelf: ")]
    assert len(told) == 1, stderr[-3000:]
