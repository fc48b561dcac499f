"""An outside reader of a lake: SQL, JSON, Avro and Parquet, and nothing of Nightshelf.

It is what another team would write from Iceberg's specification, so it sees what they would see.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import sqlalchemy as sa

from tests.faults import avro

Row = dict[str, Any]
_DELETED = 2


@dataclass(frozen=True)
class DataFile:
    uri: str
    partition: Any
    rows: int


@dataclass
class Bucket:
    """Where an S3 lake lies, for boto3."""

    endpoint: str
    access_key: str
    secret_key: str

    @cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}),
        )

    def client(self) -> Any:
        return self._client


@dataclass
class Outside:
    """A lake by its folder or `s3://` URI, its catalog's SQLAlchemy URL and, on S3, its bucket's keys."""

    lake: str
    catalog: str
    bucket: Bucket | None = None
    _files: dict[str, bytes] = field(default_factory=dict)

    # -- files ---------------------------------------------------------------

    def fetch(self, uri: str) -> bytes:
        """The bytes of a path or URI; `FileNotFoundError` when it is absent."""
        if not uri.startswith("s3://"):
            return Path(uri.removeprefix("file://")).read_bytes()
        assert self.bucket
        client = self.bucket.client()
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        try:
            return bytes(client.get_object(Bucket=bucket, Key=key)["Body"].read())
        except client.exceptions.NoSuchKey:
            raise FileNotFoundError(uri) from None

    def listing(self, prefix: str) -> list[str]:
        """URIs below a folder of the lake, in the form in which the lake's metadata names them."""
        return sorted(self.written(prefix))

    def written(self, prefix: str) -> dict[str, float]:
        """Those URIs, and when each was last written, in seconds UTC."""
        if not self.lake.startswith("s3://"):
            found = ((p, p.stat()) for p in Path(self.lake, prefix).rglob("*") if p.is_file())
            return {f"file://{path}": about.st_mtime for path, about in found}
        assert self.bucket
        bucket, _, root = self.lake.removeprefix("s3://").partition("/")
        pages = self.bucket.client().get_paginator("list_objects_v2")
        objects = pages.paginate(Bucket=bucket, Prefix=f"{root}/{prefix}")
        return {
            f"s3://{bucket}/{o['Key']}": o["LastModified"].timestamp()
            for page in objects
            for o in page.get("Contents", [])
        }

    def _once(self, uri: str) -> bytes:
        """Files that never change are read once."""
        if uri not in self._files:
            self._files[uri] = self.fetch(uri)
        return self._files[uri]

    def json(self, key: str) -> Any:
        return json.loads(self.fetch(f"{self.lake}/{key}"))

    def current(self) -> Row | None:
        try:
            found: Row = self.json("current.json")
        except FileNotFoundError:
            return None
        return found

    # -- the catalog -----------------------------------------------------------

    def sql(self, statement: str) -> list[Row]:
        """The rows of a query; none where the catalog or the table is not made yet."""
        url = sa.make_url(self.catalog)
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
            return []
        engine = sa.create_engine(self.catalog, poolclass=sa.NullPool)
        with engine.connect() as connection:
            if not sa.inspect(connection).has_table(statement.split(" FROM ")[1].split()[0]):
                return []
            return [dict(row._mapping) for row in connection.execute(sa.text(statement))]

    def pointers(self) -> dict[str, str]:
        """Table → metadata file, by one statement."""
        rows = self.sql("SELECT table_name, metadata_location FROM iceberg_tables")
        return {r["table_name"]: r["metadata_location"] for r in rows}

    def publishes(self) -> list[Row]:
        rows = self.sql("SELECT seq, run_id, ds, kind, tables FROM nightshelf_publishes ORDER BY seq")
        return [r | {"tables": json.loads(r["tables"])} for r in rows]

    # -- tables ------------------------------------------------------------------

    def metadata(self, uri: str) -> Row:
        found: Row = json.loads(self._once(uri))
        return found

    def manifests(self, uri: str) -> Iterator[str]:
        """The manifest list of the current snapshot, then its manifests."""
        about = self.metadata(uri)
        for snapshot in about.get("snapshots", []):
            if snapshot["snapshot-id"] == about.get("current-snapshot-id"):
                listed = snapshot["manifest-list"]
                yield listed
                yield from (m["manifest_path"] for m in avro.records(self._once(listed)))

    def data_files(self, uri: str) -> list[DataFile]:
        """The live data files of one metadata file."""
        about = self.metadata(uri)
        found = []
        for manifest in list(self.manifests(uri))[1:]:
            for entry in avro.records(self._once(manifest)):
                if entry["status"] == _DELETED:
                    continue
                file = entry["data_file"]
                (value,) = file["partition"].values()
                found.append(DataFile(file["file_path"], _partition(value, about), file["record_count"]))
        return sorted(found, key=lambda f: f.uri)

    def rows(self, uri: str, partition: Any = None) -> list[Row]:
        """The rows of a table, of one partition or of all, in the order of all their columns."""
        found: list[Row] = []
        for file in self.data_files(uri):
            if partition in (None, file.partition):
                table = pq.ParquetFile(io.BytesIO(self._once(file.uri))).read()
                if table.num_rows != file.rows:
                    raise ValueError(f"{file.uri} holds {table.num_rows} rows, its manifest says {file.rows}")
                found += table.to_pylist()
        return sorted(found, key=lambda r: json.dumps(r, sort_keys=True, default=str))

    def published(self, ds: str, skip: tuple[str, ...] = ("runs",)) -> dict[str, list[Row]]:
        """The rows of one date, of every table that `current.json` names."""
        current = self.current() or {"tables": {}}
        return {t: self.rows(m, ds) for t, m in current["tables"].items() if t not in skip}


def _partition(value: Any, about: Row) -> Any:
    """A day as an ISO date, anything else as it stands."""
    fields = {f["name"]: f["type"] for f in about["schemas"][-1]["fields"]}
    (spec,) = about["partition-specs"][-1]["fields"]
    if fields.get(spec["name"]) == "date" and isinstance(value, int):
        return (date(1970, 1, 1) + timedelta(days=value)).isoformat()
    return value
