"""Lakes to break, processes to kill, and the table at the end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from jobs.settings import ROOT
from tests.faults.forks import Child, Forks, forks
from tests.faults.invariants import Before, View, remember
from tests.faults.postgres import Postgres, Wire, postgres
from tests.faults.reader import Outside
from tests.faults.recorder import CASES, Case

BASE, DS = "2026-01-09", "2026-01-10"
# The earlier dates whose events a toy night rebuilds.
TOUCHED = frozenset({"2026-01-08", BASE})
PHASES = ("clean", "audit", "publish")
KILLED = -signal.SIGKILL
Done = subprocess.CompletedProcess[str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/faults" in str(item.path):
            item.add_marker(pytest.mark.faults)
            if not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(300))


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    """The record of this test; tests of one function are one line of the table."""
    name = getattr(request.node, "originalname", request.node.name)
    found = Case(name.removeprefix("test_").replace("_", " "))
    CASES.append(found)
    return found


@dataclass
class Toy:
    """A lake with one published night, and a process of its own for each command."""

    folder: Path
    environment: dict[str, str]
    lake: Outside
    forks: Forks
    before: Before = field(default_factory=Before)

    def start(
        self,
        phases: str = "clean,audit,publish",
        run: str = "night",
        ds: str = DS,
        fail_at: str = "",
        **environment: str,
    ) -> Child:
        command = ["tests.faults.toy", phases, "--ds", ds, "--run-id", run]
        return self.process(command, fail_at=fail_at, **environment)

    def process(self, command: list[str], fail_at: str = "", **environment: str) -> Child:
        armed = {"NIGHTSHELF_FAIL_AT": fail_at} if fail_at else {}
        return self.forks.start(command, self.environment | environment | armed)

    def run(self, phases: str = "clean,audit,publish", **options: str) -> Done:
        return ended(self.start(phases, **options))

    def cli(self, *arguments: str, **options: str) -> Done:
        return ended(self.process(["jobs.cli", *arguments], **options))

    def view(self, **options: Any) -> View:
        """A fresh look; files are cached per look only where they never change."""
        return View(self.lake, **{"before": self.before, "ds": DS, "touched": TOUCHED} | options)


def ended(process: Child | subprocess.Popen[str], timeout: float = 120) -> Done:
    """Waits for a process, and gives its exit code and what it told."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"it did not end in {timeout} s: {out[-500:]}{err[-2000:]}") from None
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def resume_from(done: Done) -> str:
    """The phases that a retry runs: from the one that did not end, as Airflow does."""
    last = [line.removeprefix("step ") for line in done.stdout.splitlines() if line.startswith("step ")][-1]
    return ",".join(PHASES[PHASES.index(last) :])


def plain_environment(folder: Path, **more: str) -> dict[str, str]:
    """No setting of the machine leaks in."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NIGHTSHELF_", "AWS_"))}
    absent = {"NIGHTSHELF_CONFIG": "/dev/null", "NIGHTSHELF_LAKE": str(folder / "lake")}
    return kept | absent | {"PYTHONPATH": str(ROOT)} | more


@pytest.fixture(scope="session")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    with forks(tmp_path_factory.mktemp("processes")) as found:
        yield found


@pytest.fixture(scope="session")
def _base(tmp_path_factory: pytest.TempPathFactory, processes: Forks) -> Path:
    """A lake with one toy night, and a copy beside it, put back in place: metadata names absolute paths."""
    folder = tmp_path_factory.mktemp("toy")
    toy = Toy(folder, plain_environment(folder), _outside(folder), processes)
    done = toy.run(ds=BASE, run="base")
    assert done.returncode == 0, done.stderr
    shutil.copytree(folder / "lake", folder / "base")
    return folder


def _outside(folder: Path) -> Outside:
    return Outside(str(folder / "lake"), f"sqlite:///{folder}/lake/catalog.db?timeout=60")


@pytest.fixture
def toy(_base: Path, processes: Forks) -> Toy:
    """The lake as the base night left it."""
    shutil.rmtree(_base / "lake")
    shutil.copytree(_base / "base", _base / "lake")
    found = Toy(_base, plain_environment(_base), _outside(_base), processes)
    found.before = remember(found.lake)
    return found


@pytest.fixture(scope="session")
def expected(_base: Path, processes: Forks) -> dict[str, list[dict[str, Any]]]:
    """The rows of an undisturbed toy night."""
    shutil.rmtree(_base / "lake")
    shutil.copytree(_base / "base", _base / "lake")
    toy = Toy(_base, plain_environment(_base), _outside(_base), processes)
    assert toy.run().returncode == 0
    return Outside(toy.lake.lake, toy.lake.catalog).published(DS)


def of_run(rows: dict[str, list[dict[str, Any]]], run: str) -> dict[str, list[dict[str, Any]]]:
    """The rows that the run of this name makes: the toy's versions are its name."""
    return {
        table: [r | {"model_version": run} if "model_version" in r else r for r in found]
        for table, found in rows.items()
    }


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    with postgres() as found:
        yield found


@pytest.fixture
def wire(server: Postgres) -> Iterator[Wire]:
    found = Wire(server.port)
    yield found
    found.close()


@pytest.fixture
def on_postgres(server: Postgres, wire: Wire, tmp_path: Path, processes: Forks) -> Toy:
    """A lake with one published night, whose catalog is reached over the wire; readers reach it directly."""
    database = f"lake_{uuid.uuid4().hex[:12]}"
    server.create(database)
    environment = plain_environment(tmp_path, NIGHTSHELF_CATALOG=server.url(database, wire.port))
    toy = Toy(tmp_path, environment, Outside(str(tmp_path / "lake"), server.url(database)), processes)
    done = toy.run(ds=BASE, run="base")
    assert done.returncode == 0, done.stderr
    toy.before = remember(toy.lake)
    return toy


@pytest.fixture
def barrier(tmp_path: Path) -> Callable[[str], Barrier]:
    return lambda name: Barrier(tmp_path / name)


@dataclass
class Barrier:
    """A place where a process waits until the test lets it go on."""

    file: Path

    @property
    def action(self) -> str:
        return f"barrier:{self.file}"

    def await_arrival(self, process: Child, timeout: float = 90) -> None:
        import time

        end = time.monotonic() + timeout
        while not self.file.with_name(f"{self.file.name}.reached").exists():
            if process.poll() is not None or time.monotonic() > end:
                process.kill()
                out, err = process.communicate()
                raise AssertionError(f"it never came to {self.file.name}: {out[-500:]}{err[-3000:]}")
            time.sleep(0.02)

    def open(self) -> None:
        self.file.touch()
