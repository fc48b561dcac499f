"""Compaction and retention: the same rows in fewer files, old days gone, nights beside it still publish."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from jobs import lake_maintenance
from jobs.errors import BadInput, Transient
from jobs.forget_user import forget_user
from jobs.lake import compact, rewrite
from jobs.lake.amend import Amender
from jobs.lake.catalog import RUN_PROPERTY
from jobs.lake.publish import Publisher
from jobs.lake.registry import BY_NAME, TABLES
from jobs.lake.retention import least_days, retention_days
from jobs.lake.store import Store
from jobs.lake_maintenance import Maintained, maintain, show
from jobs.night import Night
from jobs.settings import Settings
from tests.expectations.good_rows import good
from tests.jobs.erasure.scan import places
from tests.jobs.lake.conftest import stage_run

ZOE = "zoe.secret-77"
FILES, ROWS = 12, 7


def lists(night: Night, day: date, first: int = 0) -> list[dict[str, Any]]:
    """Rows of `recommendations`, one shopper's here and there, with values of every kind and nulls."""
    return [
        good(
            "recommendations",
            user_id=ZOE if n % 5 == 0 else f"u{n % 3}",
            rank=n + 1,
            probability=None if n % 4 == 0 else n / 100,
            experiment=None,
            model_version=night.run_id,
            ds=day,
        )
        for n in range(first, first + ROWS)
    ]


def crowded(settings: Settings, run_id: str = "many", days: tuple[int, ...] = (1, 2)) -> Night:
    """A published night whose lists lie in many small files, two days of them, beside two ordinary tables."""
    night = stage_run(settings, "2026-01-02", run_id)
    keys = []
    for day in (date(2026, 1, d) for d in days):
        folder = night.new_data_dir("recommendations")
        for number in range(FILES):
            rows = lists(night, day, number * ROWS)
            keys.append(f"{folder}/part-{number:03d}.parquet")
            table = pa.Table.from_pylist(rows, schema=BY_NAME["recommendations"].schema)
            night.store.write_parquet(keys[-1], table)
    night.stage_files("recommendations", keys, [date(2026, 1, d) for d in days])
    night.mark_audited("recommendations")
    Publisher(night.catalog).publish(night.staging, "2026-01-02", night.sequence)
    return night


def rows(night: Night, metadata: dict[str, str] | None = None) -> dict[str, Counter[str]]:
    """Table → the multiset of its rows, through Iceberg's own reader."""
    tables = metadata or night.catalog.pointers()
    found = {t: night.catalog.open(m).scan().to_arrow().to_pylist() for t, m in tables.items()}
    return {t: Counter(json.dumps(r, sort_keys=True, default=str) for r in f) for t, f in found.items()}


def files(night: Night, table: str = "recommendations") -> list[str]:
    return [f.file_path for f in night.catalog.files(night.catalog.pointers()[table])]


def current(settings: Settings) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(settings.lake, "current.json").read_text())
    return found


def test_the_same_rows_in_one_file_a_partition(lake_settings: Settings) -> None:
    night = crowded(lake_settings)
    before, sequence = rows(night), current(lake_settings)["sequence"]
    assert len(files(night)) == 2 * FILES
    done = maintain(lake_settings)
    assert done.joined == {"recommendations": {"partitions": 2, "files": 2 * FILES, "into": 2}}
    assert len(files(night)) == 2
    assert rows(night) == before
    told = current(lake_settings)
    assert told["tables"] == night.catalog.pointers()
    assert (told["run_id"], told["ds"]) == ("many", "2026-01-02")
    assert told["sequence"] > sequence
    # One of its own kind, and every table still says whose run it is.
    kinds = [p.kind for p in Publisher(night.catalog).log()]
    assert kinds[:2] == ["night", "compact"]
    runs = {night.catalog.open(m).properties[RUN_PROPERTY] for m in told["tables"].values()}
    assert runs == {"many"}
    again = maintain(lake_settings)
    assert again.joined == {}
    assert rows(night) == before


def test_what_was_published_before_stays_whole_and_can_be_gone_back_to(lake_settings: Settings) -> None:
    night = crowded(lake_settings, "first")
    crowded(lake_settings, "second")
    log = Publisher(night.catalog).log()
    before = {p.run_id: rows(night, p.tables) for p in log}
    maintain(lake_settings)
    for publish in log:
        assert rows(night, publish.tables) == before[publish.run_id]
    Publisher(night.catalog).rollback("first")
    assert rows(night) == before["first"]


