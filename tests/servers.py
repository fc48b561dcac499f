"""The services of `scripts/services` for tests: on free ports, and skipped where one cannot be had."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.services import postgres as _postgres
from scripts.services import spark
from scripts.services import swift as _swift
from scripts.services.process import NotInstalled, free_ports, running
from scripts.services.process import stop_child as stop

__all__ = ["free_ports", "or_skip", "postgres", "spark_cluster", "stop", "swift"]


@contextlib.contextmanager
def or_skip() -> Iterator[None]:
    """Skip the test, with the reason, where a program is not on this machine."""
    try:
        yield
    except NotInstalled as error:
        pytest.skip(str(error))


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL server; yields its SQLAlchemy URL. Skips where PostgreSQL is not installed."""
    (port,) = free_ports(1)
    # Not in pytest's folders: every pytest that starts closes them to other users, in mid-run too.
    folder = Path(tempfile.mkdtemp(prefix="nightshelf-postgres-"))
    folder.chmod(0o755)
    try:
        with or_skip():
            _postgres.initialise(folder / "data")
        with running([_postgres.server(folder / "data", port)], folder):
            yield _postgres.url(port)
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def swift(base: Path) -> Iterator[str]:
    """An S3 server (OpenStack Swift); yields its endpoint. Key `test:tester`, secret `testing`."""
    ports = dict(zip(_swift.NAMES, free_ports(len(_swift.NAMES)), strict=True))
    with or_skip():
        _swift.configure(base, ports, "test:tester", "testing")
    with running(_swift.servers(base, ports), base / "run"):
        yield _swift.endpoint(ports["proxy"])


@contextlib.contextmanager
def spark_cluster(base: Path, java_home: str, workers: int = 2) -> Iterator[str]:
    """A master and workers of one core each; yields the master's URL. What executors do lies under
    `base/worker-<n>`.
    """
    ports = free_ports(2 + workers)
    master, *others = spark.servers(base, java_home, ports)
    with running([master], base / "logs"), running(others, base / "logs"):
        yield spark.url(ports[0])
