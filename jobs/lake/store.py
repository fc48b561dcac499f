"""Files of the lake: a folder or an S3 bucket (`jobs/lake/s3.py`) behind one interface.

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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from jobs.errors import BadInput, Transient
from jobs.failpoints import failpoint

if TYPE_CHECKING:
    from jobs.settings import Settings

# Inside the classes below `list` is the method.
Keys = list[str]
_COMPRESSION = "zstd"
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
        if not settings.on_s3:
            return LocalStore(settings.lake)
        from jobs.lake.s3 import S3Store

        return S3Store(settings)

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
