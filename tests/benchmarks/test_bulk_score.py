from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import bulk_score
from models.recommender.inner_product import InnerProduct

ROOT = Path(__file__).resolve().parents[2]


def test_it_ends_with_one_line_for_machines() -> None:
    arguments = ["--users", "60", "--items", "400", "--repeats", "1", "--k", "5", "--sample", "20"]
    command = [sys.executable, "-m", "benchmarks.bulk_score", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert set(found) == {"d64", "d128"}
    for row in found.values():
        assert set(row) == {"ours", "product", "implicit", "faiss", "argpartition"}
        assert all(row[name] > 0 for name in ("ours", "product", "argpartition"))
        for name in ("implicit", "faiss"):
            assert row[name] is not None or f"{name}: left out" in done.stderr
    assert "equal a full sort's" in done.stderr
    assert "peak memory" in done.stderr


def test_seen_items_are_few_for_most_and_many_for_some() -> None:
    task = bulk_score.Task.drawn(5000, 20_000, 2, 10, seed=1)
    counts = np.diff(task.seen.indptr)
    assert 15 < counts.mean() < 25
    assert counts.max() > 300
    assert np.median(counts) < 15


def test_wrong_lists_stop_it(monkeypatch: pytest.MonkeyPatch) -> None:
    task = bulk_score.Task.drawn(40, 300, 8, 5, seed=1)
    bulk_score.check(task)
    best = InnerProduct.best
    monkeypatch.setattr(InnerProduct, "best", lambda self, users, k, seen: best(self, users, k, None))
    with pytest.raises(AssertionError):
        bulk_score.check(task)
