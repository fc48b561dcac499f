"""One whole night by hand: Airflow runs the DAG once, and a person sees how it goes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from jobs.errors import BadInput, GateFailed, Transient
from jobs.lake.store import Store, make_folder
from jobs.night import Options, safe_run_id
from jobs.settings import ROOT, Settings, settings
from jobs.steps import STEPS

_POLL_SECONDS = 0.5
_GPU_SLOTS = "1"


@dataclass
class Summary:
    """What a person wants to know after a night."""

    run_id: str
    ds: str
    exit_code: int = 0
    published: bool = False
    lake: str = ""
    report: str = ""
    log: str = ""
    seconds: float = 0.0
    error: str = ""
    steps: list[dict[str, Any]] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    models: list[dict[str, Any]] = field(default_factory=list)


def airflow_home() -> Path:
    return Path(os.environ.get("AIRFLOW_HOME") or ROOT / "var" / "airflow")


def airflow_environment() -> dict[str, str]:
    """Environment for Airflow's own commands; what the person has set stays."""
    defaults = {
        "AIRFLOW_HOME": str(airflow_home()),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        "NIGHTSHELF_RETRY_SECONDS": "10",
    }
    return defaults | dict(os.environ) | {"NO_COLOR": "1"}


def one_run_environment() -> dict[str, str]:
    """As above, for `airflow dags test`: Airflow 3.3.2 cannot end such a run where the DAG has a deadline, or
    waits for a person.
    """
    found = airflow_environment() | {"NIGHTSHELF_DEADLINE_MINUTES": "0"}
    if found.get("NIGHTSHELF_APPROVE") == "ask":
        found["NIGHTSHELF_APPROVE"] = "keep"
    return found


def prepare_airflow(environment: dict[str, str], log: Path, database: str = "") -> None:
    """Make Airflow's database and the GPU pool: once for each version of Airflow, each database and pool.

    database: tells apart databases that had the same address one after the other.
    """
    ready = Path(environment["AIRFLOW_HOME"], ".nightshelf-ready")
    if ready.exists() and ready.read_text() == _prepared(environment, database):
        return
    name = _pool(environment)
    pool = ["pools", "set", name, _GPU_SLOTS, "Steps that use a GPU"]
    # A pool that is there may have been given other slots by a person.
    for command, unless in ((["db", "migrate"], None), (pool, ["pools", "get", name])):
        if unless and _airflow(unless, environment, log) == 0:
            continue
        if _airflow(command, environment, log):
            raise BadInput(f"'airflow {' '.join(command)}' failed; {log} says why")
    # Asked again: Airflow has written its configuration meanwhile.
    ready.write_text(_prepared(environment, database))


def _pool(environment: dict[str, str]) -> str:
    """The pool that steps which use a GPU wait for, as `dags/nightshelf_factory.py` names it."""
    return environment.get("NIGHTSHELF_GPU_POOL") or "gpu"


def _airflow(command: list[str], environment: dict[str, str], log: Path) -> int:
    with log.open("ab") as out:
        return subprocess.run(
            [sys.executable, "-m", "airflow", *command],
            env=environment, stdout=out, stderr=subprocess.STDOUT, check=False,
        ).returncode  # fmt: skip


def _prepared(environment: dict[str, str], database: str) -> str:
    """What was prepared: Airflow's version, pool and, hashed, database, whose address may hold a password."""
    address = _address(environment)
    kind, _, file = address.partition(":///")
    gone = kind.startswith("sqlite") and not Path(file).exists()
    known = hashlib.sha256(json.dumps([address, database, gone]).encode()).hexdigest()
    return json.dumps({"airflow": version("apache-airflow"), "database": known, "pool": _pool(environment)})


def _address(environment: dict[str, str]) -> str:
    """The database's address as Airflow finds it, or the command or secret that it has it from."""
    for suffix in ("", "_CMD", "_SECRET"):
        given = environment.get(f"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN{suffix}")
        if given:
            return given
    default = Path(environment["AIRFLOW_HOME"], "airflow.cfg")
    with suppress(FileNotFoundError):
        text = Path(environment.get("AIRFLOW_CONFIG") or default).read_text()
        found = re.search(r"^sql_alchemy_conn(?:_cmd|_secret)?[ \t]*=[ \t]*(\S.*)$", text, re.MULTILINE)
        return found[1].strip() if found else ""
    return ""


