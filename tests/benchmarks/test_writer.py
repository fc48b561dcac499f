"""The command as a whole, on a few pairs: its files, its switches, its last line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import writer

FOODS = ("Italian", "French", "Indian")


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Each food four times: its words are known, and so is every request."""
    rows = [
        {"mr": {"name": "Zizzi", "food": food}, "ref": f"Zizzi serves {food} food ."}
        for food in FOODS
        for _ in range(4)
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_second_file_is_written_and_measured_too(
    pairs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = pairs.with_name("one.jsonl")
    one.write_text(pairs.read_text().splitlines()[0] + "\n")
    files = ["--train", str(pairs), "--test", str(pairs), "--dev", str(one)]
    monkeypatch.setattr("sys.argv", ["writer", "--task", "e2e", *files, "--steps", "2"])
    assert writer.main() == 0
    *shown, last = capsys.readouterr().out.strip().splitlines()
    found = json.loads(last)
    assert sum(found["tier_counts"].values()) == len(FOODS)
    assert sum(found["dev"]["tier_counts"].values()) == 1
    assert found["final_ser"] == found["dev"]["final_ser"] == 0
    assert sum("--dev" in line for line in shown) == 2


def test_a_file_that_is_not_there_is_named_and_nothing_is_trained(
    pairs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--train", str(pairs), "--test", str(pairs), "--dev", "absent.jsonl"]
    monkeypatch.setattr("sys.argv", ["writer", "--task", "e2e", *files])
    assert writer.main() == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-1] == "benchmarks.writer: absent.jsonl: no such file"
