"""Small files are joined: killed at any point and tried again, and beside a night that publishes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.conftest import BASE, DS, KILLED, Barrier, Toy, ended
from tests.faults.invariants import Before
from tests.faults.recorder import Case
from tests.faults.toy import CROWDED

MakeBarrier = Callable[[str], Barrier]
# The first publish joins files, the second expires snapshots.
SWAPS = ("before_swap", "mid_swap", "after_swap", "after_current")
POINTS = ("mid_write:warehouse@1", *(f"{point}@{number}" for number in (1, 2) for point in SWAPS))


@pytest.fixture
def crowded(toy: Toy) -> Toy:
    """A lake whose newest night has a table in many small files."""
    toy.environment[CROWDED] = "1"
    assert toy.run(run="crowded").returncode == 0
    assert len(files(toy)) > 5
    # Joining writes files of every date again: the rows are looked at instead.
    toy.before = Before(sequence=toy.before.sequence)
    return toy


def files(toy: Toy) -> list[str]:
    found = toy.lake.data_files(toy.lake.pointers()["recommendations"])
    return [f.uri for f in found if f.partition == DS]


def rows(toy: Toy) -> dict[str, list[dict[str, Any]]]:
    return {t: toy.lake.rows(m) for t, m in toy.lake.pointers().items()}


@pytest.mark.parametrize("point", POINTS)
def test_maintenance_killed_and_tried_again(point: str, crowded: Toy, case: Case) -> None:
    before = rows(crowded)
    killed = crowded.cli("maintain", fail_at=point)
    case.fault()
    case.exit(killed.returncode, KILLED, told=killed.stderr)
    case.check(crowded.view(settled=False))
    assert rows(crowded) == before
    done = crowded.cli("maintain")
    case.exit(done.returncode, 0, told=done.stderr)
    assert len(files(crowded)) == 1
    assert rows(crowded) == before
    case.check(crowded.view())


def test_what_killed_attempts_left_goes_once_it_is_old(toy: Toy, case: Case) -> None:
    """And nothing else: every kept run stays whole. (What is staged whole would stay, for a person.)"""
    for point in ("mid_write:warehouse@3", "before_stage:similar_items"):
        killed = toy.run(run="killed", fail_at=point)
        case.fault()
        case.exit(killed.returncode, KILLED, told=killed.stderr)
    done = toy.run()
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(toy.view())
    assert case.orphans > 0
    ten_days_ago = time.time() - 10 * 24 * 3600
    for file in (toy.folder / "lake").rglob("*"):
        os.utime(file, (ten_days_ago, ten_days_ago))
    with pytest.raises(AssertionError, match=r"8 no leak: nobody reaches .*, and it is old"):
        Case("a look").check(toy.view())
    before = rows(toy)
    done = toy.cli("maintain")
    case.exit(done.returncode, 0, told=done.stderr)
    case.orphans = 0
    case.check(toy.view())
    assert case.orphans == 0
    assert rows(toy) == before


@pytest.mark.parametrize("first", ["maintain", "night"])
def test_a_night_and_maintenance_at_once(first: str, crowded: Toy, barrier: MakeBarrier, case: Case) -> None:
    """Both have planned on the same tables; the later one plans, or stages, again on what is current then."""
    gate = barrier("gate")
    waits = f"before_swap={gate.action}@1"
    if first == "night":
        waiting = crowded.process(["jobs.cli", "maintain"], fail_at=waits)
    else:
        waiting = crowded.start(run="night", fail_at=waits)
    gate.await_arrival(waiting)
    case.fault()
    done = crowded.run(run="night") if first == "night" else crowded.cli("maintain")
    case.exit(done.returncode, 0, told=done.stderr)
    gate.open()
    done = ended(waiting)
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(crowded.view())
    kinds = [p["kind"] for p in crowded.lake.publishes() if p["kind"] != "maintain"]
    assert kinds[:2] == ["night", "night"]
    assert kinds[2:4] == (["night", "compact"] if first == "night" else ["compact", "night"])
    assert {r["model_version"] for r in crowded.lake.published(DS)["recommendations"]} == {"night"}
    assert {r["model_version"] for r in crowded.lake.published(BASE)["recommendations"]} == {"base"}