def use_sample_shop() -> str:
    """Make the generated sample shop this process's source; returns its last day."""
    from jobs.sample.shop import generate

    folder = ROOT / "var" / "sample"
    if not (folder / "truth.json").exists():
        with Console(stderr=True).status("generating the sample shop"):
            generate(folder, Settings.model_fields["seed"].default)
    source = {"mapping": "sample-shop", "files": [str(folder)]}
    os.environ["NIGHTSHELF_SOURCES"] = json.dumps([source])
    return max(p.stem.removeprefix("events-") for p in folder.glob("events-*.csv"))


def steps_environment() -> dict[str, str]:
    """What makes the steps, wherever Airflow is, read the settings and the relative paths that this command
    reads: its working directory is theirs. No package that lies there stands in for ours.
    """
    return {
        "NIGHTSHELF_HOME": str(Path.cwd()),
        "NIGHTSHELF_LAKE": settings().lake,
        "PYTHONSAFEPATH": "1",
    }


def run_with_airflow(ds: date, run_id: str, options: Options | None, quiet: bool = False) -> Summary:
    """Run the DAG `nightly` for one date and wait for it; nothing is raised for a failed night."""
    started = time.monotonic()
    stamp = datetime.now(UTC).strftime("%H%M%S")
    name = safe_run_id(run_id or f"manual-{ds}-{stamp}")
    conf: dict[str, Any] = {"ds": ds.isoformat(), "run_id": name}
    conf |= {k: v for k, v in asdict(options or Options()).items() if v is not None}
    environment = one_run_environment() | steps_environment()
    if not settings().on_s3:
        # Else the first step would tell it, after Airflow's start.
        make_folder(Path(settings().lake))
    log = airflow_home() / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "airflow", "dags", "test", "nightly", "-c", json.dumps(conf)]
    with ExitStack() as stack:
        progress = _Progress(Store.of(settings()), name, stack, quiet)
        progress.say("preparing Airflow")
        prepare_airflow(environment, log)
        out = stack.enter_context(log.open("ab"))
        stack.enter_context(_stopped_like_interrupted())
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                progress.look()
                time.sleep(_POLL_SECONDS)
        except BaseException:
            # Whatever ends this command ends the night too: nobody would be told of it.
            _end(process)
            raise
        progress.look()
    return _summary(name, ds, process.returncode, log, time.monotonic() - started)


def _end(airflow: subprocess.Popen[bytes]) -> None:
    """End Airflow and the step that it runs, which a later night can take: every step may be killed.

    Asked to end, Airflow counts the step as failed, and goes on to the next.
    """
    with suppress(psutil.NoSuchProcess):
        running = psutil.Process(airflow.pid)
        running.suspend()
        for one in (*running.children(recursive=True), running):
            with suppress(psutil.NoSuchProcess):
                one.kill()
    airflow.wait()


@contextmanager
def _stopped_like_interrupted() -> Iterator[None]:
    """SIGTERM, as `timeout` and systemd send it, is Ctrl-C: Airflow must not go on with nobody to tell."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Progress:
    """One line a step on a terminal; one plain line at each step's end elsewhere."""

    def __init__(self, store: Store, run_id: str, stack: ExitStack, quiet: bool) -> None:
        self.store, self.prefix = store, f"runs/{run_id}/steps"
        self.console = Console(stderr=True, quiet=quiet, markup=False, emoji=False)
        self.done: dict[str, dict[str, Any]] = {}
        self.bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        stack.enter_context(self.bar)
        self.task = self.bar.add_task("starting")

    def say(self, text: str) -> None:
        self.bar.update(self.task, description=text)

    def look(self) -> None:
        """Tell what is new. What the store does not answer just now, or a retry takes away, is told later."""
        with suppress(Transient, FileNotFoundError):
            self._update()

    def _update(self) -> None:
        for key in self.store.list(self.prefix):
            record = json.loads(self.store.read(key))
            step = record["step"]
            if record["outcome"] == "running":
                self.say(f"{step} ({len(self.done) + 1} of {len(STEPS)})")
            elif self.done.get(step, {}).get("started") != record["started"]:
                self.done[step] = record
                mark = ("done", "green") if record["outcome"] == "done" else ("failed", "red")
                took = f" {record['seconds']:7.1f} s {record['peak_mb']:6} MiB"
                self.console.print(Text.assemble(f"{step:18} ", mark, took))


