"""A lake under a key: the same nights but for the ids, no id of the shop's in any file, one key for good."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs import pin_inputs
from jobs.browse import show_rows
from jobs.errors import BadInput
from jobs.forget_user import forget_user
from jobs.intake.landing import land
from jobs.lake.pseudonyms import Pseudonyms, begin, require
from jobs.lake.store import Store
from jobs.night import Night
from jobs.settings import Settings, load_settings
from tests.jobs.erasure.conftest import HEAD, LAST, ZOE, Shop, three_nights
from tests.jobs.erasure.scan import places
from tests.jobs.erasure.test_forget_user import all_rows, conserved, without

KEY = "a key of nobody's business"
SHOPPERS = ("ada", "bob", "cyd", "17", ZOE)


def pseudonym(user_id: str) -> str:
    """As a team without our code computes it."""
    return hmac.new(KEY.encode(), user_id.encode(), hashlib.sha256).hexdigest()


@pytest.fixture(scope="module")
def keyed_built(
    tmp_path_factory: pytest.TempPathFactory, spark: SparkSession, request: pytest.FixtureRequest
) -> Iterator[tuple[Shop, Path]]:
    """The nights of `built`, under a key."""
    request.getfixturevalue("small_shuffles")
    base = tmp_path_factory.mktemp("keyed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NIGHTSHELF_CONFIG", "/dev/null")
        yield three_nights(base, spark, pseudonym_key=KEY)


@pytest.fixture
def keyed(keyed_built: tuple[Shop, Path], monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("NIGHTSHELF_CONFIG", "/dev/null")
    found, template = keyed_built
    found.restore(template)
    return found


def tables(shop: Shop) -> dict[str, Counter[str]]:
    """The rows of every table; of refused ones neither text nor its hash, which a key changes."""
    found = {}
    for table, rows in {**all_rows(shop), "intake": shop.rows("intake")}.items():
        shown = [{k: v for k, v in r.items() if k not in ("raw", "row_hash")} for r in rows]
        if table == "audiences":  # ranked by id in these toy nights
            shown = [{k: v for k, v in r.items() if k != "rank"} for r in shown]
        found[table] = Counter(json.dumps(r, sort_keys=True, default=str) for r in shown)
    return found


def test_the_same_nights_but_for_the_ids(shop: Shop, keyed: Shop) -> None:
    plain = tables(shop)
    for user_id in SHOPPERS:
        plain = {
            t: Counter({r.replace(f'"user_id": "{user_id}"', f'"user_id": "{pseudonym(user_id)}"'): n
                        for r, n in rows.items()})
            for t, rows in plain.items()
        }  # fmt: skip
    found = tables(keyed)
    assert found == plain
    assert found["quarantine"].total() == 6
    assert pseudonym(ZOE) in str(found["events_clean"])
    assert conserved(keyed)


def test_no_id_of_the_shop_is_in_any_file(shop: Shop, keyed: Shop) -> None:
    assert any(p.startswith("landing/") for p in places(shop.lake, ZOE))
    assert places(keyed.lake, ZOE) == set()
    assert places(keyed.lake, "cyd") == set()
    assert places(keyed.lake, KEY) == set()
    # Of a raw row the mapped columns are kept, of one that could not be told apart nothing.
    raw = {r["rules"]: json.loads(r["raw"]) for r in keyed.rows("quarantine")}
    assert raw["unreadable_row"]["_line"] == "(not kept)"
    (refused,) = (json.loads(r["raw"]) for r in keyed.rows("quarantine") if pseudonym("bob") in r["raw"])
    assert refused == {
        "event_id": "3", "user_id": pseudonym("bob"), "product_id": "cup", "event_type": "purchase",
        "event_time": "2026-01-01 12:00:00", "price": "-3", "quantity": "17",
    }  # fmt: skip


def test_forget_takes_the_shops_id(keyed: Shop) -> None:
    keyed.lake.joinpath("runs/n3/notes/doubt.json").write_text(json.dumps({"asked by": ZOE}))
    before, name = all_rows(keyed), pseudonym(ZOE)
    assert len(places(keyed.lake, name)) > 10
    done = forget_user(keyed.settings, ZOE)
    assert done.tables["events_clean"] == 3
    assert places(keyed.lake, name) == set()
    assert places(keyed.lake, ZOE) == set()
    left, wanted = all_rows(keyed), without(before, name)
    # Of the two rows without a text hers alone leaves: the landing knows whose they are.
    (other,) = (r for r in left["quarantine"] if "(not kept)" in r["raw"])
    untold = [r for r in wanted["quarantine"] if "(not kept)" in r["raw"]]
    assert other in untold
    wanted["quarantine"] = [r for r in wanted["quarantine"] if r not in untold or r == other]
    assert left == wanted
    assert conserved(keyed)
    # Neither a rerun nor a new delivery brings her back.
    keyed.night("2026-01-03", "again")
    text = f"13,{ZOE},tea,2026-01-04 10:00:00,2,1\n16,bob,tea,2026-01-04 10:00:00,2,1\n"
    keyed.deliver("2026-01-04", {"e4.csv": HEAD + text})
    keyed.night("2026-01-04", "n4")
    assert places(keyed.lake, name) == set()
    assert pseudonym("bob") in str(keyed.rows("users"))


def test_people_look_up_by_either(keyed: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    for who in ("ada", pseudonym("ada")):
        show_rows(keyed.settings, "users", who, "", None, 10, True)
        (row,) = json.loads(capsys.readouterr().out)
        assert row["city"] == "Rome"
    with pytest.raises(BadInput, match="has no row for user_id nobody"):
        show_rows(keyed.settings, "users", "nobody", "", None, 10, True)


def other(settings: Settings, key: str) -> Settings:
    return settings.model_copy(update={"pseudonym_key": load_settings(pseudonym_key=key).pseudonym_key})


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("", "'pseudonym_key' is missing: this lake knows its shoppers by pseudonyms"),
        ("another key altogether", "every shopper would become a new one"),
    ],
)
def test_another_key_or_none_is_refused_before_anything_is_written(keyed: Shop, key: str, told: str) -> None:
    settings = other(keyed.settings, key)
    before = sorted(p for p in keyed.lake.rglob("*"))
    (keyed.raw / "e9.csv").write_text(HEAD + "90,ada,tea,2026-01-04 10:00:00,2,1\n")
    attempts = (
        lambda: land(settings, keyed.raw / "shop.toml", [str(keyed.raw / "e9.csv")], LAST, keyed.spark),
        lambda: pin_inputs.run(Night(settings, LAST, "other")),
        lambda: forget_user(settings, ZOE),
    )
    for attempt in attempts:
        with pytest.raises(BadInput, match="setting 'pseudonym_key'") as caught:
            attempt()
        assert told in str(caught.value)
        assert caught.value.exit_code == 2
        assert Pseudonyms(KEY.encode()).fingerprint in str(caught.value)
        assert KEY not in str(caught.value)
        assert not key or key not in str(caught.value)
    assert sorted(p for p in keyed.lake.rglob("*")) == before


def test_a_key_comes_too_late_for_a_lake_that_has_ids(shop: Shop) -> None:
    before = places(shop.lake, ZOE)
    (shop.raw / "e9.csv").write_text(HEAD + "90,ada,tea,2026-01-04 10:00:00,2,1\n")
    with pytest.raises(BadInput, match="this lake holds the shop's own ids already"):
        land(other(shop.settings, KEY), shop.raw / "shop.toml", [str(shop.raw / "e9.csv")], LAST, shop.spark)
    assert places(shop.lake, ZOE) == before
    assert not shop.lake.joinpath("pseudonyms").exists()


def test_two_first_imports_with_different_keys(keyed: Shop, tmp_path: Path) -> None:
    """The later writer's fingerprint stands; the other one's import is refused and leaves nothing."""
    settings = keyed.settings.model_copy(update={"lake": str(tmp_path / "fresh")})
    store, write = Store.of(settings), type(Store.of(settings)).write

    def beside(self: Any, key: str, data: bytes) -> None:
        write(self, key, data)
        if key == "pseudonyms/key.json":
            other_print = Pseudonyms(b"another key altogether").fingerprint
            write(self, key, json.dumps({"fingerprint": other_print}).encode())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(store), "write", beside)
        with pytest.raises(BadInput, match="every shopper would become a new one"):
            land(settings, keyed.raw / "shop.toml", [str(keyed.raw / "e1.csv")], LAST, keyed.spark)
    assert store.list("landing") == []


def test_a_first_import_without_a_key_beside_one_with(shop: Shop, tmp_path: Path) -> None:
    settings = shop.settings.model_copy(update={"lake": str(tmp_path / "fresh")})
    store, write = Store.of(settings), type(Store.of(settings)).write

    def beside(self: Any, key: str, data: bytes) -> None:
        if "/_batches/" in key:
            begin(other(settings, KEY), store)
        write(self, key, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(store), "write", beside)
        with pytest.raises(BadInput, match="'pseudonym_key' is missing"):
            land(settings, shop.raw / "shop.toml", [str(shop.raw / "e1.csv")], LAST, shop.spark)
    assert store.list("landing") == []


def test_what_is_wrong_with_an_id_is_told_of_the_id_as_it_came(keyed: Shop) -> None:
    long = "x" * 201
    text = f"20,{long},tea,2026-01-04 10:00:00,2,1\n21,,tea,2026-01-04 11:00:00,2,1\n"
    keyed.deliver("2026-01-04", {"e4.csv": HEAD + text})
    keyed.night("2026-01-04", "n4")
    fourth = [r for r in keyed.rows("quarantine") if str(r["ds"]) == "2026-01-04" and r["entity"] == "events"]
    assert [r["rules"] for r in fourth] == ["user_id_well_formed"]
    # An anonymous visit stays one.
    (anonymous,) = (r for r in keyed.rows("events_clean") if r["event_id"] == "21")
    assert anonymous["user_id"] is None


def test_a_short_key_is_refused_and_not_repeated(lake_settings: Settings) -> None:
    with pytest.raises(BadInput, match=r"setting 'pseudonym_key'.*at least 16") as caught:
        load_settings(pseudonym_key="hunter2")
    assert "hunter2" not in str(caught.value)
    assert require(lake_settings, Store.of(lake_settings)) is None
