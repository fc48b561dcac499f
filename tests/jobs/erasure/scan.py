"""Every byte of a lake, unpacked: where an id still stands."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

# NumPy keeps texts as UTF-32; of UTF-16, some tools do.
_ENCODINGS = ("utf-8", "utf-16-le", "utf-32-le")


def places(lake: Path, user_id: str) -> set[str]:
    """Files below the folder that hold the id: as they lie, unpacked, or cell by cell."""
    wanted = [user_id.encode(encoding) for encoding in _ENCODINGS]
    files = [p for p in lake.rglob("*") if p.is_file()]
    return {
        str(p.relative_to(lake))
        for p in files
        if any(form in part for part in (p.name.encode(), *_parts(p.read_bytes())) for form in wanted)
    }


def _parts(data: bytes) -> Iterator[bytes]:
    """A file's bytes, and what is packed in them; a packed file is looked into like any other."""
    yield data
    if data[:4] == b"PAR1":
        yield from _cells(data)
    elif data[:4] == b"Obj\x01":
        yield from _avro_blocks(data)
    elif data[:2] == b"\x1f\x8b":
        yield from _parts(gzip.decompress(data))
    elif data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                yield from _parts(archive.read(member))


def _cells(data: bytes) -> Iterator[bytes]:
    file = pq.ParquetFile(io.BytesIO(data))
    yield str(file.metadata.to_dict()).encode()
    for group in range(file.metadata.num_row_groups):
        for column in file.read_row_group(group).columns:
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                yield "\n".join(v for v in column.to_pylist() if v is not None).encode()


def _avro_blocks(data: bytes) -> Iterator[bytes]:
    """The blocks of an Avro container file: each is what lies between two sync markers."""
    at, codec = 4, b"null"
    count, at = _long(data, at)
    while count:
        for _ in range(abs(count)):
            key, at = _bytes(data, at)
            value, at = _bytes(data, at)
            codec = value if key == b"avro.codec" else codec
        count, at = _long(data, at)
    at += 16
    while at < len(data):
        _, at = _long(data, at)
        block, at = _bytes(data, at)
        yield zlib.decompress(block, -15) if codec == b"deflate" else block
        assert codec in (b"deflate", b"null")
        at += 16


def _long(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return (value >> 1) ^ -(value & 1), at


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    length, at = _long(data, at)
    return data[at : at + length], at + length
