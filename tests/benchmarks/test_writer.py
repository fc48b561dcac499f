"""The command as a whole, on a few pairs: its files, its switches, its last line."""

from __future__ import annotations

import json
from datetime import date
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks import bulk_write, writer
from jobs.sample.shop import generate

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


@pytest.mark.parametrize("task", ["e2e", "adgen"])
def test_so_many_beams_as_are_asked_for(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, plans = import_module(f"benchmarks.{task}.task"), []
    monkeypatch.setattr(module, "run", lambda *given: (plans.append(given[3]), ({}, []))[1])
    asked = ["--task", task, "--train", "a", "--test", "b"]
    for more in ([], ["--beams", "7"]):
        writer.run(writer.arguments().parse_args([*asked, *more]))
    assert [plan.beams for plan in plans] == [module.Plan().beams, 7]


MEASURES = ("bleu", "rouge2", "ser", "coverage", "unsupported", "distinct4", "repetition4")


@pytest.mark.usefixtures("spark")
def test_a_catalogue_s_run_ends_with_all_measures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    generate(tmp_path, seed=1, products=120, users=5, start=date(2026, 1, 1), days=1)
    shop = str(tmp_path / "products-*.jsonl")
    monkeypatch.setattr(
        "sys.argv", ["writer", "--task", "catalogue", "--train", shop, "--test", shop, "--steps", "2"]
    )
    assert writer.main() == 0
    found = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    ends = {"fallback_rate", "tier_counts", "tokens_per_s", "seconds", "peak_mb"}
    assert ends | {*MEASURES} | {f"final_{m}" for m in MEASURES} <= set(found)
    assert set(found["tier_counts"]) == {"model", "retry", "template", "refused"}
    assert sum(found["tier_counts"].values()) > 0
    assert found["final_unsupported"] == 0
    # Slots that are not told, and what no attribute bears out.
    assert found["ser"] >= 100 - found["coverage"] - 0.01


def test_bulk_decoding_ends_with_every_contender(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    args = "--texts 2 --length 3 --repeats 1 --memory-texts 0 --only ours_greedy,limit"
    monkeypatch.setattr("sys.argv", ["bulk_write", *args.split()])
    assert bulk_write.main() == 0
    found = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert found["ours_greedy"] > 0
    assert found["limit"] > 0
    for name in ("ours_beam4", "kerashub_greedy", "kerashub_beam4", "loop", "ctranslate2"):
        assert found[name] is None
