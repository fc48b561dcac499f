"""One behaviour, two stores: a folder and a real S3 server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tenacity import wait_none

from jobs.errors import BadInput, Transient
from jobs.lake import s3 as module
from jobs.lake.s3 import S3Store
from jobs.lake.store import LocalStore, Store
from jobs.settings import Settings, load_settings


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest) -> Store:
    name = "lake_settings" if request.param == "folder" else "s3_settings"
    return Store.of(request.getfixturevalue(name))


def test_write_read_list_delete(store: Store) -> None:
    store.write("a/b/one", b"1")
    store.write("a/b/one", b"11")
    store.write("a/b-other", b"2")
    assert store.read("a/b/one") == b"11"
    assert store.list("a/b") == ["a/b/one"]
    assert store.list("a") == ["a/b-other", "a/b/one"]
    store.delete(["a/b/one", "a/b/absent"])
    assert not store.exists("a/b/one")
    assert store.exists("a/b-other")
    with pytest.raises(FileNotFoundError):
        store.read("a/b/one")


def test_copy_push_and_fetch_a_folder(store: Store, tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "x").write_bytes(b"x")
    store.push_dir(tmp_path / "in", "models/m")
    store.copy("models/m/sub/x", "models/n/sub/x")
    store.fetch_dir("models/n", tmp_path / "out")
    assert (tmp_path / "out" / "sub" / "x").read_bytes() == b"x"


def test_parquet_round_trip(store: Store) -> None:
    table = pa.table({"a": [1, 2], "b": ["x", None]})
    store.write_parquet("t/part.parquet", table)
    assert store.read_parquet("t/part.parquet").equals(table)
    assert store.rows("t/part.parquet") == 2


def test_keys_and_uris_are_inverse(store: Store) -> None:
    for form in (store.uri("a/b"), store.location("a/b")):
        assert store.key_of(form) == "a/b"
    with pytest.raises(ValueError, match="not in the lake"):
        store.key_of("/somewhere/else")


def test_a_local_key_cannot_leave_the_lake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="leaves the lake"):
        LocalStore(tmp_path).write("../evil", b"")


def test_a_write_whose_hidden_file_is_taken_away_is_tried_again(tmp_path: Path) -> None:
    """An erasure does so where it cannot tell whom the file holds."""
    store = LocalStore(tmp_path)

    def write() -> None:
        with store._whole("a/b") as part:
            part.write_bytes(b"half")
            assert [e.key for e in store.unfinished()] == [f"a/{part.name}"]
            assert store.list("a") == []
            store.delete(e.key for e in list(store.unfinished()))

    with pytest.raises(Transient, match="taken away while it was written"):
        write()
    assert not store.exists("a/b")


def test_a_failed_local_write_leaves_the_old_file(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.write("k", b"old")

    def half_a_write() -> None:
        with store._whole("k") as part:
            part.write_bytes(b"ne")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        half_a_write()
    assert store.read("k") == b"old"
    assert store.list("") == ["k"]


@pytest.mark.s3
def test_wrong_keys_are_a_wrong_setting(s3_settings: Settings) -> None:
    from pydantic import SecretStr

    store = Store.of(s3_settings.model_copy(update={"s3_secret_key": SecretStr("wrong")}))
    with pytest.raises(BadInput, match="refused write of a: SignatureDoesNotMatch; look at 's3_access_key'"):
        store.write("a", b"")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An S3 store that takes its rights from the machine, and what it is to be answered."""
    from botocore.stub import Stubber

    monkeypatch.setattr(module, "_DELETE_WAIT", wait_none())
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "role")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "role")
    store = S3Store(load_settings(lake="s3://shop/lake"))
    with Stubber(store.client) as stub:
        yield store, stub
        stub.assert_no_pending_responses()


def _told(stub: Any, keys: list[str], *errors: tuple[str, str]) -> None:
    """The next DELETE is of these keys, and succeeds but for these (key, code)."""
    objects = [{"Key": f"lake/{k}"} for k in keys]
    answer = {"Errors": [{"Key": f"lake/{k}", "Code": code} for k, code in errors]}
    stub.add_response(
        "delete_objects", answer, {"Bucket": "shop", "Delete": {"Objects": objects, "Quiet": True}}
    )


def test_keys_that_a_delete_left_are_tried_again(answers: Any) -> None:
    store, stub = answers
    _told(stub, ["a", "b", "c"], ("b", "InternalError"), ("c", "NoSuchKey"))
    _told(stub, ["b"])
    store.delete(["a", "b", "c"])


def test_a_delete_that_leaves_keys_is_no_success(answers: Any) -> None:
    store, stub = answers
    _told(stub, ["a", "b"], ("b", "InternalError"))
    for _ in range(module._DELETE_STOP.max_attempt_number - 1):
        _told(stub, ["b"], ("b", "SlowDown"))
    with pytest.raises(Transient, match=r"refused delete of b \(one of 1\): SlowDown"):
        store.delete(["a", "b"])


def test_a_delete_without_the_right_is_a_wrong_setting(answers: Any) -> None:
    store, stub = answers
    _told(stub, ["a", "b"], ("a", "InternalError"), ("b", "AccessDenied"))
    with pytest.raises(BadInput, match=r"delete of b .*AccessDenied; .* role needs s3:DeleteObject on shop"):
        store.delete(["a", "b"])


def test_where_no_keys_are_set_the_missing_permission_is_named(answers: Any) -> None:
    from datetime import UTC, datetime

    store, stub = answers
    calls = {
        "list_multipart_uploads": (
            lambda: store.dangling_uploads(datetime.now(UTC)),
            "ListBucketMultipartUploads",
        ),
        "list_objects_v2": (lambda: store.list("a"), "ListBucket"),
        "head_object": (lambda: store.exists("a"), "GetObject and s3:ListBucket"),
        "put_object": (lambda: store.write("a", b""), "PutObject"),
    }
    for method, (call, permission) in calls.items():
        stub.add_client_error(method, "AccessDenied", http_status_code=403)
        with pytest.raises(BadInput, match=f"AccessDenied; no keys are set.* needs s3:{permission} on shop"):
            call()


def test_an_upload_without_the_right_is_a_wrong_setting(answers: Any, tmp_path: Path) -> None:
    store, stub = answers
    (tmp_path / "model").write_bytes(b"x")
    stub.add_client_error("put_object", "AccessDenied", http_status_code=403)
    with pytest.raises(BadInput, match=r"upload of models/m: AccessDenied; .* needs s3:PutObject"):
        store.push(tmp_path / "model", "models/m")
