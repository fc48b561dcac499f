"""May a new model serve? A pure judgement over measures; whoever asks decides what to do about a refusal."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Measures:
    """A model on the holdout. Means over the `users` who bought something in it; @10 unless said.

    full: share of asked shoppers whose list is as long as the shop allows. distinct: items in at least one
    list. overlap: mean share of equal items in two shoppers' first 10, among shoppers with a past. novelty
    in bits and diversity in [0, 1] are those of `beyond`. recall_head, recall_tail: of what was bought of the
    best sellers, and of all other items; 0 where nothing of them was bought.

    table: segment (all, new, light, heavy) → measure → (mean, low, high), the ends of a 95 % interval;
    measures that nobody of a segment has are absent. sizes: segment → buyers. known: segment → measure →
    buyers who have it, for each measure of `table` that is a mean over buyers.
    """

    users: int
    ndcg: float
    recall: float
    precision: float
    hr: float
    map: float
    mrr: float
    full: float
    coverage: float
    distinct: int
    gini: float
    overlap: float
    ndcg_interval: tuple[float, float] = (0.0, 0.0)
    segments: dict[str, dict[str, float]] = field(default_factory=dict)
    f1: float = 0.0
    novelty: float = 0.0
    diversity: float = 0.0
    recall_head: float = 0.0
    recall_tail: float = 0.0
    table: dict[str, dict[str, tuple[float, float, float]]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    known: dict[str, dict[str, int]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Bounds:
    """What a model must keep to; below `min_users` buyers there is nothing to judge by.

    min_told: of fewer buyers the verdict's sentence tells no number; the verdict is the same.
    """

    min_users: int = 20
    min_told: int = 1
    of_incumbent: float = 0.98
    max_overlap: float = 0.90
    min_distinct_lists: float = 2.0  # distinct items shown, in lengths of one list
    personal_from: int = 5  # catalogues of at least this many list lengths must be shown personally


@dataclass(frozen=True)
class Verdict:
    accepted: bool
    why: str

    @property
    def word(self) -> str:
        return "accepted" if self.accepted else "refused"


def judge(
    new: Measures,
    baseline: Measures,
    incumbent: Measures | None,
    n_items: int,
    k: int,
    bounds: Bounds | None = None,
) -> Verdict:
    """Accepts a model that beats 7-day popularity and keeps 98 % of the incumbent, with full and personal
    lists.

    All three were measured on the same holdout. `n_items` is the number of items that may be shown.
    """
    bounds = bounds or Bounds()
    few = 0 < new.users < bounds.min_told
    bought = f"{f'fewer than {bounds.min_told}' if few else new.users} shoppers bought in the holdout"
    if new.users < bounds.min_users:
        return Verdict(False, f"too little to judge by: {bought}, {bounds.min_users} are needed")
    faults = _faults(new, baseline, incumbent, n_items, k, bounds)
    if few:
        return Verdict(not faults, f"{bought}: the measures that it was judged by are not told")
    if faults:
        return Verdict(False, "; ".join(faults))
    against = f", model in service {incumbent.ndcg:.4f}" if incumbent is not None else ""
    return Verdict(True, f"NDCG@10 {new.ndcg:.4f} beats 7-day popularity's {baseline.ndcg:.4f}{against}")


def _faults(
    new: Measures, baseline: Measures, incumbent: Measures | None, n_items: int, k: int, bounds: Bounds
) -> list[str]:
    """What speaks against the model, in words."""
    faults = []
    if new.full < 1.0:
        faults.append(f"{1 - new.full:.2%} of the shoppers got no full list")
    if new.ndcg <= baseline.ndcg:
        faults.append(f"NDCG@10 {new.ndcg:.4f} does not beat 7-day popularity's {baseline.ndcg:.4f}")
    if incumbent is not None and new.ndcg < bounds.of_incumbent * incumbent.ndcg:
        faults.append(
            f"NDCG@10 {new.ndcg:.4f} is below {bounds.of_incumbent:.0%} of "
            f"the {incumbent.ndcg:.4f} of the model in service"
        )
    if n_items >= bounds.personal_from * k:
        if new.overlap > bounds.max_overlap:
            faults.append(
                f"two shoppers' lists share {new.overlap:.0%} of their items, "
                f"at most {bounds.max_overlap:.0%} may be"
            )
        if new.distinct < bounds.min_distinct_lists * k:
            faults.append(f"only {new.distinct} products are shown to anybody")
    return faults
