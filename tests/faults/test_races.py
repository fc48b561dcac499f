"""Two things at once: in a fixed order by barriers, then at random; and two hundred readers meanwhile."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.lake.store import LocalStore
from tests.faults.conftest import BASE, DS, KILLED, Barrier, Toy, ended, of_run, plain_environment
from tests.faults.forks import Forks
from tests.faults.invariants import RUN_PROPERTY, Before, naming, remember
from tests.faults.reader import Outside
from tests.faults.recorder import Case
from tests.faults.toy import CROWDED, SHOPPER, crowd, land

MakeBarrier = Callable[[str], Barrier]
SEED = 20260110
READERS = 200
# What readers see of a date that was rolled back.
NOTHING: dict[str, list[dict[str, Any]]] = {}


def versions(toy: Toy, ds: str = DS) -> set[str]:
    """The runs whose rows a reader of a date sees."""
    rows = toy.lake.published(ds)
    return {r["model_version"] for t in ("recommendations", "similar_items", "audiences") for r in rows[t]}


@pytest.mark.parametrize("first", ["one", "two"])
def test_the_same_date_twice_at_once(
    first: str, toy: Toy, barrier: MakeBarrier, case: Case, expected: Any
) -> None:
    gates = {run: barrier(run) for run in ("one", "two")}
    running = {run: toy.start(run=run, fail_at=f"before_swap={g.action}@1") for run, g in gates.items()}
    for run, process in running.items():
        gates[run].await_arrival(process)
    case.fault()
    (second,) = {"one", "two"} - {first}
    for run in (first, second):
        gates[run].open()
        done = ended(running[run])
        case.exit(done.returncode, 0, told=done.stderr)
        case.check(toy.view(expected=of_run(expected, run)))
    # The later publish stands, whole: it was staged on what the earlier one had replaced.
    assert [p["run_id"] for p in toy.lake.publishes()] == ["base", first, second]
    assert versions(toy) == {second}


def test_a_late_retry_does_not_put_an_older_night_over_a_newer(toy: Toy, case: Case, expected: Any) -> None:
    """It died after its swap; another run of the date published; its retry must find that it was done."""
    killed = toy.run(run="one", fail_at="after_swap")
    case.fault()
    case.exit(killed.returncode, KILLED)
    assert toy.run(run="two").returncode == 0
    done = toy.run("publish", run="one")
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(toy.view(expected=of_run(expected, "two")))
    assert [p["run_id"] for p in toy.lake.publishes()] == ["base", "one", "two"]
    assert versions(toy) == {"two"}


@pytest.mark.parametrize("point", ["before_stage:models", "before_swap", "mid_swap"])
@pytest.mark.parametrize("between", [None, "two"])
def test_publish_of_one_run_twice_at_once(
    point: str, between: str | None, toy: Toy, barrier: MakeBarrier, case: Case, expected: Any
) -> None:
    """A worker was taken for dead: the retry publishes, a later run perhaps too, and then it goes on."""
    gate = barrier("gate")
    slow = toy.start(run="one", fail_at=f"{point}={gate.action}@1")
    gate.await_arrival(slow)
    case.fault()
    retry = toy.start("publish", run="one")
    if point == "mid_swap":
        time.sleep(1)  # it waits for the first one's lock
        assert retry.poll() is None
        gate.open()
    done = ended(retry)
    case.exit(done.returncode, 0, told=done.stderr)
    if between:
        assert toy.run(run=between).returncode == 0
    gate.open()
    late = ended(slow)
    case.exit(late.returncode, 0, told=late.stderr)
    case.check(toy.view(expected=of_run(expected, between or "one")))
    later = [between] if between else []
    assert [p["run_id"] for p in toy.lake.publishes()] == ["base", "one", *later]
    assert versions(toy) == {between or "one"}


@pytest.mark.parametrize("point", ["before_swap", "mid_swap", "after_swap"])
def test_a_night_against_a_rollback(
    point: str, toy: Toy, barrier: MakeBarrier, case: Case, expected: Any
) -> None:
    gate = barrier("gate")
    running = toy.start(fail_at=f"{point}={gate.action}@1")
    gate.await_arrival(running)
    case.fault()
    rollback = toy.process(["jobs.cli", "rollback", "--run", "base"])
    if point == "mid_swap":
        time.sleep(1)  # it waits for the night's lock
        assert rollback.poll() is None
        gate.open()
    going_back = ended(rollback)
    gate.open()
    done = ended(running)
    case.exit(going_back.returncode, 0, told=going_back.stderr)
    case.exit(done.returncode, 0, told=done.stderr)
    order = [p["run_id"] for p in toy.lake.publishes()]
    case.check(toy.view(expected=expected if order[-1] == "night" else NOTHING))
    # A rollback that came first is what the night is built on; one that came later stands.
    assert order == (["base", "base", "night"] if point == "before_swap" else ["base", "night", "base"])
    assert versions(toy) == ({"night"} if order[-1] == "night" else set())


@pytest.mark.parametrize("point", ["mid_swap@2", "after_swap", "mid_write:current.json"])
def test_a_rollback_killed_and_tried_again(point: str, toy: Toy, case: Case, expected: Any) -> None:
    assert toy.run().returncode == 0
    killed = toy.cli("rollback", "--run", "base", fail_at=point)
    case.fault()
    case.exit(killed.returncode, KILLED, told=killed.stderr)
    # `current.json` comes last.
    case.check(toy.view(settled=False, expected=expected))
    done = toy.cli("rollback", "--run", "base")
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(toy.view(expected=NOTHING))
    assert versions(toy) == set()
    assert versions(toy, BASE) == {"base"}


def test_two_first_nights_at_once(
    processes: Forks, tmp_path: Path, barrier: MakeBarrier, case: Case, expected: Any
) -> None:
    """On an empty lake both make the catalog's tables; neither fails for good."""
    lake = Outside(str(tmp_path / "lake"), f"sqlite:///{tmp_path}/lake/catalog.db?timeout=60")
    toy = Toy(tmp_path, plain_environment(tmp_path), lake, processes)
    gates = {run: barrier(run) for run in ("one", "two")}
    running = {r: toy.start(run=r, fail_at=f"before_step:clean={g.action}") for r, g in gates.items()}
    for run, process in running.items():
        gates[run].await_arrival(process)
    case.fault()
    for gate in gates.values():
        gate.open()
    for run, process in running.items():
        done = ended(process)
        case.exit(done.returncode, 0, 20, told=done.stderr)
        if done.returncode:
            done = toy.run(run=run)
            case.exit(done.returncode, 0, told=done.stderr)
    published = [p["run_id"] for p in lake.publishes()]
    case.check(toy.view(expected=of_run(expected, published[-1])))
    assert sorted(published) == ["one", "two"]


