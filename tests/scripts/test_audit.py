"""An advisory ends in 1, an exception lets it pass for a while, and silence is never taken for "none"."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import BadInput
from jobs.settings import ROOT
from scripts import audit

PLANTED = {"id": "GHSA-planted", "aliases": ["CVE-2026-0001"], "fix_versions": ["1.4.2", "2.0.1"]}
BAD = {audit.KNOWN_BAD[0]: [{"id": "PYSEC-old", "aliases": [], "fix_versions": []}]}
# Answers as pip-audit does: advisories by package, of each service; one that is not named cannot be reached.
PROGRAM = """#!{python}
import json, sys
from pathlib import Path
services = json.loads(Path(__file__).with_suffix(".json").read_text())
word = dict(zip(sys.argv, sys.argv[1:]))
if word["-s"] not in services:
    sys.exit("Traceback\\nConnectionError: nobody is there")
known, told = services[word["-s"]], []
for line in Path(word["-r"]).read_text().split():
    name, version = line.split("==")
    if known is None:
        told.append({{"name": name, "skip_reason": "not found"}})
    else:
        told.append({{"name": name, "version": version, "vulns": known.get(name, [])}})
print(json.dumps({{"dependencies": told, "fixes": []}}))
sys.exit(any(t.get("vulns") for t in told))
"""


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small lock, an empty file of exceptions, and a stand-in for pip-audit."""
    (tmp_path / "small.lock").write_text(
        "mug==1.4 \\\n    --hash=sha256:00\n    # via plate\n"
        'Plate_Set[blue]==0.3.1 ; sys_platform == "linux" \\\n    --hash=sha256:01\n'
    )
    program = tmp_path / "program"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setattr(audit, "installed", lambda: program)
    monkeypatch.setattr(audit, "EXCEPTIONS", tmp_path / "exceptions.toml")
    return tmp_path


def answers(shelf: Path, **services: Any) -> None:
    (shelf / "program.json").write_text(json.dumps(services))


def exceptions(shelf: Path, **changes: Any) -> None:
    fields = {
        "package": '"mug"',
        "advisory": '"GHSA-planted"',
        "until": "2999-01-31",
        "reason": '"no way in"',
    }
    lines = [f"{k} = {v}\n" for k, v in (fields | changes).items() if v]
    (shelf / "exceptions.toml").write_text("[[exception]]\n" + "".join(lines))


def audited(shelf: Path) -> int:
    return audit.main([str(shelf / "small.lock")])


