"""Record the run's date and options, and the metadata file of every table it will read."""

from __future__ import annotations

from typing import Any

from jobs import writer_files
from jobs.cli import main
from jobs.lake import pseudonyms
from jobs.night import Night


def run(night: Night) -> dict[str, Any]:
    # A night that could land nothing, or write no copy, is not begun.
    pseudonyms.require(night.settings, night.store)
    writer_files.rules(night)
    writer_files.channels(night)
    record = night.pin()
    return {"pinned": len(record["pins"]), "options": record["options"]}


if __name__ == "__main__":
    main("pin_inputs")
