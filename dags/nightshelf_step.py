"""What a task runs, and what its exit code means: a step, or a command of care, as its own process."""

from __future__ import annotations

import json
import logging
import math
import os
import shlex
import signal
import subprocess
import sys
import tomllib
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

log = logging.getLogger(__name__)

HOME = Path(os.environ.get("NIGHTSHELF_HOME") or Path(__file__).resolve().parent.parent)
COMMAND = shlex.split(os.environ.get("NIGHTSHELF_COMMAND") or f"{shlex.quote(sys.executable)} -m jobs.cli")

# Of what a step printed, so many of its last lines are kept: others may print after its answer.
KEPT_LINES = 100

# The exit codes of docs/architecture.md: another try would change nothing.
FINAL = {2: "wrong arguments, settings or input", 10: "a gate failed"}


def resolve_ds(context: dict[str, Any]) -> str:
    """The night's date: the param `ds`, else the logical date; fails where there is neither."""
    given = context["params"].get("ds")
    if given:
        return str(given)
    logical_date = context["dag_run"].logical_date
    if logical_date is None:
        raise AirflowFailException(
            "this run has no logical date: trigger it with the param ds, such as {'ds': '2026-01-31'}"
        )
    return str(logical_date.strftime("%Y-%m-%d"))


def choice(name: str, words: Sequence[str]) -> str:
    """The environment's word for `name`, by default the first; raises `ValueError` for any other word."""
    found = os.environ.get(name) or words[0]
    if found not in words:
        raise ValueError(f"{name} '{found}': use {', '.join(words[:-1])} or {words[-1]}")
    return found


def number(name: str, usual: float, most: float = math.inf, zero: bool = True, hint: str = "") -> float:
    """The environment's number for `name`, from 0 to `most`; raises `ValueError` for anything else.

    `zero`: whether 0 is a number to give. `hint` ends the message.
    """
    given = os.environ.get(name) or str(usual)
    try:
        found = float(given)
    except ValueError:
        found = -1
    if not 0 <= found <= most or math.isinf(found) or not (found or zero):
        bounds = f"a number from 0 to {most:g}" if most < math.inf else "a number, not below 0"
        bounds = bounds if zero else "a number above 0"
        raise ValueError(f"{name} '{given}': give {bounds}, such as {usual:g}{hint}")
    return found


def setting(name: str) -> Any:
    """A step's setting, from the environment, else the file.

    As `jobs/settings.py` finds it, which a scheduler need not have.
    """
    if given := os.environ.get(f"NIGHTSHELF_{name.upper()}"):
        return given
    try:
        return tomllib.loads(_settings_file().read_text()).get(name)
    except (OSError, ValueError):
        return None  # the step itself says what is wrong with the file


def _settings_file() -> Path:
    return HOME / Path(os.environ.get("NIGHTSHELF_CONFIG") or "nightshelf.toml").expanduser()


def failure(step: str, code: int, said: str) -> AirflowException:
    """What a task raises for an exit code: `AirflowFailException` where another try would change nothing."""
    if code in FINAL:
        return AirflowFailException(f"{step}: {FINAL[code]} (exit {code}): {said}")
    return AirflowException(f"{step}: exit {code}: {said}")


def answer_in(lines: Iterable[str]) -> dict[str, Any] | None:
    """The step's answer, its last line of JSON, wherever others print after it; None where it is lost."""
    for line in reversed(list(lines)):
        if line.startswith("{"):
            try:
                found: dict[str, Any] = json.loads(line)
            except ValueError:
                continue
            return found
    return None


def said_in(lines: Iterable[str]) -> str:
    """The step's own last sentence, wherever others print after it; else whatever was printed last."""
    told = [line for line in lines if line]
    own = [line for line in told if line.startswith("nightshelf: ")]
    return (own or told or [""])[-1]


