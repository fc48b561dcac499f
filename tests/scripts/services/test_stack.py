"""All services for real: up once, repaired, closed to strangers, silent about secrets, and down."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.settings import ROOT
from scripts.services import postgres, process
from scripts.services.stack import Stack
from tests.servers import or_skip

pytestmark = [pytest.mark.s3, pytest.mark.slow]

SERVICES = {
    "postgres",
    *(f"swift-{name}" for name in ("account", "container", "object", "proxy")),
    *(f"spark-{name}" for name in ("master", "worker-0", "worker-1")),
    *(f"airflow-{name}" for name in ("api-server", "scheduler", "dag-processor", "triggerer")),
}


def services(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.services", command, "--folder", str(folder)],
        env={**os.environ, **environment}, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Not in pytest's folders: those are closed to PostgreSQL's user."""
    with or_skip():
        postgres.program("initdb")
    found = Path(tempfile.mkdtemp(prefix="nightshelf-services-"))
    found.chmod(0o755)
    yield found
    services("down", found)
    shutil.rmtree(found)


@pytest.fixture(scope="module")
def stack(folder: Path) -> Stack:
    done = services("up", folder)
    assert done.returncode == 0, done.stderr
    return Stack(folder)


def get(url: str, token: str = "") -> int:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def token(url: str, password: str) -> str:
    body = json.dumps({"username": "admin", "password": password}).encode()
    request = urllib.request.Request(f"{url}/auth/token", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(json.load(answer)["access_token"])


def test_a_start_that_fails_halfway_leaves_nothing(folder: Path) -> None:
    """Airflow refuses its configuration when PostgreSQL, the store and Spark are up already."""
    other = folder / "broken"
    done = services("up", other, AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS="no.such.configuration")
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert "services: starting spark-worker-1" in lines
    assert lines[-2] == "services: stopping what had been started"
    assert "'airflow db migrate' failed" in lines[-1]
    assert "Traceback" not in done.stderr
    assert Stack(other).state.processes == []
    mark = json.loads((other / "state.json").read_text())["mark"]
    assert [p for group in ("postgres", "swift", "spark") for p in process.marked(f"{mark}:{group}")] == []
    assert not (other / "nightshelf.env").exists()


def test_an_interrupted_start_leaves_nothing(folder: Path) -> None:
    """Signalled twice, as a process is whose whole group is signalled, it still stops what it had started."""
    other = folder / "interrupted"
    command = [sys.executable, "-m", "scripts.services", "up", "--folder", str(other)]
    starting = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert starting.stderr
    assert any("starting swift-proxy" in line for line in starting.stderr)
    starting.send_signal(signal.SIGTERM)
    assert any("stopping what had been started" in line for line in starting.stderr)
    starting.send_signal(signal.SIGTERM)
    assert starting.wait(timeout=60) == 128 + signal.SIGTERM
    assert Stack(other).state.processes == []
    mark = Stack(other).state.mark
    assert [p for group in ("postgres", "swift") for p in process.marked(f"{mark}:{group}")] == []


def test_all_of_it_answers(stack: Stack) -> None:
    assert stack.health() == dict.fromkeys(stack.health(), "healthy")
    assert set(stack.health()) == SERVICES
    assert {p.name for p in stack.state.living()} == SERVICES


def test_spark_has_its_part_for_s3(stack: Stack) -> None:
    """Of a Spark of its own, which workers, tasks and people's shells have in their environment."""
    home = stack.folder / "spark" / "home"
    assert list((home / "jars").glob("*hadoop-aws-*.jar"))
    worker = next(p for p in stack.state.living() if p.name == "spark-worker-0")
    assert f"SPARK_HOME={home}" in Path(f"/proc/{worker.identity.pid}/environ").read_text().split("\0")
    for name in ("nightshelf.env", "airflow.env"):
        assert f"export SPARK_HOME={home}\n" in (stack.folder / name).read_text()


def test_a_second_start_says_that_they_run(stack: Stack) -> None:
    done = services("up", stack.folder)
    assert done.returncode == 0
    assert done.stderr.strip().splitlines()[-1] == "services: all services run already"
    assert f"http://127.0.0.1:{stack.ports['airflow']}  user admin; password in {stack.folder}" in done.stdout
    assert Stack(stack.folder).state.processes == stack.state.processes


def test_airflow_asks_who_is_there(stack: Stack) -> None:
    url = f"http://127.0.0.1:{stack.ports['airflow']}"
    password = json.loads(stack.secrets().airflow_passwords.read_text())["admin"]
    assert get(f"{url}/api/v2/dags") == 401
    assert get(f"{url}/api/v2/dags", "made.up.token") == 403
    with pytest.raises(urllib.error.HTTPError, match="401"):
        token(url, password + "x")
    # Airflow would give it to everybody where all are admins.
    assert get(f"{url}/auth/token") == 403
    assert get(f"{url}/api/v2/dags", token(url, password)) == 200


def test_postgres_and_the_store_ask_too(stack: Stack) -> None:
    import psycopg2
    from botocore.exceptions import ClientError

    from scripts.services import swift

    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        postgres.connect(stack.ports["postgres"], "wrong")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        swift.client(swift.endpoint(stack.ports["swift-proxy"]), "nightshelf:lake", "wrong").list_buckets()


def test_the_written_settings_reach_store_and_catalog(stack: Stack) -> None:
    """As a person does: source the file, ask the doctor."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("NIGHTSHELF_", "AWS_", "PG"))}
    env["NIGHTSHELF_CONFIG"] = "/dev/null"
    script = f". {stack.folder}/nightshelf.env && {sys.executable} -m jobs.cli doctor --json"
    done = subprocess.run(
        ["bash", "-c", script], env=env, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    checks = {c["check"]: c for c in json.loads(done.stdout)}
    assert checks["store"]["ok"], checks
    assert checks["catalog"]["ok"], checks
    for name in ("nightshelf.env", "airflow.env"):
        assert oct((stack.folder / name).stat().st_mode)[-3:] == "600"


def test_no_secret_in_logs_or_arguments(stack: Stack) -> None:
    secrets = stack.secrets().all()
    logs = [p for p in stack.folder.rglob("*.log") if p.is_file()]
    assert {p.stem for p in logs} >= SERVICES
    told = {p.name: p.read_text(errors="replace") for p in logs}
    assert [name for name, text in told.items() if any(s in text for s in secrets)] == []
    arguments = []
    for group in ("postgres", "swift", "spark", "airflow"):
        for one in process.marked(f"{stack.state.mark}:{group}"):
            arguments.append(Path(f"/proc/{one.pid}/cmdline").read_bytes().decode(errors="replace"))
    assert len(arguments) >= len(SERVICES)
    assert [a for a in arguments if any(s in a for s in secrets)] == []


def test_what_died_is_started_again(stack: Stack) -> None:
    victim = next(p for p in stack.state.processes if p.name == "swift-object")
    process.stop([(victim.identity, signal.SIGKILL)])
    assert services("status", stack.folder).returncode == 1
    assert stack.health()["swift-object"] == "stopped"
    done = services("up", stack.folder)
    assert done.returncode == 0, done.stderr
    assert "services: starting swift-object" in done.stderr
    assert "services: starting swift-proxy" not in done.stderr
    after = Stack(stack.folder)
    assert {p.name for p in after.state.living()} == SERVICES
    same = {p for p in stack.state.processes if p.name != "swift-object"}
    assert same < set(after.state.processes)
    assert after.ports == stack.ports


def test_down_stops_exactly_these(stack: Stack) -> None:
    stranger = subprocess.Popen(["sleep", "300"])
    try:
        file = stack.folder / "state.json"
        found = json.loads(file.read_text())
        # As if a service had died long ago, and its process id were the stranger's now.
        reused = {"name": "spark-worker-9", "pid": stranger.pid, "started": 1, "stop_signal": signal.SIGTERM}
        found["processes"].append(reused)
        file.write_text(json.dumps(found))
        living = Stack(stack.folder).state.living()
        assert len(living) == len(SERVICES)
        done = services("down", stack.folder)
        assert done.returncode == 0, done.stderr
        assert "airflow-scheduler" in done.stderr
        assert [p.name for p in living if process.alive(p.identity)] == []
        for group in ("postgres", "swift", "spark", "airflow"):
            assert process.marked(f"{stack.state.mark}:{group}") == []
        assert stranger.poll() is None
        assert not (stack.folder / "nightshelf.env").exists()
    finally:
        stranger.kill()
        stranger.wait()
    again = services("down", stack.folder)
    assert (again.returncode, again.stderr.strip()) == (0, "services: nothing runs")
