"""The README's code really reads a published lake; other engines see the same rows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.settings import ROOT
from tests.duckdb_extensions import lay_extensions
from tests.e2e.conftest import AirflowNight
from tests.nights import published

pytestmark = pytest.mark.e2e

ICEBERG_JAR = "org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.11.0"
SQLITE_JAR = "org.xerial:sqlite-jdbc:3.47.1.0"


def readme_code(name: str) -> str:
    found = re.search(
        rf"<!-- test: {name} -->\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    )
    assert found, f"the README has no code marked 'test: {name}'"
    return found.group(1)


def run_in(folder: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = dict(os.environ) | {"PYTHONPATH": "", "PYSPARK_PYTHON": sys.executable} | environment
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def home(airflow_night: AirflowNight, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `var/lake` is the published lake, with DuckDB's extensions in place."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "var").mkdir()
    (folder / "var" / "lake").symlink_to(airflow_night.settings.lake)
    lay_extensions(folder / ".duckdb" / "extensions")
    return folder


def _jars_or_skip(code: str, home: Path) -> subprocess.CompletedProcess[str]:
    done = run_in(home, code)
    if "unresolved dependency" in done.stderr or "UnknownHost" in done.stderr:
        pytest.skip("Maven cannot be reached for Iceberg's Spark jar")
    return done


def test_pandas_as_in_the_readme(home: Path, airflow_night: AirflowNight) -> None:
    code = readme_code("pandas") + "\nprint('rows', len(frame))"
    done = run_in(home, code)
    assert done.returncode == 0, done.stderr
    wanted = published(airflow_night.settings, "recommendations", airflow_night.ds).num_rows
    assert f"rows {wanted}" in done.stdout


def test_polars_as_in_the_readme(home: Path, airflow_night: AirflowNight) -> None:
    code = readme_code("polars") + "\nprint('rows', copy.filter(pl.col('ds') == day).collect().height)"
    done = run_in(home, code)
    assert done.returncode == 0, done.stderr
    wanted = published(airflow_night.settings, "product_descriptions", airflow_night.ds).num_rows
    assert f"rows {wanted}" in done.stdout


def test_duckdb_as_in_the_readme(home: Path, airflow_night: AirflowNight) -> None:
    count = "connection.sql(f\"SELECT 'rows ' || count(*) FROM iceberg_scan('{similar}')\").fetchone()[0]"
    done = run_in(home, readme_code("duckdb") + f"\nprint({count})", HOME=str(home))
    assert done.returncode == 0, done.stderr
    wanted = published(airflow_night.settings, "similar_items", airflow_night.ds).num_rows
    assert f"rows {wanted}" in done.stdout


def test_spark_as_in_the_readme(home: Path, airflow_night: AirflowNight) -> None:
    done = _jars_or_skip(readme_code("spark") + "\nprint('rows', profiles.count())", home)
    assert done.returncode == 0, done.stderr[-3000:]
    wanted = published(airflow_night.settings, "user_profiles", airflow_night.ds).num_rows
    assert f"rows {wanted}" in done.stdout


def test_spark_reads_the_catalog_itself(home: Path, airflow_night: AirflowNight) -> None:
    """Iceberg's own JDBC catalog opens the one that we keep, and finds every table."""
    lake = airflow_night.settings.lake
    options = {
        "spark.jars.packages": f"{ICEBERG_JAR},{SQLITE_JAR}",
        "spark.sql.catalog.nightshelf": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.nightshelf.catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
        "spark.sql.catalog.nightshelf.uri": f"jdbc:sqlite:{lake}/catalog.db",
        "spark.sql.catalog.nightshelf.warehouse": f"file://{lake}/warehouse",
    }
    code = f"""
from pyspark.sql import SparkSession
builder = SparkSession.builder
for key, value in {options!r}.items():
    builder = builder.config(key, value)
spark = builder.getOrCreate()
tables = [row.tableName for row in spark.sql("SHOW TABLES IN nightshelf.nightshelf").collect()]
import json
print("COUNTS", json.dumps({{t: spark.table(f"nightshelf.nightshelf.{{t}}").count() for t in tables}}))
"""
    done = _jars_or_skip(code, home)
    assert done.returncode == 0, done.stderr[-3000:]
    counts = json.loads(re.search(r"COUNTS (.*)", done.stdout).group(1))  # type: ignore[union-attr]
    listed = subprocess.run(
        [sys.executable, "-m", "jobs.cli", "tables", "--json"],
        env=airflow_night.environment, cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert counts == {t["name"]: t["rows"] for t in json.loads(listed.stdout)}
