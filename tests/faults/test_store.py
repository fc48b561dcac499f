"""The object store fails: slow, refusing, cut in the middle, done but not told, wrongly named, gone."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import BASE, DS, PHASES, Done, Toy, of_run, plain_environment, resume_from
from tests.faults.forks import Forks
from tests.faults.invariants import Before, naming, remember
from tests.faults.proxy import Fault, Proxy, proxy
from tests.faults.reader import Bucket, Outside
from tests.faults.recorder import Case
from tests.faults.test_catalog import one_line
from tests.faults.toy import SHOPPER, without

pytestmark = pytest.mark.s3
KEY, SECRET = "test:tester", "testing"
_RETRIES = 6
# What the toy night publishes on an object store, `runs` aside.
TABLES = ("products", "similar_items", "recommendations", "models")


@pytest.fixture(scope="module")
def wire(s3_endpoint: str) -> Iterator[Proxy]:
    with proxy(s3_endpoint) as found:
        yield found


@pytest.fixture(scope="module")
def _s3_base(
    wire: Proxy, s3_endpoint: str, processes: Forks, tmp_path_factory: pytest.TempPathFactory
) -> Toy:
    return with_a_night(wire, s3_endpoint, processes, tmp_path_factory.mktemp("s3"))


def with_a_night(wire: Proxy, s3_endpoint: str, processes: Forks, folder: Path) -> Toy:
    """A bucket with one published night; Nightshelf goes through the proxy, readers do not."""
    bucket = f"shop-{uuid.uuid4().hex[:12]}"
    direct = Bucket(s3_endpoint, KEY, SECRET)
    direct.client().create_bucket(Bucket=bucket)
    catalog = f"sqlite:///{folder}/catalog.db?timeout=60"
    environment = plain_environment(
        folder,
        NIGHTSHELF_LAKE=f"s3://{bucket}/lake",
        NIGHTSHELF_CATALOG=catalog,
        TOY_SMALL="1",
        NIGHTSHELF_S3_ENDPOINT=wire.endpoint,
        NIGHTSHELF_S3_ACCESS_KEY=KEY,
        NIGHTSHELF_S3_SECRET_KEY=SECRET,
    )
    toy = Toy(folder, environment, Outside(f"s3://{bucket}/lake", catalog, direct), processes)
    done = toy.run(ds=BASE, run="base")
    assert done.returncode == 0, done.stderr
    return toy


@pytest.fixture
def on_s3(_s3_base: Toy, wire: Proxy) -> Iterator[Toy]:
    """The same bucket for all cases: each publishes a run of its own over the date."""
    wire.heal()
    _s3_base.before = remember(_s3_base.lake)
    yield _s3_base
    wire.heal()


STORMS = {
    "refusals": Fault("slow_down", share=0.3, times=40),
    "latency": Fault("latency", share=0.1, times=20),
    "resets": Fault("reset", share=0.2, times=30),
    "uploads cut": Fault("cut_upload", share=0.3, times=15, method="PUT"),
    "downloads cut": Fault("cut_download", share=0.3, times=15, method="GET"),
    "replies lost": Fault("lost_reply", share=0.3, times=15, method="PUT"),
}


@pytest.mark.parametrize(
    "name",
    [n if n == "replies lost" else pytest.param(n, marks=pytest.mark.slow) for n in STORMS],
)
def test_a_storm_in_the_store(name: str, on_s3: Toy, wire: Proxy, case: Case, expected: Any) -> None:
    toy, phases, run = on_s3, ",".join(PHASES), f"night-{name.replace(' ', '-')}"
    wire.inject(STORMS[name])
    for _ in range(_RETRIES):
        done = toy.run(phases, run=run)
        case.exit(done.returncode, 0, 20, told=done.stderr)
        if done.returncode == 0:
            break
        one_line(done.stderr)
        case.check(toy.view(settled=False))
        phases = resume_from(done)
    hits = wire.heal()
    assert hits > 0
    case.fault(hits)
    if done.returncode:
        done = toy.run(phases, run=run)
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(toy.view(expected=small(expected, run)))
    assert sum(p["run_id"] == run for p in toy.lake.publishes()) == 1


def small(rows: dict[str, list[dict[str, Any]]], run: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of an undisturbed run of this name, of the tables that a small night makes."""
    return of_run({table: found for table, found in rows.items() if table in TABLES}, run)


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["clean", "publish"])
def test_a_store_that_refuses_everything(
    phase: str, on_s3: Toy, wire: Proxy, case: Case, expected: Any
) -> None:
    """Exit 20 and one sentence; nothing is shown; once it answers, the same command ends well."""
    toy, run, shown = on_s3, f"refused-{phase}", on_s3.lake.published(DS)
    before = list(PHASES[: PHASES.index(phase)])
    if before:
        assert toy.run(",".join(before), run=run).returncode == 0
    wire.inject(Fault("slow_down"))
    done = toy.run(phase, run=run)
    case.fault()
    wire.heal()
    case.exit(done.returncode, 20, told=done.stderr)
    one_line(done.stderr)
    case.check(toy.view(expected=shown))
    done = toy.run(",".join(PHASES[PHASES.index(phase) :]), run=run)
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(toy.view(expected=small(expected, run)))


