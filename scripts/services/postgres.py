"""PostgreSQL, as Debian ships it, in a folder of its own."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

from jobs.errors import BadInput
from scripts.services.process import NotInstalled, Server

USER = "nightshelf"


def program(name: str) -> str:
    """Path of a program of PostgreSQL's newest version here."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), key=_version)
    path = found[-1] if found else shutil.which(name)
    if not path:
        raise NotInstalled("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    return path


def _version(path: str) -> float:
    return float(Path(path).parts[4])


def _as_ordinary_user() -> list[str]:
    """PostgreSQL refuses to run as root: use a user that every Debian has."""
    if os.getuid() != 0:
        return []
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


def initialise(data: Path, password: str = "", durable: bool = False) -> None:  # nosec B107
    """Make an empty cluster in `data`, unless there is one. Without a password it trusts every client."""
    if (data / "PG_VERSION").exists():
        return
    data.mkdir(parents=True, exist_ok=True)
    prefix = _as_ordinary_user()
    given = data.with_name(f"{data.name}.password")
    command = [program("initdb"), "-D", str(data), "-U", USER, "-E", "UTF8", "--locale=C"]
    command += ["-A", "scram-sha-256", f"--pwfile={given}"] if password else ["-A", "trust"]
    command += [] if durable else ["--no-sync"]
    try:
        if password:
            given.touch(mode=0o600)
            given.write_text(password)
        if prefix:
            for path in filter(Path.exists, (data, given)):
                shutil.chown(path, "nobody")
            _check_reach(prefix, data)
        made = subprocess.run([*prefix, *command], capture_output=True, text=True, check=False)
    finally:
        given.unlink(missing_ok=True)
    if made.returncode:
        raise BadInput(f"PostgreSQL's initdb failed for {data}: {made.stderr.strip()[-300:]}")


def _check_reach(prefix: list[str], data: Path) -> None:
    if subprocess.run([*prefix, "test", "-w", str(data)], check=False).returncode:
        raise BadInput(
            f"PostgreSQL does not run as root, and the user 'nobody' cannot reach {data}: "
            "run as an ordinary user, or choose a folder that everybody may enter"
        )


def server(data: Path, port: int, password: str = "", durable: bool = False) -> Server:  # nosec B107
    """The server over `data`. `durable`: survives a loss of power; tests need not."""
    run = [program("postgres"), "-D", str(data), "-p", str(port), "-k", "", "-h", "127.0.0.1"]
    return Server(
        "postgres",
        [*_as_ordinary_user(), *run, *([] if durable else ["-F"])],
        lambda: _accepts(port, password),
        # Fast shutdown: it does not wait for clients that forgot to close.
        stop_signal=signal.SIGINT,
    )


def connect(port: int, password: str = "", database: str = "postgres") -> Any:  # nosec B107
    """A psycopg2 connection that commits each statement."""
    import psycopg2

    connection = psycopg2.connect(
        host="127.0.0.1", port=port, user=USER, password=password or None, dbname=database, connect_timeout=5
    )
    connection.autocommit = True
    return connection


def _accepts(port: int, password: str) -> bool:
    import psycopg2

    try:
        connect(port, password).close()
    except psycopg2.OperationalError:
        return False
    return True


def create_databases(port: int, password: str, names: list[str]) -> None:
    """Create the databases that are not there yet."""
    with contextlib.closing(connect(port, password)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database")
        there = {name for (name,) in cursor.fetchall()}
        for name in sorted(set(names) - there):
            cursor.execute(f'CREATE DATABASE "{name}"')


def url(port: int, database: str = "postgres", driver: str = "psycopg2") -> str:
    """SQLAlchemy URL, without the password: clients read it from the file that PGPASSFILE names."""
    return f"postgresql+{driver}://{USER}@127.0.0.1:{port}/{database}"
