"""The services together: started in their order, health checked, recorded, and stopped by that record.

The folder of a stack:

    state.json                who runs: process ids, starts, ports
    secrets/                  passwords and keys, for the owner alone
    nightshelf.env            the services as Nightshelf's settings, to source; airflow.env: as Airflow's
    logs/<service>.log
    postgres/ swift/ spark/ airflow/   what they keep
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import json
import os
import shlex
import signal
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jobs.errors import BadInput
from jobs.nightly import prepare_airflow
from jobs.settings import settings
from jobs.spark import find_java
from scripts.services import airflow, postgres, spark, swift
from scripts.services.keys import S3_ACCESS_KEY, Secrets, write
from scripts.services.process import (
    MARK,
    Identity,
    NotInstalled,
    Server,
    alive,
    free_ports,
    identify,
    is_free,
    marked,
    start,
    stop,
    wait_ready,
)

CATALOG, BUCKET, WORKERS = "nightshelf", "nightshelf", 2
_PORTS = (
    "postgres",
    *(f"swift-{name}" for name in swift.NAMES),
    "spark-master",
    "spark-page",
    *(f"spark-worker-{n}" for n in range(WORKERS)),
    "airflow",
)
# The order in which groups are stopped: who uses a service before it.
_STOPPED = ("airflow", "spark", "swift", "postgres")
# What a task that is cut off is given to end by itself, in seconds.
_GRACE = 10


@dataclass(frozen=True)
class Process:
    """A server that was started, and the signal that stops it."""

    name: str
    identity: Identity
    stop_signal: int

    @property
    def group(self) -> str:
        return self.name.split("-")[0]


@dataclass
class State:
    """Who runs. Kept in a file, written after each start: a start that is killed leaves a record too."""

    file: Path
    mark: str = ""
    ports: dict[str, int] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)

    @classmethod
    def of(cls, file: Path) -> State:
        if not file.exists():
            return cls(file, uuid.uuid4().hex)
        found = json.loads(file.read_text())
        state = cls(file, found["mark"], found["ports"])
        # After a boot process ids and starts begin anew.
        if found["boot"] == _boot():
            rows = found["processes"]
            state.processes = [
                Process(r["name"], Identity(r["pid"], r["started"]), r["stop_signal"]) for r in rows
            ]
        return state

    def save(self) -> None:
        rows = [
            {"name": p.name, "stop_signal": int(p.stop_signal)} | vars(p.identity) for p in self.processes
        ]
        found = {"boot": _boot(), "mark": self.mark, "ports": self.ports, "processes": rows}
        write(self.file, json.dumps(found, indent=1) + "\n")

    def living(self) -> list[Process]:
        return [p for p in self.processes if alive(p.identity)]


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass
class Layer:
    """Servers that start together, what comes before them, and what comes once they answer."""

    servers: list[Server]
    before: Callable[[], object] = lambda: None
    after: Callable[[], object] = lambda: None


class Stack:
    """The services of one folder; `say` is told what happens."""

    def __init__(self, folder: Path, say: Callable[[str], object] = print) -> None:
        self.folder, self.say = folder.resolve(), say
        self.state = State.of(self.folder / "state.json")

    # -- what there is ----------------------------------------------------------

    @property
    def ports(self) -> dict[str, int]:
        return self.state.ports

    def secrets(self) -> Secrets:
        return Secrets.of(self.folder / "secrets")

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def nightshelf_environment(self) -> dict[str, str]:
        """The services as Nightshelf's settings."""
        return {
            "SPARK_HOME": str(self._spark_home),
            "NIGHTSHELF_LAKE": f"s3://{BUCKET}/lake",
            "NIGHTSHELF_CATALOG": postgres.url(self.ports["postgres"], CATALOG),
            "NIGHTSHELF_S3_ENDPOINT": swift.endpoint(self.ports["swift-proxy"]),
            "NIGHTSHELF_S3_REGION": swift.REGION,
            "NIGHTSHELF_S3_ACCESS_KEY": S3_ACCESS_KEY,
            "NIGHTSHELF_S3_SECRET_KEY": self.secrets().s3,
            "NIGHTSHELF_SPARK_MASTER": spark.url(self.ports["spark-master"]),
            "PGPASSFILE": str(self.secrets().pgpass),
        }

    @property
    def _spark_home(self) -> Path:
        return self.folder / "spark" / "home"

    def airflow_environment(self) -> dict[str, str]:
        """What Airflow, and with it every step, runs with besides this process's environment."""
        cluster = {"conn_type": "spark", "host": spark.url(self.ports["spark-master"])}
        ours = self.nightshelf_environment() | {
            "NIGHTSHELF_RUN_WITH": os.environ.get("NIGHTSHELF_RUN_WITH") or "spark-submit",
            "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps(cluster),
            "JAVA_HOME": find_java(settings()),
            "SPARK_LOCAL_IP": "127.0.0.1",
        }
        return ours | airflow.environment(
            self.folder / "airflow", self.ports["airflow"], self.ports["postgres"], self.secrets()
        )

    def layers(self) -> list[Layer]:
        database, secrets = self.ports["postgres"], self.secrets()
        data, store = self.folder / "postgres", self.folder / "swift"
        swift_ports = {name: self.ports[f"swift-{name}"] for name in swift.NAMES}
        master, *workers = spark.servers(
            self.folder / "spark",
            find_java(settings()),
            [self.ports[name] for name in _PORTS if name.startswith("spark-")],
            spark.CLEANUP
            | {
                "SPARK_HOME": str(self._spark_home),
                "AWS_ACCESS_KEY_ID": S3_ACCESS_KEY,
                "AWS_SECRET_ACCESS_KEY": secrets.s3,
            },
        )
        environment = {**os.environ, **self.airflow_environment()}
        return [
            Layer(
                [postgres.server(data, database, secrets.postgres, durable=True)],
                lambda: postgres.initialise(data, secrets.postgres, durable=True),
                lambda: postgres.create_databases(database, secrets.postgres, [airflow.DATABASE, CATALOG]),
            ),
            Layer(
                swift.servers(store, swift_ports),
                lambda: swift.configure(store, swift_ports, S3_ACCESS_KEY, secrets.s3),
                lambda: swift.create_bucket(
                    swift.client(swift.endpoint(swift_ports["proxy"]), S3_ACCESS_KEY, secrets.s3), BUCKET
                ),
            ),
            Layer([master]),
            Layer(workers),
            Layer(
                airflow.servers(self.ports["airflow"], environment),
                lambda: prepare_airflow(environment, self.log("airflow-prepare"), self._airflow_database()),
            ),
        ]

    def _airflow_database(self) -> str:
        """Which database Airflow's is: after its folder was removed, a new one has the same address."""
        with (
            contextlib.closing(postgres.connect(self.ports["postgres"], self.secrets().postgres)) as server,
            server.cursor() as cursor,
        ):
            wanted = "SELECT system_identifier, oid::bigint FROM pg_control_system(), pg_database"
            cursor.execute(f"{wanted} WHERE datname = %s", [airflow.DATABASE])
            return str(cursor.fetchone())

    def health(self) -> dict[str, str]:
        """Service → `healthy`, `silent` (it runs and does not answer) or `stopped`."""
        if not self.ports:
            return {}
        living = {p.name for p in self.state.living()}
        found = {}
        for server in (s for layer in self.layers() for s in layer.servers):
            answers = server.name in living and server.ready()
            found[server.name] = "healthy" if answers else "silent" if server.name in living else "stopped"
        return found

    # -- up ---------------------------------------------------------------------

    def up(self) -> list[str]:
        """Start what does not run; returns the names. What this call started is stopped if it fails."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            living = self.state.living()
            self.state.processes = living
            self._choose_ports(keep=bool(living))
            if not any(p.group == "spark" for p in living):
                self._make_spark_home()
            started: list[Process] = []
            try:
                self.secrets().write_files(self.ports["postgres"], airflow.USER)
                for layer in self.layers():
                    self._start(layer, started)
            except BaseException:
                # An interrupt too: a person who gives up wants nothing left.
                if started:
                    self.say("stopping what had been started")
                    self._stop(started, everything=not living)
                raise
            if started:
                self._write_environments()
            return [p.name for p in started]

    def _make_spark_home(self) -> None:
        home = spark.make_home(self._spark_home.parent)
        try:
            spark.add_s3(home, find_java(settings()))
        except spark.NoS3Part as error:
            self.say(f"{error}; each step will ask Maven itself")

    def _choose_ports(self, keep: bool) -> None:
        """The ports of last time, if they are free: what people wrote down goes on."""
        known = set(self.ports) == set(_PORTS)
        if not (known and (keep or all(map(is_free, self.ports.values())))):
            self.state.ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
        self.state.save()

    def _start(self, layer: Layer, started: list[Process]) -> None:
        living = {p.name for p in self.state.living()}
        missing = [s for s in layer.servers if s.name not in living]
        if not missing:
            return
        layer.before()
        children = []
        for server in missing:
            self.say(f"starting {server.name}")
            server.environment = {**server.environment, MARK: f"{self.state.mark}:{server.group}"}
            child = start(server, self.log(server.name))
            children.append(child)
            who = identify(child.pid)
            if who is not None:
                started.append(Process(server.name, who, server.stop_signal))
                self.state.processes.append(started[-1])
                self.state.save()
        for server, child in zip(missing, children, strict=True):
            wait_ready(server, child, self.log(server.name))
        layer.after()

    def _write_environments(self) -> None:
        for name, values in (
            ("nightshelf.env", self.nightshelf_environment()),
            ("airflow.env", self.airflow_environment()),
        ):
            lines = [f"export {key}={shlex.quote(value)}\n" for key, value in values.items()]
            write(self.folder / name, "".join(lines))

    # -- down -------------------------------------------------------------------

    def down(self) -> list[str]:
        """Stop what runs, and nothing else; returns the names. Data and ports stay for the next time."""
        if not self.folder.exists():
            return []
        with self._alone():
            living = self.state.living()
            self._stop(self.state.processes, everything=True)
            for name in ("nightshelf.env", "airflow.env"):
                (self.folder / name).unlink(missing_ok=True)
            return [p.name for p in living]

    def _stop(self, processes: list[Process], everything: bool) -> None:
        """Group after group. `everything`: also what servers that died have left behind, such as tasks."""
        for group in _STOPPED:
            mine = [p for p in processes if p.group == group]
            stop([(p.identity, p.stop_signal) for p in mine])
            if everything:
                stop([(who, signal.SIGTERM) for who in marked(f"{self.state.mark}:{group}")], _GRACE)
            self.state.processes = [p for p in self.state.processes if p not in mine]
            self.state.save()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BadInput(f"{self.folder}: another start or stop is at work; wait for its end") from None
            self.state = State.of(self.folder / "state.json")
            yield


def check_packages() -> None:
    """Raises `NotInstalled` where Airflow could not speak to PostgreSQL."""
    if importlib.util.find_spec("asyncpg") is None:
        raise NotInstalled("the Python package asyncpg is not installed: run 'make setup'")
