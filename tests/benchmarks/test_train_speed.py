from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_every_contender_learns_or_is_told_to_be_missing(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = [f"{u} {' '.join(map(str, rng.integers(1, 300, 12)))}" for u in range(400)]
    (tmp_path / "f.txt").write_text("\n".join(rows))
    arguments = ["--file", str(tmp_path / "f.txt"), "--seconds", "0.5", "--repeats", "1"]
    command = [sys.executable, "-m", "benchmarks.train_speed", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)["targets_per_second"]
    assert found["ours"] > 0
    for name in ("bce", "shared"):
        assert found[name] is not None or "PyTorch is not installed" in done.stderr


def test_padding_is_on_the_left_and_targets_are_the_next_items() -> None:
    pytest.importorskip("torch")
    from benchmarks.torch_sasrec import padded

    inputs, targets = padded(np.array([4, 5, 6, 7, 9], np.int32), np.array([0, 4, 5, 5]), 2)
    assert inputs.tolist() == [[6, 7], [0, 0], [0, 0]]
    assert targets.tolist() == [[7, 8], [0, 0], [0, 0]]


@pytest.mark.parametrize("shared", [False, True])
def test_the_plain_model_learns_and_sees_no_future(shared: bool) -> None:
    torch = pytest.importorskip("torch")
    from benchmarks.torch_sasrec import SASRec

    torch.manual_seed(0)
    model = SASRec(30, width=16, length=6, dropout=0.0)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    item = torch.tensor([[0, 1, 2, 3, 4, 5], [0, 0, 7, 8, 9, 10]])
    target = torch.where(item > 0, item + 1, 0)
    losses = []
    for _ in range(60):
        negative = torch.randint(12, 31, (20,) if shared else item.shape)
        loss = model.loss(item, target, negative)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss))
    assert losses[-1] < losses[0] / 4
    model.eval()
    other = item.clone()
    other[:, -1] = 20
    assert torch.allclose(model.states(item)[:, :-1], model.states(other)[:, :-1], atol=1e-6)
