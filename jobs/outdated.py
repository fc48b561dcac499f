"""A night that an erasure has outdated: what it read and made may hold a shopper who was forgotten since."""

from __future__ import annotations

from contextlib import suppress

from jobs.errors import BadInput
from jobs.lake.publish import Outdated, Publisher
from jobs.lake.reach import Reach
from jobs.night import Night

# `pin_inputs` begins anew, `publish` looks by itself and may find that it is done, `report` tells of all.
_EXEMPT = ("pin_inputs", "publish", "report")


def require_fresh(night: Night, step: str) -> None:
    """Raise `Outdated` before a step begins that could only work for nothing, and write down the shopper."""
    if step not in _EXEMPT:
        Publisher(night.catalog).require_fresh(night.run_id, night.ds.isoformat(), night.sequence)


def outdated(night: Night, step: str, error: BaseException) -> Outdated | None:
    """Whether a step failed because an erasure took its files away; None where it did not.

    Whatever an outdated night fails of, nothing but its date run again helps; wrong input stays wrong input.
    """
    if isinstance(error, Outdated):
        return error
    if isinstance(error, BadInput) or not isinstance(error, Exception):
        return None
    try:
        require_fresh(night, step)
    except Outdated as found:
        return found
    except Exception:
        return None  # the catalog does not answer: the step's own error says more
    return None


def discard(night: Night) -> None:
    """Remove what a run wrote that may never be published: it may hold a shopper who was forgotten since."""
    # The erasure removed the manifests that the staged ones were built on; these must go all the same.
    # And after a rollback a table lists snapshots that maintenance has removed.
    reach = Reach(night.catalog, missing_ok=True)
    staged: set[str] = set()
    for record in night.staging.records():
        staged |= {night.store.key_of(file) for file in record.files}
        # The erasure may have removed the staged metadata itself.
        with suppress(FileNotFoundError):
            staged |= reach.of(record.metadata)
    for metadata in night.catalog.pointers().values():
        staged -= reach.of(metadata)
    night.store.delete([*sorted(staged), *night.store.list(night.work(""))])