class StepCommand:
    """The words of `nightshelf <step> --ds … --run-id …`, whatever operator runs them.

    `options` names the params that are handed to the step, a true one as a flag; `told` maps an option to
    the task whose XCom of that name is its value, where there is one.
    """

    step: str
    options: list[str]
    told: dict[str, str]

    def take(self, step: str, options: Sequence[str], told: dict[str, str] | None = None) -> None:
        self.step, self.options, self.told = step, list(options), dict(told or {})

    def chosen(self, params: Any) -> list[str]:
        """The options that the params give a value, and the flags that they set."""
        words = []
        for name in self.options:
            value = params.get(name)
            if value is not None and value is not False:
                words += [_option(name)] if value is True else [_option(name), str(value)]
        return words

    def words(self, context: Any) -> list[str]:
        params = context["params"]
        run_id = params.get("run_id") or context["dag_run"].run_id
        words = [self.step, "--ds", resolve_ds(context), "--run-id", run_id, *self.chosen(params)]
        for name, task in self.told.items():
            value = context["ti"].xcom_pull(task_ids=task, key=name)
            if value:
                words += [_option(name), str(value)]
        return words

    def command(self, context: Any) -> list[str]:
        return [*COMMAND, *self.words(context)]


class StepOperator(StepCommand, BaseOperator):
    """Runs a step as a process; its answer, the last line of JSON that it printed, is the XCom.

    Exit codes 2 and 10 fail the task for good; anything else than 0 is tried
    again as often as `retries` allows.
    """

    ui_color = "#e8eef7"

    def __init__(
        self, *, step: str, options: Sequence[str] = (), told: dict[str, str] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.take(step, options, told)
        self._process: subprocess.Popen[str] | None = None

    def shown(self, command: list[str]) -> list[str]:
        """The command as the log shows it."""
        return command

    def execute(self, context: Any) -> dict[str, Any] | None:
        command = self.command(context)
        log.info("running %s", shlex.join(self.shown(command)))
        # A session of its own, so that a timeout or a kill from the page also ends Spark's JVM.
        self._process = subprocess.Popen(
            command,
            cwd=HOME,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        lines: deque[str] = deque(maxlen=KEPT_LINES)
        try:
            assert self._process.stdout is not None
            for line in self._process.stdout:
                log.info("%s", line.rstrip())
                lines.append(line.strip())
            code = self._process.wait()
        finally:
            self.on_kill()
        if code != 0:
            raise failure(self.step, code, said_in(lines))
        return answer_in(lines)

    def on_kill(self) -> None:
        """End the step's whole process group, if it still runs."""
        process = self._process
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


class CareOperator(StepOperator):
    """Runs a command of care, `nightshelf <step> --json`, which belongs to no date and no run.

    `flags` names params that are true or false. `private` maps an option to the param that gives it: it is
    handed over as one argument and never shown.
    """

    ui_color = "#f3ece0"

    def __init__(
        self, *, flags: Sequence[str] = (), private: dict[str, str] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.flags = list(flags)
        self.private = dict(private or {})

    def execute(self, context: Any) -> dict[str, Any] | None:
        # Pods have their settings of a Secret: a worker without any would tend an empty lake, and be content.
        if os.environ.get("NIGHTSHELF_RUN_WITH") == "kubernetes" and not _lake_is_given():
            raise AirflowFailException(
                f"{self.step}: steps run in pods, but care on this worker, whose settings name no lake: set "
                "NIGHTSHELF_LAKE here, and catalog and keys, as the pods' Secret has them"
            )
        return super().execute(context)

    def words(self, context: Any) -> list[str]:
        params = context["params"]
        words = [self.step, "--json", *(_option(name) for name in self.flags if params.get(name))]
        words += self.chosen(params)
        # With '=', so that a value which begins with '-' is no option.
        return words + [f"{_option(name)}={params[param]}" for name, param in self.private.items()]

    def shown(self, command: list[str]) -> list[str]:
        hidden = tuple(f"{_option(name)}=" for name in self.private)
        return [word.split("=", 1)[0] + "=…" if word.startswith(hidden) else word for word in command]


def _lake_is_given() -> bool:
    """Whether this worker's environment or settings file names a lake; as `jobs/settings.py` reads them."""
    given = os.environ.get("NIGHTSHELF_LAKE")
    if given is not None:
        return bool(given)
    path = _settings_file()
    try:
        return path.is_file() and bool(tomllib.loads(path.read_text()).get("lake"))
    except (OSError, ValueError):
        # Not to be read: the command itself fails, and says why.
        return True


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
