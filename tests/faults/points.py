"""Which step of a night passes which failpoint, and in what order a night can be killed at all of them."""

from __future__ import annotations

from jobs.failpoints import names
from jobs.lake.registry import BY_NAME
from jobs.steps import STEPS

PUBLISH = "publish"
_STEPS = frozenset(step.name for step in STEPS)
# Folder → the steps that are killed where they write a file into it; in the order of the first writes.
_WRITTEN_BY = {
    "runs": ("pin_inputs",),
    "pseudonyms": ("ingest",),
    "landing": ("ingest",),
    "warehouse": ("clean",),
    "models": ("train_recommender", "train_writer"),
    "work": ("recommend", "describe"),
    "current.json": (PUBLISH,),
}
_WRITES = ("before_write", "mid_write")
_SHARDS = ("before_shard", "after_shard")
# What an attempt has got through, its retry may leave out: an earlier point goes first.
_ORDER = (
    *("before_step", *_WRITES, "before_card", "after_card", *_SHARDS),
    *("before_stage", "before_record", "after_stage", "after_audit_mark"),
    *("before_swap", "mid_swap", "after_swap", "current.json", "after_current", "after_step"),
)


def steps_of(name: str) -> tuple[str, ...]:
    """The steps that pass a point by its full name; none where only other commands do, or nobody knows."""
    return tuple(step for step in _passing(name) if step in _STEPS)


def _passing(name: str) -> tuple[str, ...]:
    point, _, argument = name.partition(":")
    if point in ("before_step", "after_step"):
        return (argument,)
    if point in ("before_stage", "before_record", "after_stage", *_SHARDS):
        return (BY_NAME[argument].job,)
    if point == "after_audit_mark":
        return (PUBLISH if BY_NAME[argument].job == PUBLISH else "audit",)
    if point in ("before_card", "after_card"):
        return (f"train_{argument}",)
    if point in _WRITES:
        return _WRITTEN_BY.get(argument, ())
    return (PUBLISH,) if point in ("before_swap", "mid_swap", "after_swap", "after_current") else ()


def order(name: str) -> tuple[int, int, int]:
    """Sorts the points of a step: killed at each in turn, the next one is still to come."""
    point, _, argument = name.partition(":")
    if point in _WRITES:
        group = _ORDER.index("current.json" if argument == "current.json" else "before_write")
        return group, list(_WRITTEN_BY).index(argument), _WRITES.index(point)
    if point in _SHARDS:
        # A table's shards are all there before the next one's are begun.
        return _ORDER.index("before_shard"), list(BY_NAME).index(argument), _SHARDS.index(point)
    return _ORDER.index(point), 0, 0


def of_step(step: str) -> list[str]:
    """All points that a step passes, in that order."""
    return sorted((name for name in names() if step in steps_of(name)), key=order)
