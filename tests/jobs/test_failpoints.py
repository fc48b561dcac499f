"""Failpoints: every one has a name, a wrong one is told, and an unset variable costs nothing to speak of."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
import timeit
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import failpoints
from jobs.errors import BadInput
from jobs.failpoints import FailpointError, Trap, failpoint, names, parse, points
from jobs.settings import ROOT


def points_in_the_code() -> set[str]:
    """The first argument of every call of `failpoint` below `jobs/`."""
    found = set()
    for file in (ROOT / "jobs").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "failpoint":
                assert isinstance(node.args[0], ast.Constant), f"{file}:{node.lineno}: say the name itself"
                found.add(str(node.args[0].value))
    return found


def test_the_registry_names_every_point_of_the_code_and_no_other() -> None:
    assert points_in_the_code() == set(points())
    assert len(set(names())) == len(list(names()))


def test_what_the_variable_may_say() -> None:
    assert parse("") == {}
    assert parse("after_stage:recommendations") == {"after_stage:recommendations": Trap()}
    assert parse("mid_swap=raise@3, after_swap=sleep:0.5,before_swap=barrier:/tmp/a=b@x") == {
        "mid_swap": Trap("raise", "", 3),
        "after_swap": Trap("sleep", "0.5"),
        "before_swap": Trap("barrier", "/tmp/a=b@x"),
    }
    assert parse("before_write:runs/r/staged@2") == {"before_write:runs/r/staged": Trap(nth=2)}
    assert all(parse(name) for name in names())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "after_stage:nothing",
            "there is no point 'after_stage:nothing'; known are before_step:<pin_inputs|",
        ),
        ("mid_swap:intake", "there is no point 'mid_swap:intake'"),
        ("after_step", "there is no point 'after_step'"),
        ("mid_swap=explode", "use kill, raise, sleep:SECONDS or barrier:FILE"),
        ("mid_swap=sleep:long", "use kill, raise"),
        ("mid_swap=barrier", "use kill, raise"),
        ("mid_swap@0", "counted from @1"),
    ],
)
def test_a_bad_value_is_told(text: str, told: str) -> None:
    with pytest.raises(BadInput, match="NIGHTSHELF_FAIL_AT") as error:
        parse(text)
    assert told in str(error.value)


def test_a_bad_value_ends_the_command_with_exit_2_and_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jobs.cli", "pin_inputs", "--ds", "2026-01-10"],
        env={**os.environ, failpoints.VARIABLE: "afterswap"},
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "there is no point 'afterswap'; known are" in line
    assert "after_swap" in line


@pytest.fixture
def arm(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def set_to(text: str) -> None:
        monkeypatch.setattr(failpoints, "_fail_at", text)
        failpoints._passed.clear()

    return set_to


def test_only_the_nth_passage(arm: Callable[[str], None]) -> None:
    arm("mid_swap=raise@2")
    failpoint("mid_swap")
    failpoint("after_swap")
    with pytest.raises(FailpointError, match="raised on purpose at mid_swap"):
        failpoint("mid_swap")
    failpoint("mid_swap")


def test_a_point_of_a_table_or_folder_is_that_one_only(arm: Callable[[str], None]) -> None:
    arm("after_stage:users=raise,before_write:runs/a/notes=raise")
    failpoint("after_stage", "user_profiles")
    failpoint("before_write", "runs/a/notes-of-another/x.json")
    failpoint("mid_write", "runs/a/notes/x.json")
    with pytest.raises(FailpointError):
        failpoint("after_stage", "users")
    with pytest.raises(FailpointError):
        failpoint("before_write", "runs/a/notes/x.json")


def test_sleep_and_barrier_go_on(arm: Callable[[str], None], tmp_path: Path) -> None:
    arm("mid_swap=sleep:0.2")
    start = time.monotonic()
    failpoint("mid_swap")
    assert time.monotonic() - start >= 0.2
    gate = tmp_path / "gate"
    gate.touch()
    arm(f"mid_swap=barrier:{gate}")
    failpoint("mid_swap")
    assert (tmp_path / "gate.reached").exists()


def test_kill_is_sigkill() -> None:
    code = "from jobs.failpoints import failpoint; failpoint('mid_swap'); print('went on')"
    env = {**os.environ, failpoints.VARIABLE: "mid_swap"}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == b""


def test_an_unset_variable_costs_less_than_a_microsecond_a_passage() -> None:
    """A night passes a few thousand points: 1 µs each is nothing. Measured: about 0.1 µs."""
    assert failpoints._fail_at == ""
    best = min(timeit.repeat(lambda: failpoint("mid_swap", "x"), number=20_000, repeat=5)) / 20_000
    assert best < 1e-6
