"""One night's training: choose on validation days, judge on held-out days, refit on all days.

A warm night chooses nothing: it goes on from the model in service as that was before its own held-out days,
so that no day of tonight's holdout was ever trained on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from models.recommender import from_recipe
from models.recommender.base import Interactions, Items, Recommender
from models.recommender.calibration import Calibration, calibrate
from models.recommender.evaluation import Holdout, calibration_rows, measure
from models.recommender.gate import Bounds, Measures, Verdict, judge
from models.recommender.hybrid import Hybrid
from models.recommender.popularity import Popularity
from models.recommender.rules import PLAIN, Policy
from models.recommender.selection import choose


@dataclass(frozen=True)
class Task:
    """What to train on. Events lie before `as_of` (UTC seconds); `k` is the length of a list.

    incumbent: the model in service, to be held against: kind and recipe, which are fitted again on the days
    before the holdout, or the model itself as it was before a day of this holdout was trained on. What it
    counts is counted again in place. warm: train on from it, and choose anew only if the gate refuses that.
    least: of fewer buyers the verdict's sentence tells no number.
    """

    events: Interactions
    items: Items
    as_of: int
    holdout_days: int
    k: int
    seed: int
    incumbent: tuple[str, dict[str, Any]] | Hybrid | None = None
    warm: bool = False
    policy: Policy = PLAIN
    least: int = 1

    def holdout(self) -> Holdout:
        return Holdout.split(self.events, self.items, self.as_of, self.holdout_days, self.policy)


@dataclass(frozen=True)
class Trained:
    """A model fitted on all days, with what it reached on the holdout when fitted on the days before.

    earlier: what `Hybrid.trained_part` was on those days before. cooled: why it is not the warm model that
    was asked for; empty otherwise.
    """

    model: Recommender
    verdict: Verdict
    new: Measures
    baseline: Measures
    incumbent: Measures | None
    calibration: Calibration
    tried: list[dict[str, Any]]
    earlier: dict[str, NDArray[Any]] = field(default_factory=dict)
    warm: bool = False
    cooled: str = ""


def train(task: Task) -> Trained:
    """Chooses or goes on, lets the gate judge, calibrates, and learns the held-out days. Deterministic."""
    judging = _Judging.of(task)
    holdout, cooled = judging.holdout, ""
    if task.warm and isinstance(task.incumbent, Hybrid):
        warm = task.incumbent.update(holdout.past, holdout.items, holdout.cut)
        new, verdict = judging.judged(warm)
        if verdict.accepted:
            return judging.finished(warm, new, verdict, warm=True)
        cooled = verdict.why
    chosen, tried = choose(holdout.past, holdout.items, holdout.cut, task.holdout_days, task.seed)
    candidate = chosen.update(holdout.past, holdout.items, holdout.cut)
    return judging.finished(candidate, *judging.judged(candidate), tried=tried, cooled=cooled)


def popularity(task: Task) -> Trained:
    """The baseline as a model: what serves where nothing better was ever accepted."""
    judging = _Judging.of(task)
    holdout = judging.holdout
    model = Popularity().fit(holdout.past, holdout.items, holdout.cut)
    return judging.finished(model, *judging.judged(model))


@dataclass(frozen=True)
class _Judging:
    """The holdout, and what candidates are held against."""

    task: Task
    holdout: Holdout
    baseline: Measures
    incumbent: Measures | None

    @classmethod
    def of(cls, task: Task) -> _Judging:
        holdout = task.holdout()

        def measured(model: Recommender) -> Measures:
            return measure(model, holdout, task.k, task.seed)

        days = (holdout.past, holdout.items, holdout.cut)
        serving = None
        if isinstance(task.incumbent, Hybrid):
            serving = measured(task.incumbent.resume(*days))
        elif task.incumbent is not None:
            serving = measured(from_recipe(*task.incumbent).fit(*days))
        return cls(task, holdout, measured(Popularity().fit(*days)), serving)

    def judged(self, candidate: Recommender) -> tuple[Measures, Verdict]:
        """`candidate` knows the days before the holdout."""
        task = self.task
        new = measure(candidate, self.holdout, task.k, task.seed)
        bounds = Bounds(min_told=task.least)
        return new, judge(new, self.baseline, self.incumbent, len(task.items), task.k, bounds)

    def finished(
        self,
        candidate: Recommender,
        new: Measures,
        verdict: Verdict,
        tried: list[dict[str, Any]] | None = None,
        warm: bool = False,
        cooled: str = "",
    ) -> Trained:
        task = self.task
        rows = calibration_rows(candidate, self.holdout, task.k)
        calibration = calibrate(*rows, window_days=task.holdout_days)
        earlier = candidate.trained_part() if isinstance(candidate, Hybrid) else {}
        return Trained(
            model=candidate.update(task.events, task.items, task.as_of),
            verdict=verdict,
            new=new,
            baseline=self.baseline,
            incumbent=self.incumbent,
            calibration=calibration,
            tried=tried or [],
            earlier=earlier,
            warm=warm,
            cooled=cooled,
        )
