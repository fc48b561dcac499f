"""`nightshelf import`: land files from the command line, and say what happened."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from jobs.errors import BadInput
from jobs.intake.mapping import load_mapping
from jobs.settings import Settings, Source

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")


def import_files(
    settings: Settings, mapping: Path, files: Sequence[str], arrived: date | None, as_json: bool
) -> None:
    """Land `files`; prints one line per entity, or one JSON array."""
    from rich.console import Console

    # Mistakes in the mapping and in names are told before Spark is started.
    load_mapping(mapping)
    if not files:
        raise BadInput("give at least one file, folder or glob to import")
    from jobs.intake.files import find_files

    find_files(files, settings)
    from jobs.intake.landing import land
    from jobs.spark import spark

    # Spark loads what it needs for S3 by what the settings name as sources.
    named = [*settings.sources, Source(mapping=str(mapping), files=list(files))]
    console = Console(stderr=True, quiet=not sys.stderr.isatty())
    with console.status("Starting Spark …"):
        session = spark(settings.model_copy(update={"sources": named}))

    # While rows are read and written, Spark shows its own progress bar.
    done = land(settings, mapping, files, arrived, session, track=partial(_track, console))
    if as_json:
        print(json.dumps([asdict(one) for one in done], default=str))
        return
    for one in done:
        print(one.sentence())
    first = min((one.first_day for one in done if one.first_day), default=None)
    last = max((one.last_day for one in done if one.last_day), default=None)
    if first and last:
        print(f"Next: nightshelf nightly --ds {max(last, arrived or last)}")


def _track(console: Console, items: Sequence[T], description: str) -> Iterable[T]:
    from rich.progress import track

    return track(items, description, console=console, transient=True)
