"""Processes are known by id and start, stopped by both, and found again by their mark."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.services import process
from scripts.services.keys import Secrets
from scripts.services.process import MARK, DidNotStart, Identity, Server
from scripts.services.stack import Process, State


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(["sleep", "60"])
    yield child
    child.kill()
    child.wait()


def who(pid: int) -> Identity:
    found = process.identify(pid)
    assert found
    return found


def server(name: str, code: str, seconds: float = 20, up: bool = True) -> Server:
    return Server(name, [sys.executable, "-c", code], lambda: up, seconds=seconds)


def test_a_reused_process_id_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    """What was recorded has ended, and a stranger has its id: same id, another start."""
    now = who(sleeper.pid)
    before = Identity(now.pid, now.started - 1)
    assert not process.alive(before)
    process.stop([(before, signal.SIGKILL)], seconds=0.2)
    assert sleeper.poll() is None
    process.stop([(now, signal.SIGTERM)])
    assert sleeper.wait(timeout=5) == -signal.SIGTERM


def test_what_ignores_its_signal_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    log = tmp_path / "log"
    child = process.start(server("deaf", code), log)
    while "up" not in log.read_text():
        time.sleep(0.02)
    process.stop([(who(child.pid), signal.SIGTERM)], seconds=0.3)
    assert child.wait(timeout=5) == -signal.SIGKILL


def test_a_server_that_does_not_start_takes_the_others_along(tmp_path: Path) -> None:
    started: list[int] = []

    def good() -> Iterator[Server]:
        yield server("good", "import os, time; print(os.getpid(), flush=True); time.sleep(60)")
        while not (text := (tmp_path / "good.log").read_text().strip()):
            time.sleep(0.02)
        started.append(int(text))
        yield server("bad", "print('noise'); raise SystemExit('no port 7 here')", up=False)

    with pytest.raises(DidNotStart) as caught, process.running(good(), tmp_path):
        pytest.fail("the block ran")
    assert process.identify(started[0]) is None
    message = f"bad did not start (exit 1): no port 7 here; more in {tmp_path}/bad.log"
    assert str(caught.value) == message


def test_a_server_that_does_not_answer_is_no_server(tmp_path: Path) -> None:
    mute = server("mute", "import time; time.sleep(60)", seconds=0.3, up=False)
    with pytest.raises(DidNotStart, match=r"mute did not start \(no answer in 0.3 s\)"):
        with process.running([mute], tmp_path):
            pytest.fail("the block ran")


def test_the_mark_finds_what_outlived_its_parent() -> None:
    """A killed scheduler leaves its tasks behind; the mark is theirs too."""
    code = "import subprocess as s; print(s.Popen(['sleep', '60'], stdout=s.DEVNULL).pid)"
    env = dict(os.environ) | {MARK: "a:group"}
    done = subprocess.run([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, check=True)
    orphan = who(int(done.stdout))
    try:
        assert process.marked("a:group") == [orphan]
        assert process.marked("a:grou") == []
    finally:
        process.stop([(orphan, signal.SIGKILL)])
    assert process.marked("a:group") == []


def test_after_a_boot_nobody_of_the_record_runs(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    state = State.of(tmp_path / "state.json")
    state.processes = [Process("postgres", who(sleeper.pid), signal.SIGINT)]
    state.save()
    assert State.of(state.file).living() == state.processes
    text = state.file.read_text()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    state.file.write_text(text.replace(boot, "another"))
    assert State.of(state.file).processes == []


def test_secrets_are_for_their_owner_alone(tmp_path: Path) -> None:
    secrets = Secrets.of(tmp_path / "secrets")
    secrets.write_files(5432, "admin")
    files = list((tmp_path / "secrets").iterdir())
    assert len(files) == 3
    assert {oct(f.stat().st_mode)[-3:] for f in files} == {"600"}
    assert oct((tmp_path / "secrets").stat().st_mode)[-3:] == "700"
    assert Secrets.of(tmp_path / "secrets").all() == secrets.all()
    assert not any(value in repr(secrets) for value in secrets.all())
    assert len(set(secrets.all())) == len(secrets.all())
    assert len(secrets.airflow_jwt) >= 64


HALVES = {
    "not HTTP": b"\x00\x01\r\n\r\n",
    "cut in its body": b'HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\n{"status": "AL',
    "no JSON yet": b"HTTP/1.0 200 OK\r\n\r\n<html>starting</html>",
    "nothing of its state yet": b'HTTP/1.0 200 OK\r\n\r\n{"status": null}',
    "a list": b"HTTP/1.0 200 OK\r\n\r\n[]",
    "no word": b"",
}


@pytest.mark.parametrize("half", HALVES)
def test_half_an_answer_of_a_server_that_starts_is_none(half: str) -> None:
    """It is asked again: what waits for it does not die of what the server says while it starts."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with listening.accept()[0] as connection:
                connection.recv(4096)
                connection.sendall(HALVES[half])

        thread = threading.Thread(target=serve)
        thread.start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/json/"
        assert process.told(address, "status", "master") is None
        thread.join()
