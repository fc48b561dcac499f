"""The benchmark's protocols on files small enough to know every number by heart."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import protocols
from benchmarks.contenders import most_epochs, search
from models.recommender.base import Floats, History

ROOT = Path(__file__).resolve().parents[2]
SEQUENCES = "1 1 2 3 4\n2 4 3 2 1\n3 1 3 2\n"


@pytest.fixture
def ordered(tmp_path: Path) -> protocols.Protocol:
    path = tmp_path / "sequences.txt.gz"
    path.write_bytes(gzip.compress(SEQUENCES.encode()))
    (tmp_path / "attributes.json").write_text(json.dumps({"1": [7, 9], "3": [9]}))
    return protocols.sequences("tiny", path, tmp_path / "attributes.json", seed=1)


def test_the_last_item_is_tested_the_one_before_chosen_by_and_neither_trained_on(
    ordered: protocols.Protocol,
) -> None:
    def hidden(split: protocols.Split) -> list[int]:
        return [int(i) for i in split.truth.indices]

    def asked(split: protocols.Split) -> list[list[int]]:
        return [split.asked.pick(np.array([u])).item.tolist() for u in range(3)]

    assert hidden(ordered.testing) == [4, 1, 2]
    assert asked(ordered.testing) == [[1, 2, 3], [4, 3, 2], [1, 3]]
    assert hidden(ordered.choosing) == [3, 2, 3]
    assert asked(ordered.choosing) == [[1, 2], [4, 3], [1]]
    for split in (ordered.testing, ordered.choosing):
        past = split.past
        found = [past.item[past.user == u][np.argsort(past.time[past.user == u])].tolist() for u in range(3)]
        assert found == [[1, 2], [4, 3], [1]]
    slots = ordered.testing.items.attribute_slots()
    assert slots.tolist() == [[0, 0], [1, 2], [0, 0], [2, 0], [0, 0]]


def test_a_perfect_model_reaches_one_and_one_without_opinion_nothing(ordered: protocols.Protocol) -> None:
    split = ordered.testing

    def perfect(past: History) -> Floats:
        return split.truth[: len(past)].toarray()

    reached = split.measure(perfect, 2)
    assert (reached["hr"], reached["ndcg"], reached["recall"]) == (1, 1, 1)
    # All items are equal: the hidden one stands behind its equals. Only two or three are left to show.
    assert split.measure(lambda past: np.zeros((len(past), 5), np.float32), 1)["hr"] == 0


def test_what_a_user_had_is_not_listed(ordered: protocols.Protocol) -> None:
    # Everybody likes item 1 best, then 4. The first had 1 and gets 4, what is hidden; the second gets 1, too.
    scores = np.array([[0, 2, 0, 0, 1]], np.float32)
    reached = ordered.testing.measure(lambda past: np.repeat(scores, len(past), axis=0), 1)
    assert reached["hr"] == pytest.approx(2 / 3)


def test_without_order_a_seventh_of_the_training_items_is_held_back(tmp_path: Path) -> None:
    rows = {u: [(u * 3 + i) % 50 for i in range(20)] for u in range(40)}
    (tmp_path / "train.txt").write_text("".join(f"{u} {' '.join(map(str, r))}\n" for u, r in rows.items()))
    (tmp_path / "test.txt").write_text("0 49 48\n3 47\n")
    found = protocols.lightgcn("tiny", tmp_path / "train.txt", tmp_path / "test.txt", seed=1)
    testing, choosing = found.testing, found.choosing
    assert testing.users.tolist() == [0, 3]
    assert testing.truth.toarray()[0].nonzero()[0].tolist() == [48, 49]
    assert len(testing.past) == 800
    assert len(choosing.past) + choosing.truth.nnz == 800
    assert choosing.truth.nnz == pytest.approx(800 / 7, rel=0.3)
    kept = set(zip(choosing.past.user.tolist(), choosing.past.item.tolist(), strict=True))
    assert not kept & set(zip(*(a.tolist() for a in choosing.truth.nonzero()), strict=True))


def test_the_search_takes_a_value_only_where_it_is_better() -> None:
    grid = {"a": (1, 2, 3), "b": (0, 5)}
    asked = []

    def value(recipe: dict[str, int]) -> float:
        asked.append(dict(recipe))
        return -abs(recipe["a"] - 2) - recipe["b"]

    chosen, tried = search({"c": 9}, grid, value)
    assert chosen == {"a": 2, "b": 0, "c": 9}
    assert len(asked) == len(tried) == 4
    assert asked[-1] == {"a": 2, "b": 5, "c": 9}


@pytest.mark.parametrize(
    ("arguments", "text", "said"),
    [
        (["--format", "sequences"], None, "needs --file"),
        (["--format", "lightgcn", "--train", "x.txt"], None, "needs --test"),
        (["--format", "sequences", "--file", "absent.txt"], None, "absent.txt: no such file"),
        (
            ["--format", "sequences", "--file", "f.txt", "--attributes", "a.json"],
            "1 2 3 4\n",
            "a.json: no such",
        ),
        (["--format", "sequences", "--file", "f.txt"], "1 2 3 4\n2 x y\n", "f.txt, line 2: whole numbers"),
        (["--format", "sequences", "--file", "f.txt"], "1 2 3\n", "f.txt, line 1: a user needs at least"),
        (["--format", "sequences", "--file", "f.txt", "--model", "graph"], "1 2 3 4\n", "no model 'graph'"),
    ],
)
def test_a_wrong_command_is_told_in_one_line(
    tmp_path: Path, arguments: list[str], text: str | None, said: str
) -> None:
    if text is not None:
        (tmp_path / "f.txt").write_text(text)
    command = [sys.executable, "-m", "benchmarks.recommender", *arguments]
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("events", "epochs"), [(0, 60), (300_000, 60), (1_000_000, 20), (90_000_000, 6)])
def test_a_long_past_is_gone_through_less_often(events: int, epochs: int) -> None:
    assert most_epochs(events) == epochs
