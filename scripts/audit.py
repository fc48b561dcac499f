"""Known vulnerabilities of what the locks pin: `make audit`. An advisory service is asked over the network.

Exit codes: 0 no advisory without an exception · 1 there are some · 2 a lock or the exceptions' file is
wrong · 20 no service answered, and nothing is known.

An answer counts only where the service knows every package of a lock, and an advisory of an old version that
has many: a registry's copy may answer to everything and know of no advisory.
"""

from __future__ import annotations

import fcntl
import json
import re
import subprocess
import sys
import tempfile
import textwrap
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from jobs.errors import BadInput, NightshelfError, Transient
from jobs.settings import ROOT

EXCEPTIONS = ROOT / "audit_exceptions.toml"
SERVICES = ("osv", "pypi")
# In no lock of ours: a service that knows no advisory of it knows none at all.
KNOWN_BAD = ("django", "2.0")
TIMEOUT_SECONDS = 900
_FIELDS = {"package": str, "advisory": str, "until": date, "reason": str}


@dataclass(frozen=True)
class Advisory:
    """One advisory of one pin. names: its id, then its aliases. fixed: versions, oldest first."""

    lock: str
    package: str
    version: str
    names: tuple[str, ...]
    fixed: tuple[str, ...]

    def __str__(self) -> str:
        cure = f"fixed in {', '.join(self.fixed)}" if self.fixed else "no version fixes it yet"
        return f"{self.lock}: {self.package} {self.version}: {' = '.join(self.names)}: {cure}"


@dataclass(frozen=True)
class Accepted:
    """An advisory that may pass for a while."""

    package: str
    advisory: str
    until: date
    reason: str

    def fits(self, found: Advisory) -> bool:
        return canonical(self.package) == found.package and self.advisory in found.names


def canonical(name: str) -> str:
    """A distribution's name as locks write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock: Path) -> dict[str, str]:
    """Package → version. Raises `BadInput` where a lock is missing or pins nothing."""
    if not lock.is_file():
        raise BadInput(f"there is no lock {lock}")
    found = re.findall(r"^([\w.-]+)(?:\[[^]]*\])?==([^\s;\\]+)", lock.read_text(), re.MULTILINE)
    if not found:
        raise BadInput(f"{lock} pins no package: 'make lock' writes the locks")
    return {canonical(name): version for name, version in found}


def accepted(path: Path) -> list[Accepted]:
    """The exceptions. Raises `BadInput` where one lacks its package, advisory, day or reason."""
    try:
        blocks = tomllib.loads(path.read_text()).get("exception", []) if path.exists() else []
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path.name}: {error}") from error
    for number, block in enumerate(blocks, start=1):
        wrong = [n for n, kind in _FIELDS.items() if type(block.get(n)) is not kind or not block[n]]
        wrong += sorted(set(block) - set(_FIELDS))
        if wrong:
            raise BadInput(
                f"{path.name}: exception {number}: {', '.join(wrong)}: give package, advisory and reason as "
                "texts and until as a day, such as 2027-01-31, and nothing else"
            )
    return [Accepted(**block) for block in blocks]


def installed() -> Path:
    """pip-audit from its own lock, in an environment of its own that is made on the first call."""
    home, lock = ROOT / ".venv-audit", ROOT / "requirements-audit.lock"
    python, stamp = home / "bin" / "python", home / ".ready"
    with (ROOT / ".venv-audit.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == lock.read_text():
            return home / "bin" / "pip-audit"
        uv = str(ROOT / ".tools" / "uv" / "bin" / "uv")
        make = [uv, "venv", "-q", "--clear", "--python", sys.executable, str(home)]
        fill = [uv, "pip", "sync", "-q", "--python", str(python), "--require-hashes", str(lock)]
        for command in (make, fill):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise Transient(f"pip-audit could not be installed: {_last(done.stderr)}. Nothing is known")
        stamp.write_text(lock.read_text())
    return home / "bin" / "pip-audit"


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return textwrap.shorten(lines[-1], 160, placeholder=" …") if lines else "it says nothing"


def audit(program: Path, lock: Path, service: str) -> list[Advisory]:
    """The advisories of a lock's pins. Raises `Transient` where the service's answer tells nothing."""
    wanted = pins(lock)
    asked = wanted | dict([KNOWN_BAD])
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("".join(f"{name}=={version}\n" for name, version in asked.items()))
        file.flush()
        command = [str(program), "-r", file.name, "--no-deps", "--disable-pip", "-s", service, "-f", "json"]
        found = _told([*command, "--progress-spinner", "off"])
    answered = {canonical(d["name"]): d for d in found if "skip_reason" not in d}
    unknown = sorted(set(asked) - set(answered))
    if unknown:
        raise Transient(f"it knows nothing of {len(unknown)} of {len(asked)} packages, such as {unknown[0]}")
    if not answered[KNOWN_BAD[0]]["vulns"]:
        raise Transient(f"it knows no advisory of {' '.join(KNOWN_BAD)}, which has many")
    return [
        _advisory(lock.name, answered[name], v) for name in sorted(wanted) for v in answered[name]["vulns"]
    ]


def _told(command: list[str]) -> list[dict[str, Any]]:
    """What pip-audit prints. It ends with 1 for advisories and for errors alike, and prints nothing then."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS)
        dependencies: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired as error:
        raise Transient(f"no answer within {TIMEOUT_SECONDS} s") from error
    except (ValueError, LookupError) as error:
        raise Transient(_last(done.stderr)) from error
    return dependencies


