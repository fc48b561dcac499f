"""Servers as local processes: each with a log, known by its id and its start, and stopped by both."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.errors import BadInput, Transient

# Children inherit it, so that what a killed server leaves behind is found too.
MARK = "NIGHTSHELF_SERVICES"
_STOP_SECONDS = 15


class NotInstalled(BadInput):
    """A program that a server needs is not on this machine."""


class DidNotStart(Transient):
    """A server ended, or did not answer in time."""


@dataclass(frozen=True)
class Identity:
    """A process: its id, and its start in clock ticks since boot. A reused id is another process."""

    pid: int
    started: int


@dataclass
class Server:
    """A command, and how to see that it answers. `seconds`: how long that may take."""

    name: str
    command: list[str]
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    cwd: Path | None = None
    stop_signal: int = signal.SIGTERM
    seconds: float = 180

    @property
    def group(self) -> str:
        """Servers of a group are started, and stopped, together: `swift` of `swift-object`."""
        return self.name.split("-")[0]


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def is_free(port: int) -> bool:
    with socket.socket() as one:
        # As servers do: a port whose last connections are still closing is free.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def listens(port: int) -> bool:
    """Whether somebody on the loopback accepts connections."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


# A server that is starting, or ending, may also cut its answer, or give one that is no HTTP yet.
_NO_ANSWER = (OSError, http.client.HTTPException)


def answers(url: str) -> bool:
    """Whether a GET of the URL succeeds."""
    try:
        with urllib.request.urlopen(url, timeout=5):  # nosec B310
            return True
    except _NO_ANSWER:
        return False


def told(url: str, *path: str) -> Any:
    """What a page of JSON says under these names; None where it says nothing, or gives no whole answer."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # nosec B310
            found = json.load(answer)
    except (*_NO_ANSWER, ValueError):
        return None
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


# -- starting -----------------------------------------------------------------


def start(server: Server, log: Path) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, so that a terminal's end or Ctrl-C is not its end."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        return subprocess.Popen(
            server.command, env=server.environment, cwd=server.cwd,
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


def wait_ready(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a server answers; raises `DidNotStart` with the last line of its log."""
    end = time.monotonic() + server.seconds
    while time.monotonic() < end and process.poll() is None:
        if server.ready():
            return
        time.sleep(0.1)
    why = f"no answer in {server.seconds:g} s" if process.poll() is None else f"exit {process.returncode}"
    lines = log.read_text(errors="replace").strip().splitlines()
    last = lines[-1][:300] if lines else "no word"
    raise DidNotStart(f"{server.name} did not start ({why}): {last}; more in {log}")


@contextlib.contextmanager
def running(servers: Iterable[Server], logs: Path) -> Iterator[None]:
    """Servers for the time of a block, started together, stopped in the opposite order."""
    started: list[tuple[Server, subprocess.Popen[bytes]]] = []
    try:
        for server in servers:
            started.append((server, start(server, logs / f"{server.name}.log")))
        for server, process in started:
            wait_ready(server, process, logs / f"{server.name}.log")
        yield
    finally:
        for server, process in reversed(started):
            stop_child(process, server.stop_signal)


# -- stopping -----------------------------------------------------------------


def stop_child(process: subprocess.Popen[bytes], how: int = signal.SIGTERM) -> None:
    """Stop a process that this one started, and wait for its end."""
    process.send_signal(how)
    try:
        process.wait(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def identify(pid: int) -> Identity | None:
    """Who has this process id now; None where nobody lives under it."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # proc(5): after the name in brackets comes field 3, the state; the start is field 22.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else Identity(pid, int(fields[19]))


def alive(process: Identity) -> bool:
    return identify(process.pid) == process


def send(process: Identity, how: int) -> None:
    """Signal exactly this process: nobody, where it has ended and its id is another's by now."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        # The handle holds on to whoever has the id now, so what is compared is what is signalled.
        if alive(process):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, how)
    finally:
        os.close(handle)


def stop(processes: Sequence[tuple[Identity, int]], seconds: float = _STOP_SECONDS) -> None:
    """Send each its signal, and SIGKILL to those that live `seconds` later; returns when all have ended."""
    for process, how in processes:
        send(process, how)
    end = time.monotonic() + seconds
    while any(alive(p) for p, _ in processes):
        if time.monotonic() > end:
            for process, _ in processes:
                send(process, signal.SIGKILL)
        time.sleep(0.05)


def marked(mark: str) -> list[Identity]:
    """The processes that carry a mark in their environment."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        who = identify(int(folder.name))
        with contextlib.suppress(OSError):
            if who and wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(who)
    return found
