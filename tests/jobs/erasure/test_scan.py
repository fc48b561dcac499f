"""The look for an id sees into every kind of file that a lake holds: it proves nothing where it is blind."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.jobs.erasure.scan import places

WHO = "zoe.secret-77"


def npz(name: str) -> bytes:
    """As models and a scored shop are kept: texts of four bytes a letter, packed."""
    data = io.BytesIO()
    np.savez_compressed(data, price=np.arange(100), user_id=np.array(["ada", name]))
    return data.getvalue()


def zipped(member: str, content: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
    return data.getvalue()


def parquet(name: str) -> bytes:
    """A dictionary of strings, packed: the plain bytes do not show the name."""
    data = io.BytesIO()
    # Statistics hold the least and the greatest.
    rows = pa.table({"user_id": ["a", *[name] * 50, "~"]})
    pq.write_table(rows, data, compression="zstd")
    return data.getvalue()


KINDS: dict[str, Callable[[str], bytes]] = {
    "text": lambda name: f"<p>{name}</p>".encode(),
    "two bytes a letter": lambda name: name.encode("utf-16-le"),
    "four bytes a letter": lambda name: np.array([name]).tobytes(),
    "gzip": lambda name: gzip.compress(name.encode()),
    "npz": npz,
    "a Keras file": lambda name: zipped("config.json", f'{{"name": "{name}"}}'.encode()),
    "Parquet": parquet,
    "Parquet in a zip": lambda name: zipped("rows.parquet", parquet(name)),
    "npz in gzip": lambda name: gzip.compress(npz(name)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_id_is_seen_in_a_file(kind: str, tmp_path: Path) -> None:
    for name, who in (("hers", WHO), ("another", "bob.secret-88")):
        (tmp_path / name).write_bytes(KINDS[kind](who))
    assert places(tmp_path, WHO) == {"hers"}
