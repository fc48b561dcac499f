"""Check what a night needs, and say what to do about what is missing."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
from rich.console import Console
from rich.text import Text

from jobs.causes import understood
from jobs.lake.store import Store
from jobs.settings import Settings
from jobs.spark import find_java, java_version

_MARKS = {(True, False): ("green", "ok"), (True, True): ("yellow", "note"), (False, False): ("red", "wrong")}
_MEMORY_GIB = 6
_DISK_GIB = 5


@dataclass(frozen=True)
class Finding:
    """One check; `remedy` says what to do where it is not ok. A `warning` is ok, and worth knowing."""

    check: str
    ok: bool
    found: str
    remedy: str = ""
    warning: bool = False


def java(settings: Settings) -> Finding:
    home = find_java(settings)
    version = java_version(home)
    remedy = "install Java 17 or 21, or set NIGHTSHELF_JAVA_HOME to one"
    return Finding("Java", version in (17, 21), f"{version} in {home}", remedy)


def memory(settings: Settings) -> Finding:
    free = psutil.virtual_memory().available / 2**30
    remedy = (
        f"a night wants about {_MEMORY_GIB} GiB free: stop other programs, or lower NIGHTSHELF_SPARK_MEMORY"
    )
    return Finding("memory", free >= _MEMORY_GIB, f"{free:.1f} GiB free", remedy)


def disk(settings: Settings) -> Finding:
    folder = Path.home() if settings.on_s3 else Path(settings.lake)
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 2**30
    return Finding(
        "disk", free >= _DISK_GIB, f"{free:.0f} GiB free at {folder}", "make room, or set NIGHTSHELF_LAKE"
    )


def store(settings: Settings) -> Finding:
    """Write, read, list and delete a small file, as every step does; list uploads, as maintenance does."""
    files, key = Store.of(settings), f"work/doctor-{uuid.uuid4().hex}"
    files.write(key, b"nightshelf")
    try:
        ok = files.read(key) == b"nightshelf" and key in files.list("work")
    finally:
        files.delete([key])
    files.dangling_uploads(datetime.now(UTC))
    if files.exists(key):
        found = f"what is deleted in {files.uri('')} stays: nobody could be forgotten"
        return Finding("store", False, found, "check the bucket's rights, and what keeps its objects")
    return Finding(
        "store", ok, f"{files.uri('')} can be written and read", "check the folder's or bucket's rights"
    )


def catalog(settings: Settings) -> Finding:
    # PyIceberg reads its own settings on import, and they may be what is wrong.
    from jobs.lake.catalog import LakeCatalog

    lake = LakeCatalog(settings, Store.of(settings))
    tables = len(lake.pointers())
    local = lake.engine.dialect.name == "sqlite"
    if settings.on_s3 and local:
        remedy = "SQLite serves one machine: set NIGHTSHELF_CATALOG to PostgreSQL before others share it"
        return Finding("catalog", False, f"SQLite on this machine, {tables} tables", remedy)
    return Finding("catalog", True, f"{lake.engine.dialect.name}, {tables} tables published")


def readers(settings: Settings) -> Finding:
    """Catalogs that PyIceberg's own settings name: where tables are shown to others, one after the other."""
    from pyiceberg.utils.config import Config

    declared = Config().config.get("catalog")
    known = declared if isinstance(declared, dict) else {}
    weak = sorted(f"{name} ({_kind(of)})" for name, of in known.items() if _kind(of) != "sql")
    if not weak:
        return Finding("readers", True, "no catalog without a transaction over several tables is set")
    found = f"{', '.join(weak)}: no transaction over several tables, so readers there may see half a night"
    remedy = "let them read through current.json or this catalog where that matters (docs/deploy.md)"
    return Finding("readers", True, found, remedy, warning=True)


def _kind(properties: object) -> str:
    """The type of a catalog, as PyIceberg infers it."""
    values = properties if isinstance(properties, dict) else {}
    given, uri = str(values.get("type", "")).lower(), str(values.get("uri", ""))
    return given or ("sql" if uri.startswith(("postgresql", "sqlite")) else "rest")


def keys(settings: Settings) -> Finding:
    """Keys in the settings, where a role of the machine would do."""
    on_aws = settings.on_s3 and not settings.s3_endpoint
    if on_aws and settings.s3_access_key.get_secret_value():
        remedy = "give the machine or the pod a role, and leave NIGHTSHELF_S3_ACCESS_KEY empty"
        return Finding("keys", True, "long-lived keys of AWS in the settings", remedy, warning=True)
    return Finding("keys", True, "none of AWS in the settings")


CHECKS: tuple[Callable[[Settings], Finding], ...] = (java, memory, disk, store, catalog, readers, keys)


def _told(error: Exception) -> str:
    """One line of what went wrong; an error without a text is told by its name."""
    known = understood(error) or getattr(error, "orig", None) or error
    return next((line.strip() for line in str(known).splitlines() if line.strip()), type(error).__name__)


def examine(settings: Settings, as_json: bool) -> int:
    """Run every check and print it; returns 0 where all is well, else 1."""
    findings = []
    for check in CHECKS:
        try:
            findings.append(check(settings))
        except Exception as error:
            # One that a library does not foresee either must not hide what the other checks find.
            remedy = "check its setting, its rights, and that it runs"
            findings.append(Finding(check.__name__, False, _told(error), remedy))
    if as_json:
        print(json.dumps([asdict(f) for f in findings]))
    else:
        # Errors and settings are no markup.
        console = Console(markup=False, emoji=False)
        for finding in findings:
            colour, word = _MARKS[finding.ok, finding.warning]
            told = f" {finding.check:8} {finding.found}"
            console.print(Text.assemble((f"{word:5}", colour), told), soft_wrap=True)
            if finding.remedy and (finding.warning or not finding.ok):
                console.print(f"               → {finding.remedy}", soft_wrap=True)
    return 0 if all(f.ok for f in findings) else 1
