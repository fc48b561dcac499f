"""Files of the lake: a folder or an S3 bucket behind one interface.

Keys are relative to the lake and use `/`. A write is whole or absent: a
local file appears by rename, an S3 object by the end of its upload.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_exponential

from jobs.causes import NO_BUCKET, NO_RIGHT, WRONG_KEYS, permission
from jobs.errors import BadInput, NightshelfError, Transient
from jobs.failpoints import failpoint

if TYPE_CHECKING:
    from jobs.settings import Settings

T = TypeVar("T")
# Inside the classes below `list` is the method.
Keys = list[str]
Errors = list[dict[str, str]]
_COMPRESSION = "zstd"
# An S3 DELETE takes at most this many keys.
_DELETE_BATCH = 1000
# Keys that the store could not remove just now are tried again, with pauses that double, in seconds.
_DELETE_STOP, _DELETE_WAIT = stop_after_attempt(4), wait_exponential(multiplier=0.5)
# Why a folder cannot be made: no right gives one, and no other try.
_NO_FOLDER = (errno.EEXIST, errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP)


@dataclass(frozen=True)
class Entry:
    """A file of the lake: its key, its size in bytes, and when it was written (UTC)."""

    key: str
    size: int
    modified: datetime


class TakenAway(Transient):
    """An erasure removed a file while it was written, for it may have held the shopper."""


def make_folder(folder: Path, setting: str = "lake") -> None:
    """Make it with its parents; raises `BadInput` that names the setting where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno not in _NO_FOLDER:
            raise
        told = f"setting '{setting}': the folder {folder} cannot be made"
        why = f"{error.filename or folder}: {error.strerror}"
        raise BadInput(f"{told} ({why}): give another, or the right to it") from error


class Store:
    """Base of both stores; `Store.of(settings)` picks one."""

    root: str

    @staticmethod
    def of(settings: Settings) -> Store:
        return S3Store(settings) if settings.on_s3 else LocalStore(settings.lake)

    def read(self, key: str) -> bytes:
        """The bytes of `key`; `FileNotFoundError` when it is absent."""
        raise NotImplementedError

    def write(self, key: str, data: bytes) -> None:
        raise NotImplementedError

    def exists(self, key: str) -> bool:
        raise NotImplementedError

    def list(self, prefix: str) -> Keys:
        """Keys below the folder `prefix`, sorted."""
        raise NotImplementedError

    def entries(self, prefix: str) -> Iterator[Entry]:
        """As `list`, with size and time."""
        raise NotImplementedError

    def unfinished(self) -> Iterator[Entry]:
        """What writers have begun, or died of: `list` does not show it. A bucket has uploads instead."""
        return iter(())

    def dangling_uploads(self, before: datetime) -> Keys:
        """Keys of uploads in parts that began before a time and were never ended: a folder knows none."""
        return []

    def abort_uploads(self, before: datetime) -> None:
        """End them; what they had stored is freed."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys; an absent one is no error."""
        raise NotImplementedError

    def copy(self, source: str, target: str) -> None:
        raise NotImplementedError

    def push(self, local: Path, key: str) -> None:
        """Upload one local file."""
        raise NotImplementedError

    def fetch(self, key: str, local: Path) -> None:
        """Download one file."""
        raise NotImplementedError

    @cached_property
    def filesystem(self) -> pafs.FileSystem:
        raise NotImplementedError

    def uri(self, key: str) -> str:
        """Absolute path, or `s3://bucket/…`."""
        return f"{self.root}/{key}" if key else self.root

    def location(self, key: str) -> str:
        """As Iceberg metadata writes it: `file:///…` or `s3://…`."""
        return self.uri(key)

    def holds(self, uri: str) -> bool:
        """Whether an absolute path or URI is inside the lake."""
        return uri.removeprefix("file://").startswith(self.root + "/")

    def key_of(self, uri: str) -> str:
        """The key of an absolute path or URI inside the lake."""
        plain = uri.removeprefix("file://")
        if not self.holds(uri):
            raise ValueError(f"{uri} is not in the lake {self.root}")
        return plain[len(self.root) + 1 :]

    def open_path(self, key: str) -> str:
        """The path that `filesystem` wants."""
        return self.uri(key).removeprefix("s3://")

    def read_parquet(self, key: str, columns: Keys | None = None) -> pa.Table:
        return pq.read_table(
            self.open_path(key), filesystem=self.filesystem, columns=columns, partitioning=None
        )

    def write_parquet(self, key: str, table: pa.Table) -> None:
        """Write a table as one Parquet file, whole or absent; times in microseconds."""
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression=_COMPRESSION, coerce_timestamps="us")
        self.write(key, sink.getvalue())

    def rows(self, key: str) -> int:
        """Rows of a Parquet file, from its footer."""
        return int(pq.read_metadata(self.open_path(key), filesystem=self.filesystem).num_rows)

    def fetch_dir(self, prefix: str, local: Path) -> None:
        for key in self.list(prefix):
            self.fetch(key, local / key[len(prefix) :].lstrip("/"))

    def push_dir(self, local: Path, prefix: str) -> None:
        for path in sorted(p for p in local.rglob("*") if p.is_file()):
            self.push(path, f"{prefix.rstrip('/')}/{path.relative_to(local).as_posix()}")


