"""Who is in which arm: the same for ever, in the shares that were set, and another draw for another name."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from jobs.arms import draw, names
from jobs.errors import BadInput
from jobs.settings import Experiment, load_settings

USERS = pa.array([f"user-{n}" for n in range(20_000)])


def arms(experiment: Experiment, users: pa.Array = USERS) -> np.ndarray:
    return np.array(names(experiment))[draw(users, experiment)]


def test_the_draw_is_as_documented() -> None:
    """Whoever serves the lists may compute it so."""
    experiment = Experiment(name="spring", arms={"control": 0.3, "model": 0.7})
    for user, arm in zip(["a", "ü", "用户"], arms(experiment, pa.array(["a", "ü", "用户"])), strict=True):
        at = int.from_bytes(hashlib.sha256(f"spring:{user}".encode()).digest()[:8], "big") / 2**64
        assert arm == ("control" if at < 0.3 else "model")


def test_shares_are_kept_and_an_arm_without_a_share_is_empty() -> None:
    found = arms(Experiment(name="x", arms={"control": 0.1, "model": 0.65, "other": 0.25, "zero": 0.0}))
    share = {arm: float((found == arm).mean()) for arm in ("control", "model", "other", "zero")}
    assert share == pytest.approx({"control": 0.1, "model": 0.65, "other": 0.25, "zero": 0}, abs=0.01)


def test_the_same_in_another_process_with_other_neighbours_and_another_order_of_arms() -> None:
    code = (
        "import pyarrow as pa; from jobs.arms import draw, names; from jobs.settings import Experiment;"
        "x = Experiment(name='x', arms={'model': 0.5, 'control': 0.5});"
        "print([names(x)[i] for i in draw(pa.array([f'user-{n}' for n in range(50)]), x)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = arms(Experiment(name="x", arms={"control": 0.5, "model": 0.5}))[:50].tolist()
    assert done.stdout.strip() == str(here)
    assert 10 < here.count("control") < 40


def test_two_experiments_draw_independently() -> None:
    half = {"control": 0.5, "model": 0.5}
    one, two = (draw(USERS, Experiment(name=n, arms=half)) for n in ("one", "two"))
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.03


def test_without_an_experiment_everybody_gets_the_model() -> None:
    assert set(arms(Experiment())) == {"model"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": "x", "arms": {"control": 0.5, "model": 0.4}}, "add up to 0.9"),
        ({"name": "x", "arms": {"a": 0.5, "b": 0.5}}, "must be named 'control'"),
        ({"name": "x", "arms": {"control": 1.5, "model": -0.5}}, "not between 0 and 1"),
        ({"name": "x", "arms": {"Control Arm": 1.0}}, "use small letters"),
        ({"nam": "x"}, "nam"),
    ],
)
def test_a_wrong_setting_is_one_sentence(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        load_settings(experiment=wrong)