def test_a_dry_run_counts_and_changes_nothing(lake_settings: Settings, capsys: Any) -> None:
    night = crowded(lake_settings)
    pointers, keys = night.catalog.pointers(), night.store.list("warehouse")
    done = maintain(lake_settings, dry_run=True)
    assert done.joined == {"recommendations": {"partitions": 2, "files": 2 * FILES, "into": 2}}
    assert night.catalog.pointers() == pointers
    assert night.store.list("warehouse") == keys
    show(done, False)
    told = " ".join(capsys.readouterr().out.split())
    assert f"recommendations: {2 * FILES} small files of 2 partitions would be joined into 2" in told


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({"compact_files": FILES + 1}, 2 * FILES),
        ({"compact_mb": 0}, 2 * FILES),
        ({"compact_files": FILES}, 2),
    ],
)
def test_few_files_are_left_alone_and_zero_switches_it_off(
    lake_settings: Settings, changes: dict[str, int], left: int
) -> None:
    night = crowded(lake_settings)
    maintain(lake_settings.model_copy(update=changes))
    assert len(files(night)) == left


def test_files_are_joined_up_to_the_target_size_and_large_ones_stay(lake_settings: Settings) -> None:
    night = crowded(lake_settings, days=(2,))
    sizes = [f.file_size_in_bytes for f in night.catalog.files(night.catalog.pointers()["recommendations"])]
    base = night.catalog.pointers()
    target = 3 * max(sizes)
    (crowd,) = compact.crowds(night.catalog, base, target, 5)["recommendations"]
    size = dict(zip(files(night), sizes, strict=True))
    assert all(len(g) > 1 and sum(size[f] for f in g) <= target for g in crowd.groups)
    assert sorted([*crowd.rest, *(f for g in crowd.groups for f in g)]) == sorted(size)
    # Beside so small a target each of them is large.
    assert compact.crowds(night.catalog, base, min(sizes), 5) == {}


def test_a_night_that_was_staged_before_is_published_after(lake_settings: Settings) -> None:
    night = crowded(lake_settings)
    slow = stage_run(lake_settings, "2026-01-03", "slow")
    slow.stage(
        "recommendations",
        pa.Table.from_pylist(lists(slow, slow.ds), schema=BY_NAME["recommendations"].schema),
    )
    slow.mark_audited("recommendations")
    wanted = rows(slow, slow.pins)["recommendations"]
    maintain(lake_settings)
    # What it pinned can still be read, file by file.
    assert rows(slow, slow.pins)["recommendations"] == wanted
    Publisher(slow.catalog).publish(slow.staging, "2026-01-03", slow.sequence)
    found = rows(night)["recommendations"]
    assert found.total() == wanted.total() + ROWS
    assert wanted <= found
    assert len(files(night)) == 3


def racing(monkeypatch: pytest.MonkeyPatch, act: Any, times: int = 1, what: str = "compact") -> list[int]:
    """Lets `act` happen between a plan and its publish, so many times."""
    amend, calls = Amender.amend, []

    def late(self: Amender, kind: str, *rest: Any) -> Any:
        if kind == what:
            calls.append(1)
            if len(calls) <= times:
                act(len(calls))
        return amend(self, kind, *rest)

    monkeypatch.setattr(Amender, "amend", late)
    return calls