@pytest.mark.parametrize("first", ["nightly", "backfill"])
def test_a_night_against_a_backfill_of_another_date(
    first: str, toy: Toy, barrier: MakeBarrier, case: Case, expected: Any
) -> None:
    """Both were staged on the same tables; the later one keeps the other date as the earlier one left it."""
    dates = {"nightly": DS, "backfill": BASE}
    undisturbed = {DS: expected, BASE: toy.lake.published(BASE)}
    gates = {run: barrier(run) for run in dates}
    running = {
        run: toy.start(run=run, ds=ds, fail_at=f"before_swap={gates[run].action}@1")
        for run, ds in dates.items()
    }
    for run, process in running.items():
        gates[run].await_arrival(process)
    case.fault()
    (second,) = {*dates} - {first}
    for run in (first, second):
        gates[run].open()
        done = ended(running[run])
        case.exit(done.returncode, 0, told=done.stderr)
        ds = dates[run]
        case.check(toy.view(ds=ds, touched=rebuilt(ds), expected=of_run(undisturbed[ds], run)))
        # Now the other one must leave this date's files as they are.
        toy.before = remember(toy.lake)
    assert [p["run_id"] for p in toy.lake.publishes()] == ["base", first, second]
    assert {ds: versions(toy, ds) for ds in dates.values()} == {ds: {run} for run, ds in dates.items()}
    # Rows of the later date stay, whichever was published last.
    case.check(toy.view(expected=of_run(expected, "nightly")))


def rebuilt(ds: str) -> frozenset[str]:
    """The earlier days whose events a toy night of this date stages again."""
    return frozenset((date.fromisoformat(ds) - timedelta(days=n)).isoformat() for n in (1, 2))


COMMANDS = {
    "rollback": ["rollback", "--run", "base"],
    "forget": ["forget", "--user", SHOPPER],
    "maintain": ["maintain"],
}
OTHER = "2026-01-08"
ROUNDS = [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 8))]


@dataclass
class Round:
    """What one random round does: nights of two dates, and some of the commands, in this order."""

    draw: random.Random
    nights: dict[str, str] = field(default_factory=lambda: {"one": DS, "two": DS, "other": OTHER})
    commands: list[str] = field(default_factory=list)

    @staticmethod
    def of(number: int) -> Round:
        draw = random.Random(SEED + number)
        # The first round, which every `make test` runs, has all three.
        count = draw.randint(1, len(COMMANDS)) if number else len(COMMANDS)
        return Round(draw, commands=draw.sample(sorted(COMMANDS), count))

    def delays(self) -> str:
        early, within, table = self.draw.uniform(0, 1), self.draw.uniform(0, 0.3), self.draw.randint(1, 18)
        return f"before_swap=sleep:{early:.2f},mid_swap=sleep:{within:.2f}@{table}"


