"""One night's training: choose on validation days, judge on held-out days, refit on all days."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from models.recommender import from_recipe
from models.recommender.base import Interactions, Items, Recommender
from models.recommender.calibration import Calibration, calibrate
from models.recommender.evaluation import Holdout, calibration_rows, measure
from models.recommender.gate import Measures, Verdict, judge
from models.recommender.popularity import Popularity
from models.recommender.rules import PLAIN, Policy
from models.recommender.selection import choose


@dataclass(frozen=True)
class Task:
    """What to train on. Events lie before `as_of` (UTC seconds); `k` is the length of a list.

    incumbent: kind and recipe of the model in service. It is fitted again on the days before the holdout,
    as the candidate is: the files in service were refitted on all days, and would have seen the days they
    are judged on.
    """

    events: Interactions
    items: Items
    as_of: int
    holdout_days: int
    k: int
    seed: int
    incumbent: tuple[str, dict[str, Any]] | None = None
    policy: Policy = PLAIN

    def holdout(self) -> Holdout:
        split = Holdout.split(self.events, self.items, self.as_of, self.holdout_days)
        return replace(split, policy=self.policy)


@dataclass(frozen=True)
class Trained:
    """A model fitted on all days, with what it reached on the holdout when fitted on the days before."""

    model: Recommender
    verdict: Verdict
    new: Measures
    baseline: Measures
    incumbent: Measures | None
    calibration: Calibration
    tried: list[dict[str, Any]]


def train(task: Task) -> Trained:
    """Chooses, lets the gate judge, calibrates, and learns the held-out days. Deterministic."""
    holdout = task.holdout()
    chosen, tried = choose(holdout.past, holdout.items, holdout.cut, task.holdout_days, task.seed)
    candidate = chosen.update(holdout.past, holdout.items, holdout.cut)
    return _judged(task, holdout, candidate, tried)


def popularity(task: Task) -> Trained:
    """The baseline as a model: what serves where nothing better was ever accepted."""
    holdout = task.holdout()
    model = Popularity().fit(holdout.past, holdout.items, holdout.cut)
    return _judged(task, holdout, model, [])


def _judged(task: Task, holdout: Holdout, candidate: Recommender, tried: list[dict[str, Any]]) -> Trained:
    """`candidate` knows the days before the holdout."""

    def measured(model: Recommender) -> Measures:
        return measure(model, holdout, task.k, task.seed)

    def fitted(model: Recommender) -> Recommender:
        return model.fit(holdout.past, holdout.items, holdout.cut)

    baseline = measured(fitted(Popularity()))
    incumbent = measured(fitted(from_recipe(*task.incumbent))) if task.incumbent else None
    new = measured(candidate)
    verdict = judge(new, baseline, incumbent, len(task.items), task.k)
    rows = calibration_rows(candidate, holdout, task.k)
    calibration = calibrate(*rows, window_days=task.holdout_days)
    final = candidate.update(task.events, task.items, task.as_of)
    return Trained(final, verdict, new, baseline, incumbent, calibration, tried)
