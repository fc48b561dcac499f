from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path

import pytest

from jobs.errors import BadInput
from jobs.sample import TRUTH, generate
from jobs.sample.feed import Feed
from jobs.sample.mess import BAD_KINDS
from tests.jobs.sample.conftest import TINY, Shop

COLUMNS = ["event_id", "user_id", "product_id", "event", "time", "price", "quantity", "platform", "session"]
KINDS = {"view", "favourite", "cart", "purchase", "return"}


def is_bad(row: dict[str, str]) -> bool:
    """Whether anything in the row is not what its column promises, judged by its text alone."""
    good = (
        re.fullmatch(r"e\d{9}", row["event_id"])
        and re.fullmatch(r"p\d{5}", row["product_id"])
        and row["event"] in KINDS
        and re.fullmatch(r"2026-01-\d\dT\d\d:\d\d:\d\dZ", row["time"])
        and re.fullmatch(r"\d+\.\d\d", row["price"])
        and re.fullmatch(r"[1-9]\d*", row["quantity"])
    )
    return not good


def days_late(arrived: str, row: dict[str, str]) -> int:
    return (date.fromisoformat(arrived) - date.fromisoformat(row["time"][:10])).days


def test_same_arguments_same_bytes_other_seed_other_shop(tmp_path: Path, shop: Shop) -> None:
    again = tmp_path / "again"
    generate(again, seed=7, **TINY)
    files = sorted(f.name for f in shop.folder.iterdir())
    assert files == sorted(f.name for f in again.iterdir())
    assert all((again / f).read_bytes() == (shop.folder / f).read_bytes() for f in files)
    generate(again, seed=8, **TINY)  # over an earlier sample: replaced
    name = "events-2026-01-01.csv"
    assert (again / name).read_bytes() != (shop.folder / name).read_bytes()


def test_a_file_of_events_and_users_a_day_and_of_products_where_one_changed(shop: Shop) -> None:
    days = [f"2026-01-{d:02d}" for d in range(1, 11)]
    names = {f"{e}-{d}.csv" for d in days for e in ("events", "users")}
    products = {f"products-{d}.jsonl" for d in days}
    found = {f.name for f in shop.folder.iterdir()}
    assert found - products == names | {TRUTH}
    assert f"products-{days[0]}.jsonl" in found
    assert list(shop.events[0][1]) == COLUMNS


def test_truth_says_what_the_files_hold(shop: Shop) -> None:
    bad = [(a, r) for a, r in shop.events if is_bad(r)]
    sound = [(a, r) for a, r in shop.events if not is_bad(r)]
    too_late = [r for a, r in sound if days_late(a, r) > 3]
    first: dict[str, tuple[str, dict[str, str]]] = {}
    for arrived, row in sound:
        if days_late(arrived, row) <= 3:
            first.setdefault(row["event_id"], (arrived, row))
    truth = shop.summary.events
    assert truth["rows"] == len(shop.events)
    assert truth["clean"] == len(first)
    assert truth["too_late"] == len(too_late) > 0
    assert truth["duplicates"] == len(sound) - len(too_late) - len(first) > 0
    assert truth["late"] == sum(days_late(a, r) > 0 for a, r in first.values()) > 0
    assert sum(truth["bad"].values()) == len(bad)
    assert truth["clean_by_kind"] == Counter(r["event"] for _, r in first.values())
    assert truth["clean_by_day"] == Counter(r["time"][:10] for _, r in first.values())
    assert json.loads((shop.folder / TRUTH).read_text())["events"] == truth


def test_truth_by_arrival_adds_up(shop: Shop) -> None:
    per_file = Counter(a for a, _ in shop.events)
    assert {a: t["rows"] for a, t in shop.summary.by_arrival.items()} == per_file
    for name in ("rows", "clean", "duplicates", "late", "too_late"):
        assert sum(t[name] for t in shop.summary.by_arrival.values()) == shop.summary.events[name]


def test_every_kind_of_bad_row_is_there(shop: Shop) -> None:
    """Each of the kinds that the shop can write, and about one row in a hundred."""
    truth = shop.summary.events
    assert set(truth["bad"]) == set(BAD_KINDS)
    assert 0.008 < sum(truth["bad"].values()) / truth["rows"] < 0.012
    assert any(len(r["event"]) >= 10_000 for _, r in shop.events)


def test_a_duplicate_is_the_same_row_again(shop: Shop) -> None:
    rows = defaultdict(list)
    for _, row in shop.events:
        if not is_bad(row):
            rows[row["event_id"]].append(row)
    twice = [same for same in rows.values() if len(same) > 1]
    assert len(twice) == shop.summary.events["duplicates"]
    assert all(a == b for a, b in twice)


def test_nothing_happens_before_its_product_and_its_shopper_are_known(shop: Shop) -> None:
    products, users = {}, {}
    for arrived, row in shop.products:
        products.setdefault(row["sku"], arrived)
    for arrived, user in shop.users:
        users.setdefault(user["user_id"], arrived)
    for _, row in shop.events:
        if is_bad(row):
            continue
        day = row["time"][:10]
        assert products[row["product_id"]] <= day
        assert not row["user_id"] or users[row["user_id"]] <= day


