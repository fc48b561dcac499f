"""`kill -9` at every named point: readers see whole nights only, and a retry ends as if nothing had been."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.failpoints import names
from tests.faults.conftest import KILLED, Toy, resume_from
from tests.faults.recorder import Case

# One of each code path; the slow test goes through all names.
POINTS = (
    "before_step:clean",
    "before_stage:intake",
    "before_record:similar_items",
    "after_stage:recommendations",
    "after_step:clean",
    "after_audit_mark:products",
    "before_write:runs/night/staged@5",
    "mid_write:warehouse@4",
    "before_record:runs",
    "before_swap",
    "mid_swap@1",
    "mid_swap@9",
    "after_swap",
    "mid_write:current.json",
    "after_current",
    "after_step:publish",
)
# Points that the toy night passes: the others are of steps that it does not run.
_STEPS = ("clean", "audit", "publish")
_NOT_PASSED = ("before_shard", "after_shard", "before_card", "after_card", "after_forget")


def passed(name: str) -> bool:
    point, _, argument = name.partition(":")
    if point in ("before_step", "after_step"):
        return argument in _STEPS
    if point == "after_audit_mark":
        return argument != ""
    if point in ("before_write", "mid_write"):
        return argument in ("current.json", "runs", "warehouse")
    return point not in _NOT_PASSED


@pytest.mark.parametrize("point", POINTS)
def test_kill_then_retry(point: str, toy: Toy, case: Case, expected: Any) -> None:
    killed = toy.run(fail_at=point)
    case.fault()
    case.exit(killed.returncode, KILLED, told=killed.stderr)
    case.check(toy.view(settled=False))
    retried = toy.run(resume_from(killed))
    case.exit(retried.returncode, 0, told=retried.stderr)
    case.check(toy.view(expected=expected))
    assert published_by(toy, "night") == 1


def published_by(toy: Toy, run: str) -> int:
    """How often a run was published: once, however often it was tried."""
    return sum(p["run_id"] == run for p in toy.lake.publishes())


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_night_killed_at_every_point_in_turn(toy: Toy, case: Case, expected: Any) -> None:
    """Each attempt dies one point further; the last one ends the night."""
    phases = "clean,audit,publish"
    for name in sorted(filter(passed, names()), key=order):
        done = toy.run(phases, fail_at=name)
        case.fault()
        case.exit(done.returncode, KILLED, told=f"{name}: {done.stderr}")
        case.check(toy.view(settled=False))
        phases = resume_from(done)
    done = toy.run(phases)
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(toy.view(expected=expected))
    assert published_by(toy, "night") == 1


def order(name: str) -> int:
    """The phases' order: a point of a later phase is not passed before the earlier ones are done."""
    point, _, argument = name.partition(":")
    late = argument in ("publish", "models", "runs", "current.json") or point in (
        "before_swap",
        "mid_swap",
        "after_swap",
        "after_current",
    )
    if point == "after_audit_mark" and argument not in ("models", "runs"):
        return 2
    if argument == "audit":
        return 3 if point.startswith("after") else 1
    if late:
        return 4 + [
            "before_step",
            "before_stage",
            "before_record",
            "after_stage",
            "after_audit_mark",
            "before_swap",
            "mid_swap",
            "after_swap",
            "before_write",
            "mid_write",
            "after_current",
            "after_step",
        ].index(point)
    return 0
