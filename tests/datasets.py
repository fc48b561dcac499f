"""Where the real data sets lie; a test that needs an absent one is skipped, and says why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def data_dir() -> Path:
    return Path(os.environ.get("NIGHTSHELF_DATA") or ROOT.parent / "shared" / "data")


def dataset(name: str) -> Path:
    """Folder of one data set; skips the calling test where it is absent."""
    folder = data_dir() / name
    if not folder.is_dir():
        pytest.skip(
            f"data set '{name}' is not in {data_dir()}; set NIGHTSHELF_DATA to the folder that holds it"
        )
    return folder
