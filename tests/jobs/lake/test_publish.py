"""What publishing promises: all or nothing, once, never backwards, nothing else touched."""

from __future__ import annotations

import hashlib
import json
import multiprocessing as mp
import threading
import time
import uuid
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from jobs.errors import BadInput, GateFailed
from jobs.lake.amend import Amender
from jobs.lake.catalog import RUN_PROPERTY, LakeCatalog
from jobs.lake.publish import Published, Publisher
from jobs.lake.store import Store
from jobs.night import Night
from jobs.settings import Settings
from tests.jobs.lake.conftest import TABLES, intake, publish_run, similar, stage_run


def catalog_of(settings: Settings) -> LakeCatalog:
    return LakeCatalog(settings, Store.of(settings))


def runs_seen(catalog: LakeCatalog, pointers: dict[str, str]) -> set[Any]:
    return {catalog.open(m).properties.get(RUN_PROPERTY) for m in pointers.values()}


def rows_of(settings: Settings, table: str, ds: str) -> int:
    return Night(settings, date.fromisoformat(ds), uuid.uuid4().hex).read(table).num_rows


def data_files(settings: Settings, table: str) -> dict[str, str]:
    folder = Path(settings.lake, "warehouse", table, "data")
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.parquet")}


def test_staged_is_invisible(any_catalog: Settings) -> None:
    night = stage_run(any_catalog, "2026-01-01", "a")
    assert night.read("intake").num_rows == 3
    assert night.catalog.pointers() == {}
    assert not night.store.exists("current.json")


def test_publish_shows_all_tables_of_one_run(any_catalog: Settings) -> None:
    done = publish_run(any_catalog, "2026-01-01", "a")
    catalog = catalog_of(any_catalog)
    assert catalog.pointers() == done.tables
    assert set(done.tables) == set(TABLES)
    assert runs_seen(catalog, catalog.pointers()) == {"a"}
    current = json.loads(catalog.store.read("current.json"))
    assert current == {"run_id": "a", "ds": "2026-01-01", "sequence": 1, "tables": done.tables}


def test_a_date_is_replaced_whole_and_no_other_file_is_touched(any_catalog: Settings) -> None:
    publish_run(any_catalog, "2026-01-01", "a", rows=5)
    before = data_files(any_catalog, "intake")
    publish_run(any_catalog, "2026-01-02", "b", rows=4)
    publish_run(any_catalog, "2026-01-02", "c", rows=2)
    assert rows_of(any_catalog, "intake", "2026-01-01") == 5
    assert rows_of(any_catalog, "intake", "2026-01-02") == 2
    after = data_files(any_catalog, "intake")
    assert {k: after.get(k) for k in before} == before


def test_a_day_staged_empty_loses_its_rows(lake_settings: Settings) -> None:
    # PyIceberg's own dynamic overwrite leaves the old rows of a partition that has no new ones.
    publish_run(lake_settings, "2026-01-01", "a")
    publish_run(lake_settings, "2026-01-01", "b", rows=0)
    assert rows_of(lake_settings, "intake", "2026-01-01") == 0


def test_unaudited_is_refused(lake_settings: Settings) -> None:
    night = stage_run(lake_settings, "2026-01-01", "a")
    night.stage("intake", intake(night.ds, 7))  # staged again, after its audit
    with pytest.raises(GateFailed, match=r"not audited as staged.*intake"):
        Publisher(night.catalog).publish(night.staging, "2026-01-01")
    assert night.catalog.pointers() == {}


