"""A shop whose delivery is not what it was: other columns, nothing at all, one shopper, events days late."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.faults.conftest import Toy, ended
from tests.faults.forks import Forks
from tests.faults.invariants import View, remember
from tests.faults.recorder import Case
from tests.faults.shop import DAY, HEADER, Shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

BEFORE = "2026-03-05"
Rows = list[str]
Counts = dict[str, tuple[int, int, int]]


def rows(name: str, day: str, who: tuple[str, ...] = ("ada", "bob", "cyd")) -> Rows:
    return [f"{name}{n},{who[n % len(who)]},tea-{n},{day} {n + 8:02d}:00:00,view,2" for n in range(6)]


EARLIER, TODAY = rows("earlier", BEFORE), rows("today", DAY)


def changed(change: Callable[[dict[str, str]], dict[str, str]]) -> tuple[str, Rows]:
    """Header and lines of today's delivery after a change of each row."""
    made = [change(dict(zip(HEADER.split(","), row.split(","), strict=True))) for row in TODAY]
    return ",".join(made[0]), [",".join(row.values()) for row in made]


@dataclass(frozen=True)
class Delivery:
    """What comes on `DAY`, and what it must become: day → rows good, set aside, and there already."""

    header: str
    lines: Rows
    becomes: Counts
    touched: frozenset[str] = frozenset()


PLAIN = {DAY: (6, 0, 0)}
NOT_YET, TOO_LATE = f"late,eve,tea-1,{BEFORE} 10:30:00,view,2", "old,eve,tea-1,2025-11-01 10:30:00,view,2"
DELIVERIES = {
    "columns added and in another order": Delivery(
        *changed(lambda r: {"colour": "red", **dict(reversed(r.items())), "size": "3"}), PLAIN
    ),
    "columns of another type": Delivery(
        *changed(lambda r: r | ({"price": "cheap"} if "ada" in r.values() else {"when": "8 March"})),
        {DAY: (0, 6, 0)},
    ),
    "a header and no rows": Delivery(HEADER, [], {}),
    "one shopper": Delivery(HEADER, rows("today", DAY, ("ada",)), PLAIN),
    "one row": Delivery(HEADER, TODAY[:1], {DAY: (1, 0, 0)}),
    "events days late, and too late": Delivery(
        HEADER,
        [*TODAY, NOT_YET, TOO_LATE],
        {DAY: (6, 1, 0), BEFORE: (7, 0, 0)},
        frozenset({BEFORE}),
    ),
    "an earlier day sent again, other prices in it": Delivery(
        HEADER,
        [*TODAY, *(r.removesuffix("2") + "3" for r in EARLIER)],
        {DAY: (6, 0, 0), BEFORE: (6, 0, 6)},
        frozenset({BEFORE}),
    ),
}


@pytest.fixture(scope="module")
def _base(tmp_path_factory: pytest.TempPathFactory, processes: Forks) -> Shop:
    """A shop with one published day, and a copy beside its lake."""
    folder = tmp_path_factory.mktemp("deliveries")
    shop = Shop.of(folder, processes, TODAY, "UTC")
    shop.deliver(EARLIER, BEFORE)
    shop.cleaned("base", BEFORE)
    done = shop.publish("base", BEFORE)
    assert done.returncode == 0, done.stderr
    shutil.copytree(folder / "lake", folder / "base")
    return shop


@pytest.fixture
def shop(_base: Shop) -> Shop:
    shutil.rmtree(_base.folder / "lake")
    shutil.copytree(_base.folder / "base", _base.folder / "lake")
    return _base


def counts(intake: list[dict[str, Any]]) -> Counts:
    return {str(r["ds"]): (r["good"], r["quarantined"], r["duplicates"]) for r in intake}


def night(shop: Shop, case: Case) -> dict[str, list[dict[str, Any]]]:
    """A whole night of today's delivery; what readers then see of the day."""
    shop.cleaned()
    done = shop.publish()
    case.exit(done.returncode, 0, told=done.stderr)
    return shop.lake.published(DAY)


@pytest.mark.parametrize("name", DELIVERIES)
def test_a_changed_delivery_is_counted_row_by_row(name: str, shop: Shop, case: Case) -> None:
    delivery, before = DELIVERIES[name], remember(shop.lake)
    shop.deliver(delivery.lines, header=delivery.header)
    case.fault()
    shown = night(shop, case)
    now = {t: shop.lake.rows(m) for t, m in shop.lake.pointers().items() if t in shown}
    told = counts(now["intake"])
    assert told == {BEFORE: (6, 0, 0)} | delivery.becomes
    held = Counter(str(r["ds"]) for r in now["events_clean"])
    assert held == Counter({day: good for day, (good, _, _) in told.items() if good})
    case.check(View(shop.lake, before, ds=DAY, touched=delivery.touched))
    if name == "columns added and in another order":
        # It is the same delivery, so all that comes of it is the same.
        shop.deliver(TODAY)
        again = Shop.of(shop.folder / "plain", shop.processes, TODAY, "UTC")
        again.deliver(EARLIER, BEFORE)
        again.cleaned("base", BEFORE)
        assert again.publish("base", BEFORE).returncode == 0
        case.check(View(shop.lake, before, ds=DAY, expected=night(again, case)))


def test_a_day_on_which_nothing_comes(shop: Shop, case: Case) -> None:
    before = remember(shop.lake)
    (shop.folder / "raw" / f"e-{DAY}.csv").unlink()
    case.fault()
    shown = night(shop, case)
    assert shown["events_clean"] == shown["intake"] == []
    case.check(View(shop.lake, before, ds=DAY))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda r: {"whom" if k == "who" else k: v for k, v in r.items()}, "did you mean 'whom'"),
        (lambda r: {k: v for k, v in r.items() if k != "price"}, "no column 'price'"),
    ],
    ids=["renamed", "dropped"],
)
def test_a_column_that_is_gone_stops_the_night_until_it_is_back(
    change: Callable[[dict[str, str]], dict[str, str]], told: str, shop: Shop, case: Case
) -> None:
    before, landed = remember(shop.lake), shop.lake.listing("landing")
    toy = Toy(shop.folder, shop.environment, shop.lake, shop.processes)
    header, lines = changed(change)
    shop.deliver(lines, header=header)
    case.fault()
    pinned = ended(shop.start("pin_inputs", "night"), timeout=600)
    case.exit(pinned.returncode, 0, told=pinned.stderr)
    stopped = ended(shop.start("ingest", "night"), timeout=600)
    case.exit(stopped.returncode, 2, told=stopped.stderr)
    assert told in stopped.stderr
    assert f"e-{DAY}.csv" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert shop.lake.listing("landing") == landed
    case.check(toy.view(before=before, ds=DAY, touched=frozenset()))
    # The shop mends its delivery, and the same night goes on.
    shop.deliver(TODAY)
    night(shop, case)
    assert counts(shop.lake.rows(shop.lake.pointers()["intake"])) == {BEFORE: (6, 0, 0)} | PLAIN
    case.check(View(shop.lake, before, ds=DAY))
