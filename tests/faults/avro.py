"""Reads Avro files with nothing but the standard library: manifests, as a stranger's program would."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

_MAGIC = b"Obj\x01"


def records(data: bytes) -> Iterator[dict[str, Any]]:
    """The records of an Avro object container file (codecs `null` and `deflate`)."""
    source = io.BytesIO(data)
    if source.read(4) != _MAGIC:
        raise ValueError("not an Avro file")
    about = _value(source, {"type": "map", "values": "bytes"}, {})
    schema = json.loads(about["avro.schema"])
    codec = about.get("avro.codec", b"null").decode()
    sync = source.read(16)
    while True:
        if source.tell() == len(data):
            return
        count, size = _long(source), _long(source)
        block = source.read(size)
        if len(block) != size or source.read(16) != sync:
            raise ValueError("a torn Avro block")
        if codec == "deflate":
            block = zlib.decompress(block, -15)
        elif codec != "null":
            raise ValueError(f"Avro codec {codec}")
        inner = io.BytesIO(block)
        for _ in range(count):
            yield _value(inner, schema, {})


def _long(source: io.BytesIO) -> int:
    shift, found = 0, 0
    while True:
        (byte,) = source.read(1)
        found |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return (found >> 1) ^ -(found & 1)
        shift += 7


def _value(source: io.BytesIO, schema: Any, known: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return _value(source, schema[_long(source)], known)
    if isinstance(schema, str):
        return _value(source, known[schema], known) if schema in known else _plain(source, schema)
    kind = schema["type"]
    if kind in ("record", "fixed"):
        known[schema["name"]] = schema
    if kind == "record":
        return {f["name"]: _value(source, f["type"], known) for f in schema["fields"]}
    if kind == "fixed":
        return source.read(schema["size"])
    if kind == "array":
        return [_value(source, schema["items"], known) for _ in _items(source)]
    if kind == "map":
        return {_plain(source, "string"): _value(source, schema["values"], known) for _ in _items(source)}
    return _value(source, kind, known)


def _items(source: io.BytesIO) -> Iterator[None]:
    while (count := _long(source)) != 0:
        if count < 0:
            _long(source)  # the block's size in bytes
        yield from [None] * abs(count)


def _plain(source: io.BytesIO, kind: str) -> Any:
    if kind == "null":
        return None
    if kind == "boolean":
        return source.read(1) == b"\x01"
    if kind in ("int", "long"):
        return _long(source)
    if kind == "float":
        return struct.unpack("<f", source.read(4))[0]
    if kind == "double":
        return struct.unpack("<d", source.read(8))[0]
    body = source.read(_long(source))
    return body.decode() if kind == "string" else body
