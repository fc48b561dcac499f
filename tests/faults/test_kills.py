"""`kill -9` at every named point: readers see whole nights only, and a retry ends as if nothing had been."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from jobs.failpoints import names
from tests.faults.conftest import BASE, KILLED, PHASES, Toy, resume_from
from tests.faults.points import PUBLISH, order, steps_of
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
# What the toy night leaves out: steps of their own, shards, models, and what no night writes.
_FOLDERS = ("current.json", "runs", "warehouse")
_STAGING = ("before_stage", "before_record", "after_stage")
_NOT_PASSED = ("before_shard", "after_shard", "before_card", "after_card")


def passed(name: str) -> bool:
    """Whether a toy night passes a point."""
    point, _, argument = name.partition(":")
    if point in ("before_step", "after_step"):
        return argument in PHASES
    if point in ("before_write", "mid_write"):
        return argument in _FOLDERS
    return bool(steps_of(name)) and point not in _NOT_PASSED


def in_turn(name: str) -> tuple[int, tuple[int, int, int]]:
    """A point of a later phase is not passed before the earlier phases are done."""
    (step,) = steps_of(name)
    # The toy's first phase stages the tables of every step but `publish`.
    own = step == PUBLISH or (step in PHASES and name.partition(":")[0] not in _STAGING)
    return PHASES.index(step) if own else 0, order(name)


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
    phases = ",".join(PHASES)
    for name in sorted(filter(passed, names()), key=in_turn):
        done = toy.run(phases, fail_at=name)
        case.fault()
        case.exit(done.returncode, KILLED, told=f"{name}: {done.stderr}")
        case.check(toy.view(settled=False))
        phases = resume_from(done)
    done = toy.run(phases)
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(toy.view(expected=expected))
    assert published_by(toy, "night") == 1


WRITES = ("before_write:reviews", "mid_write:reviews")


@pytest.mark.parametrize("point", WRITES)
def test_a_review_killed_and_tried_again(point: str, toy: Toy, tmp_path: Path, case: Case) -> None:
    """A sheet of verdicts is kept once, whole, and no reader of the tables notices."""
    sheet = tmp_path / "sheet.csv"
    assert toy.cli("review", "export", "--out", str(sheet)).returncode == 0
    with sheet.open(newline="") as file:
        rows = list(csv.DictReader(file))
    # The toy's queue holds other texts than its copy.
    texts = {r["product_id"]: r["text"] for r in toy.lake.published(BASE)["product_descriptions"]}
    with sheet.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(r | {"text": texts[r["product_id"]], "verdict": "reject"} for r in rows)
    killed = toy.cli("review", "import", str(sheet), fail_at=point)
    case.fault()
    case.exit(killed.returncode, KILLED, told=killed.stderr)
    case.check(toy.view())
    for _ in range(2):
        done = toy.cli("review", "import", str(sheet))
        case.exit(done.returncode, 0, told=done.stderr)
    (kept,) = (uri for uri in toy.lake.listing("reviews") if not uri.endswith(".part"))
    assert len(json.loads(toy.lake.fetch(kept))["decisions"]) == len(rows)
    case.check(toy.view())
