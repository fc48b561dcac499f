"""A forgotten shopper: no byte is left, nobody else loses one, and nothing brings them back."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from jobs import publish as publish_step
from jobs.erasure.person import SCRUBBED
from jobs.errors import BadInput, GateFailed, Transient
from jobs.forget_user import forget_user
from jobs.intake.landing import parts, row_counts
from jobs.lake.amend import Amender
from jobs.lake.forgotten import load
from jobs.lake.publish import Publisher
from jobs.lake.registry import TABLES
from jobs.lake.store import LocalStore, Store
from jobs.night import Night
from tests.jobs.erasure.conftest import HEAD, LAST, ZOE, Shop
from tests.jobs.erasure.scan import places

Rows = dict[str, list[dict[str, Any]]]


def all_rows(shop: Shop) -> Rows:
    return {t.name: shop.rows(t.name) for t in TABLES if t.name not in ("erasures", "intake")}


def without(rows: Rows, user: str) -> Rows:
    """The rows that do not name the shopper in any column."""
    return {t: [r for r in found if user not in str(r)] for t, found in rows.items()}


def conserved(shop: Shop) -> bool:
    """Every day of `intake` adds up, and to what landed."""
    rows = shop.rows("intake")
    for r in rows:
        assert r["rows_in"] == r["good"] + r["quarantined"] + r["duplicates"] + r["forgotten"], r
    landed = row_counts(parts(Store.of(shop.settings)), date(2026, 1, 31))
    counted = Counter({(r["source"], r["entity"], r["ds"]): r["rows_in"] for r in rows})
    good = Counter((r["source"], r["ds"]) for r in shop.rows("events_clean"))
    assert good == +Counter({(r["source"], r["ds"]): r["good"] for r in rows if r["entity"] == "events"})
    refused = Counter((r["source"], r["entity"], r["ds"]) for r in shop.rows("quarantine"))
    assert refused == +Counter({(r["source"], r["entity"], r["ds"]): r["quarantined"] for r in rows})
    return landed == counted


def test_no_byte_is_left_and_nobody_else_loses_one(shop: Shop) -> None:
    before = all_rows(shop)
    full = places(shop.lake, ZOE)
    # The test would prove nothing if she were not everywhere to begin with.
    for kind in ("landing/", "work/", "/notes/", "report.html", ".avro", "quarantine/data", "audiences/data"):
        assert any(kind in p for p in full), kind
    assert conserved(shop)

    done = forget_user(shop.settings, ZOE)

    assert places(shop.lake, ZOE) == set()
    assert all_rows(shop) == without(before, ZOE)
    gone = {t: len(before[t]) - len(rows) for t, rows in without(before, ZOE).items()}
    assert {t: n for t, n in done.tables.items() if t != "landing"} == {t: n for t, n in gone.items() if n}
    assert done.tables["quarantine"] == 3
    assert conserved(shop)
    assert sum(r["forgotten"] for r in shop.rows("intake")) == done.tables["landing"] == 8
    current = json.loads((shop.lake / "current.json").read_text())
    assert current["run_id"] == "n3"
    assert set(current["tables"]) >= {"erasures", "events_clean", "recommendations"}
    (proof,) = shop.rows("erasures")
    assert proof["user_hash"] == load(Store.of(shop.settings)).key(ZOE)
    assert json.loads(proof["tables"]) == done.tables
    assert proof["rows_removed"] == done.rows > 0
    assert "Rome" in str(shop.rows("users"))


def test_what_killed_writers_left_half_done_goes_too(shop: Shop) -> None:
    """Hidden files, which no listing of the lake shows: of a table, of refused rows, torn, of a text."""
    data = {t: next((shop.lake / "warehouse" / t).rglob("*.parquet")) for t in ("users", "quarantine")}
    held = [f for t in data for f in (shop.lake / "warehouse" / t).rglob("*.parquet") if _holds(f, ZOE)]
    parts = {file.with_name(f".{file.name}.1f.part"): file.read_bytes() for file in held}
    parts[shop.lake / "work/n3/.0.parquet.1f.part"] = held[0].read_bytes()[:200]
    parts[shop.lake / "runs/n3/.report.html.1f.part"] = f"<p>{ZOE}</p>".encode()
    parts[shop.lake / ".current.json.1f.part"] = f'{{"who": "{ZOE}"}}'.encode()
    innocent = shop.lake / "runs/n3/.notes.json.1f.part"
    for file, content in {**parts, innocent: b'{"who": "ada"}'}.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    forget_user(shop.settings, ZOE)

    assert len(held) >= 2
    assert [p for p in parts if p.exists()] == []
    assert places(shop.lake, ZOE) == set()
    assert innocent.exists()


def _holds(file: Path, name: str) -> bool:
    return bool(places(file.parent, name) & {file.name})


@pytest.mark.parametrize("times", [1, 1000])
def test_what_is_taken_away_while_it_is_looked_at_is_looked_for_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """A landing undoes a batch, another erasure writes one again: or a file is lost for good."""
    read, left = LocalStore.read, iter(range(times))

    def gone(self: LocalStore, key: str) -> bytes:
        if "/_batches/" in key and next(left, None) is not None:
            raise FileNotFoundError(key)
        return read(self, key)

    monkeypatch.setattr(LocalStore, "read", gone)
    if times == 1:
        forget_user(shop.settings, ZOE)
        assert places(shop.lake, ZOE) == set()
    else:
        with pytest.raises(Transient, match=r"_batches/.*: named, but not there, 20 times in a row"):
            forget_user(shop.settings, ZOE)


def test_tables_have_no_past_that_readers_could_go_back_to(shop: Shop) -> None:
    forget_user(shop.settings, ZOE)
    catalog = Night(shop.settings, LAST, "reader").catalog
    for table, metadata in catalog.pointers().items():
        if table in ("events_clean", "users", "quarantine"):
            opened = catalog.open(metadata)
            assert len(opened.snapshots()) == 1
            assert opened.metadata.metadata_log == []
    with pytest.raises(
        BadInput, match="run 'n2' cannot be made current again: a shopper was forgotten since"
    ):
        Publisher(catalog).rollback("n2")
    assert json.loads((shop.lake / "current.json").read_text())["tables"] == catalog.pointers()
    assert places(shop.lake, ZOE) == set()


def test_reruns_backfills_and_new_deliveries_bring_nothing_back(shop: Shop) -> None:
    landing = shop.clone() / "landing"
    forget_user(shop.settings, ZOE)
    kept = all_rows(shop)
    shop.night("2026-01-03", "again")
    assert all_rows(shop)["events_clean"] == kept["events_clean"]
    assert all_rows(shop)["quarantine"] == kept["quarantine"]
    shop.night("2026-01-02", "backfill")
    assert ZOE not in str(all_rows(shop))
    assert places(shop.lake, ZOE) == set()
    # Her raw rows come again: in a file that was never seen, with a refused row and one that is torn.
    text = f"13,{ZOE},tea,2026-01-04 10:00:00,2,1\n14,{ZOE},tea,2026-01-04 10:00:00,-2,1\n"
    text += f"15,{ZOE},tea,2026-01-04 10:00:00,2,1,torn\n16,bob,tea,2026-01-04 10:00:00,2,1\n"
    shop.deliver("2026-01-04", {"e4.csv": HEAD + text, "u4.csv": f"who,city,when\n{ZOE},Oslo,2026-01-04\n"})
    shop.night("2026-01-04", "n4")
    assert places(shop.lake, ZOE) == set()
    fourth = {r["entity"]: r for r in shop.rows("intake") if r["ds"] == date(2026, 1, 4)}
    assert (fourth["events"]["rows_in"], fourth["events"]["good"], fourth["events"]["forgotten"]) == (4, 1, 3)
    assert fourth["users"]["forgotten"] == 1
    # Even where somebody puts the old landing back, the night leaves her out.
    for path in landing.rglob("*"):
        if path.is_file():
            target = shop.lake / "landing" / path.relative_to(landing)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    night = shop.staged("2026-01-02", "restored")
    shop.publish(night)
    assert ZOE not in str(all_rows(shop))


def test_a_night_that_was_at_work_is_refused_and_leaves_nothing(shop: Shop) -> None:
    night = shop.staged("2026-01-03", "slow")
    forget_user(shop.settings, ZOE)
    with pytest.raises(GateFailed, match=r"forgotten after run 'slow' was pinned.*run 2026-01-03 again"):
        shop.publish(night)
    publish_step.discard(night)
    assert places(shop.lake, ZOE) == set()
    shop.night("2026-01-03", "slow")
    assert ZOE not in str(all_rows(shop))


def test_a_night_that_wrote_after_the_erasure_is_refused_too(shop: Shop) -> None:
    """Pinned before, it goes on to read and write what it pinned, and is published last."""
    copy = shop.clone()
    night = Night(shop.settings, LAST, "slow")
    night.pin()
    forget_user(shop.settings, ZOE)
    rows = Night(shop.settings.model_copy(update={"lake": str(copy)}), LAST, "n3").store
    table = rows.read_parquet(next(k for k in rows.list("warehouse/users/data") if k.endswith(".parquet")))
    night.stage("users", table, sorted(set(table["ds"].to_pylist())))
    night.mark_audited("users")
    with pytest.raises(GateFailed, match="forgotten after run 'slow' was pinned"):
        shop.publish(night)
    publish_step.discard(night)
    assert places(shop.lake, ZOE) == set()


def test_a_night_that_publishes_in_between_is_cleaned_as_well(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = shop.staged("2026-01-03", "quick")
    amend, calls = Amender.amend, []

    def late(self: Amender, *args: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            shop.publish(night)
        return amend(self, *args)

    monkeypatch.setattr(Amender, "amend", late)
    forget_user(shop.settings, ZOE)
    assert len(calls) == 2
    assert json.loads((shop.lake / "current.json").read_text())["run_id"] == "quick"
    assert places(shop.lake, ZOE) == set()
    assert ZOE not in str(all_rows(shop))


def test_refused_rows_are_found_without_the_landing(shop: Shop) -> None:
    """Somebody has emptied the landing: what was refused still tells whose it is."""
    shutil.rmtree(shop.lake / "landing")
    before = all_rows(shop)
    done = forget_user(shop.settings, ZOE)
    assert done.tables["quarantine"] == 3
    assert all_rows(shop) == without(before, ZOE)
    assert places(shop.lake, ZOE) == set()


def test_a_refused_product_of_her_raw_row_stays_without_its_text(shop: Shop) -> None:
    """One raw row is an event and a product; the file, and so a batch of it, holds nobody else."""
    shop.deliver("2026-01-04", {"e4.csv": HEAD + f"20,{ZOE},,2026-01-04 12:00:00,2,1\n"})
    shop.night("2026-01-04", "n4")
    entities = [r["entity"] for r in shop.rows("quarantine") if r["ds"] == date(2026, 1, 4)]
    assert sorted(entities) == ["events", "products"]
    forget_user(shop.settings, ZOE)
    (left,) = (r for r in shop.rows("quarantine") if r["ds"] == date(2026, 1, 4))
    assert (left["entity"], left["raw"]) == ("products", SCRUBBED)
    assert places(shop.lake, ZOE) == set()
    assert conserved(shop)


class Killed(BaseException):
    """No handler of ordinary errors sees it, as none sees a kill."""


def kill_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the process die before its `number`-th change of the lake, of whatever kind."""
    seen = [0]

    def dying(method: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            seen[0] += 1
            if seen[0] > number:
                raise Killed
            return method(*args, **kwargs)

        return call

    def delete(self: LocalStore, keys: Any) -> None:
        for key in keys:
            one(self, [key])

    one = dying(LocalStore.delete)
    monkeypatch.setattr(LocalStore, "write", dying(LocalStore.write))
    monkeypatch.setattr(LocalStore, "push", dying(LocalStore.push))
    monkeypatch.setattr(LocalStore, "delete", delete)
    monkeypatch.setattr(Amender, "amend", dying(Amender.amend))


def killed_and_finished(shop: Shop, number: int, expected: Rows) -> bool:
    """Kill at one point, then run it to its end; returns whether the kill came before the end."""
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, number)
        try:
            forget_user(shop.settings, ZOE)
        except Killed:
            killed = True
        else:
            killed = False
    # A reader in between sees either state, whole.
    seen = all_rows(shop)
    assert seen == expected or without(seen, ZOE) == expected
    forget_user(shop.settings, ZOE)
    assert places(shop.lake, ZOE) == set(), number
    assert all_rows(shop) == expected, number
    assert len(shop.rows("erasures")) == 1
    assert conserved(shop), number
    assert not [k for k in Store.of(shop.settings).list("forgotten") if k.endswith(".pending")]
    return killed