def _is_unfinished(path: Path) -> bool:
    return path.name.startswith(".") and path.name.endswith(".part")


class LocalStore(Store):
    def __init__(self, root: str | Path) -> None:
        self.root = str(Path(root).resolve())

    def _path(self, key: str) -> Path:
        path = Path(self.root, key)
        if ".." in Path(key).parts:
            raise ValueError(f"key {key!r} leaves the lake")
        return path

    def location(self, key: str) -> str:
        return f"file://{self.uri(key)}"

    @cached_property
    def filesystem(self) -> pafs.FileSystem:
        return pafs.LocalFileSystem()

    def read(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except NotADirectoryError as error:
            # Where a file stands in a folder's place nothing is below it.
            raise FileNotFoundError(errno.ENOENT, error.strerror, error.filename) from error

    @contextlib.contextmanager
    def _whole(self, key: str) -> Iterator[Path]:
        """A temporary path that becomes `key` when the block ends well."""
        path = self._path(key)
        failpoint("before_write", key)
        make_folder(path.parent)
        # Hidden, so that no reader of the folder takes it for data.
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        try:
            yield part
            failpoint("mid_write", key)
            self._show(part, path)
        finally:
            part.unlink(missing_ok=True)

    @staticmethod
    def _show(part: Path, path: Path) -> None:
        try:
            os.replace(part, path)
        except FileNotFoundError as error:
            raise TakenAway(
                f"{path} was taken away while it was written: by an erasure, it may be"
            ) from error

    def write(self, key: str, data: bytes) -> None:
        with self._whole(key) as part, part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def list(self, prefix: str) -> Keys:
        base = self._path(prefix)
        if not base.is_dir():
            return []
        files = (p for p in base.rglob("*") if p.is_file() and not _is_unfinished(p))
        return sorted(p.relative_to(self.root).as_posix() for p in files)

    def entries(self, prefix: str) -> Iterator[Entry]:
        return self._entries(p for p in self._path(prefix).rglob("*") if not _is_unfinished(p))

    def unfinished(self) -> Iterator[Entry]:
        return self._entries(p for p in Path(self.root).rglob(".*") if _is_unfinished(p))

    def _entries(self, paths: Iterable[Path]) -> Iterator[Entry]:
        for path in sorted(paths):
            # Another process may remove a file between the listing and our look.
            with contextlib.suppress(FileNotFoundError):
                found = path.stat()
                if stat.S_ISREG(found.st_mode):
                    when = datetime.fromtimestamp(found.st_mtime, UTC)
                    yield Entry(path.relative_to(self.root).as_posix(), found.st_size, when)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._path(key).unlink(missing_ok=True)

    def copy(self, source: str, target: str) -> None:
        self.push(self._path(source), target)

    def push(self, local: Path, key: str) -> None:
        with self._whole(key) as part:
            shutil.copyfile(local, part)

    def fetch(self, key: str, local: Path) -> None:
        local.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._path(key), local)