def test_prices_of_events_are_those_of_the_feed(shop: Shop) -> None:
    """A return is paid back at the price that was paid, so it is left out."""
    feed = {(sku["sku"], a): sku["price"] for a, sku in shop.products if sku["price"] > 0}
    checked = 0
    for _, row in shop.events:
        price = feed.get((row["product_id"], row["time"][:10]))
        if price is not None and not is_bad(row) and row["event"] != "return":
            assert float(row["price"]) == price
            checked += 1
    assert checked > 100


def test_the_feed_is_whole_on_day_one_and_then_only_changes(shop: Shop) -> None:
    last: dict[str, dict[str, object]] = {}
    first_day = [r for a, r in shop.products if a == "2026-01-01"]
    for _, row in shop.products:
        if row["sku"] and row["price"] > 0:
            assert last.get(row["sku"]) != row
            last[row["sku"]] = row
    assert len(last) == shop.summary.products["distinct"]
    assert 0.6 * len(last) < len(first_day) < len(shop.products)
    assert any(row["stock"] == 0 for row in last.values())
    assert all(row["parent"] is None or row["parent"] in last for row in last.values())


def test_purchases_follow_a_cart_and_a_view_of_the_same_visit(shop: Shop) -> None:
    when: dict[tuple[str, str, str], str] = {}
    rows = [r for _, r in shop.events if not is_bad(r)]
    for r in sorted(rows, key=lambda r: r["time"], reverse=True):
        when[r["session"], r["product_id"], r["event"]] = r["time"]
    bought = [k for k in when if k[2] == "purchase"]
    # The view or the cart itself may still be on its way at the end, or have come too late: rare.
    whole = [
        b for b in bought if when.get((*b[:2], "view"), "9") <= when.get((*b[:2], "cart"), "8") <= when[b]
    ]
    assert len(bought) > 30
    assert len(whole) > 0.9 * len(bought)
    assert not any(r["event"] != "view" and not r["user_id"] for r in rows)  # nobody unknown buys
    assert any(r["event"] == "return" for r in rows)


def test_visits_stay_with_a_need(shop: Shop) -> None:
    """Two views in a row are of one category far more often than two views picked at random."""
    category = {r["sku"]: r["category"] for _, r in shop.products}
    visits = defaultdict(list)
    for _, r in shop.events:
        if not is_bad(r) and r["event"] == "view":
            visits[r["session"]].append((r["time"], category[r["product_id"]]))
    pairs = [(a[1], b[1]) for v in visits.values() for a, b in zip(sorted(v), sorted(v)[1:], strict=False)]
    share = Counter(c for v in visits.values() for _, c in v)
    total = sum(share.values())
    by_chance = sum((n / total) ** 2 for n in share.values())
    assert sum(a == b for a, b in pairs) / len(pairs) > 3 * by_chance


def test_scale_multiplies_events(tmp_path: Path) -> None:
    rows = [
        generate(tmp_path / str(s), seed=3, products=60, users=300, days=10, scale=s).events["rows"]
        for s in (1, 4)
    ]
    assert 3.0 < rows[1] / rows[0] < 5.0


def test_no_file_is_empty(tmp_path: Path) -> None:
    """An import refuses such a file; in so small a shop no product changes on most days."""
    generate(tmp_path / "raw", seed=7, products=60, users=50, start=date(2026, 1, 1), days=10)
    assert [f.name for f in (tmp_path / "raw").iterdir() if f.stat().st_size == 0] == []
    assert 1 <= len(list((tmp_path / "raw").glob("products-*.jsonl"))) < 10


@pytest.mark.parametrize("wrong", [{"scale": 0}, {"products": 0}, {"users": -1}, {"days": 0}])
def test_arguments_out_of_range(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(BadInput, match=next(iter(wrong))):
        generate(tmp_path / "shop", seed=1, **{**TINY, **wrong})
    assert not list(tmp_path.iterdir())


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "thesis.txt").write_text("mine")
    with pytest.raises(BadInput, match="holds other files"):
        generate(tmp_path / "shop", seed=1, **TINY)
    assert [f.name for f in (tmp_path / "shop").iterdir()] == ["thesis.txt"]


def test_a_crash_leaves_the_earlier_sample_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The crash comes on the fifth day, when half of the files are written."""
    folder = tmp_path / "shop"
    generate(folder, seed=1, **TINY)
    before = {f.name: f.read_bytes() for f in folder.iterdir()}
    day = Feed.day

    def crash(self: Feed, number: int) -> bytes:
        if number == 5:
            raise OSError("no space left on device")
        return day(self, number)

    monkeypatch.setattr(Feed, "day", crash)
    with pytest.raises(OSError, match="no space"):
        generate(folder, seed=2, **TINY)
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == before
    assert [f.name for f in tmp_path.iterdir()] == ["shop"]