def test_failure_in_mid_transaction_shows_nothing(
    any_catalog: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publish_run(any_catalog, "2026-01-01", "a")
    night = stage_run(any_catalog, "2026-01-02", "b")
    swap, calls = Publisher._swap_one, []

    def fail_at_second(connection: sa.Connection, record: Any) -> None:
        calls.append(record.table)
        if len(calls) == 2:
            raise RuntimeError("killed")
        swap(connection, record)

    monkeypatch.setattr(Publisher, "_swap_one", staticmethod(fail_at_second))
    with pytest.raises(RuntimeError, match="killed"):
        Publisher(night.catalog).publish(night.staging, "2026-01-02")
    assert catalog_of(any_catalog).pointers() == first.tables


def test_publishing_again_changes_nothing(any_catalog: Settings) -> None:
    night = stage_run(any_catalog, "2026-01-01", "a")
    publisher = Publisher(night.catalog)
    assert publisher.publish(night.staging, "2026-01-01") == publisher.publish(night.staging, "2026-01-01")
    assert len(publisher.log()) == 1


@pytest.mark.parametrize("between", ["nothing", "another date", "the same date"])
def test_a_run_is_published_once_by_two_attempts_at_once(
    between: str, any_catalog: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them as of a worker taken for dead: the other, and then other runs, publish before it swaps."""
    publish_run(any_catalog, "2026-01-01", "base", rows=5)
    slow = stage_run(any_catalog, "2026-01-01", "a")
    again = Night(any_catalog, slow.ds, "a")
    again.staging.stage(
        "intake", [again.ds], slow.staging.record("intake").files
    )  # same files, other metadata
    again.mark_audited("intake")
    publisher = Publisher(slow.catalog)
    records, swap, done = slow.staging.records(), publisher._swap, []

    def late(*args: Any) -> Published:
        if not done:
            done.append(Publisher(again.catalog).publish(again.staging, "2026-01-01"))
            if between != "nothing":
                publish_run(any_catalog, f"2026-01-0{1 + (between == 'another date')}", "other", rows=2)
        return swap(*args)

    monkeypatch.setattr(publisher, "_swap", late)
    assert records != again.staging.records()
    assert publisher.publish(slow.staging, "2026-01-01") == done[0]
    others = [] if between == "nothing" else ["other"]
    assert [p.run_id for p in publisher.log()] == ["base", "a", *others]
    assert rows_of(any_catalog, "intake", "2026-01-01") == (2 if between == "the same date" else 3)


def test_what_a_run_staged_anew_is_published_after_what_it_published(any_catalog: Settings) -> None:
    """A task cleared by hand: the run's other files are another night, and go over its first."""
    publish_run(any_catalog, "2026-01-01", "a", rows=3)
    publish_run(any_catalog, "2026-01-01", "a", rows=4)
    assert [p.run_id for p in Publisher(catalog_of(any_catalog)).log()] == ["a", "a"]
    assert rows_of(any_catalog, "intake", "2026-01-01") == 4


def test_a_late_attempt_publishes_what_its_run_has_staged_since(
    any_catalog: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = stage_run(any_catalog, "2026-01-01", "a")
    publisher, done = Publisher(slow.catalog), []
    swap = publisher._swap

    def late(*args: Any) -> Published:
        if not done:
            done.append(publish_run(any_catalog, "2026-01-01", "a", rows=4))
        return swap(*args)

    monkeypatch.setattr(publisher, "_swap", late)
    assert publisher.publish(slow.staging, "2026-01-01") == done[0]
    assert rows_of(any_catalog, "intake", "2026-01-01") == 4


def test_a_lost_reply_to_commit_is_not_published_twice(
    any_catalog: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = stage_run(any_catalog, "2026-01-01", "a")
    publisher = Publisher(night.catalog)
    swap, lost = publisher._swap, []

    def reply_lost(*args: Any) -> Any:
        done = swap(*args)
        if not lost:
            lost.append(True)
            raise sa.exc.OperationalError("COMMIT", {}, Exception("server closed the connection"))
        return done

    monkeypatch.setattr(publisher, "_swap", reply_lost)
    assert publisher.publish(night.staging, "2026-01-01").seq == 1
    assert [p.run_id for p in publisher.log()] == ["a"]


def test_the_settled_log_has_a_publish_whose_commit_is_under_way(any_catalog: Settings) -> None:
    """Nobody was told of its end yet: what it publishes may not be taken for left over."""
    publish_run(any_catalog, "2026-01-01", "a")
    under_way = threading.Event()

    def slow() -> None:
        publisher = Publisher(catalog_of(any_catalog))
        with publisher.engine.begin() as connection:
            seq = publisher._lock(connection) + 1
            publisher._record(connection, Published(seq, "b", "2026-01-02", "compact", {}))
            under_way.set()
            time.sleep(1.5)

    amender, thread = Amender(catalog_of(any_catalog)), threading.Thread(target=slow)
    thread.start()
    assert under_way.wait(30)
    assert [p.run_id for p in amender.settled_log()] == ["a", "b"]
    thread.join()


def test_another_date_published_in_between_is_kept(any_catalog: Settings) -> None:
    night = stage_run(any_catalog, "2026-01-02", "b", rows=2)
    publish_run(any_catalog, "2026-01-01", "a", rows=5)
    Publisher(night.catalog).publish(night.staging, "2026-01-02")
    assert rows_of(any_catalog, "intake", "2026-01-01") == 5
    assert rows_of(any_catalog, "intake", "2026-01-02") == 2


def test_current_json_never_goes_back(lake_settings: Settings) -> None:
    """A slow writer of `current.json` writes what is newest when its turn comes, not what it published."""
    first = stage_run(lake_settings, "2026-01-01", "a")
    slow = Publisher(first.catalog)
    slow._swap(first.run_id, "2026-01-01", first.staging.records(), pinned=None, looked_at=0)
    publish_run(lake_settings, "2026-01-02", "b")
    slow.write_current()
    assert json.loads(slow.catalog.store.read("current.json"))["run_id"] == "b"


def test_rollback_makes_an_earlier_run_current(any_catalog: Settings) -> None:
    first = publish_run(any_catalog, "2026-01-01", "a", rows=5)
    publish_run(any_catalog, "2026-01-02", "b")
    publisher = Publisher(catalog_of(any_catalog))
    done = publisher.rollback("a")
    assert publisher.catalog.pointers() == first.tables
    assert json.loads(publisher.catalog.store.read("current.json"))["run_id"] == "a"
    assert done.seq == 3
    publish_run(any_catalog, "2026-01-03", "c")
    assert rows_of(any_catalog, "intake", "2026-01-02") == 0
    assert rows_of(any_catalog, "intake", "2026-01-01") == 5


def test_rollback_there_and_back_keeps_a_table_that_the_earlier_run_did_not_have(
    any_catalog: Settings,
) -> None:
    """Rolling back took the newer table out of the catalog; going forward again must bring it back."""
    early = Night(any_catalog, date(2026, 1, 1), "a")
    early.pin()
    early.stage("intake", intake(early.ds, 3))
    early.mark_audited("intake")
    Publisher(early.catalog).publish(early.staging, "2026-01-01")
    later = publish_run(any_catalog, "2026-01-02", "b")
    publisher = Publisher(catalog_of(any_catalog))
    publisher.rollback("a")
    assert set(publisher.catalog.pointers()) == {"intake"}
    publisher.rollback("b")
    assert publisher.catalog.pointers() == later.tables


def test_rollback_to_an_unknown_run_names_the_latest(lake_settings: Settings) -> None:
    publish_run(lake_settings, "2026-01-01", "a")
    with pytest.raises(BadInput, match="'nope' was never published; the latest are: a"):
        Publisher(catalog_of(lake_settings)).rollback("nope")


def test_a_file_of_another_date_is_refused(lake_settings: Settings) -> None:
    night = Night(lake_settings, date(2026, 1, 1), "a")
    key = f"{night.new_data_dir('intake')}/part.parquet"
    night.store.write_parquet(key, intake(date(2026, 1, 2), 3))
    with pytest.raises(ValueError, match="differ"):
        night.stage_files("intake", [key])


def _publish_many(settings: Settings, writer: int, rounds: int) -> None:
    for number in range(rounds):
        publish_run(settings, f"2026-01-{writer + 1:02d}", f"w{writer}-{number}", rows=number + 1)


def test_readers_see_one_run_during_four_concurrent_publishers(any_catalog: Settings) -> None:
    publish_run(any_catalog, "2026-01-09", "first")
    context = mp.get_context("spawn")
    writers = [context.Process(target=_publish_many, args=(any_catalog, w, 4)) for w in range(4)]
    catalog, torn, reads = catalog_of(any_catalog), [], [0]
    stop = threading.Event()

    def read() -> None:
        store, sequence = Store.of(any_catalog), 0
        while not stop.is_set():
            current = json.loads(store.read("current.json"))
            for pointers in (catalog.pointers(), current["tables"]):
                seen = runs_seen(catalog, pointers)
                if len(seen) != 1 or len(pointers) != len(TABLES):
                    torn.append(seen)
            if current["sequence"] < sequence:
                torn.append({f"sequence {current['sequence']} after {sequence}"})
            sequence = current["sequence"]
            reads[0] += 1
            time.sleep(0.002)

    reader = threading.Thread(target=read)
    reader.start()
    for process in writers:
        process.start()
    for process in writers:
        process.join(300)
    stop.set()
    reader.join()
    assert [p.exitcode for p in writers] == [0] * 4
    assert torn == []
    assert reads[0] > 20
    assert len(Publisher(catalog).log()) == 17
    for writer in range(4):
        assert rows_of(any_catalog, "intake", f"2026-01-{writer + 1:02d}") == 4


def test_similar_and_intake_rows_come_back_as_staged(lake_settings: Settings) -> None:
    publish_run(lake_settings, "2026-01-01", "a", rows=2)
    night = Night(lake_settings, date(2026, 1, 1), "reader")
    assert night.read("similar_items").to_pylist() == similar(night.ds, 2, "a").to_pylist()
    assert night.partitions("similar_items") == [date(2026, 1, 1)]
