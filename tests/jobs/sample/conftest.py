"""One tiny shop for all tests of the room."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jobs.sample import Summary, generate

TINY: dict[str, Any] = {"products": 60, "users": 50, "days": 10, "scale": 8.0}


@dataclass(frozen=True)
class Shop:
    """The files of a shop, read with nothing of ours."""

    folder: Path
    summary: Summary
    events: list[tuple[str, dict[str, str]]]  # arrival day, row
    products: list[tuple[str, dict[str, Any]]]
    users: list[tuple[str, dict[str, str]]]


def read(folder: Path, summary: Summary) -> Shop:
    def rows(entity: str) -> list[tuple[str, dict[str, Any]]]:
        out: list[tuple[str, dict[str, Any]]] = []
        for file in sorted(folder.glob(f"{entity}-*")):
            arrived = file.stem.removeprefix(f"{entity}-")
            with file.open(encoding="utf-8", newline="") as lines:
                if file.suffix == ".jsonl":
                    out += [(arrived, json.loads(line)) for line in lines]
                else:
                    out += [(arrived, row) for row in csv.DictReader(lines)]
        return out

    return Shop(folder, summary, rows("events"), rows("products"), rows("users"))


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("sample") / "shop"
    return read(folder, generate(folder, seed=7, **TINY))
