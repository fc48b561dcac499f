"""Erasures beside each other, after a rollback, cut short, and of shoppers who are called like a word."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jobs.erasure import landing
from jobs.erasure.person import Person
from jobs.erasure.texts import redact
from jobs.errors import GateFailed
from jobs.forget_user import forget_user
from jobs.lake.amend import Amender
from jobs.lake.publish import Outdated, Publisher
from jobs.lake.store import LocalStore, Store
from jobs.lake_maintenance import maintain
from jobs.night import Night
from jobs.outdated import discard
from jobs.reviews import Decision, Reviews, add
from jobs.runner import run_step
from tests.jobs.erasure.conftest import HEAD, LAST, ZOE, Shop
from tests.jobs.erasure.scan import places
from tests.jobs.erasure.test_forget_user import Killed, conserved

LATER = timedelta(days=30)


def dying(*_: Any) -> Any:
    raise Killed


@pytest.mark.parametrize("function", ["clean", "_rewritten", "_read_or_nothing"])
def test_another_shopper_is_forgotten_in_between(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """After the look at the landing; while a batch is written again; before its manifest is."""
    work, calls = getattr(landing, function), []

    def late(*args: Any) -> Any:
        calls.append(1)
        first = len(calls) == 1
        if first and function != "_rewritten":
            forget_user(shop.settings, "bob")
        found = work(*args)
        if first and function == "_rewritten":
            forget_user(shop.settings, "bob")
        return found

    monkeypatch.setattr(landing, function, late)
    forget_user(shop.settings, ZOE)
    assert len(calls) > 1
    for name in (ZOE, "bob"):
        assert not any(p.startswith("landing/") for p in places(shop.lake, name)), name
    assert places(shop.lake, ZOE) == set()
    assert conserved(shop)
    assert {r["user_id"] for r in shop.rows("events_clean")} == {"ada", "17"}
    # No batch lies there that no manifest names.
    store = Store.of(shop.settings)
    named = {
        b["folder"] for k in landing._manifests(store) for b in json.loads(store.read(k))["entities"].values()
    }
    assert {k.rsplit("/", 1)[0] for k in store.list("landing") if k.endswith(".parquet")} <= named


def test_a_batch_that_is_lost_for_good_is_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its manifest stays as it is, so nobody has written it again."""

    def gone(*_: Any) -> Any:
        raise FileNotFoundError("part-0.parquet")

    monkeypatch.setattr(landing, "_rewritten", gone)
    found = landing.look(Store.of(shop.settings), _zoe(), set())
    publisher = Publisher(Night(shop.settings, LAST, "r").catalog)
    with pytest.raises(FileNotFoundError, match="part-0"):
        landing.clean(Store.of(shop.settings), _zoe(), set(), found, publisher.alone)


def _zoe() -> Any:
    from jobs.erasure.person import Person

    return Person(ZOE)


def test_after_maintenance_and_a_rollback_it_comes_to_its_end(shop: Shop) -> None:
    """What the rolled-back tables list of older snapshots is gone, and is in nobody's way."""
    shop.night("2026-01-03", "n4")
    nights = shop.settings.model_copy(update={"keep_runs": 2})
    done = maintain(nights, now=datetime.now(UTC) + LATER)
    assert done.removed["tables"]["files"] > 0
    Publisher(Night(shop.settings, LAST, "r").catalog).rollback("n3")
    running = shop.staged("2026-01-03", "running")
    store = running.store
    listed = [s for m in running.catalog.pointers().values() for s in running.catalog.open(m).snapshots()]
    assert not all(store.exists(store.key_of(s.manifest_list)) for s in listed)
    erased = forget_user(shop.settings, ZOE)
    assert erased.tables["events_clean"] > 0
    assert [p.kind for p in Publisher(running.catalog).log()].count("forget") == 1
    discard(running)
    assert places(shop.lake, ZOE) == set()
    maintain(nights, now=datetime.now(UTC) + LATER)
    assert {r["user_id"] for r in shop.rows("users")} == {"17", "ada", "bob"}


