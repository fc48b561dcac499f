"""Land the raw files that the settings name as sources, where they are not landed yet.

`{ds}` in a pattern stands for the night's date, and its rows arrived on that
date. Without `{ds}` all files that match are looked at, and rows arrive as
the mapping says.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from jobs.cli import main
from jobs.intake.files import NotThere, find_files
from jobs.intake.landing import land
from jobs.night import Night
from jobs.settings import ROOT, Source
from jobs.spark import spark

_DS = "{ds}"


def run(night: Night) -> dict[str, Any]:
    summary: dict[str, Any] = {"sources": len(night.settings.sources), "rows": 0, "landed": [], "missing": []}
    if not night.settings.sources:
        summary["note"] = "no sources in the settings: nothing to land; rows come by `nightshelf import`"
    for source in night.settings.sources:
        for files, arrived in deliveries(source, night, summary["missing"]):
            session = spark(night.settings)
            done = land(
                night.settings, _mapping(source), files, arrived, session, night.store, track=night.track
            )
            summary["landed"] += [one.sentence() for one in done if one.status == "landed"]
            summary["rows"] += sum(one.rows for one in done)
    night.note("ingest", summary)
    return summary


def deliveries(source: Source, night: Night, missing: list[str]) -> list[tuple[list[str], date | None]]:
    """Files to look at, with their day of arrival; a daily pattern without a file goes to `missing`.

    A shop that delivers nothing on one day is a matter for the checks of
    volume and freshness, which know its history; it does not stop the night here.
    A place that may not be looked through does: nobody knows what was delivered there.
    """
    standing = [f for f in source.files if _DS not in f]
    daily = []
    for pattern in (f.replace(_DS, night.ds.isoformat()) for f in source.files if _DS in f):
        try:
            find_files([pattern], night.settings)
        except NotThere:
            missing.append(pattern)
        else:
            daily.append(pattern)
    found: list[tuple[list[str], date | None]] = []
    if standing:
        found.append((standing, None))
    if daily:
        found.append((daily, night.ds))
    return found


def _mapping(source: Source) -> str | Path:
    """A mapping's path as the settings give it: from the working directory, else from the project."""
    local = Path(source.mapping)
    return ROOT / local if not local.exists() and (ROOT / local).exists() else source.mapping


if __name__ == "__main__":
    main("ingest")
