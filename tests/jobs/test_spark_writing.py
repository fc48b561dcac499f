"""Copy written in Spark's executors is the copy of one process, to the byte; and what a killed run leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest

from jobs import describe, spark_writing, writer_files
from jobs.night import Night
from jobs.settings import ROOT, Settings, load_settings
from jobs.spark import find_java
from models.writer.clean import Marks, make_pair, make_plan
from models.writer.encode import make_tokenizer
from models.writer.facts import Lexicon, read_facts
from models.writer.verify import Verifier
from models.writer.writer import Writer
from tests import servers
from tests.jobs.writer_shop import put, shop

DAY = date(2026, 1, 10)
PRODUCTS, BLOCK = 48, 8


@pytest.fixture(scope="module")
def writer() -> Writer:
    """A writer of few steps: what it writes matters less than that it is written alike."""
    from models.writer.train import train

    pairs, briefs = [], []
    for language in ("en", "zh"):
        judge = Verifier(language, Lexicon.build(read_facts(language, row) for row in shop(DAY)))
        for row in shop(DAY):
            facts = read_facts(language, row)
            text = row[f"description_{language}"]
            if text and (pair := make_pair(facts, text, judge, Marks())):
                pairs.append(pair)
                briefs.append(judge.brief(facts))
    tokenizer = make_tokenizer(pairs)
    model, _ = train(pairs, tokenizer, steps=30, batch=16, seed=1)
    return Writer.of(model, tokenizer, make_plan(pairs, briefs), pairs)


def night_of(lake: Path, writer: Writer, **changes: object) -> Night:
    """A pinned night with the shop and the writer, about to write copy."""
    options = {"block_size": BLOCK, "spark_master": "local[2]", "spark_memory": "1g", **changes}
    night = Night(load_settings(lake=str(lake), **options), DAY, "bulk")
    night.pin()
    put(night, "products", shop(DAY, PRODUCTS, 0.3))
    writer_files.save(night.store, "v1", writer)
    told = {
        "model": "writer",
        "version": "v1",
        "verdict": "accepted",
        "location": writer_files.location("v1"),
    }
    put(night, "models", [told | {"ds": DAY}], [DAY])
    return night


def shards(night: Night) -> dict[str, bytes]:
    """The blocks of the table and their notes by name, as they lie in the store."""
    keys = night.store.list(night.work("describe"))
    return {key.rsplit("/", 1)[-1]: night.store.read(key) for key in keys}


@pytest.fixture(scope="module")
def calm(writer: Writer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an undisturbed run in one process writes."""
    night = night_of(tmp_path_factory.mktemp("calm") / "lake", writer)
    describe.run(night)
    found = shards(night)
    # Texts, rows and a note of every block.
    blocks = {name.split("-")[0] for name in found}
    assert len(blocks) == PRODUCTS // BLOCK
    assert {name.rsplit(".", 1)[1] for name in found} == {"texts", "json", "parquet"}
    return found


def test_spark_writes_only_the_blocks_that_are_missing_and_the_same_bytes(
    writer: Writer, calm: dict[str, bytes], spark: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = night_of(tmp_path / "lake", writer, writing="spark")
    done = sorted(name for name in calm if name.endswith(".parquet"))[0].removesuffix(".parquet")
    for ending in (".texts", ".json", ".parquet"):
        night.store.write(night.work(f"describe/{done}{ending}"), calm[done + ending])
    monkeypatch.setattr(describe, "write_shard", None)  # the driver writes nothing itself
    written: list[int] = []
    real = spark_writing.write
    monkeypatch.setattr(spark_writing, "write", lambda *args: written.append(real(*args)) or written[-1])
    describe.run(night)
    assert written == [PRODUCTS // BLOCK - 1]
    assert shards(night) == calm


def run_describe(settings: Settings, **environment: str) -> subprocess.Popen[bytes]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NIGHTSHELF_")}
    told = {"NIGHTSHELF_CONFIG": "/dev/null", "NIGHTSHELF_LAKE": settings.lake}
    command = [sys.executable, "-m", "jobs.describe", "--ds", DAY.isoformat(), "--run-id", "bulk"]
    told |= {"NIGHTSHELF_BLOCK_SIZE": str(BLOCK), "NIGHTSHELF_SPARK_MEMORY": "1g"}
    return subprocess.Popen(command, cwd=ROOT, env={**kept, **told, **environment}, stderr=subprocess.PIPE)


def finished(process: subprocess.Popen[bytes]) -> None:
    _, said = process.communicate(timeout=900)
    assert process.returncode == 0, said.decode(errors="replace")[-3000:]


@pytest.mark.faults
def test_a_run_that_was_killed_goes_on_to_the_bytes_of_an_undisturbed_one(
    writer: Writer, calm: dict[str, bytes], tmp_path: Path
) -> None:
    night = night_of(tmp_path / "lake", writer)
    process = run_describe(night.settings)
    end = time.monotonic() + 900
    while not any(name.endswith(".parquet") for name in shards(night)):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    left = shards(night)
    whole = {name: data for name, data in left.items() if name.endswith(".parquet")}
    assert 1 <= len(whole) < PRODUCTS // BLOCK
    finished(run_describe(night.settings))
    assert shards(night) == calm
    # What was there already was not written again, and is the same.
    assert all(calm[name] == data for name, data in whole.items())


@pytest.mark.slow
def test_a_cluster_of_two_workers_writes_the_bytes_of_one_process(
    writer: Writer, calm: dict[str, bytes], tmp_path: Path
) -> None:
    night = night_of(tmp_path / "lake", writer)
    with servers.spark_cluster(tmp_path / "cluster", find_java(night.settings)) as url:
        finished(run_describe(night.settings, NIGHTSHELF_WRITING="spark", NIGHTSHELF_SPARK_MASTER=url))
    worked = [list((tmp_path / "cluster" / f"worker-{n}").glob("app-*/*/nightshelf-*.zip")) for n in (0, 1)]
    assert all(worked)
    assert shards(night) == calm