@pytest.mark.parametrize("at", ["amend", "landing"])
def test_cut_short_and_done_again_it_counts_as_if_done_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """Killed after its publish, or when the old files are gone: others' rows stay where they are counted."""
    copy = shop.clone()
    forget_user(shop.settings, ZOE)
    expected = {t: shop.rows(t) for t in ("intake", "erasures")}
    shop.restore(copy)

    with monkeypatch.context() as patch:
        if at == "amend":
            patch.setattr(LocalStore, "delete", dying)
        else:
            patch.setattr(landing, "clean", dying)
        with pytest.raises(Killed):
            forget_user(shop.settings, ZOE)
    forget_user(shop.settings, ZOE)
    assert shop.rows("intake") == expected["intake"]
    hash_and_files = ("user_hash", "files_rewritten", "files_removed")
    told = [{k: v for k, v in r.items() if k not in hash_and_files} for r in shop.rows("erasures")]
    assert told == [{k: v for k, v in r.items() if k not in hash_and_files} for r in expected["erasures"]]
    assert places(shop.lake, ZOE) == set()
    assert conserved(shop)


def test_a_day_that_a_night_counted_after_the_tombstone_is_not_counted_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before its publish; then a night builds the days that it looks back at without the shopper."""
    twice = "10,17,tea,2026-01-03 10:00:00,2,1\n" * 3 + f"21,{ZOE},tea,2026-01-03 12:00:00,2,1\n"
    shop.deliver("2026-01-03", {"e5.csv": HEAD + twice})
    copy = shop.clone()
    forget_user(shop.settings, ZOE)
    shop.night("2026-01-03", "again")
    expected = shop.rows("intake")
    shop.restore(copy)

    with monkeypatch.context() as patch:
        patch.setattr(Amender, "amend", dying)
        with pytest.raises(Killed):
            forget_user(shop.settings, ZOE)
    shop.night("2026-01-03", "again")
    forget_user(shop.settings, ZOE)
    assert shop.rows("intake") == expected


def test_a_step_that_was_at_work_beside_it_leaves_nothing(shop: Shop) -> None:
    """It began before the erasure and ends after it; no other step may follow to find that out."""
    night = Night(shop.settings, LAST, "slow")
    night.pin()
    copied = shop.rows("users")

    def step(_: Night) -> dict[str, Any]:
        import pyarrow as pa

        from jobs.lake.registry import BY_NAME

        forget_user(shop.settings, ZOE)
        days = sorted({r["ds"] for r in copied})
        night.stage("users", pa.Table.from_pylist(copied, schema=BY_NAME["users"].schema), days)
        return {}

    with pytest.raises(Outdated, match="forgotten after run 'slow' was pinned"):
        run_step(night, "features", step)
    record = json.loads(night.store.read(night.key("steps/features.json")))
    assert (record["outcome"], record["exit_code"]) == ("failed", GateFailed.exit_code)
    assert places(shop.lake, ZOE) == set()


# -- shoppers who are called like a word ---------------------------------------------------


def decision(text: str, new_text: str = "") -> Decision:
    verdict = "edit" if new_text else "reject"
    return Decision("p1", "en", "title", verdict, date(2026, 1, 2), text, new_text)


@pytest.mark.parametrize("user_id", ["cotton", "en", "text", "ds", "pins", "done", "warehouse", "t-shirt"])
def test_a_shopper_called_like_a_word_takes_no_word_along(shop: Shop, user_id: str) -> None:
    store = Store.of(shop.settings)
    add(store, [decision("A poor t-shirt of cotton", "A t-shirt of cotton"), decision("text")])
    pinned = store.location("warehouse/users/metadata/m.json")
    record = {"run_id": "n3", "ds": "2026-01-03", "pins": {"users": pinned}}
    record |= {"steps": {"clean": "done"}, "error": f"no row of {user_id} was read"}
    store.write("runs/n3/run.json", json.dumps(record).encode())
    html = "<style>.text{color:cotton}</style><p class='text'>A {}, done en route</p>"
    store.write("runs/n3/page.html", html.replace("{}", user_id).encode())
    keys = list(store.list("reviews"))
    before = [store.read(k) for k in keys]
    store.write("runs/n3/notes/who.json", json.dumps({user_id: user_id, "n": [user_id, "x"]}).encode())

    forget_user(shop.settings, user_id)

    assert [store.read(k) for k in keys] == before
    assert json.loads(store.read("runs/n3/run.json")) == {
        **record,
        "error": "no row of (forgotten) was read",
    }
    told = store.read("runs/n3/page.html").decode()
    assert told.startswith("<style>.text{color:cotton}</style><p class='text'>A (forgotten),")
    told = json.loads(store.read("runs/n3/notes/who.json"))
    assert told == {user_id: "(forgotten)", "n": ["(forgotten)", "x"]}
    night = Night(shop.settings, LAST, "n9")
    night.pin()
    assert Reviews.as_of(night).of("p1", "en", "title").edit == "A t-shirt of cotton"
    assert maintain(shop.settings).dry_run is False


def test_a_shopper_whose_id_is_a_number_takes_no_number_along(shop: Shop) -> None:
    """Not from counts, fractions, times, paths and products; and what was JSON stays JSON."""
    store, user_id = Store.of(shop.settings), "512475"
    add(store, [replace(decision("Pan 512475", "Pan, model 512475"), product_id=user_id)])
    (review,) = store.list("reviews")
    before = store.read(review)
    kept = {
        "rows": 512475,
        "share": 0.512475,
        "started": "2026-01-03T04:05:04.512475+00:00",
        "at": "on 2026-01-03 04:05:04.512475, 1,512475 and 512475.25",
        "file": "warehouse/users/data/512475/part 1.parquet",
    }
    told = {"error": "no row of 512475: read user=512475, 512475.", "who": [user_id, "x"]}
    store.write("runs/n3/notes/who.json", json.dumps(kept | told).encode())
    html = "<path d='M512475 1'/><p class='n512475'>0.512475 of {}, {}.</p>"
    store.write("runs/n3/page.html", html.replace("{}", user_id).encode())
    store.write("runs/n3/notes/torn.json", b'{"who": 512475')

    forget_user(shop.settings, user_id)

    assert store.read(review) == before
    gone = {
        "error": "no row of (forgotten): read user=(forgotten), (forgotten).",
        "who": ["(forgotten)", "x"],
    }
    assert json.loads(store.read("runs/n3/notes/who.json")) == kept | gone
    assert store.read("runs/n3/page.html").decode() == html.replace("{}", "(forgotten)")
    assert user_id.encode() not in store.read("runs/n3/notes/torn.json")


@pytest.mark.parametrize("alias", ["cotton", "status", "ds", "span"])
def test_what_a_shop_calls_a_shopper_takes_no_word_along_either(shop: Shop, alias: str) -> None:
    """With pseudonyms the id is a long digest, and what the shop called them by is told as its own kind."""
    store = Store.of(shop.settings)
    add(store, [decision("A poor shirt", "A cotton shirt")])
    (review,) = store.list("reviews")
    before = store.read(review)
    record = {"ds": "2026-01-03", "status": "ok", "error": f"no row of {alias} was read"}
    store.write("runs/n3/run.json", json.dumps(record).encode())
    store.write("runs/n3/page.html", f"<span class='status'>ds of {alias}</span>".encode())
    person = Person("a1" * 32, (alias,))

    redact(store, person, nullcontext)

    assert store.read(review) == before
    assert json.loads(store.read("runs/n3/run.json")) == record | {"error": "no row of (forgotten) was read"}
    told = store.read("runs/n3/page.html").decode()
    assert told == f"<span class='status'>{'(forgotten)' if alias == 'ds' else 'ds'} of (forgotten)</span>"


def test_a_torn_row_is_theirs_though_another_value_has_moved_into_its_id(shop: Shop) -> None:
    """A comma in a title moves the columns behind it: a price stands for the id, and the id elsewhere."""
    store = Store.of(shop.settings)
    (key, *_) = [k for k in store.list("landing/shop/events") if k.endswith(".parquet")]
    landed = store.read_parquet(key)
    row = landed.slice(0, 1).to_pylist()[0]
    moved = {"user_id": "2.55", "platform": ZOE, "broken": "unreadable_row", "row_hash": "torn"}
    row |= moved | {"raw": json.dumps({"_line": f"e1,A mug, blue,2.55,{ZOE},x"})}
    store.write_parquet(key, pa.concat_tables([landed, pa.Table.from_pylist([row], schema=landed.schema)]))
    forget_user(shop.settings, ZOE)
    left = store.read_parquet(key).to_pylist() if store.exists(key) else []
    assert "torn" not in {r["row_hash"] for r in left}
    assert not [p for p in places(shop.lake, ZOE) if "landing" in p]


def test_a_reviewer_who_is_forgotten_goes_from_the_reviews(shop: Shop) -> None:
    store = Store.of(shop.settings)
    add(store, [decision("A poor mug", "A mug")], reviewer="ada")
    forget_user(shop.settings, "ada")
    (key,) = store.list("reviews")
    assert json.loads(store.read(key))["reviewer"] == ""
    assert Path(shop.lake, key).read_text().count("A mug") == 1
