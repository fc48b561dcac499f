"""A shopper is forgotten: killed at any point and tried again, against nights, maintenance and rollbacks."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from jobs.failpoints import points
from jobs.lake.store import LocalStore
from tests.faults.conftest import BASE, DS, KILLED, Barrier, Done, Toy, ended
from tests.faults.forks import Child
from tests.faults.invariants import Before, naming, remember
from tests.faults.recorder import Case
from tests.faults.toy import SECOND, SHOPPER, land, without
from tests.jobs.erasure.scan import places

MakeBarrier = Callable[[str], Barrier]
COMMAND = ("forget", "--user", SHOPPER)
# One of each code path; the slow test kills at every passage of every point.
POINTS = (
    "before_write:forgotten",
    "after_forget:look",
    "mid_write:warehouse@9",
    "mid_swap@3",
    "after_swap",
    "after_forget:publish",
    "after_forget:removal",
    "mid_write:landing",
)
EVERY = (
    *(f"after_forget:{part}" for part in points()["after_forget"]),
    *("before_swap", "mid_swap", "after_swap", "after_current", "mid_write:current.json"),
    *(f"mid_write:{folder}" for folder in ("forgotten", "warehouse", "landing", "runs")),
)


@dataclass
class Lake:
    """A lake with one published night whose shopper stands everywhere: tables, landing, notes, a shard."""

    toy: Toy
    named: frozenset[str]
    rows: dict[str, list[dict[str, Any]]]

    def forget(self, fail_at: str = "") -> Done:
        return self.toy.cli(*COMMAND, fail_at=fail_at)

    def start(self, *command: str, fail_at: str = "") -> Child:
        return self.toy.process(["jobs.cli", *command], fail_at=fail_at)

    def view(self, **options: Any) -> Any:
        return self.toy.view(**{"forgotten": {SHOPPER: self.named}} | options)

    def now(self) -> dict[str, list[dict[str, Any]]]:
        """The rows of every table but the counts and the proofs, which an erasure changes."""
        tables = self.toy.lake.pointers()
        return {t: self.toy.lake.rows(m) for t, m in tables.items() if t not in ("intake", "erasures")}


@pytest.fixture
def lake(toy: Toy) -> Lake:
    store = LocalStore(toy.folder / "lake")
    land(store, [date(2026, 1, day) for day in (7, 8, 9, 10)])
    store.write("runs/base/notes/samples.json", json.dumps({"who": [SHOPPER]}).encode())
    store.write_parquet("work/killed/recommendations/0.parquet", pa.table({"user_id": [SHOPPER]}))
    # An erasure writes files of every date again: what changes is the rows of one shopper, looked at by name.
    toy.before = Before(sequence=toy.before.sequence)
    found = Lake(toy, naming(toy.lake, SHOPPER), {})
    assert found.named >= {"events_clean", "users", "quarantine", "recommendations", "audiences"}
    found.rows = found.now()
    return found


def settled(lake: Lake, done: Done, case: Case) -> None:
    """The erasure has ended: nobody else has lost a row."""
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(lake.view())
    assert lake.now() == without(lake.rows)
    assert SHOPPER not in done.stdout + done.stderr


@pytest.mark.parametrize("point", POINTS)
def test_an_erasure_killed_and_tried_again(point: str, lake: Lake, case: Case) -> None:
    killed = lake.forget(fail_at=point)
    case.fault()
    case.exit(killed.returncode, KILLED, told=killed.stderr)
    case.check(lake.view(settled=False, erased=False))
    settled(lake, lake.forget(), case)


def test_what_a_night_left_that_died_while_it_wrote_goes_too(lake: Lake, case: Case) -> None:
    """Of a hidden file no listing tells, and no table."""
    left: set[str] = set()
    for number in range(1, 60):
        killed = lake.toy.run(run=f"killed-{number}", fail_at=f"mid_write:warehouse@{number}")
        case.exit(killed.returncode, KILLED, told=killed.stderr)
        left = {p for p in places(lake.toy.folder / "lake", SHOPPER) if p.endswith(".part")}
        if left:
            break
    assert left
    case.fault()
    settled(lake, lake.forget(), case)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("point", EVERY)
def test_an_erasure_killed_at_every_passage(point: str, lake: Lake, case: Case) -> None:
    """At the first passage, at the second, and so on, each time from the beginning, until it gets through."""
    folder = lake.toy.folder
    store, copy = LocalStore(folder / "lake"), LocalStore(folder / "copy")
    _mirror(store, copy)
    number = 0
    while True:
        number += 1
        _mirror(copy, store)
        killed = lake.forget(fail_at=f"{point}@{number}")
        if killed.returncode == 0:
            break
        case.fault()
        case.exit(killed.returncode, KILLED, told=killed.stderr)
        case.check(lake.view(settled=False, erased=False))
        settled(lake, lake.forget(), case)
    settled(lake, killed, case)
    assert number > 1


def _mirror(source: LocalStore, target: LocalStore) -> None:
    shutil.rmtree(target.root, ignore_errors=True)
    shutil.copytree(source.root, target.root)


def test_later_nights_reruns_and_backfills_bring_nothing_back(
    lake: Lake, case: Case, expected: dict[str, list[dict[str, Any]]]
) -> None:
    settled(lake, lake.forget(), case)
    for ds, run in ((DS, "later"), (BASE, "rerun"), ("2026-01-08", "backfill"), (DS, "night")):
        lake.toy.before = remember(lake.toy.lake)
        done = lake.toy.run(ds=ds, run=run)
        case.exit(done.returncode, 0, told=done.stderr)
        touched = frozenset({"2026-01-06", "2026-01-07", "2026-01-08", BASE, DS})
        case.check(lake.view(ds=ds, touched=touched))
    # The night is the undisturbed one, but for the shopper.
    found = lake.toy.lake.published(DS)
    assert {t: r for t, r in found.items() if t not in ("intake", "erasures")} == without(
        {t: r for t, r in expected.items() if t != "intake"}
    )
    (counted,) = found["intake"]
    assert (counted["rows_in"], counted["good"], counted["quarantined"], counted["forgotten"]) == (
        15,
        9,
        2,
        2,
    )


def outdated(done: Done, case: Case) -> None:
    """Exit 10 with the one line that says what to do."""
    case.exit(done.returncode, 10, told=done.stderr)
    (line,) = (x for x in done.stderr.splitlines() if x.startswith("nightshelf:"))
    assert "a shopper was forgotten after run 'night' was pinned" in line
    assert f"run {DS} again, from its first step" in line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("point", ["before_stage:events_clean", "after_step:clean", "before_swap"])
def test_a_night_at_work_is_outdated_and_leaves_nothing(
    point: str, lake: Lake, barrier: MakeBarrier, case: Case
) -> None:
    """It has read the shopper, staged them, or is about to publish: exit 10; its date is run again."""
    gate = barrier("gate")
    running = lake.toy.start(fail_at=f"{point}={gate.action}@1")
    gate.await_arrival(running)
    case.fault()
    done = lake.forget()
    case.exit(done.returncode, 0, told=done.stderr)
    gate.open()
    outdated(ended(running), case)
    case.check(lake.view())
    again = lake.toy.run(run="again")
    case.exit(again.returncode, 0, told=again.stderr)
    case.check(lake.view())
    assert [p["run_id"] for p in lake.toy.lake.publishes() if p["kind"] == "night"] == ["base", "again"]


def test_a_step_whose_files_an_erasure_removed_is_outdated(lake: Lake, case: Case) -> None:
    """Pinned before, started after: not a bug (exit 1) that would be tried again, but exit 10."""
    assert lake.toy.run("clean").returncode == 0
    case.fault()
    case.exit(lake.forget().returncode, 0)
    outdated(lake.toy.run("audit"), case)
    outdated(lake.toy.run("publish"), case)
    case.check(lake.view())


def test_a_night_that_stages_while_an_erasure_is_at_work_leaves_nothing(
    lake: Lake, barrier: MakeBarrier, case: Case
) -> None:
    """The erasure has looked at all files before; what the staged ones build on it takes away."""
    gate = barrier("gate")
    forgetting = lake.start(*COMMAND, fail_at=f"before_swap={gate.action}@1")
    gate.await_arrival(forgetting)
    case.fault()
    assert lake.toy.run("clean").returncode == 0
    gate.open()
    done = ended(forgetting)
    case.exit(done.returncode, 0, told=done.stderr)
    outdated(lake.toy.run("audit"), case)
    case.check(lake.view())


@pytest.mark.parametrize("point", ["after_forget:look", "before_swap"])
def test_a_night_that_is_published_in_between_is_cleaned_too(
    point: str, lake: Lake, barrier: MakeBarrier, case: Case
) -> None:
    gate = barrier("gate")
    forgetting = lake.start(*COMMAND, fail_at=f"{point}={gate.action}@1")
    gate.await_arrival(forgetting)
    case.fault()
    night = lake.toy.run()
    case.exit(night.returncode, 0, told=night.stderr)
    gate.open()
    done = ended(forgetting)
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(lake.view())
    assert [p["kind"] for p in lake.toy.lake.publishes()] == ["night", "night", "forget"]


def test_an_erasure_waits_for_a_night_in_its_transaction(
    lake: Lake, barrier: MakeBarrier, case: Case
) -> None:
    gate = barrier("gate")
    running = lake.toy.start(fail_at=f"mid_swap={gate.action}@2")
    gate.await_arrival(running)
    case.fault()
    forgetting = lake.start(*COMMAND)
    time.sleep(2)
    assert forgetting.poll() is None
    gate.open()
    case.exit(ended(running).returncode, 0)
    done = ended(forgetting)
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(lake.view())


@pytest.mark.parametrize("first", ["forget", "maintain"])
def test_an_erasure_against_maintenance(first: str, lake: Lake, barrier: MakeBarrier, case: Case) -> None:
    """The one that had planned before the other published plans again; neither brings a file back."""
    for run in ("night", "second"):
        assert lake.toy.run(run=run).returncode == 0
    keep = {"NIGHTSHELF_KEEP_RUNS": "1"}
    gate = barrier("gate")
    commands = {"forget": list(COMMAND), "maintain": ["maintain"]}
    waiting = lake.toy.process(
        ["jobs.cli", *commands.pop(first)], fail_at=f"before_swap={gate.action}@1", **keep
    )
    gate.await_arrival(waiting)
    case.fault()
    (other,) = commands.values()
    case.exit(ended(lake.toy.process(["jobs.cli", *other], **keep)).returncode, 0)
    gate.open()
    done = ended(waiting)
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(lake.view())
    kinds = Counter(p["kind"] for p in lake.toy.lake.publishes())
    assert kinds["forget"] == 1


@pytest.mark.parametrize(
    "point", ["after_forget:look", "before_swap", "after_forget:publish", "mid_write:landing"]
)
def test_two_erasures_at_once(point: str, lake: Lake, barrier: MakeBarrier, case: Case) -> None:
    """One waits, the other comes to its end meanwhile; of neither shopper a byte is left."""
    other = naming(lake.toy.lake, SECOND)
    gate = barrier("gate")
    waiting = lake.start(*COMMAND, fail_at=f"{point}={gate.action}@1")
    gate.await_arrival(waiting)
    case.fault()
    done = ended(lake.start("forget", "--user", SECOND))
    case.exit(done.returncode, 0, told=done.stderr)
    gate.open()
    done = ended(waiting)
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(lake.view(forgotten={SHOPPER: lake.named, SECOND: other}))
    left = without(lake.rows)
    assert lake.now() == {t: [r for r in found if SECOND not in str(r)] for t, found in left.items()}


@pytest.mark.parametrize("point", ["before_swap", "after_forget:publish"])
def test_an_erasure_against_a_rollback(point: str, lake: Lake, barrier: MakeBarrier, case: Case) -> None:
    """Before the erasure's publish a rollback is cleaned as well; after it, it is refused."""
    assert lake.toy.run().returncode == 0
    gate = barrier("gate")
    forgetting = lake.start(*COMMAND, fail_at=f"{point}={gate.action}@1")
    gate.await_arrival(forgetting)
    case.fault()
    back = lake.toy.cli("rollback", "--run", "base")
    case.exit(back.returncode, 0 if point == "before_swap" else 2, told=back.stderr)
    gate.open()
    done = ended(forgetting)
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(lake.view())
    assert lake.toy.lake.current()["run_id"] == ("base" if point == "before_swap" else "night")
