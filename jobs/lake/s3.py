"""Files of a lake in an S3 bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow.fs as pafs
from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_exponential

from jobs.causes import NO_BUCKET, NO_RIGHT, WRONG_KEYS, permission
from jobs.errors import BadInput, NightshelfError, Transient
from jobs.failpoints import failpoint
from jobs.lake.store import Entry, Keys, Store

if TYPE_CHECKING:
    from jobs.settings import Settings

T = TypeVar("T")
Errors = list[dict[str, str]]
# An S3 DELETE takes at most this many keys.
_DELETE_BATCH = 1000
# Keys that the store could not remove just now are tried again, with pauses that double, in seconds.
_DELETE_STOP, _DELETE_WAIT = stop_after_attempt(4), wait_exponential(multiplier=0.5)


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
            with suppress(FileNotFoundError):
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
