"""Maintenance: every kept publish stays whole, what is young stays, and what nothing names goes."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs import publish as publish_step
from jobs.browse import tag
from jobs.errors import BadInput, GateFailed, Transient
from jobs.lake.amend import Amender
from jobs.lake.publish import FORGET, Publisher
from jobs.lake.reach import Reach
from jobs.lake.s3 import S3Store
from jobs.lake.store import LocalStore, Store
from jobs.lake.sweep import Sweep
from jobs.lake_maintenance import Maintained, maintain
from jobs.night import Night
from jobs.settings import Settings, load_settings
from tests.jobs.lake.conftest import TABLES, publish_run, stage_run
from tests.jobs.test_night import row

NIGHTS = 6
LATER = timedelta(days=30)


def later(settings: Settings, dry_run: bool = False, **changes: Any) -> Maintained:
    """Maintenance a month from now: everything that is there is older than the grace period."""
    changed = settings.model_copy(update={"keep_runs": 3, **changes})
    return maintain(changed, dry_run, now=datetime.now(UTC) + LATER)


def catalog_of(settings: Settings) -> Any:
    return Night(settings, date(2026, 1, 1), "reader").catalog


def rows(settings: Settings, metadata: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Everything that a reader of these metadata files sees, through Iceberg's own reader."""
    catalog = catalog_of(settings)
    found = {t: catalog.open(m).scan().to_arrow().to_pylist() for t, m in metadata.items()}
    return {t: sorted(r, key=str) for t, r in found.items()}


def files(settings: Settings) -> set[str]:
    store = Store.of(settings)
    return {
        e.key for prefix in ("warehouse", "landing", "work", "runs", "models") for e in store.entries(prefix)
    }


@pytest.fixture
def nights(lake_settings: Settings) -> Settings:
    """Six nights; the last two are of one date, so that data files have been replaced too."""
    for number in range(1, NIGHTS):
        publish_run(lake_settings, f"2026-01-{number:02d}", f"r{number}", rows=number)
    publish_run(lake_settings, f"2026-01-{NIGHTS - 1:02d}", f"r{NIGHTS}", rows=9)
    return lake_settings


def test_kept_publishes_are_whole_and_can_be_gone_back_to(nights: Settings) -> None:
    log = Publisher(catalog_of(nights)).log()
    before = {p.run_id: rows(nights, p.tables) for p in log}
    done = later(nights)
    assert done.kept_runs == ["r4", "r5", "r6"]
    assert done.snapshots > 0
    assert done.removed["tables"]["files"] > 0
    for publish in log[-3:]:
        assert rows(nights, publish.tables) == before[publish.run_id]
    catalog = catalog_of(nights)
    assert rows(nights, catalog.pointers()) == before["r6"]
    assert json.loads(catalog.store.read("current.json"))["tables"] == catalog.pointers()
    # What the current metadata lists can be opened to the last file.
    for metadata in catalog.pointers().values():
        assert all(catalog.store.exists(key) for key in Reach(catalog).of(metadata))
    publisher = Publisher(catalog)
    for run in ("r4", "r5"):
        publisher.rollback(run)
        assert rows(nights, catalog.pointers()) == before[run]
    with pytest.raises(BadInput, match="run 'r2' cannot be made current again: its files were removed"):
        publisher.rollback("r2")
    assert rows(nights, catalog.pointers()) == before["r5"]
    # Nights go on on what is left.
    publish_run(nights, "2026-01-09", "after")
    assert {r["ds"].day for r in rows(nights, catalog.pointers())["intake"]} == {1, 2, 3, 4, 5, 9}


