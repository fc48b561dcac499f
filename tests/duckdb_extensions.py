"""DuckDB's extensions from the Python environment: tests download none."""

from __future__ import annotations

import glob
import shutil
import sys
from pathlib import Path

import duckdb


def lay_extensions(folder: Path) -> Path:
    """Copies what Iceberg needs below `folder`, as DuckDB looks for it; returns the extension directory."""
    platform = duckdb.sql("PRAGMA platform").fetchone()
    assert platform
    for name in ("avro", "iceberg"):
        pattern = (
            f"{sys.prefix}/lib/python*/site-packages/duckdb_extension_{name}/extensions/*/*.duckdb_extension"
        )
        (file,) = glob.glob(pattern)
        target = folder / Path(file).parent.name / str(platform[0])
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return folder
