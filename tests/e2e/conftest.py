"""A small sample shop, and one whole night of it through Airflow, shared by all end-to-end tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from jobs.sample.shop import generate
from jobs.settings import ROOT, Settings, Source, load_settings

SHOP_START = date(2026, 1, 1)
SHOP_DAYS = 24
LAST_DAY = "2026-01-24"
WEBHOOK_TOKEN = "planted-webhook-token-2e6f"
PLANTED = {
    "NIGHTSHELF_S3_ACCESS_KEY": "planted-access-7d1f",
    "NIGHTSHELF_S3_SECRET_KEY": "planted-s3-secret-91c0",
    "NIGHTSHELF_PSEUDONYM_KEY": "planted-pseudonym-key-c4a8",
    # Nobody listens there, and a night that ends well tells nobody.
    "NIGHTSHELF_NOTIFY_WEBHOOK": f"http://127.0.0.1:9/{WEBHOOK_TOKEN}",
}
# What must be found nowhere: of the webhook's address its token, which is what is secret of it.
SECRETS = (*(v for v in PLANTED.values() if "://" not in v), WEBHOOK_TOKEN)


def shop_settings(folder: Path, raw: Path) -> Settings:
    """Settings of a fresh lake that reads the small shop; the writer is trained for a few steps only."""
    return load_settings(
        lake=str(folder / "lake"),
        sources=[Source(mapping="sample-shop", files=[str(raw)])],
        spark_master="local[2]",
        spark_memory="1g",
        writer_steps=30,
    )


def environment(settings: Settings, folder: Path) -> dict[str, str]:
    """The same settings as environment variables, for a process of its own."""
    return dict(os.environ) | {
        "NIGHTSHELF_CONFIG": "/dev/null",
        "NIGHTSHELF_LAKE": settings.lake,
        "NIGHTSHELF_SOURCES": json.dumps([s.model_dump() for s in settings.sources]),
        "NIGHTSHELF_SPARK_MASTER": settings.spark_master,
        "NIGHTSHELF_SPARK_MEMORY": settings.spark_memory,
        "NIGHTSHELF_WRITER_STEPS": str(settings.writer_steps),
        "AIRFLOW_HOME": str(folder / "airflow"),
    }


@dataclass(frozen=True)
class Shop:
    raw: Path
    truth: dict[str, Any]


@dataclass(frozen=True)
class AirflowNight:
    settings: Settings
    environment: dict[str, str]
    ds: str
    summary: dict[str, Any]
    told: str = ""


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Raw files of a shop of 240 products and 200 shoppers over 24 days."""
    raw = tmp_path_factory.mktemp("shop")
    generate(raw, seed=7, products=240, users=200, start=SHOP_START, days=SHOP_DAYS)
    return Shop(raw, json.loads((raw / "truth.json").read_text()))


def nightly(env: dict[str, str], *args: str, timeout: int = 1500) -> subprocess.CompletedProcess[str]:
    """`nightshelf nightly …`, as a person would run it."""
    command = [sys.executable, "-m", "jobs.cli", "nightly", *args]
    return subprocess.run(
        command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.fixture(scope="session")
def airflow_night(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> AirflowNight:
    """One night of the small shop, from raw files to `current.json`, run by Airflow."""
    folder = tmp_path_factory.mktemp("airflow-night")
    settings = shop_settings(folder, shop.raw)
    # Keys of a store that this lake does not use, one that it does, and a webhook's: no log, XCom or file
    # may hold them. Its shoppers are known by pseudonyms.
    env = environment(settings, folder) | PLANTED
    done = nightly(env, "--ds", LAST_DAY, "--run-id", "first", "--json")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return AirflowNight(settings, env, LAST_DAY, json.loads(done.stdout), done.stdout + done.stderr)
