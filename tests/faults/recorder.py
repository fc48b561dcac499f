"""What the cases found, for the table at the end of the run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.faults.invariants import INVARIANTS, View, broken_now

# These two hold rows against rows: an undisturbed run's, or the counts of what came in.
_COUNTING = ("2 idempotent", "3 conservation")
_HALF_PUBLISHED = ("1 all or nothing", "5 audited", "6 monotonic")


@dataclass
class Case:
    """One case: what was injected, and what was wrong after it."""

    name: str
    faults: int = 0
    lost: int = 0
    half_published: int = 0
    wrong_exits: int = 0
    orphans: int = 0
    held: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    idle: Counter[str] = field(default_factory=Counter)

    @property
    def checked(self) -> bool:
        """Whether anybody looked at the lake: where nobody did, no loss that was found means nothing."""
        return bool(self.held or self.failed or self.idle)

    @property
    def counted(self) -> bool:
        """Whether rows were held against others, so that a lost one would have shown."""
        return any(self.held[name] or self.failed[name] for name in _COUNTING)

    def fault(self, count: int = 1) -> None:
        self.faults += count

    def exit(self, found: int, *wanted: int, told: str = "") -> None:
        """The exit code of a process must be one of these."""
        if found not in wanted:
            self.wrong_exits += 1
            raise AssertionError(f"exit {found}, wanted {' or '.join(map(str, wanted))}: {told[-3000:]}")

    def check(self, view: View) -> None:
        """All nine invariants, each counted; raises for what is broken."""
        found = broken_now(view)
        self.lost += view.lost
        self.orphans = max(self.orphans, view.orphans)
        for name, broken in found.items():
            counter = self.idle if broken is None else self.failed if broken else self.held
            counter[name] += 1
        self.half_published += any(found[name] for name in _HALF_PUBLISHED)
        wrong = [f"{name}: {text}" for name, broken in found.items() for text in broken or []]
        assert not wrong, "\n".join(wrong)


CASES: list[Case] = []


def packed() -> list[dict[str, Any]]:
    """This process's cases, for the one that prints the table of all."""
    return [{k: dict(v) if isinstance(v, Counter) else v for k, v in vars(c).items()} for c in CASES]


def unpack(found: list[dict[str, Any]]) -> None:
    counters = ("held", "failed", "idle")
    CASES.extend(Case(**{k: Counter(v) if k in counters else v for k, v in c.items()}) for c in found)


def table(cases: list[Case]) -> list[str]:
    """The lines to print: one a kind of case, the sums, and each invariant."""
    kinds: dict[str, list[Case]] = {}
    for case in cases:
        kinds.setdefault(case.name, []).append(case)
    head = ("case", "runs", "unchecked", "faults", "rows lost", "half-published", "wrong exits")
    lines = _aligned([head, *[_line(name, k) for name, k in kinds.items()], _line("all", cases)])
    checks = [("invariant", "held", "broken", "not applicable")]
    for name in INVARIANTS:
        sums = [sum(getattr(c, kind)[name] for c in cases) for kind in ("held", "failed", "idle")]
        checks.append((name, *map(str, sums)))
    lines += ["", *_aligned(checks)]
    if orphans := max((c.orphans for c in cases), default=0):
        lines.append(f"known limit: files that killed attempts left, at most in one lake: {orphans}")
    return lines


def _line(name: str, cases: list[Case]) -> tuple[str, ...]:
    """One line of the table; what only a look at the lake can tell is no zero where nobody looked."""
    checked = [c for c in cases if c.checked]
    lost = str(sum(c.lost for c in cases)) if any(c.counted for c in cases) else "–"
    seen = [lost, str(sum(c.half_published for c in checked)) if checked else "–"]
    faults, wrong = (str(sum(getattr(c, n) for c in cases)) for n in ("faults", "wrong_exits"))
    return name, str(len(cases)), str(len(cases) - len(checked)), faults, *seen, wrong


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(r, widths, strict=True))
        )
        for r in rows
    ]
