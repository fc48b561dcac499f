"""What `make` does that no other test calls."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_clean_leaves_the_services_of_this_machine(tmp_path: Path) -> None:
    """Their record names the processes: without it nothing stops them."""
    kept, gone = tmp_path / "var" / "services" / "state.json", tmp_path / "var" / "lake" / "current.json"
    for file in (kept, gone):
        file.parent.mkdir(parents=True)
        file.touch()
    for _ in range(2):
        command = ["make", "-f", str(ROOT / "Makefile"), "clean"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        assert kept.exists()
        assert [entry.name for entry in (tmp_path / "var").iterdir()] == ["services"]


def test_clean_is_content_where_nothing_ran(tmp_path: Path) -> None:
    subprocess.run(["make", "-f", str(ROOT / "Makefile"), "clean"], cwd=tmp_path, check=True)
    assert not (tmp_path / "var").exists()
