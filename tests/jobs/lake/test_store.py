"""One behaviour, two stores: a folder and a real S3 server."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from jobs.errors import BadInput
from jobs.lake.store import LocalStore, Store
from jobs.settings import Settings


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