def test_an_advisory_is_told_with_package_version_and_cure(
    shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(shelf, osv={**BAD, "mug": [PLANTED]})
    assert audited(shelf) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "small.lock: mug 1.4: GHSA-planted = CVE-2026-0001: fixed in 1.4.2, 2.0.1"
    assert told[1].startswith("audit: 2 pins of 1 locks, asked of osv: 1 advisories without an exception")
    assert len(told) == 2


def test_without_an_advisory_it_ends_with_0(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers(shelf, osv=BAD)
    assert audited(shelf) == 0
    assert "0 advisories without an exception, 0 with one" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["GHSA-planted", "CVE-2026-0001"])
def test_an_exception_lets_one_advisory_pass(
    name: str, shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exceptions(shelf, advisory=f'"{name}"')
    answers(shelf, osv={**BAD, "mug": [PLANTED]})
    assert audited(shelf) == 0
    assert "0 advisories without an exception, 1 with one" in capsys.readouterr().out
    answers(shelf, osv={**BAD, "mug": [PLANTED], "plate-set": [PLANTED]})
    assert audited(shelf) == 1
    assert "plate-set 0.3.1" in capsys.readouterr().out


def test_an_exception_ends(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exceptions(shelf, until="2026-01-31")
    answers(shelf, osv={**BAD, "mug": [PLANTED]})
    assert audited(shelf) == 1
    assert "(its exception ended on 2026-01-31)" in capsys.readouterr().out
    found = audit.Advisory("l", "mug", "1.4", ("GHSA-planted",), ())
    (known,) = audit.accepted(audit.EXCEPTIONS)
    assert audit.judge([found], [known], date(2026, 1, 31)) == []
    assert audit.judge([found], [known], date(2026, 2, 1)) != []


def test_an_exception_that_nothing_needs_is_named(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exceptions(shelf)
    answers(shelf, osv=BAD)
    assert audited(shelf) == 0
    assert "mug GHSA-planted: not needed any more" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("services", "why"),
    [
        ({}, "ConnectionError: nobody is there"),
        ({"osv": None, "pypi": None}, "it knows nothing of 3 of 3 packages"),
        ({"osv": {}, "pypi": {"mug": [PLANTED]}}, "it knows no advisory of django 2.0, which has many"),
    ],
)
def test_no_answer_is_never_taken_for_no_advisory(
    services: dict[str, Any], why: str, shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody there; a copy of a registry that skips all; one that answers and knows no advisory."""
    answers(shelf, **services)
    assert audited(shelf) == 20
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert "nothing is known of the locks" in told.err
    assert why in told.err


def test_where_one_service_does_not_answer_another_is_asked(
    shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(shelf, osv=None, pypi={**BAD, "mug": [PLANTED]})
    assert audited(shelf) == 1
    assert "asked of pypi" in capsys.readouterr().out


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": ""},
        {"until": '"2999-01-31"'},
        {"until": ""},
        {"reason": '""'},
        {"why": '"x"'},
        {"package": "7"},
    ],
)
def test_an_exception_without_a_day_or_a_reason_is_refused(
    changes: dict[str, str], shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exceptions(shelf, **changes)
    answers(shelf, osv=BAD)
    assert audited(shelf) == 2
    assert "exceptions.toml: exception 1:" in capsys.readouterr().err


@pytest.mark.parametrize("text", [None, "# nothing\n"])
def test_a_lock_that_pins_nothing_is_refused(text: str | None, tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    if text is not None:
        lock.write_text(text)
    with pytest.raises(BadInput, match=r"a\.lock"):
        audit.pins(lock)


def test_every_lock_is_read_whole_and_none_pins_the_version_that_is_known_to_be_bad(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[Path] = []
    monkeypatch.setattr(audit, "run", lambda locks: read.extend(locks) or 0)
    assert audit.main([]) == 0
    assert {f"{p.parent.name}/{p.name}" for p in read} >= {"docker/airflow.lock", "docker/gpu.lock"}
    assert ROOT / "requirements.lock" in read
    for lock in read:
        blocks = re.findall(r"^[\w.-]+[^\s]*==", lock.read_text(), re.MULTILINE)
        assert len(audit.pins(lock)) == len(blocks)
        assert audit.KNOWN_BAD[0] not in audit.pins(lock)


def test_the_exceptions_that_ship_can_be_read() -> None:
    assert all(e.reason for e in audit.accepted(ROOT / "audit_exceptions.toml"))


class Osv(BaseHTTPRequestHandler):
    """Knows of one advisory for `mug`, and one for the version that is known to be bad."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
        known = {"mug": ("GHSA-planted", "1.4.2"), audit.KNOWN_BAD[0]: ("PYSEC-old", "2.0.1")}
        body: dict[str, Any] = {}
        if asked in known:
            name, fixed = known[asked]
            ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]
            affected = [{"package": {"name": asked, "ecosystem": "PyPI"}, "ranges": ranges}]
            body = {"vulns": [{"id": name, "summary": "-", "aliases": [], "affected": affected}]}
        answer = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def osv() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Osv)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.slow
def test_the_real_program_asks_a_service_of_ones_own(
    osv: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """pip-audit itself, installed from its lock, and a stand-in for OSV."""
    (tmp_path / "small.lock").write_text("mug==1.4\nplate==1.0\n")
    monkeypatch.setenv("PIP_AUDIT_OSV_URL", osv)
    assert audit.main([str(tmp_path / "small.lock")]) == 1
    told = capsys.readouterr().out
    assert "small.lock: mug 1.4: GHSA-planted: fixed in 1.4.2" in told
    assert "asked of osv: 1 advisories" in told