WRONG = {
    "secret": {"NIGHTSHELF_S3_SECRET_KEY": "hunter2"},
    "key": {"NIGHTSHELF_S3_ACCESS_KEY": "nobody:nowhere"},
    "bucket": {"NIGHTSHELF_LAKE": "s3://no-such-bucket/lake"},
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_of_the_store(name: str, on_s3: Toy, case: Case) -> None:
    """Exit 2: trying again would not help. The secret is not told."""
    shown = on_s3.lake.published(DS)
    done = on_s3.run(run=f"wrong-{name}", **WRONG[name])
    case.fault()
    refused(done, case)
    case.check(on_s3.view(expected=shown))


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_settings_go_wrong_before_publish(name: str, on_s3: Toy, case: Case) -> None:
    run, shown = f"later-{name}", on_s3.lake.published(DS)
    assert on_s3.run("clean,audit", run=run).returncode == 0
    done = on_s3.run("publish", run=run, **WRONG[name])
    case.fault()
    refused(done, case)
    case.check(on_s3.view(expected=shown))


def refused(done: Done, case: Case) -> None:
    # A bucket that is another one holds nothing of this run: its publish finds nothing staged, exit 10.
    case.exit(done.returncode, 2, told=done.stderr)
    one_line(done.stderr)
    assert "hunter2" not in done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr


def test_a_bucket_that_is_gone(on_s3: Toy, case: Case, expected: Any) -> None:
    """Its owner removed it between two nights, and brings it back from a copy."""
    toy, store, shown = on_s3, on_s3.lake.bucket, on_s3.lake.published(DS)
    assert store
    bucket = toy.lake.lake.removeprefix("s3://").partition("/")[0]
    copy = take_away(store, bucket)
    try:
        case.fault()
        done = toy.run(run="back")
        refused(done, case)
        assert bucket in done.stderr
    finally:
        bring_back(store, bucket, copy)
    case.check(toy.view(expected=shown))
    done = toy.run(run="back")
    case.exit(done.returncode, 0, told=done.stderr)
    case.check(toy.view(expected=small(expected, "back")))


def take_away(store: Bucket, bucket: str) -> dict[str, bytes]:
    """Removes a bucket with all that it holds; returns that, by key."""
    client = store.client()
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
    copy = {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
    for key in keys:
        client.delete_object(Bucket=bucket, Key=key)
    client.delete_bucket(Bucket=bucket)
    return copy


def bring_back(store: Bucket, bucket: str, copy: dict[str, bytes]) -> None:
    client = store.client()
    client.create_bucket(Bucket=bucket)
    for key, body in copy.items():
        client.put_object(Bucket=bucket, Key=key, Body=body)


def test_a_store_that_keeps_what_an_erasure_deletes(
    wire: Proxy, s3_endpoint: str, processes: Forks, tmp_path: Path, case: Case
) -> None:
    """It answers 200, and says of each key that it is still there: the erasure has not ended."""
    wire.heal()
    toy = with_a_night(wire, s3_endpoint, processes, tmp_path)
    lake, old = toy.lake, set(toy.lake.listing("warehouse/recommendations"))
    others = without(lake.published(BASE))
    named = naming(lake, SHOPPER)
    wire.inject(Fault("keys_kept"))
    done = toy.cli("forget", "--user", SHOPPER)
    case.fault(wire.heal())
    case.exit(done.returncode, 20, told=done.stderr)
    one_line(done.stderr)
    assert "InternalError" in done.stderr
    assert SHOPPER not in done.stdout + done.stderr
    assert len([u for u in lake.listing("forgotten") if u.endswith(".pending")]) == 1
    assert old <= set(lake.listing("warehouse/recommendations"))
    done = toy.cli("forget", "--user", SHOPPER)
    case.exit(done.returncode, 0, told=done.stderr)
    assert not [u for u in lake.listing("forgotten") if u.endswith(".pending")]
    assert not old & set(lake.listing("warehouse/recommendations"))
    assert named
    # It writes files of every date again.
    before = Before(sequence=toy.before.sequence)
    case.check(toy.view(before=before, ds=BASE, expected=others, forgotten={SHOPPER: named}))
