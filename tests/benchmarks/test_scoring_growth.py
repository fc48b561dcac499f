from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.scoring_growth import exponent

ROOT = Path(__file__).resolve().parents[2]


def test_two_small_sizes_end_in_one_line_and_a_plot(tmp_path: Path) -> None:
    arguments = ["--scales", "1,2", "--users", "60", "--items", "200", "--repeats", "1"]
    command = [
        sys.executable,
        "-m",
        "benchmarks.scoring_growth",
        *arguments,
        "--plot",
        str(tmp_path / "p.png"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert [s["users"] for s in found["sizes"]] == [60, 120]
    assert [s["rows"] for s in found["sizes"]] == [60 * 20, 120 * 20]
    assert all(s["seconds"] > 0 and s["peak_mb"] > 50 for s in found["sizes"])
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_the_exponent_is_one_where_time_doubles_with_the_shop() -> None:
    def sizes(power: float) -> list[dict[str, float]]:
        return [{"users": u, "seconds": 3 * u**power} for u in (10, 20, 40)]

    assert exponent(sizes(1)) == pytest.approx(1)
    assert exponent(sizes(2)) == pytest.approx(2)
    assert exponent(sizes(1)[:1]) is None
