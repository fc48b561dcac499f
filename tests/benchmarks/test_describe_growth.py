from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from models.writer.channels import ALL

ROOT = Path(__file__).resolve().parents[2]


def test_two_small_sizes_end_in_one_line() -> None:
    command = [sys.executable, "-m", "benchmarks.describe_growth", "--scales", "1,2", "--products", "50"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert [s["products"] for s in found["sizes"]] == [50, 100]
    assert isinstance(found["bytes_per_product"], int)
    for size in found["sizes"]:
        rows = size["products"] * 2 * len(ALL)
        assert size["first"]["written"] == size["first"]["rows"] == size["second"]["rows"] == rows
        # One product in fifty has another attribute.
        assert 0 < size["second"]["written"] <= size["products"] // 50 * 2 * len(ALL)
        assert size["second"]["peak_mb"] > 50
