"""A night of sixteen times the sample shop's events: every step within the memory of a small server."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.steps import measure_size
from jobs.steps import STEPS

SCALE = 16
MOST_MIB = 8 * 1024


@pytest.mark.slow
@pytest.mark.timeout(3 * 3600)
def test_sixteen_times_the_shop_within_8_gib(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each step a process of its own, as in production; memory is that of its whole process tree."""
    with capsys.disabled():
        found = measure_size(tmp_path, SCALE, [s.name for s in STEPS])
    assert [m.step for m in found if m.exit_code] == []
    assert [m.step for m in found] == ["sample", *(s.name for s in STEPS)]
    assert found[0].rows
    assert found[0].rows > SCALE * 290_000
    assert {m.step: m.peak_mb for m in found if m.peak_mb >= MOST_MIB} == {}
    assert max(m.peak_mb for m in found) > 500, "nothing was measured"