def test_killed_at_some_points_it_ends_what_it_began(shop: Shop) -> None:
    copy, expected = shop.clone(), without(all_rows(shop), ZOE)
    for number in (0, 1, 2, 3, 9, 20, 40, 80):
        shop.restore(copy)
        killed_and_finished(shop, number, expected)


def test_killed_among_the_last_manifests_it_still_knows_them(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No data file holds her any more, but manifests do, in their bounds: only the list says so."""
    delete = LocalStore.delete

    def dying(self: LocalStore, keys: Any) -> None:
        for key in keys:
            if key.startswith("warehouse/users/metadata"):
                raise Killed
            delete(self, [key])

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "delete", dying)
        with pytest.raises(Killed):
            forget_user(shop.settings, ZOE)
    assert any(p.startswith("warehouse/users/metadata") for p in places(shop.lake, ZOE))
    forget_user(shop.settings, ZOE)
    assert places(shop.lake, ZOE) == set()


@pytest.mark.slow
def test_killed_at_any_point_it_ends_what_it_began(shop: Shop) -> None:
    copy, expected = shop.clone(), without(all_rows(shop), ZOE)
    number = 0
    while True:
        shop.restore(copy)
        if not killed_and_finished(shop, number, expected):
            break
        number += 1
    assert number > 50


def test_again_changes_nothing(shop: Shop) -> None:
    first = forget_user(shop.settings, ZOE)
    proof, rows = shop.rows("erasures"), all_rows(shop)
    log = Publisher(Night(shop.settings, LAST, "r").catalog).log()
    again = forget_user(shop.settings, f" {ZOE} ")
    assert first.found
    assert not again.found
    assert shop.rows("erasures") == proof
    assert all_rows(shop) == rows
    assert Publisher(Night(shop.settings, LAST, "r").catalog).log() == log


def test_nobody_known_leaves_a_tombstone_a_proof_and_all_else(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    from jobs.forget_user import show

    before, night = all_rows(shop), shop.staged("2026-01-03", "other")
    done = forget_user(shop.settings, "nobody-we-know")
    show(done, False)
    assert "nothing of them was in the lake" in capsys.readouterr().out
    (proof,) = shop.rows("erasures")
    assert (proof["rows_removed"], json.loads(proof["tables"])) == (0, {})
    assert all_rows(shop) == before
    # Neither a night at work nor an earlier publish held anything of them.
    shop.publish(night)
    Publisher(night.catalog).rollback("n2")
    assert len(shop.rows("erasures")) == 1


def test_a_short_number_takes_no_other_numbers_along(shop: Shop) -> None:
    """Shopper 17 has one event; 17 is also a quantity of others, one of them refused."""
    before = all_rows(shop)
    done = forget_user(shop.settings, "17")
    assert done.tables["events_clean"] == 1
    after = all_rows(shop)
    assert after["quarantine"] == before["quarantine"]
    assert after["events_clean"] == [r for r in before["events_clean"] if r["user_id"] != "17"]
    assert json.loads(Path(shop.lake, "runs/n3/notes/samples.json").read_text())["rows"] == 17
    assert conserved(shop)


def test_the_first_night_at_work_in_an_empty_lake(shop: Shop, tmp_path: Path) -> None:
    fresh = Shop(shop.settings.model_copy(update={"lake": str(tmp_path / "fresh")}), tmp_path, shop.spark)
    fresh.deliver("2026-01-01")
    night = fresh.staged("2026-01-01", "first")
    forget_user(fresh.settings, ZOE)
    with pytest.raises(GateFailed, match="forgotten after run 'first' was pinned"):
        fresh.publish(night)
    publish_step.discard(night)
    fresh.night("2026-01-01", "first")
    assert places(fresh.lake, ZOE) == set()
    assert {r["user_id"] for r in fresh.rows("users")} == {"ada", "bob"}


@pytest.mark.parametrize(
    ("user_id", "why"),
    [
        ("", "the id is empty"),
        ("   ", "the id is empty"),
        ("x" * 201, "has 201 characters"),
        ("a\nb", "control character"),
        ("a\x00b", "control character"),
    ],
)
def test_what_can_be_no_id_is_refused_and_not_repeated(shop: Shop, user_id: str, why: str) -> None:
    with pytest.raises(BadInput, match=why) as caught:
        forget_user(shop.settings, user_id)
    assert caught.value.exit_code == 2
    assert not user_id.strip() or user_id not in str(caught.value)
    assert not Store.of(shop.settings).list("forgotten")


def test_a_lost_salt_stops_nights_rather_than_letting_shoppers_in(shop: Shop) -> None:
    forget_user(shop.settings, ZOE)
    (shop.lake / "forgotten" / "salt").unlink()
    with pytest.raises(BadInput, match=r"salt is missing.*restore the file"):
        shop.staged("2026-01-03", "r")


def test_no_model_goes_on_from_one_that_learnt_from_them(shop: Shop) -> None:
    from jobs.lake.forgotten import learnt_mark
    from jobs.model_cards import may_go_on

    store, ds = Store.of(shop.settings), date(2026, 1, 7)
    assert learnt_mark(store) == ""
    forget_user(shop.settings, "nobody-we-know")
    assert learnt_mark(store) == ""
    forget_user(shop.settings, ZOE)
    mark = learnt_mark(store)
    old = {"trained_on": json.dumps({"code": "c", "without": ""})}
    older = {"trained_on": json.dumps({"code": "c"})}
    new = {"trained_on": json.dumps({"code": "c", "without": mark})}
    assert [may_go_on(row, ds, "c", mark) for row in (old, older, new)] == [False, False, True]
    assert may_go_on(older, ds, "c")
