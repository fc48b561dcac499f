"""Raw files before Spark sees them: found, hashed, and shown to be readable to the last byte.

Spark reads a torn gzip file up to the tear, and bytes of another encoding as
question marks, without a word. So every file is streamed once beforehand.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from jobs.causes import understood
from jobs.errors import BadInput, NightshelfError, Transient
from jobs.intake.mapping import Read
from jobs.intake.quotes import OpenQuotes
from jobs.lake.s3 import S3Store
from jobs.settings import Settings

_BLOCK = 1 << 20
# Lines that leave a quote open: so few are damaged rows, more are fields with line breaks.
_FEW_OPEN = 2
_FEW_OPEN_SHARE = 0.001
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Found:
    """One raw file: its URI (absolute path or `s3://…`), and whether a person named it itself."""

    uri: str
    named: bool

    @property
    def name(self) -> str:
        return self.uri.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class RawFile:
    """A readable raw file. `size` is in bytes after decompression; `columns` is empty for JSON.

    types: of the columns; of Parquet files only.
    """

    uri: str
    name: str
    sha256: str
    size: int
    columns: tuple[str, ...] = ()
    types: tuple[str, ...] = ()


def filesystem(uri: str, settings: Settings) -> tuple[pafs.FileSystem, str]:
    """The file system of a URI, and the path that it wants."""
    if uri.startswith("s3://"):
        return S3Store(settings).filesystem, uri.removeprefix("s3://")
    return pafs.LocalFileSystem(), uri


class NotThere(BadInput):
    """A pattern names no file, and its folder or bucket could be looked through."""


def find_files(patterns: Iterable[str], settings: Settings) -> list[Found]:
    """Files that paths, folders, globs and `s3://` URIs name, each once, sorted.

    Names that start with '.' or '_' are left out of folders and globs.
    Raises `NotThere` where a pattern names nothing, `BadInput` where one may not look, `Transient` where a
    store does not answer.
    """
    found: dict[str, Found] = {}
    for pattern in patterns:
        here = _find(pattern, settings)
        if not here:
            raise NotThere(
                f"'{pattern}': no such file; give a file, a folder, a glob in quotes, or s3://bucket/…"
            )
        for file in here:
            if file.uri not in found or file.named:
                found[file.uri] = file
    return [found[uri] for uri in sorted(found)]


def _find(pattern: str, settings: Settings) -> list[Found]:
    uri = pattern.removeprefix("file://")
    if not uri.startswith("s3://"):
        uri = str(Path(uri).expanduser().absolute())
    fs, path = filesystem(uri, settings)
    prefix = "s3://" if uri.startswith("s3://") else ""
    try:
        info = fs.get_file_info(path.rstrip("/"))
        if info.type == pafs.FileType.File:
            return [Found(prefix + path, True)]
        if info.type == pafs.FileType.Directory:
            return [Found(prefix + p, False) for p in _list(fs, path.rstrip("/"), True)]
        if not _WILD.search(path):
            return []
        base = path[: _WILD.search(path).start()].rpartition("/")[0]  # type: ignore[union-attr]
        rest = path[len(base) + 1 :]
        wanted = re.compile(re.escape(base + "/") + _glob(rest))
        return [Found(prefix + p, False) for p in _list(fs, base, "/" in rest) if wanted.fullmatch(p)]
    except OSError as error:
        raise _unreadable(f"'{pattern}'", uri, error) from error


def _unreadable(what: str, uri: str, error: OSError) -> NightshelfError:
    """On a disk it is the file's fault; on a store the network's, unless the store says that we may not."""
    told = " ".join(str(error.strerror or error).split())
    if not uri.startswith("s3://") or isinstance(error, FileNotFoundError):
        return BadInput(f"{what}: cannot be read: {told}")
    if isinstance(understood(error), BadInput):
        return BadInput(
            f"{what}: the store refused: {told}; look at its bucket, and at 's3_…' in the settings"
        )
    return Transient(f"{what}: the store did not answer: {told}")


def _list(fs: pafs.FileSystem, folder: str, recursive: bool) -> list[str]:
    infos = fs.get_file_info(pafs.FileSelector(folder, allow_not_found=True, recursive=recursive))
    files = [i.path for i in infos if i.type == pafs.FileType.File]
    hidden = re.compile(r"(^|/)[._]")
    return [f for f in files if not hidden.search(f[len(folder) + 1 :])]


def _glob(pattern: str) -> str:
    """A glob as a regular expression: `*` and `?` stop at '/', `**` does not."""
    out = ""
    for part in re.split(r"(\*\*/?|\*|\?|\[[^\]]+\])", pattern):
        fixed = {"**": ".*", "**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}.get(part)
        if fixed is None and part.startswith("[") and part.endswith("]"):
            fixed = "[" + part[1:-1].replace("!", "^", 1) + "]" if part[1] == "!" else part
        out += re.escape(part) if fixed is None else fixed
    return out


def matches(file: Found, pattern: str) -> bool:
    return fnmatchcase(file.name, pattern)


def check_file(file: Found, read: Read, settings: Settings) -> RawFile:
    """Stream a file once: hash it, prove it readable, take its header.

    Raises `BadInput` for an empty, torn, binary or wrongly encoded file, `Transient` where a store does not
    answer.
    """
    fs, path = filesystem(file.uri, settings)
    types: tuple[str, ...] = ()
    try:
        with fs.open_input_stream(path, compression=None) as stream:
            hashing = _Hashing(stream)
            if read.format == "parquet":
                hashing.drain()
                schema, size = _parquet_schema(file, fs, path), hashing.count
                columns, types = tuple(schema.names), tuple(str(t) for t in schema.types)
            else:
                first, size = _check_text(file, hashing, read)
                columns = _csv_header(file, first, read) if read.format == "csv" else ()
                if read.format != "csv":
                    _check_json_start(file, first, read)
    except OSError as error:
        raise _unreadable(file.uri, file.uri, error) from error
    return RawFile(file.uri, file.name, hashing.hexdigest(), size, columns, types)


class _Hashing(io.RawIOBase):
    """A stream that remembers the hash and the count of the bytes read through it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.count = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = bytes(self._stream.read(size if size >= 0 else None))
        self._hash.update(data)
        self.count += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def drain(self) -> None:
        while self.read(_BLOCK):
            pass

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def _check_text(file: Found, raw: _Hashing, read: Read) -> tuple[str, int]:
    """Decompress and decode everything; returns the beginning of the text, and the size in bytes."""
    packed = file.name.endswith(".gz")
    stream: Any = gzip.GzipFile(fileobj=io.BufferedReader(raw, _BLOCK)) if packed else raw
    decode = codecs.getincrementaldecoder(read.encoding)("strict")
    quotes = OpenQuotes(read.delimiter.encode(read.encoding)) if read.guesses_lines else None
    first, size, lines = "", 0, 1
    while True:
        try:
            block = stream.read(_BLOCK)
        except (EOFError, zlib.error) as error:
            raise BadInput(
                f"{file.uri}: the gzip file is torn or damaged ({error}); fetch it again"
            ) from None
        except gzip.BadGzipFile:
            raise BadInput(f"{file.uri}: not a gzip file; rename it without .gz, or fetch it again") from None
        if not first:
            _refuse_binary(file, block, read)
        try:
            text = decode.decode(block, final=not block)
        except UnicodeDecodeError as error:
            line = lines + block[: error.start].count(b"\n")
            raise BadInput(
                f"{file.uri}: near line {line}: not {read.encoding}; set encoding under [read] in the "
                "mapping, such as cp1252 or gb18030"
            ) from None
        if quotes is not None:
            quotes.feed(block)
        if not block:
            break
        first = first or text
        size += len(block)
        lines += block.count(b"\n")
    if quotes is not None:
        _refuse_line_breaks(file, quotes)
    if not first.strip("\ufeff \t\r\n"):
        raise BadInput(f"{file.uri}: the file is empty; leave it out, or fetch it again")
    return first.removeprefix("\ufeff"), size