def test_a_night_that_is_published_in_between_wins_and_the_join_is_planned_again(
    lake_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = crowded(lake_settings)
    calls = racing(monkeypatch, lambda n: crowded(lake_settings, f"between-{n}"), times=2)
    done = maintain(lake_settings)
    assert len(calls) == 3
    assert done.joined["recommendations"]["into"] == 2
    assert current(lake_settings)["run_id"] == "between-2"
    versions = {json.loads(r)["model_version"] for r in rows(night)["recommendations"]}
    assert versions == {"between-2"}
    assert len(files(night)) == 2
    # What was joined for nothing is gone, and nothing that is in use.
    there = [k for k in night.store.list("warehouse") if "/compact-" in k]
    assert sorted(night.store.location(k) for k in there) == sorted(files(night))


def test_an_erasure_in_between_finds_nothing_of_what_was_joined(
    lake_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = crowded(lake_settings)
    calls = racing(monkeypatch, lambda _: forget_user(lake_settings, ZOE))
    maintain(lake_settings)
    assert len(calls) == 2
    assert places(Path(lake_settings.lake), ZOE) == set()
    found = rows(night)["recommendations"]
    assert found.total() == sum(1 for n in range(FILES * ROWS) if n % 5) * 2


def test_files_that_an_erasure_removes_while_they_are_joined(
    lake_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    night, calls = crowded(lake_settings), []
    join = rewrite.join

    def late(*args: Any) -> int:
        calls.append(1)
        if len(calls) == 2:
            forget_user(lake_settings, ZOE)
        return join(*args)

    monkeypatch.setattr(compact, "join", late)
    maintain(lake_settings)
    assert places(Path(lake_settings.lake), ZOE) == set()
    assert len(files(night)) == 2


def test_a_lost_answer_removes_nothing_that_is_published(
    lake_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was committed, and then its caller was told that it was not."""
    night = crowded(lake_settings)
    before = rows(night)
    amend = Amender.amend

    def lost(self: Amender, kind: str, *rest: Any) -> Any:
        amend(self, kind, *rest)
        raise Transient("the catalog does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(Amender, "amend", lost)
        with pytest.raises(Transient):
            maintain(lake_settings)
    assert rows(night) == before
    assert len(files(night)) == 2


def test_a_catalog_that_cannot_be_asked_removes_nothing(
    lake_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A COMMIT may still land: what was joined stays, for the sweep to find."""
    night = crowded(lake_settings)

    def away(*_: Any) -> Any:
        raise sa.exc.OperationalError("COMMIT", {}, Exception("server closed the connection"))

    with monkeypatch.context() as patch:
        patch.setattr(Amender, "amend", away)
        patch.setattr(Amender, "settled_log", away)
        with pytest.raises(sa.exc.OperationalError):
            maintain(lake_settings)
    assert len([k for k in night.store.list("warehouse") if "/compact-" in k]) == 2


def test_lost_rows_are_told_and_nothing_is_published(
    lake_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = crowded(lake_settings)
    before, keys = rows(night), night.store.list("warehouse")
    join = rewrite.join
    monkeypatch.setattr(compact, "join", lambda store, keys, *rest: join(store, keys[1:], *rest))
    with pytest.raises(ValueError, match=f"{FILES * ROWS} rows before joining, {(FILES - 1) * ROWS} after"):
        maintain(lake_settings)
    assert rows(night) == before
    assert night.store.list("warehouse") == keys


def test_joining_holds_a_row_group_at_a_time_and_fills_columns_that_a_file_lacks(
    lake_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewrite, "_GROUP_BYTES", 1)
    store = Store.of(lake_settings)
    schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
    store.write_parquet("x/1.parquet", pa.table({"a": [1, 2], "b": ["x", None]}))
    store.write_parquet("x/2.parquet", pa.table({"a": pa.array([3], pa.int32())}))
    assert rewrite.join(store, ["x/1.parquet", "x/2.parquet"], "x/3.parquet", schema) == 3
    assert store.read_parquet("x/3.parquet").to_pydict() == {"a": [1, 2, 3], "b": ["x", None, None]}
    assert pq.ParquetFile(Path(lake_settings.lake, "x/3.parquet")).num_row_groups == 2
    assert store.read_parquet("x/3.parquet").schema.names == schema.names


# -- retention ------------------------------------------------------------------------


def refused(settings: Settings, ds: str, days_ago: tuple[int, ...], run_id: str = "") -> Night:
    """A night that publishes refused rows of several days."""
    night = Night(settings, date.fromisoformat(ds), run_id or f"r-{ds}")
    night.pin()
    days = [night.ds - timedelta(days=n) for n in days_ago]
    made = [good("quarantine", row_hash=str(day), arrived=day, ds=day) for day in days]
    night.stage("quarantine", pa.Table.from_pylist(made, schema=BY_NAME["quarantine"].schema), days)
    night.mark_audited("quarantine")
    Publisher(night.catalog).publish(night.staging, ds, night.sequence)
    return night


def days_of(night: Night) -> list[str]:
    return sorted({json.loads(r)["ds"] for r in rows(night)["quarantine"]})


def on(settings: Settings, day: str, **options: Any) -> Maintained:
    return maintain(settings, now=datetime.fromisoformat(day).replace(tzinfo=UTC), **options)


def test_days_older_than_a_table_is_kept_are_dropped(lake_settings: Settings) -> None:
    night = refused(lake_settings, "2026-06-30", (0, 1, 89, 90, 91, 200))
    dry = on(lake_settings, "2026-07-01", dry_run=True)
    assert dry.retired == {"quarantine": {"days": 3, "rows": 3}}
    assert len(days_of(night)) == 6
    done = on(lake_settings, "2026-07-01")
    assert done.retired == dry.retired
    assert days_of(night) == ["2026-04-02", "2026-06-29", "2026-06-30"]
    assert [p.kind for p in Publisher(night.catalog).log()][:2] == ["night", "retire"]
    assert on(lake_settings, "2026-07-01").retired == {}


def test_what_was_dropped_beside_another_publish_leaves_nothing(
    lake_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifests that it wrote name shoppers in their bounds, and an erasure has looked already."""
    night = refused(lake_settings, "2026-06-30", (0, 1, 200))
    staged: list[set[str]] = []

    def between(_: int) -> None:
        staged.append({*night.store.list("warehouse/quarantine/metadata")})
        refused(lake_settings, "2026-06-29", (0,))

    calls = racing(monkeypatch, between, what="retire")
    before = {*night.store.list("warehouse/quarantine/metadata")}
    on(lake_settings, "2026-07-01")
    assert len(calls) == 2
    assert staged[0] - before
    assert not (staged[0] - before) & {*night.store.list("warehouse/quarantine/metadata")}
    assert days_of(night) == ["2026-06-29", "2026-06-30"]


@pytest.mark.parametrize("what", ["crowds", "too_old", "kept_snapshots"])
def test_what_an_erasure_removes_while_it_is_looked_at_is_looked_for_again(
    what: str, lake_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowded(lake_settings)
    look, calls = getattr(lake_maintenance, what), []

    def late(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            forget_user(lake_settings, ZOE)
            raise FileNotFoundError("what the erasure has removed")
        return look(*args)

    monkeypatch.setattr(lake_maintenance, what, late)
    maintain(lake_settings)
    assert len(calls) == 2
    assert places(Path(lake_settings.lake), ZOE) == set()


def test_a_file_that_is_gone_though_nothing_was_published_is_told(
    lake_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowded(lake_settings)

    def gone(*_: Any) -> Any:
        raise FileNotFoundError("lost")

    monkeypatch.setattr(lake_maintenance, "crowds", gone)
    with pytest.raises(FileNotFoundError, match="lost"):
        maintain(lake_settings)


def test_it_is_counted_from_the_newest_night_and_never_from_one_to_come(lake_settings: Settings) -> None:
    """A shop that stands still loses nothing; nor does one that ran a night for 2100 by mistake."""
    night = refused(lake_settings, "2026-06-30", (0, 80))
    assert on(lake_settings, "2028-01-01").retired == {}
    refused(lake_settings, "2100-01-01", (0,))
    assert on(lake_settings, "2026-07-01").retired == {}
    assert len(days_of(night)) == 3


def test_a_tables_last_day_stays_however_old_it_is(lake_settings: Settings) -> None:
    night = refused(lake_settings, "2026-01-01", (0, 1))
    stage = stage_run(lake_settings, "2026-12-31", "much-later")
    Publisher(stage.catalog).publish(stage.staging, "2026-12-31", stage.sequence)
    assert on(lake_settings, "2027-01-01").retired == {"quarantine": {"days": 1, "rows": 1}}
    assert days_of(night) == ["2026-01-01"]


def test_what_is_declared_leaves_nights_what_they_read(lake_settings: Settings) -> None:
    kept = retention_days(lake_settings)
    assert kept["quarantine"] == 90
    for table in TABLES:
        if table.retention_days is not None:
            assert table.partition == "ds"
            assert table.retention_days >= least_days(lake_settings, table), table.name
    # For ever by default: what is built from or counted with all of the past.
    assert not {"events_clean", "products", "users", "intake", "models", "runs", "erasures"} & set(kept)
    # Settings that reach further back keep more, without anybody's thinking of it.
    assert retention_days(lake_settings.model_copy(update={"keep_runs": 100}))["quarantine"] > 90


@pytest.mark.parametrize(
    ("retention", "told"),
    [
        ({"events_clean": 300}, "'events_clean' for 300 days: nights read up to 388 days of it"),
        ({"nothing": 300}, "'nothing' has no days that could be dropped; there are: events_clean, "),
        ({"intake": 3000}, "'intake' has no days"),
        ({"runs": 3000}, "'runs' has no days"),
    ],
)
def test_a_setting_that_would_take_what_nights_need_is_refused(
    lake_settings: Settings, retention: dict[str, int], told: str
) -> None:
    night = crowded(lake_settings)
    log = Publisher(night.catalog).log()
    with pytest.raises(BadInput, match="setting 'retention'") as caught:
        maintain(lake_settings.model_copy(update={"retention": retention}))
    assert told in str(caught.value)
    assert Publisher(night.catalog).log() == log


def test_the_setting_stands_over_the_registry(lake_settings: Settings) -> None:
    settings = lake_settings.model_copy(update={"retention": {"events_clean": 388, "quarantine": 300}})
    kept = retention_days(settings)
    assert (kept["events_clean"], kept["quarantine"]) == (388, 300)


@pytest.mark.parametrize("days", [float("nan"), float("inf"), 1e12])
def test_a_grace_period_that_is_no_number_of_days(lake_settings: Settings, days: float) -> None:
    with pytest.raises(BadInput, match=r"--grace-days .*give a number of days"):
        maintain(lake_settings, grace_days=days)


def test_a_store_without_a_lake_has_nothing_to_keep(lake_settings: Settings) -> None:
    done = maintain(lake_settings)
    assert (done.joined, done.retired, done.files) == ({}, {}, 0)
