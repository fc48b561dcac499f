"""How a step is run: timed, its memory watched, its outcome recorded for the report."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import psutil

from jobs.causes import understood
from jobs.failpoints import failpoint
from jobs.lake.publish import Outdated
from jobs.night import Night
from jobs.outdated import discard, outdated, require_fresh
from jobs.writer_preset import as_bad_input

_SAMPLE_SECONDS = 0.5


class PeakMemory:
    """Watches the resident memory of this process and its children (Spark's JVM); bytes."""

    def __init__(self) -> None:
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        me = psutil.Process()
        while True:
            total = 0
            for process in [me, *_children(me)]:
                try:
                    total += process.memory_info().rss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, total)
            if self._stop.wait(_SAMPLE_SECONDS):
                return


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


def run_step(night: Night, name: str, run: Callable[[Night], dict[str, Any]]) -> dict[str, Any]:
    """Run one step and record how it went; returns its summary, one small JSON object."""
    if name != "pin_inputs":
        night.options  # noqa: B018 - pins by itself where `pin_inputs` was left out
    started = datetime.now(UTC)
    clock = time.monotonic()
    outcome: dict[str, Any] = {"step": name, "started": started.isoformat(), "outcome": "running"}
    if name != "pin_inputs":
        _record(night, name, outcome)
    with PeakMemory() as memory:
        try:
            with as_bad_input():
                failpoint("before_step", name)
                require_fresh(night, name)
                summary = run(night)
                # Written beside an erasure, by a step that no other one follows, it would lie there.
                require_fresh(night, name)
            outcome |= {"outcome": "done", "summary": summary}
        except BaseException as error:
            known = outdated(night, name, error) or understood(error)
            text = str(known) if known else f"{type(error).__name__}: {error}"
            code = known.exit_code if known else 1
            outcome |= {"outcome": "failed", "error": text[:2000], "exit_code": code}
            if isinstance(known, Outdated) and name != "publish":
                discard(night)
            if known is None or known is error:
                raise
            raise known from error
        finally:
            outcome["seconds"] = round(time.monotonic() - clock, 2)
            memory_mb = memory.peak // 2**20
            outcome["peak_mb"] = memory_mb
            _record(night, name, outcome)
    failpoint("after_step", name)
    return {"step": name, "run_id": night.run_id, "ds": night.ds.isoformat(), **summary}


def _record(night: Night, name: str, outcome: dict[str, Any]) -> None:
    night.store.write(night.key(f"steps/{name}.json"), json.dumps(outcome, default=str).encode())


def step_records(night: Night) -> list[dict[str, Any]]:
    """The recorded outcome of every step so far, by start."""
    records = [json.loads(night.store.read(k)) for k in night.store.list(night.key("steps"))]
    return sorted(records, key=lambda r: r["started"])