def _refuse_line_breaks(file: Found, quotes: OpenQuotes) -> None:
    """Cut at a line break inside a field, a row would be two, and the first might pass for a good one."""
    if quotes.opened > max(_FEW_OPEN, _FEW_OPEN_SHARE * quotes.lines):
        raise BadInput(
            f"{file.uri}: near line {quotes.first}, and in {quotes.opened:,} lines in all, a quoted field is "
            "not closed: set multiline = true under [read] in the mapping where fields hold line breaks, "
            "else multiline = false"
        )


def _refuse_binary(file: Found, block: bytes, read: Read) -> None:
    if block.startswith(b"\x1f\x8b"):
        raise BadInput(f"{file.uri}: looks like gzip; name it {file.name}.gz")
    if block.startswith(b"PAR1"):
        raise BadInput(f'{file.uri}: is a Parquet file; set format = "parquet" under [read] in the mapping')
    if block.startswith(b"PK\x03\x04"):
        raise BadInput(f"{file.uri}: a zip archive, or a spreadsheet: unpack it, or save its sheet as CSV")
    wide = codecs.lookup(read.encoding).name.startswith(("utf-16", "utf-32"))
    if b"\x00" in block and not wide:
        raise BadInput(f"{file.uri}: binary, not {read.format} text; give CSV, JSON Lines, JSON or Parquet")


def _csv_header(file: Found, first: str, read: Read) -> tuple[str, ...]:
    header = [name.strip() for name in _first_record(first, read.delimiter)]
    folded = [name.lower() for name in header]
    for name in header:
        if folded.count(name.lower()) > 1:
            raise BadInput(f"{file.uri}: column '{name}' stands twice in the header; rename one")
    if "" in header:
        # A frame saved with its index begins with a column without a name.
        header = [name or f"_column_{place + 1}" for place, name in enumerate(header)]
    return tuple(header)


def _first_record(text: str, delimiter: str) -> list[str]:
    """The fields of the first record. Python's reader takes one character, Spark a delimiter of several."""
    if len(delimiter) == 1:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    stand_in = next(c for c in map(chr, range(0xE000, 0xF8FF)) if c not in text)
    rows = csv.reader(io.StringIO(text.replace(delimiter, stand_in), newline=""), delimiter=stand_in)
    return [field.replace(stand_in, delimiter) for field in next(rows, [])]


def _check_json_start(file: Found, first: str, read: Read) -> None:
    start = first.lstrip()[:1]
    if read.format == "jsonl" and start != "{":
        hint = (
            'an array: set format = "json" under [read]'
            if start == "["
            else "one JSON object per line is needed"
        )
        raise BadInput(f"{file.uri}: not JSON Lines: it starts with '{start}'; {hint}")
    if read.format == "json" and start not in ("{", "["):
        raise BadInput(
            f"{file.uri}: not JSON: it starts with '{start}'; give one object keyed by id, or an array"
        )


def _parquet_schema(file: Found, fs: pafs.FileSystem, path: str) -> pa.Schema:
    try:
        with fs.open_input_file(path) as handle:
            return pq.read_schema(handle)
    except pa.ArrowException as error:
        raise BadInput(
            f"{file.uri}: not a readable Parquet file ({str(error)[:120]}); fetch it again"
        ) from None