class S3Store(Store):
    def __init__(self, settings: Settings) -> None:
        self.root = settings.lake
        self._settings = settings
        bucket, _, prefix = settings.lake.removeprefix("s3://").partition("/")
        self.bucket, self.prefix = bucket, f"{prefix}/" if prefix else ""

    @cached_property
    def client(self) -> Any:
        import boto3
        from botocore.config import Config

        s = self._settings
        # `standard` gives up after 3 tries; a nightly job can wait longer than a web page.
        # Checksums only where required: stores that are not AWS refuse the trailing ones.
        config = Config(
            retries={"mode": "standard", "max_attempts": 8},
            s3={"addressing_style": "path" if s.s3_endpoint else "auto"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        return boto3.client(
            "s3",
            endpoint_url=s.s3_endpoint or None,
            region_name=s.s3_region,
            aws_access_key_id=s.s3_access_key.get_secret_value() or None,
            aws_secret_access_key=s.s3_secret_key.get_secret_value() or None,
            config=config,
        )

    @cached_property
    def filesystem(self) -> pafs.FileSystem:
        s = self._settings
        return pafs.S3FileSystem(
            access_key=s.s3_access_key.get_secret_value() or None,
            secret_key=s.s3_secret_key.get_secret_value() or None,
            endpoint_override=s.s3_endpoint or None,
            region=s.s3_region,
            force_virtual_addressing=False,
        )

    def _call(self, what: str, call: Callable[[], T]) -> T:
        from boto3.exceptions import S3UploadFailedError
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return call()
        except (ClientError, S3UploadFailedError) as error:
            # An upload that failed says so in words, on top of the store's answer.
            answer = error if isinstance(error, ClientError) else error.__context__
            if not isinstance(answer, ClientError):
                raise Transient(f"the store did not answer {what}: {error}") from error
            code = str(answer.response.get("Error", {}).get("Code", ""))
            if code in {"404", "NoSuchKey", "NoSuchUpload"}:
                raise FileNotFoundError(f"{what}: no such object") from error
            raise self._refused(what, code, answer.operation_name) from error
        except BotoCoreError as error:
            raise Transient(f"the store did not answer {what}: {error}") from error

    def _refused(self, what: str, code: str, operation: str) -> NightshelfError:
        """The error for an answer of the store: what the settings, or the role, must have instead."""
        told = f"the store refused {what}: {code}"
        if code == NO_BUCKET:
            return BadInput(f"{told}; look at 'lake' (bucket {self.bucket}) in the settings")
        if code not in WRONG_KEYS:
            return Transient(told)
        if code in NO_RIGHT and not self._settings.s3_access_key.get_secret_value():
            needed = f"{permission(operation)} on {self.bucket}"
            return BadInput(f"{told}; no keys are set, so this machine's role needs {needed}")
        return BadInput(f"{told}; look at 's3_access_key' and 's3_secret_key' in the settings")

    def _key(self, key: str) -> str:
        return self.prefix + key

    def read(self, key: str) -> bytes:
        def call() -> bytes:
            answer = self.client.get_object(Bucket=self.bucket, Key=self._key(key))
            return bytes(answer["Body"].read())

        return self._call(f"read of {key}", call)

    def write(self, key: str, data: bytes) -> None:
        body = bytes(data)
        failpoint("before_write", key)
        self._call(
            f"write of {key}",
            lambda: self.client.put_object(Bucket=self.bucket, Key=self._key(key), Body=body),
        )

    def exists(self, key: str) -> bool:
        try:
            self._call(
                f"look at {key}",
                lambda: self.client.head_object(Bucket=self.bucket, Key=self._key(key)),
            )
        except FileNotFoundError:
            return False
        return True

    def list(self, prefix: str) -> Keys:
        folder = self._key(prefix.rstrip("/") + "/")

        def call() -> Keys:
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=folder)
            return [o["Key"] for page in pages for o in page.get("Contents", [])]

        return sorted(k[len(self.prefix) :] for k in self._call(f"listing of {prefix}", call))

    def entries(self, prefix: str) -> Iterator[Entry]:
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=self._key(prefix.rstrip("/") + "/")
        )
        for page in self._pages(f"listing of {prefix}", pages):
            for one in page.get("Contents", []):
                yield Entry(one["Key"][len(self.prefix) :], one["Size"], one["LastModified"])

    def _pages(self, what: str, pages: Iterable[Any]) -> Iterator[Any]:
        left = iter(pages)
        while (page := self._call(what, lambda: next(left, None))) is not None:
            yield page

    def _uploads(self, before: datetime) -> Iterator[Any]:
        pages = self.client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self.bucket, Prefix=self.prefix
        )
        for page in self._pages("listing of uploads", pages):
            yield from (u for u in page.get("Uploads", []) if u["Initiated"] < before)

    def dangling_uploads(self, before: datetime) -> Keys:
        return [upload["Key"][len(self.prefix) :] for upload in self._uploads(before)]

    def abort_uploads(self, before: datetime) -> None:
        for upload in list(self._uploads(before)):
            where = {"Bucket": self.bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
            # Another may have ended it meanwhile.
            with contextlib.suppress(FileNotFoundError):
                self._call("end of an upload", partial(self.client.abort_multipart_upload, **where))

    def delete(self, keys: Iterable[str]) -> None:
        left: Errors = [{"Key": self._key(k)} for k in keys]

        def call() -> Errors:
            left[:] = self._delete([one["Key"] for one in left])
            return left

        Retrying(
            stop=_DELETE_STOP,
            wait=_DELETE_WAIT,
            # No try gives a right.
            retry=retry_if_result(lambda f: f and not any(one["Code"] in WRONG_KEYS for one in f)),
            # What is left is told below.
            retry_error_callback=lambda _: None,
        )(call)
        if not left:
            return
        first = next((f for f in left if f["Code"] in WRONG_KEYS), left[0])
        what = f"delete of {first['Key'][len(self.prefix) :]} (one of {len(left)})"
        raise self._refused(what, first["Code"], "DeleteObjects")

    def _delete(self, keys: Keys) -> Errors:
        """Those that are still there, each with `Key` and `Code`: a call that succeeds may have left some."""
        failed: Errors = []
        for start in range(0, len(keys), _DELETE_BATCH):
            objects = [{"Key": k} for k in keys[start : start + _DELETE_BATCH]]
            batch = {"Objects": objects, "Quiet": True}
            call = partial(self.client.delete_objects, Bucket=self.bucket, Delete=batch)
            failed += self._call("delete", call).get("Errors", [])
        return [f for f in failed if f["Code"] != "NoSuchKey"]

    def copy(self, source: str, target: str) -> None:
        where = {"Bucket": self.bucket, "Key": self._key(source)}
        failpoint("before_write", target)
        self._call(f"copy to {target}", lambda: self.client.copy(where, self.bucket, self._key(target)))

    def push(self, local: Path, key: str) -> None:
        failpoint("before_write", key)
        self._call(
            f"upload of {key}",
            lambda: self.client.upload_file(str(local), self.bucket, self._key(key)),
        )

    def fetch(self, key: str, local: Path) -> None:
        local.parent.mkdir(parents=True, exist_ok=True)
        self._call(
            f"download of {key}",
            lambda: self.client.download_file(self.bucket, self._key(key), str(local)),
        )
