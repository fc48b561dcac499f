"""Failpoints: named places of the night at which a run can be made to fail on purpose.

`NIGHTSHELF_FAIL_AT=after_stage:recommendations` kills the process there, as a lost machine would. Several
are separated by commas, each `point[=action][@N]`:

    kill              SIGKILL to itself, the default: nothing is cleaned up
    raise             a `FailpointError`, as a bug would
    sleep:SECONDS     goes on after so long
    barrier:FILE      makes FILE.reached, and goes on once FILE exists: races in a fixed order

`@N`: at the Nth passage only, of this process. Unset, a passage costs one look at a module's variable. A
machine that serves a shop sets none.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jobs.errors import BadInput

VARIABLE = "NIGHTSHELF_FAIL_AT"
# A barrier that nobody opens ends some day: a forgotten process holds no lock for ever.
_BARRIER_SECONDS = 600.0

_MODELS = ("recommender", "writer")
_SHARDED = ("product_descriptions", "recommendations", "similar_items")
# Of the files that a night writes, by the first part of their key.
_FOLDERS = (
    *("current.json", "forgotten", "landing", "models", "pseudonyms", "reviews", "runs", "warehouse", "work"),
)
_FORGET = ("tombstone", "look", "rewrite", "publish", "removal", "landing", "shards", "texts")
_PREFIXED = ("before_write", "mid_write")


@lru_cache(maxsize=1)
def points() -> dict[str, tuple[str, ...]]:
    """Point → the names that it may carry after a colon; none: the point stands alone."""
    # Here, not above: the command line starts without them.
    from jobs.lake.registry import NIGHTLY
    from jobs.steps import STEPS

    tables, steps = tuple(t.name for t in NIGHTLY), tuple(s.name for s in STEPS)
    return {
        "before_step": steps,  # recorded as running, nothing done
        "after_step": steps,  # done and recorded, not yet told
        "before_stage": tables,  # data files written, no metadata
        "before_record": tables,  # metadata written, no staging record
        "after_stage": tables,  # recorded
        "after_audit_mark": tables,  # the table's audit is recorded
        "before_swap": (),  # before the transaction
        "mid_swap": (),  # in the transaction, after each pointer
        "after_swap": (),  # committed, `current.json` is still the old one
        "after_current": (),  # all visible, the step is not yet done
        "before_write": _FOLDERS,  # a file; also any longer prefix of its key
        "mid_write": _FOLDERS,  # its bytes lie under a hidden name (only where the lake is a folder)
        "before_shard": _SHARDED,
        "after_shard": _SHARDED,
        "after_forget": _FORGET,  # a part of an erasure is done
        "before_card": _MODELS,  # a model's files are written, its card is not
        "after_card": _MODELS,
    }


class FailpointError(RuntimeError):
    """What the action `raise` raises."""


@dataclass(frozen=True)
class Trap:
    """What happens at a point: an action with its argument, at the `nth` passage or at each."""

    action: str = "kill"
    argument: str = ""
    nth: int | None = None


def names() -> Iterator[str]:
    """Every point by its full name, such as `after_step:clean`."""
    for point, arguments in points().items():
        yield from (f"{point}:{a}" for a in arguments) if arguments else (point,)


def parse(text: str) -> dict[str, Trap]:
    """Full name of a point → what is to happen there; `BadInput` for anything unknown."""
    return dict(_one(part.strip()) for part in text.split(",") if part.strip())


def _one(part: str) -> tuple[str, Trap]:
    body, _, nth = part.rpartition("@") if re.search(r"@\d+$", part) else (part, "", "")
    name, _, what = body.partition("=")
    action, _, argument = what.partition(":")
    point, _, rest = name.partition(":")
    known = name in set(names()) or (point in _PREFIXED and rest.split("/")[0] in _FOLDERS)
    if not known:
        raise BadInput(f"{VARIABLE}: there is no point '{name}'; known are {_known()}")
    if nth and int(nth) < 1:
        raise BadInput(f"{VARIABLE}: '{part}': passages are counted from @1")
    fits = {
        "": not argument,
        "kill": not argument,
        "raise": not argument,
        "sleep": bool(re.fullmatch(r"\d+(\.\d+)?", argument)),
        "barrier": bool(argument),
    }
    if not fits.get(action, False):
        raise BadInput(f"{VARIABLE}: '{part}': use kill, raise, sleep:SECONDS or barrier:FILE")
    return name, Trap(action or "kill", argument, int(nth) if nth else None)


def _known() -> str:
    return ", ".join(f"{p}:<{'|'.join(a)}>" if a else p for p, a in points().items())


_fail_at = os.environ.get(VARIABLE, "")
_passed: Counter[str] = Counter()


@lru_cache(maxsize=1)
def _armed(text: str) -> dict[str, Trap]:
    return parse(text)


def check() -> None:
    """Raises `BadInput` where the variable names what is not there, before anything is done."""
    _armed(_fail_at)


def failpoint(point: str, argument: str = "") -> None:
    """A passage of a point; does nothing unless the variable names it."""
    if _fail_at:
        _pass(point, argument)


def _pass(point: str, argument: str) -> None:
    for name, trap in _armed(_fail_at).items():
        wanted, _, given = name.partition(":")
        here = given == argument or (
            point in _PREFIXED and (argument + "/").startswith(given.rstrip("/") + "/")
        )
        if wanted != point or not here:
            continue
        _passed[name] += 1
        if trap.nth in (None, _passed[name]):
            _act(name, trap)


def _act(name: str, trap: Trap) -> None:
    if trap.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif trap.action == "raise":
        raise FailpointError(f"raised on purpose at {name}")
    elif trap.action == "sleep":
        time.sleep(float(trap.argument))
    else:
        _wait_for(Path(trap.argument))


def _wait_for(file: Path) -> None:
    file.with_name(f"{file.name}.reached").touch()
    end = time.monotonic() + _BARRIER_SECONDS
    while not file.exists():
        if time.monotonic() > end:
            raise FailpointError(f"nobody opened the barrier {file}")
        time.sleep(0.01)
