"""Processes without the wait for their imports: a server imports once, and forks one process a command.

The forked process is a real one: it has its own environment, exit code and files for output, and dies of
`kill -9` alone. `python -m tests.faults.forks` is the server; `Forks` starts it and asks it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from jobs.settings import ROOT

_START_SECONDS = 120


class Child:
    """As much of `Popen` as the cases use."""

    def __init__(self, folder: Path, args: list[str]) -> None:
        self.folder, self.args = folder, args

    @property
    def pid(self) -> int:
        return int(_await(self.folder / "pid"))

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        file = self.folder / "code"
        return int(file.read_text()) if file.exists() else None

    def wait(self, timeout: float) -> int:
        return int(_await(self.folder / "code", timeout))

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def communicate(self, timeout: float = 120) -> tuple[str, str]:
        try:
            self.wait(timeout)
        except TimeoutError:
            raise subprocess.TimeoutExpired(self.args, timeout) from None
        return (self.folder / "out").read_text(), (self.folder / "err").read_text()


class Forks:
    """Starts commands: `start(["jobs.cli", "doctor"], env)` is `python -m jobs.cli doctor`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "tests.faults.forks"]
        self.server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, text=True)

    def start(self, args: list[str], env: dict[str, str]) -> Child:
        folder = Path(tempfile.mkdtemp(prefix="process-", dir=self.folder))
        assert self.server.stdin
        self.server.stdin.write(json.dumps({"folder": str(folder), "args": args, "env": env}) + "\n")
        self.server.stdin.flush()
        return Child(folder, args)

    def close(self) -> None:
        assert self.server.stdin
        self.server.stdin.close()
        self.server.wait(timeout=60)


def _await(file: Path, timeout: float = _START_SECONDS) -> str:
    end = time.monotonic() + timeout
    while not file.exists():
        if time.monotonic() > end:
            raise TimeoutError(file)
        time.sleep(0.01)
    return file.read_text()


@contextlib.contextmanager
def forks(folder: Path) -> Iterator[Forks]:
    found = Forks(folder)
    try:
        yield found
    finally:
        found.close()


# -- the server -----------------------------------------------------------------------


def _serve() -> None:
    ours = ("browse", "publish", "runner", "forget_user", "lake_maintenance")
    for name in (*(f"jobs.{n}" for n in ours), "tests.faults.toy", "boto3", "psycopg2"):
        importlib.import_module(name)

    running: dict[int, Path] = {}
    pending = b""
    while True:
        while running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            _write(running.pop(pid) / "code", str(os.waitstatus_to_exitcode(status)))
        if not select.select([0], [], [], 0.01)[0]:
            continue
        read = os.read(0, 1 << 20)
        if not read:
            break
        *lines, pending = (pending + read).split(b"\n")
        for line in lines:
            order = json.loads(line)
            pid = os.fork()
            if pid == 0:
                _become(order)
            running[pid] = Path(order["folder"])
            _write(running[pid] / "pid", str(pid))
    for pid in running:
        os.kill(pid, signal.SIGKILL)


def _write(file: Path, text: str) -> None:
    part = file.with_suffix(".part")
    part.write_text(text)
    os.replace(part, file)


def _become(order: dict[str, object]) -> None:
    """In the forked process: runs the command and leaves."""
    code: object = 1
    try:
        os.environ.clear()
        os.environ.update(order["env"])  # type: ignore[arg-type]
        for number, name in ((1, "out"), (2, "err")):
            file = os.open(f"{order['folder']}/{name}", os.O_WRONLY | os.O_CREAT)
            os.dup2(file, number)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        module, *sys.argv[1:] = order["args"]  # type: ignore[misc]
        from jobs import cli, failpoints
        from tests.faults import toy

        failpoints._fail_at = os.environ.get(failpoints.VARIABLE, "")
        {"jobs.cli": cli.main, "tests.faults.toy": toy.main}[module]()
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    _serve()