def _advisory(lock: str, dependency: Mapping[str, Any], told: Mapping[str, Any]) -> Advisory:
    names = (told["id"], *sorted(set(told["aliases"]) - {told["id"]}))
    return Advisory(
        lock, canonical(dependency["name"]), dependency["version"], names, tuple(told["fix_versions"])
    )


def ask(program: Path, locks: Sequence[Path]) -> tuple[str, list[Advisory]]:
    """The first service that answers for all locks, and the advisories it knows."""
    troubles = []
    for service in SERVICES:
        try:
            return service, [a for lock in locks for a in audit(program, lock, service)]
        except Transient as error:
            troubles.append(f"{service}: {error}")
    raise Transient(
        f"no advisory service answered, so nothing is known of the locks ({'; '.join(troubles)}). Run it "
        "where the internet is reached, or name a copy of OSV's query address in PIP_AUDIT_OSV_URL"
    )


def judge(found: Sequence[Advisory], exceptions: Sequence[Accepted], today: date) -> list[str]:
    """Sentences on the advisories that no exception covers today."""
    bad = []
    for advisory in found:
        fitting = [e for e in exceptions if e.fits(advisory)]
        if any(e.until >= today for e in fitting):
            continue
        ended = max((e.until for e in fitting), default=None)
        bad.append(f"{advisory}" + (f" (its exception ended on {ended})" if ended else ""))
    return bad


def run(locks: Sequence[Path], program: Path | None = None) -> int:
    exceptions = accepted(EXCEPTIONS)
    packages = sum(len(pins(lock)) for lock in locks)
    service, found = ask(program or installed(), locks)
    bad = judge(found, exceptions, datetime.now(UTC).date())
    for exception in exceptions:
        if not any(exception.fits(a) for a in found):
            print(f"{EXCEPTIONS.name}: {exception.package} {exception.advisory}: not needed any more")
    print("\n".join(bad), end="\n" if bad else "")
    print(
        f"audit: {packages} pins of {len(locks)} locks, asked of {service}: {len(bad)} advisories without an "
        f"exception, {len(found) - len(bad)} with one"
    )
    return 1 if bad else 0


def main(arguments: Sequence[str]) -> int:
    locks = [Path(a) for a in arguments] or sorted(
        [*ROOT.glob("requirements*.lock"), *(ROOT / "docker").glob("*.lock")]
    )
    try:
        return run(locks)
    except NightshelfError as error:
        print(f"audit: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
