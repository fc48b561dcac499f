"""No failpoint is forgotten: together the suites kill at every one of them."""

from __future__ import annotations

import re

import pytest

from jobs.failpoints import names
from jobs.steps import STEPS
from tests.faults import test_forget, test_kills, test_maintain
from tests.faults.points import of_step, steps_of


def whole(points: tuple[str, ...]) -> set[str]:
    """Points without what follows their names: the passage, the rest of a file's key."""
    return {re.sub(r"(/.*)?(@\d+)?$", "", point) for point in points}


def test_every_point_of_the_list_is_killed_at_by_some_suite() -> None:
    night = {point for step in STEPS for point in of_step(step.name)}
    toy = {*filter(test_kills.passed, names())}
    others = whole((*test_forget.POINTS, *test_forget.EVERY, *test_maintain.POINTS, *test_kills.WRITES))
    assert night | toy | others == {*names()}
    assert whole(test_kills.POINTS) <= toy


@pytest.mark.parametrize("step", [s.name for s in STEPS])
def test_a_step_is_killed_from_its_first_point_to_its_last(step: str) -> None:
    points = of_step(step)
    assert points[0] == f"before_step:{step}"
    assert points[-1] == f"after_step:{step}"


def test_a_point_that_nobody_has_sorted_in_is_hit_by_nobody() -> None:
    assert steps_of("after_lunch") == ()
    assert not test_kills.passed("after_lunch")
