"""A PostgreSQL server to kill, and a wire to it that loses replies."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2

from scripts.services import postgres as servers
from scripts.services.process import DidNotStart, start, wait_ready
from tests.servers import free_ports, or_skip, stop

_LATE_SECONDS = 3


class Postgres:
    """A server on a port of its own; `kill` is `kill -9` of its postmaster, `start` its recovery."""

    def __init__(self, data: Path, port: int) -> None:
        self.data, self.port = data, port
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        server, log = servers.server(self.data, self.port), self.data.parent / "log"
        end = time.monotonic() + 60
        while True:
            # A killed server's children end a moment later, and hold its memory until then.
            self.process = start(server, log)
            try:
                return wait_ready(server, self.process, log)
            except DidNotStart:
                if time.monotonic() > end:
                    raise

    def connect(self) -> psycopg2.extensions.connection:
        return servers.connect(self.port)

    def kill(self) -> None:
        assert self.process
        stop(self.process, signal.SIGKILL)

    def url(self, database: str, port: int = 0) -> str:
        return f"postgresql+psycopg2://nightshelf@127.0.0.1:{port or self.port}/{database}"

    def create(self, database: str) -> None:
        with contextlib.closing(self.connect()) as connection:
            connection.cursor().execute(f"CREATE DATABASE {database}")


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="nightshelf-faults-"))
    folder.chmod(0o755)
    with or_skip():
        servers.initialise(folder / "data")
    server = Postgres(folder / "data", free_ports(1)[0])
    try:
        server.start()
        yield server
    finally:
        if server.process and server.process.poll() is None:
            stop(server.process, signal.SIGINT)
        shutil.rmtree(folder)


class Wire:
    """A TCP proxy in front of PostgreSQL. `lose_reply`: the next COMMIT is done, and nobody is told;
    `lose_request`: the next COMMIT never arrives; `late_request`: it does, after its sender was cut off.
    """

    def __init__(self, upstream: int) -> None:
        self.upstream, self.mode, self.lost = upstream, "", 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.upstream))
            except OSError:
                client.close()
                continue
            quiet = threading.Event()
            threading.Thread(target=self._requests, args=(client, server, quiet), daemon=True).start()
            threading.Thread(target=self._replies, args=(client, server, quiet), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket, quiet: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                # A simple query: 'Q', its length, the text.
                if self.mode and data[:1] == b"Q" and data[5:11].upper() == b"COMMIT":
                    self.lost, mode, self.mode = self.lost + 1, self.mode, ""
                    if mode == "lose_request":
                        break
                    quiet.set()
                    if mode == "late_request":
                        _shut(client)
                        time.sleep(_LATE_SECONDS)
                server.sendall(data)
        _shut(client, server)

    @staticmethod
    def _replies(client: socket.socket, server: socket.socket, quiet: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if quiet.is_set():
                    break
                client.sendall(data)
        _shut(client, server)


def _shut(*sockets: socket.socket) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