def _summary(name: str, ds: date, code: int, log: Path, seconds: float) -> Summary:
    store = Store.of(settings())
    records = [json.loads(store.read(k)) for k in store.list(f"runs/{name}/steps")]
    records.sort(key=lambda r: r["started"])
    summary = Summary(name, ds.isoformat(), lake=store.uri(""), log=str(log), seconds=round(seconds, 1))
    summary.steps = [{k: r.get(k) for k in ("step", "outcome", "seconds", "peak_mb")} for r in records]
    by_step = {r["step"]: r for r in records}
    published = by_step.get("publish", {})
    summary.published = published.get("outcome") == "done"
    if summary.published:
        summary.rows = published["summary"]["rows"]
    failed = [r for r in records if r["outcome"] != "done"]
    kept = _kept(store, name)
    if kept and not failed and not summary.published:
        # It passed its audit, and is staged whole: a person's word is all that it lacks.
        summary.exit_code = GateFailed.exit_code
        summary.error = f"{kept}. To publish it: nightshelf publish --ds {ds} --run-id {name}"
    elif code or failed or not summary.published:
        summary.exit_code = int(next((r.get("exit_code", 1) for r in failed), 1))
        reason = next((f"{r['step']}: {r.get('error', 'did not end')}" for r in failed), "")
        summary.error = reason or f"Airflow did not finish the night; {log} says why"
    if store.exists(f"runs/{name}/report.html"):
        summary.report = store.uri(f"runs/{name}/report.html")
    summary.models = [json.loads(store.read(k)) for k in store.list(f"runs/{name}/models")]
    return summary


def _kept(store: Store, name: str) -> str:
    try:
        return str(json.loads(store.read(f"runs/{name}/notes/approval.json"))["kept"])
    except FileNotFoundError:
        return ""


def show(summary: Summary, as_json: bool) -> None:
    """Print how the night went: tables, measures beside the baseline, timings, report."""
    if as_json:
        print(json.dumps(asdict(summary), sort_keys=True))
        return
    # Errors, and names out of the lake, are no markup.
    console = Console(markup=False, emoji=False)
    if summary.published:
        table = Table(
            "table", "rows of the night", title=f"Published: {summary.run_id}", title_justify="left"
        )
        table.columns[1].justify = "right"
        for name, rows in sorted(summary.rows.items()):
            table.add_row(name, f"{rows:,}")
        console.print(table)
    for model in summary.models:
        _show_model(console, model)
    times = "  ".join(f"{s['step']} {s['seconds']:.0f}s" for s in summary.steps if s["seconds"] is not None)
    _say(console, "Time", f"{summary.seconds:.0f} s: {times}")
    _say(console, "Lake", summary.lake)
    _say(console, "Report", summary.report or "none was written")
    _say(console, "Log", summary.log)
    if summary.error and summary.published:
        _say(console, "The night is published.", f"Afterwards it went wrong: {summary.error}", "yellow bold")
    elif summary.error:
        _say(console, "Nothing was published.", summary.error, "red bold")
    if summary.published:
        console.print("Read it:  nightshelf tables · nightshelf show recommendations", soft_wrap=True)


def _say(console: Console, label: str, text: str, style: str = "bold") -> None:
    console.print(Text.assemble((label, style), " " * max(1, 8 - len(label)), text), soft_wrap=True)


def _show_model(console: Console, model: dict[str, Any]) -> None:
    measures, baseline = json.loads(model["metrics"]), json.loads(model["baseline"])
    shared = [k for k in measures if k in baseline and isinstance(measures[k], int | float)]
    if shared:
        table = Table("measure", model["kind"], "baseline", title=f"{model['model']} {model['version']}")
        for name in shared:
            table.add_row(name, f"{measures[name]:.4g}", f"{baseline[name]:.4g}")
        console.print(table)
    _say(console, "Gate", f"{model['model']}: {model['verdict']}. {model['why']}")