def shown(toy: Toy, expected: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The rows of an undisturbed run of the date, by the run that the log of publishes says is shown."""
    found = NOTHING
    for entry in toy.lake.publishes():
        if entry["kind"] == "rollback":
            found = NOTHING
        elif entry["kind"] == "night" and entry["ds"] == DS:
            found = of_run(expected, entry["run_id"])
            found["recommendations"] = crowd(found["recommendations"])
    return found


@pytest.mark.parametrize("number", ROUNDS)
def test_anything_at_random(number: int, toy: Toy, case: Case, expected: Any) -> None:
    """Two runs of a date, one of an earlier date, and commands beside them, each delayed at random places."""
    found = Round.of(number)
    land(LocalStore(toy.folder / "lake"), [date(2026, 1, day) for day in (7, 8, 9, 10)])
    forgets, named = "forget" in found.commands, naming(toy.lake, SHOPPER)
    if "maintain" in found.commands:
        toy.environment[CROWDED] = "1"
    if forgets or "maintain" in found.commands:
        # Both write files of every date again.
        toy.before = Before(sequence=toy.before.sequence)
    nights = {run: toy.start(run=run, ds=ds, fail_at=found.delays()) for run, ds in found.nights.items()}
    commands = {}
    for name in found.commands:
        time.sleep(found.draw.uniform(0.5, 2))
        commands[name] = toy.process(["jobs.cli", *COMMANDS[name]], fail_at=found.delays())
    case.fault(len(nights) + len(commands))
    for name, process in commands.items():
        done = ended(process)
        # A rollback that comes after an erasure is refused.
        late = (2,) if forgets and name == "rollback" else ()
        case.exit(done.returncode, 0, *late, told=f"{found.commands}: {done.stderr}")
    ends = {run: ended(process) for run, process in nights.items()}
    for run, done in ends.items():
        case.exit(done.returncode, 0, *((10,) if forgets else ()), told=f"{run}: {done.stderr}")
    touched = rebuilt(DS) | rebuilt(OTHER) | {OTHER}
    options: dict[str, Any] = {"touched": touched, "forgotten": {SHOPPER: named} if forgets else {}}
    if not forgets:
        # After an erasure a table's ranks depend on whether the night was staged before it.
        options["expected"] = shown(toy, expected)
    case.check(toy.view(**options))
    published = [p["run_id"] for p in toy.lake.publishes() if p["kind"] == "night"]
    assert sorted(published) == sorted(["base", *(run for run, done in ends.items() if done.returncode == 0)])
    # What an erasure has outdated is run again, as the message says.
    for run in (run for run, done in ends.items() if done.returncode):
        done = toy.run(run=f"{run}-again", ds=found.nights[run])
        case.exit(done.returncode, 0, told=done.stderr)
        case.check(toy.view(**options))


class Readers:
    """Many threads that read all day: each look must be of one run, whole, and not older than the last."""

    def __init__(self, toy: Toy, count: int) -> None:
        self.toy, self.reads, self.wrong = toy, 0, list[str]()
        self._stop, self._connections = threading.Event(), threading.Semaphore(40)
        self._threads = [threading.Thread(target=self._read, args=(n,), daemon=True) for n in range(count)]

    def __enter__(self) -> Readers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)

    def _read(self, number: int) -> None:
        draw, sequence = random.Random(number), 0
        try:
            while not self._stop.is_set():
                sequence = self._look(draw, sequence)
                self.reads += 1
                self._stop.wait(draw.uniform(0, 0.2))
        except Exception as error:
            self.wrong.append(f"{type(error).__name__}: {error}")

    def _look(self, draw: random.Random, sequence: int) -> int:
        lake = Outside(self.toy.lake.lake, self.toy.lake.catalog)
        current = lake.current()
        assert current
        with self._connections:
            pointers = lake.pointers()
        for name, tables in (("current.json", current["tables"]), ("the catalog", pointers)):
            runs = {lake.metadata(m)["properties"][RUN_PROPERTY] for m in tables.values()}
            if len(runs) != 1 or len(tables) != 18:
                self.wrong.append(f"{name}: {len(tables)} tables of {runs}")
        if current["sequence"] < sequence:
            self.wrong.append(f"sequence {current['sequence']} after {sequence}")
        table = draw.choice(["recommendations", "similar_items", "audiences"])
        seen = {r["model_version"] for r in lake.rows(current["tables"][table], current["ds"])}
        if seen != {current["run_id"]}:
            self.wrong.append(f"{table} of run {current['run_id']} holds rows of {seen}")
        return int(current["sequence"])


@pytest.mark.parametrize(
    ("count", "rounds"), [(20, 1), pytest.param(READERS, 3, marks=pytest.mark.slow)], ids=["20", "200"]
)
def test_readers_during_publishes(
    count: int, rounds: int, on_postgres: Toy, case: Case, expected: Any
) -> None:
    """With PostgreSQL: threads of one process that keep reading a SQLite file keep its writers out."""
    toy = on_postgres
    with Readers(toy, count) as readers:
        for number in range(rounds):
            both = [toy.start(run=f"{name}-{number}") for name in ("one", "two")]
            if number == 0:
                both.append(toy.start(run="killed", fail_at="mid_swap@9"))
                case.fault()
            for process, wanted in zip(both, (0, 0, KILLED), strict=False):
                done = ended(process, timeout=200)
                case.exit(done.returncode, wanted, told=done.stderr)
    assert readers.wrong == []
    assert readers.reads > count
    published = [p["run_id"] for p in toy.lake.publishes()]
    assert len(published) == 1 + 2 * rounds
    case.check(toy.view(expected=of_run(expected, published[-1])))
