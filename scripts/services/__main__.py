"""Start, look at and stop the services: `make services`, `make services-down`.

Exit codes: 0 done · 1 not everything runs (`status`) · 2 something is missing here · 20 one did not start.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from jobs.errors import NightshelfError
from jobs.settings import ROOT
from scripts.services import airflow, postgres, spark, swift
from scripts.services.stack import BUCKET, CATALOG, Stack, check_packages

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)

Folder = Annotated[Path, typer.Option("--folder", help="Where state, data and logs are.")]
_DEFAULT = ROOT / "var" / "services"


@app.command()
def up(folder: Folder = _DEFAULT) -> None:
    """Start what does not run yet, wait until all of it answers, and say where it is."""
    check_packages()
    stack = Stack(folder, _say)
    started = stack.up()
    _say("all services run" if started else "all services run already")
    _show(stack)


@app.command()
def status(folder: Folder = _DEFAULT) -> None:
    """Say how each service is, and where."""
    stack = Stack(folder, _say)
    health = stack.health()
    for name, found in health.items():
        print(f"{name:22} {found}")
    if set(health.values()) != {"healthy"}:
        _say("not everything runs: 'make services' starts what is missing")
        raise typer.Exit(1)
    _show(stack)


@app.command()
def down(folder: Folder = _DEFAULT) -> None:
    """Stop what was started, and nothing else. Data stays."""
    stopped = Stack(folder, _say).down()
    _say(f"stopped {', '.join(stopped)}" if stopped else "nothing runs")


def _show(stack: Stack) -> None:
    ports, secrets = stack.ports, stack.secrets()
    databases = f"user {postgres.USER}, databases {CATALOG}, {airflow.DATABASE}"
    store, cluster = swift.endpoint(ports["swift-proxy"]), spark.url(ports["spark-master"])
    print(
        f"PostgreSQL  127.0.0.1:{ports['postgres']}  {databases}; password in {secrets.pgpass}\n"
        f"S3          {store}  bucket {BUCKET}; keys in {stack.folder}/nightshelf.env\n"
        f"Spark       {cluster}  page http://127.0.0.1:{ports['spark-page']}\n"
        f"Airflow     {airflow.url(ports['airflow'])}  user {airflow.USER}; "
        f"password in {secrets.airflow_passwords}\n"
        f"Logs        {stack.folder}/logs, {stack.folder}/airflow/logs\n"
        f"By hand     . {stack.folder}/nightshelf.env; nightshelf doctor    (Airflow's: airflow.env)\n"
        "Stop        make services-down"
    )


def _say(text: str) -> None:
    print(f"services: {text}", file=sys.stderr, flush=True)


def _end(signum: int, frame: FrameType | None) -> None:
    # Once: a second signal, such as one to the whole process group, would cut the cleaning up short.
    for known in (signal.SIGINT, signal.SIGTERM):
        signal.signal(known, signal.SIG_IGN)
    _say("interrupted")
    sys.exit(128 + signum)


def main() -> None:
    for known in (signal.SIGINT, signal.SIGTERM):
        signal.signal(known, _end)
    try:
        code = app(standalone_mode=False, prog_name="services")
    except NightshelfError as error:
        _say(str(error))
        code = error.exit_code
    except typer.Exit as error:
        code = error.exit_code
    sys.exit(code or 0)


if __name__ == "__main__":
    main()