@pytest.mark.parametrize("when", ["looked", "listed"])
def test_what_a_rollback_goes_back_to_meanwhile_stays(
    nights: Settings, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """It is out of the window and its files are there still: they are to go, and are current again."""
    log = Publisher(catalog_of(nights)).log()
    wanted = rows(nights, log[1].tables)
    method = {"looked": "_reachable", "listed": "_old"}[when]
    look, calls = getattr(Sweep, method), []

    def late(self: Sweep, *args: Any) -> Any:
        found = look(self, *args)
        calls.append(1)
        if len(calls) == 1:
            Publisher(self.catalog).rollback("r2")
        return found

    monkeypatch.setattr(Sweep, method, late)
    done = later(nights)
    catalog = catalog_of(nights)
    assert rows(nights, catalog.pointers()) == wanted
    assert done.kept_runs == ["r5", "r6", "r2"]
    publish_run(nights, "2026-01-09", "after")
    assert later(nights).kept_runs == ["r6", "r2", "after"]


@pytest.mark.parametrize(
    ("times", "told"), [(1, ""), (99, "gone, 10 times in a row; run 'nightshelf maintain'")]
)
def test_what_is_taken_away_during_the_sweep_is_looked_for_again(
    nights: Settings, monkeypatch: pytest.MonkeyPatch, times: int, told: str
) -> None:
    untouched, wanted = files(nights), later(nights, dry_run=True)
    look, left = Sweep._reachable, iter(range(times))

    def late(self: Sweep, *args: Any) -> Any:
        if next(left, None) is not None:
            raise FileNotFoundError("gone")
        return look(self, *args)

    monkeypatch.setattr(Sweep, "_reachable", late)
    if told:
        with pytest.raises(Transient, match=told):
            later(nights)
        assert untouched <= files(nights)
    else:
        assert later(nights).removed == wanted.removed


def test_a_tagged_run_stays_until_its_tag_is_taken_away(nights: Settings) -> None:
    log = Publisher(catalog_of(nights)).log()
    before = {p.run_id: rows(nights, p.tables) for p in log}
    tag(nights, "r2", remove=False, as_json=False)
    assert later(nights).kept_runs == ["r2", "r4", "r5", "r6"]
    publisher = Publisher(catalog_of(nights))
    publisher.rollback("r2")
    assert rows(nights, publisher.catalog.pointers()) == before["r2"]
    for gone, told in (("r3", "its files were removed"), ("r9", "'r9' was never published")):
        with pytest.raises(BadInput, match=told):
            tag(nights, gone, remove=False, as_json=False)
    for number in range(1, 5):
        publish_run(nights, f"2026-01-1{number}", f"q{number}")
    tag(nights, "r2", remove=True, as_json=False)
    with pytest.raises(BadInput, match="run 'r2' is not tagged; tagged are: none"):
        tag(nights, "r2", remove=True, as_json=False)
    assert later(nights).kept_runs == ["q2", "q3", "q4"]


@pytest.mark.parametrize("first", ["tag", "sweep"])
def test_a_run_that_is_tagged_meanwhile_stays_or_is_refused(
    nights: Settings, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """After the sweep has looked; or while it removes, and the tag comes too late."""
    wanted = rows(nights, Publisher(catalog_of(nights)).log()[1].tables)
    look, calls = Sweep._reachable, []

    def late(self: Sweep, *args: Any) -> Any:
        found = look(self, *args)
        calls.append(1)
        if len(calls) == 1:
            tag(nights, "r2", remove=False, as_json=False)
        return found

    if first == "tag":
        monkeypatch.setattr(Sweep, "_reachable", late)
    done = later(nights)
    if first == "tag":
        assert done.kept_runs == ["r2", "r4", "r5", "r6"]
        Publisher(catalog_of(nights)).rollback("r2")
        assert rows(nights, catalog_of(nights).pointers()) == wanted
    else:
        with pytest.raises(BadInput, match="its files were removed"):
            tag(nights, "r2", remove=False, as_json=False)
        assert not Store.of(nights).list("tags")


def test_no_tag_keeps_what_an_erasure_takes_away(nights: Settings) -> None:
    for run in ("r2", "r6"):
        tag(nights, run, remove=False, as_json=False)
    catalog = catalog_of(nights)
    Amender(catalog).amend(FORGET, [], catalog.pointers())
    assert later(nights).kept_runs == ["r6"]
    with pytest.raises(BadInput, match="a shopper was forgotten since"):
        tag(nights, "r2", remove=False, as_json=False)


def test_nothing_unreachable_is_left_and_a_second_run_removes_nothing(nights: Settings) -> None:
    wanted = later(nights, dry_run=True)
    untouched = files(nights)
    assert wanted.dry_run
    done = later(nights)
    assert (done.removed, done.snapshots) == (wanted.removed, wanted.snapshots)
    left = files(nights)
    assert len(untouched - left) == done.files
    again = later(nights)
    assert (again.files, again.snapshots) == (0, 0)
    assert files(nights) == left
    catalog = catalog_of(nights)
    reach = Reach(catalog)
    kept = [m for p in Publisher(catalog).log()[-4:] for m in p.tables.values()]
    reachable = set().union(*(reach.of(m, every_snapshot=False) for m in kept))
    assert {k for k in left if k.startswith("warehouse/")} == reachable


def test_a_dry_run_changes_nothing(nights: Settings) -> None:
    catalog = catalog_of(nights)
    before, log = files(nights), Publisher(catalog).log()
    assert later(nights, dry_run=True).files > 0
    assert files(nights) == before
    assert Publisher(catalog).log() == log


@pytest.fixture
def leftovers(nights: Settings) -> list[str]:
    """What killed runs leave: a data file, a temporary one, a shard, a landing that no manifest names."""
    store = Store.of(nights)
    store.write(
        "landing/s/_batches/b.json",
        json.dumps({"entities": {"events": {"folder": "landing/s/events/b-1"}}}).encode(),
    )
    store.write("landing/s/events/b-1/part.parquet", b"named")
    keys = ["warehouse/intake/data/x/part.parquet", "warehouse/intake/data/x/.part.parquet.1f.part"]
    keys += [".current.json.1f.part", "reviews/.rows.json.1f.part"]
    keys += [
        "work/killed/scoring/0.parquet",
        "landing/s/events/b-2/part.parquet",
        "models/writer/old/card.json",
    ]
    for key in keys:
        path = Path(nights.lake, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left over")
    return keys


def age(settings: Settings, keys: list[str], days: float) -> None:
    when = time.time() - days * 86_400
    for key in keys:
        os.utime(Path(settings.lake, key), (when, when))


def test_what_is_younger_than_the_grace_period_stays_and_what_is_older_goes(
    nights: Settings, leftovers: list[str]
) -> None:
    age(nights, leftovers, 2.9)
    maintain(nights)
    assert all(Path(nights.lake, k).exists() for k in leftovers)
    age(nights, [*leftovers, "landing/s/events/b-1/part.parquet", "landing/s/_batches/b.json"], 3.1)
    done = maintain(nights)
    assert [k for k in leftovers if Path(nights.lake, k).exists()] == []
    assert {k: v["files"] for k, v in done.removed.items()} == {
        "tables": 1, "work": 1, "landing": 1, "models": 1, "runs": 0, "unfinished": 3, "uploads": 0
    }  # fmt: skip
    assert Path(nights.lake, "landing/s/events/b-1/part.parquet").exists()
    assert Path(nights.lake, "landing/s/_batches/b.json").exists()


def test_a_run_at_work_keeps_what_it_pinned(nights: Settings) -> None:
    """It began on what is out of the window by now, and goes on to read it."""
    night = Night(nights, date(2026, 1, 9), "slow")
    night.pin()
    wanted = rows(nights, night.pins)
    for number in range(4):
        publish_run(nights, f"2026-01-1{number}", f"q{number}")
    tables = [k for k in files(nights) if k.startswith("warehouse/")]
    age(nights, tables, 10)
    done = maintain(nights.model_copy(update={"keep_runs": 2}))
    assert done.removed["tables"]["files"] > 0
    assert rows(nights, night.pins) == wanted


def test_killed_in_mid_sweep_a_publish_is_whole_or_refused(
    nights: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Publisher(catalog_of(nights)).log()
    before = {p.run_id: rows(nights, p.tables) for p in log}
    wanted = later(nights, dry_run=True, keep_runs=1).files
    delete = LocalStore.delete

    def dying(self: LocalStore, keys: Any) -> None:
        delete(self, [next(iter(keys))])
        raise KeyboardInterrupt

    for _ in range(wanted):
        with monkeypatch.context() as patch:
            patch.setattr(LocalStore, "delete", dying)
            with pytest.raises(KeyboardInterrupt):
                later(nights, keep_runs=1)
        publisher = Publisher(catalog_of(nights))
        for publish in log:
            try:
                publisher.require_kept(publish.run_id)
            except BadInput:
                continue
            assert rows(nights, publish.tables) == before[publish.run_id]


def test_a_publish_out_of_the_window_is_whole_while_it_is_young(nights: Settings) -> None:
    """Its metadata is younger than the grace period, the data files that only it names are not."""
    log = Publisher(catalog_of(nights)).log()
    wanted = rows(nights, log[4].tables)
    publish_run(nights, "2026-01-05", "again")
    age(nights, [k for k in files(nights) if k.endswith((".parquet", "run.json"))], 10)
    maintain(nights.model_copy(update={"keep_runs": 1}))
    publisher = Publisher(catalog_of(nights))
    assert publisher.rollback("r5").run_id == "r5"
    assert rows(nights, publisher.catalog.pointers()) == wanted


def test_a_staged_night_is_published_after_maintenance(nights: Settings) -> None:
    night = stage_run(nights, "2026-01-09", "slow")
    maintain(nights.model_copy(update={"keep_runs": 1}))
    Publisher(night.catalog).publish(night.staging, "2026-01-09", night.sequence)
    assert {r["ds"].day for r in rows(nights, night.catalog.pointers())["intake"]} == {1, 2, 3, 4, 5, 9}


def held_back(settings: Settings) -> Night:
    """A night that passed its audit ten days ago, with a candidate model; four were published since."""
    night = stage_run(settings, "2026-01-09", "held")
    night.add_model(row("v9") | {"location": "models/recommender/v9"})
    night.store.write("models/recommender/v9/card.json", b"{}")
    for number in range(4):
        publish_run(settings, f"2026-01-1{number}", f"q{number}")
    age(settings, [k for k in files(settings) if not k.startswith("runs/q")], 10)
    return night


def own_files(night: Night) -> set[str]:
    """What only the night's own staging leads to."""
    records, reach = night.staging.records(), Reach(night.catalog)
    staged = {k for r in records for k in reach.of(r.metadata, every_snapshot=False)}
    return staged - {k for m in night.catalog.pointers().values() for k in reach.of(m)}


def test_a_night_that_waits_for_a_person_is_published_after_maintenance(nights: Settings) -> None:
    night = held_back(nights)
    own, pinned = own_files(night), rows(nights, night.pins)
    done = maintain(nights.model_copy(update={"keep_runs": 1}))
    assert done.removed["tables"]["files"] > 0
    assert own <= files(nights)
    assert rows(nights, night.pins) == pinned
    assert night.store.exists("models/recommender/v9/card.json")
    Publisher(night.catalog).publish(night.staging, "2026-01-09", night.sequence)
    days = {r["ds"].day for r in rows(nights, night.catalog.pointers())["intake"]}
    assert days == {1, 2, 3, 4, 5, 9, 10, 11, 12, 13}
    # Published it waits no longer, and leaves the window as any other night.
    publish_run(nights, "2026-01-14", "last")
    own = own_files(night)
    assert own
    later(nights, keep_runs=1)
    assert not own & files(nights)


def test_a_night_that_may_not_be_published_does_not_wait(nights: Settings) -> None:
    """One lacks an audit, one was outdated by an erasure."""
    night = held_back(nights)
    own = own_files(night)
    unaudited = stage_run(nights, "2026-01-09", "unaudited")
    unaudited.stage("intake", unaudited.read("intake"))
    age(nights, [k for k in files(nights) if not k.startswith("runs/q")], 10)
    more = own_files(unaudited)
    maintain(nights.model_copy(update={"keep_runs": 1}))
    assert own <= files(nights)
    assert not more & files(nights)
    Amender(night.catalog).amend(FORGET, [], night.catalog.pointers())
    maintain(nights)
    assert not own & files(nights)
    assert not night.store.exists("models/recommender/v9/card.json")


def test_a_night_whose_folder_has_had_its_time_is_not_kept(nights: Settings) -> None:
    night = held_back(nights)
    own = own_files(night)
    maintain(nights.model_copy(update={"keep_runs": 1, "keep_days": 5}))
    left = files(nights)
    assert not own & left
    assert not [k for k in left if k.startswith(("runs/held", "models/recommender/v9"))]


@pytest.mark.parametrize("part", ["metadata", "manifest list", "manifest", "data"])
def test_a_night_of_which_a_file_is_gone_is_not_published(nights: Settings, part: str) -> None:
    night = stage_run(nights, "2026-01-09", "held")
    record = night.staging.record("similar_items")
    assert record is not None
    table = night.catalog.open(record.metadata)
    snapshot = table.current_snapshot()
    assert snapshot is not None
    uri = {
        "metadata": record.metadata,
        "manifest list": snapshot.manifest_list,
        "manifest": snapshot.manifests(table.io)[0].manifest_path,
        "data": record.files[0],
    }[part]
    night.store.delete([night.store.key_of(uri)])
    publisher = Publisher(night.catalog)
    refused(publisher, night)
    # The others are written anew on what is current by now; rows that are gone stay gone.
    publish_run(nights, "2026-01-08", "quick")
    if part == "data":
        refused(publisher, night)
    else:
        publisher.publish(night.staging, "2026-01-09", night.sequence)
        assert {8, 9} <= {r["ds"].day for r in rows(nights, night.catalog.pointers())["similar_items"]}


def refused(publisher: Publisher, night: Night) -> None:
    """Exit 10 with the line that says what to do; readers see what they saw."""
    before, log = night.catalog.pointers(), publisher.log()
    says = "what it staged was removed by maintenance: run 2026-01-09 again"
    with pytest.raises(GateFailed, match=says) as caught:
        publisher.publish(night.staging, "2026-01-09", night.sequence)
    assert caught.value.exit_code == 10
    assert night.catalog.pointers() == before
    assert publisher.log() == log


@pytest.mark.parametrize("gone", ["candidate", "pinned rows"])
def test_a_model_that_is_gone_is_not_put_in_service(
    nights: Settings, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    monkeypatch.setattr(publish_step, "NIGHTLY", ())
    card = "models/recommender/v9/card.json"
    Store.of(nights).write(card, b"{}")
    for run_id in ("before", "held"):
        night = stage_run(nights, "2026-01-09", run_id)
        night.add_model(row("v9") | {"location": "models/recommender/v9"})
        if run_id == "before":
            publish_step.run(night)
    pinned = night.store.key_of(night.pins["models"])
    night.store.delete([card if gone == "candidate" else pinned])
    before = night.catalog.pointers()
    with pytest.raises(GateFailed, match="what it staged was removed by maintenance: run 2026-01-09 again"):
        publish_step.run(night)
    assert night.catalog.pointers() == before


def test_folders_of_old_runs_go_with_their_reports(nights: Settings) -> None:
    store = Store.of(nights)
    for number in range(1, NIGHTS + 1):
        store.write(f"runs/r{number}/report.html", b"<p>")
    done = later(nights, keep_days=20)
    assert done.removed["runs"]["files"] > 0
    assert {k.split("/")[1] for k in store.list("runs")} == {"r4", "r5", "r6"}
    assert later(nights, keep_days=20).files == 0


def test_models_in_service_and_the_newest_ones_stay(lake_settings: Settings) -> None:
    from jobs.publish import _models

    for number in range(1, 7):
        night = Night(lake_settings, date(2026, 1, number), f"r{number}")
        night.pin()
        where = f"models/recommender/v{number}"
        night.add_model(row(f"v{number}", "accepted" if number == 2 else "refused") | {"location": where})
        night.store.write(f"{where}/card.json", b"{}")
        night.stage("models", _models(night))
        night.mark_audited("models")
        Publisher(night.catalog).publish(night.staging, night.ds.isoformat(), night.sequence)
    later(lake_settings, keep_models=2, keep_runs=1)
    assert Store.of(lake_settings).list("models") == [f"models/recommender/v{n}/card.json" for n in (2, 5, 6)]


@pytest.mark.parametrize("days", [0.5, -1.0])
def test_a_short_grace_period_is_refused_unless_forced(nights: Settings, days: float) -> None:
    before = files(nights)
    with pytest.raises(BadInput, match=r"--grace-days .*") as caught:
        maintain(nights, grace_days=days)
    assert caught.value.exit_code == 2
    assert files(nights) == before
    assert maintain(nights, grace_days=0.5, force=True).files == 0
    assert maintain(nights.model_copy(update={"keep_runs": 1}), grace_days=0, force=True).files > 0


def test_an_empty_lake_is_no_error(lake_settings: Settings) -> None:
    done = maintain(lake_settings)
    assert (done.files, done.snapshots, done.kept_runs) == (0, 0, [])


def test_a_night_in_between_is_kept(nights: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    amend, calls = Amender.amend, []

    def late(self: Amender, *args: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            publish_run(nights, "2026-01-20", "quick")
        return amend(self, *args)

    monkeypatch.setattr(Amender, "amend", late)
    done = later(nights)
    assert len(calls) == 2
    assert done.kept_runs[-1] == "quick"
    assert 20 in {r["ds"].day for r in rows(nights, catalog_of(nights).pointers())["intake"]}


@pytest.mark.s3
def test_on_s3_uploads_that_never_ended_are_ended(s3_settings: Settings) -> None:
    for number in range(1, 5):
        publish_run(s3_settings, f"2026-01-{number:02d}", f"r{number}")
    store = Store.of(s3_settings)
    assert isinstance(store, S3Store)
    store.client.create_multipart_upload(Bucket=store.bucket, Key=store._key("warehouse/intake/data/half"))
    store.write("work/killed/shard", b"left over")
    assert maintain(s3_settings).files == 0
    catalog = catalog_of(s3_settings)
    before = rows(s3_settings, catalog.pointers())
    wanted = later(s3_settings, dry_run=True)
    assert store.dangling_uploads(datetime.now(UTC) + LATER) == ["warehouse/intake/data/half"]
    done = later(s3_settings)
    assert done.removed == wanted.removed
    assert (done.removed["uploads"]["files"], done.removed["work"]["files"]) == (1, 1)
    assert done.removed["tables"]["files"] > 0
    assert store.dangling_uploads(datetime.now(UTC) + LATER) == []
    assert rows(s3_settings, catalog.pointers()) == before
    assert set(before) == set(TABLES)
    assert later(s3_settings).files == 0


@pytest.mark.parametrize("key", ["models/a/b.py", "work/notes.txt", "runs/x/run.json", "photos/.a.part"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_folder_that_is_no_lake_is_not_swept(tmp_path: Path, key: str, dry_run: bool) -> None:
    """As the working directory was, beside the package `models`, while an empty setting named it."""
    settings = load_settings(lake=str(tmp_path))
    path = tmp_path / key
    path.parent.mkdir(parents=True)
    path.write_bytes(b"{}")
    (tmp_path / "current.json").write_text("[]")
    for _ in range(2):
        with pytest.raises(BadInput, match=r"bears no mark of a lake .* nothing was removed") as caught:
            later(settings, dry_run)
        assert caught.value.exit_code == 2
        assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == sorted(
            [path, tmp_path / "current.json"]
        )


@pytest.mark.parametrize("mark", ["first run", "first import", "publish"])
def test_a_lake_bears_a_mark_before_its_first_night_is_done(lake_settings: Settings, mark: str) -> None:
    store = Store.of(lake_settings)
    store.write("work/killed/shard", b"left over")
    store.write("models/writer/v1/weights", b"left over")
    if mark == "first run":
        stage_run(lake_settings, "2026-01-01", "killed")
    elif mark == "first import":
        store.write("landing/s/_batches/b.json", json.dumps({"entities": {}}).encode())
    else:
        publish_run(lake_settings, "2026-01-01", "a")
        store.delete(["current.json", "runs/a/run.json"])
    done = later(lake_settings)
    assert (done.removed["work"]["files"], done.removed["models"]["files"]) == (1, 1)


def test_the_lake_of_another_catalog_is_not_swept(nights: Settings, tmp_path: Path) -> None:
    Store.of(nights).copy("catalog.db", "catalog-copy.db")
    other = nights.model_copy(
        update={"lake": str(tmp_path / "other"), "catalog": f"sqlite:///{nights.lake}/catalog-copy.db"}
    )
    stage_run(lake := nights.model_copy(update={"lake": other.lake}), "2026-01-01", "killed")
    before = files(lake)
    with pytest.raises(BadInput, match=r"settings 'lake' and 'catalog': .* in another lake"):
        later(other)
    assert files(lake) == before


@pytest.mark.s3
def test_a_bucket_that_is_no_lake_is_not_swept(s3_settings: Settings) -> None:
    store = Store.of(s3_settings)
    assert isinstance(store, S3Store)
    assert later(s3_settings).files == 0
    store.client.create_multipart_upload(Bucket=store.bucket, Key=store._key("photos/half"))
    with pytest.raises(BadInput, match="bears no mark of a lake"):
        later(s3_settings)
    assert store.dangling_uploads(datetime.now(UTC) + LATER) == ["photos/half"]
