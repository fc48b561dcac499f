"""One run as a step sees it: its date, its pinned inputs, what it stages and notes."""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal, TypeVar

import pyarrow as pa
import pyarrow.dataset as pads

from jobs.errors import BadInput
from jobs.lake.catalog import LakeCatalog, between, partition_value
from jobs.lake.publish import Publisher
from jobs.lake.registry import BY_NAME
from jobs.lake.staging import Staging
from jobs.lake.store import Store
from jobs.settings import Settings

T = TypeVar("T")
Retrain = Literal["auto", "always", "never"]
REVIEWS = "reviews"  # the folder of what people decided: `jobs/reviews.py`


@dataclass(frozen=True)
class Options:
    """What a person may choose for one run; recorded by `pin_inputs`."""

    retrain: Retrain = "auto"
    max_users: int | None = None
    max_products: int | None = None
    # Numbers that changed for good stop this night no more, and history begins anew at its date.
    accept_changes: bool = False


def safe_run_id(run_id: str) -> str:
    """A run id as a folder name: Airflow's own ids carry ':' and '+'."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "-", run_id)[:200]
    if not safe.strip(".-"):
        raise BadInput(f"--run-id '{run_id}': use letters, digits, '.', '_' or '-'")
    return safe


class Night:
    """One run for one date. Reading sees this run's staged tables first, then the pinned ones."""

    def __init__(self, settings: Settings, ds: date, run_id: str, options: Options | None = None) -> None:
        self.settings = settings
        self.ds = ds
        self.run_id = safe_run_id(run_id)
        self.store = Store.of(settings)
        self.catalog = LakeCatalog(settings, self.store)
        self.staging = Staging(self.catalog, self.run_id)
        self._given = options
        self._record: dict[str, Any] | None = None

    # -- the run's record ---------------------------------------------------

    def key(self, name: str) -> str:
        """Key of something in the run's folder."""
        return f"runs/{self.run_id}/{name}"

    def pin(self) -> dict[str, Any]:
        """Record date, options and the metadata file of every table; forget an earlier attempt.

        Raises `BadInput` for a run of another date: its record is what a rollback and a trace go by.
        """
        with suppress(FileNotFoundError):
            self._require_date(json.loads(self.store.read(self.key("run.json"))))
        self.store.delete(
            k for part in ("staged", "steps", "notes", "models") for k in self.store.list(self.key(part))
        )
        # Read before the pointers: what is forgotten in between is then taken for later than the pins.
        sequence = Publisher(self.catalog).sequence()
        self._record = {
            "run_id": self.run_id,
            "ds": self.ds.isoformat(),
            "options": asdict(self._given or Options()),
            "sequence": sequence,
            "pins": self.catalog.pointers(),
            # A verdict that is imported while the run goes on counts for the next one.
            "reviews": self.store.list(REVIEWS),
        }
        self._write_json(self.key("run.json"), self._record)
        return self._record

    @property
    def record(self) -> dict[str, Any]:
        """The run's record; a step started by hand without `pin_inputs` pins for itself."""
        if self._record is None:
            try:
                self._record = json.loads(self.store.read(self.key("run.json")))
            except FileNotFoundError:
                return self.pin()
            self._require_date(self._record)
        return self._record

    def _require_date(self, record: Mapping[str, Any]) -> None:
        if record["ds"] != self.ds.isoformat():
            raise BadInput(f"run '{self.run_id}' is of {record['ds']}, not {self.ds}: give another run id")

    @property
    def options(self) -> Options:
        return self._given or Options(**self.record["options"])

    @property
    def pins(self) -> dict[str, str]:
        pins: dict[str, str] = self.record["pins"]
        return pins

    @property
    def sequence(self) -> int:
        """The number of the newest publish when the run was pinned; 0 for a run from before it was kept."""
        return int(self.record.get("sequence", 0))

    # -- reading ------------------------------------------------------------

    def is_staged(self, table: str) -> bool:
        return self.staging.record(table) is not None

    def metadata(self, table: str) -> str | None:
        """The metadata file this run reads: its own staged one, else the pinned one."""
        staged = self.staging.record(table)
        return staged.metadata if staged else self.pins.get(table)

    def files(self, table: str, start: date | None = None, end: date | None = None) -> list[str]:
        """Data files (paths or `s3://` URIs) of the days from start to end, both included.

        Without bounds: the run's own date, or all of a table that has no `ds` partition.
        """
        metadata = self.metadata(table)
        if metadata is None:
            return []
        spec = BY_NAME[table]
        row_filter = None
        if spec.partition == "ds":
            if start is None and end is None:
                start = end = self.ds
            row_filter = between("ds", start, end or self.ds)
        found = self.catalog.files(metadata, row_filter)
        return sorted(f.file_path.removeprefix("file://") for f in found)

    def partitions(self, table: str) -> list[Any]:
        """Partition values present, sorted; a day staged empty is absent."""
        metadata = self.metadata(table)
        if metadata is None:
            return []
        spec = BY_NAME[table]
        return sorted({partition_value(spec, f) for f in self.catalog.files(metadata)})

    def _dataset(self, table: str, start: date | None, end: date | None) -> pads.Dataset:
        paths = [self.store.open_path(self.store.key_of(f)) for f in self.files(table, start, end)]
        return pads.dataset(
            paths, schema=BY_NAME[table].schema, format="parquet", filesystem=self.store.filesystem
        )

    def read(
        self,
        table: str,
        start: date | None = None,
        end: date | None = None,
        columns: list[str] | None = None,
    ) -> pa.Table:
        """The rows of the days from start to end as one Arrow table (default: the run's date)."""
        if not self.files(table, start, end):
            empty = BY_NAME[table].schema.empty_table()
            return empty.select(columns) if columns else empty
        return self._dataset(table, start, end).to_table(columns=columns)

    def batches(
        self,
        table: str,
        start: date | None = None,
        end: date | None = None,
        columns: list[str] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """As `read`, one record batch at a time."""
        if self.files(table, start, end):
            yield from self._dataset(table, start, end).to_batches(columns=columns)

    def row_groups(self, table: str, day: date) -> Iterator[pads.ParquetFileFragment]:
        """The row groups of a day's files, in the order of the files; only footers are read."""
        if self.files(table, day, day):
            for file in self._dataset(table, day, day).get_fragments():
                yield from file.split_by_row_group()

    # -- staging ------------------------------------------------------------

    def new_data_dir(self, table: str) -> str:
        """Key of a fresh folder for data files: no attempt writes where another wrote."""
        return f"warehouse/{table}/data/{self.ds.isoformat()}-{uuid.uuid4().hex[:12]}"

    def stage(self, table: str, data: pa.Table, partitions: Sequence[Any] | None = None) -> int:
        """Stage `data` as the whole content of `partitions` (default: the run's date); returns the rows."""
        spec = BY_NAME[table]
        data = data.select(spec.schema.names).cast(spec.schema)
        wanted = list(partitions) if partitions is not None else [self.ds]
        folder = self.new_data_dir(table)
        values = data[spec.partition]
        files = []
        for number, value in enumerate(values.unique().to_pylist()):
            if value not in wanted:
                raise ValueError(f"{table}: rows of partition {value}, staged were {wanted[:3]}")
            part = data.filter(pa.compute.equal(values, value))
            files.append(f"{folder}/part-{number:05d}.parquet")
            self.store.write_parquet(files[-1], part)
        return self.stage_files(table, files, wanted)

    def stage_files(self, table: str, files: Sequence[str], partitions: Sequence[Any] | None = None) -> int:
        """Stage Parquet files (keys) that are in the lake already; returns the rows.

        Files under `work/` are copied first: a later attempt may write there again.
        """
        wanted = list(partitions) if partitions is not None else [self.ds]
        keys = [k for k in files if not k.startswith("work/")]
        shards = [k for k in files if k.startswith("work/")]
        if shards:
            folder = self.new_data_dir(table)
            for number, key in enumerate(shards):
                target = f"{folder}/part-{number:05d}.parquet"
                self.store.copy(key, target)
                keys.append(target)
        # A file without rows has no partition value to be filed under.
        uris = [self.store.location(k) for k in keys if self.store.rows(k) > 0]
        return self.staging.stage(table, wanted, uris).rows

    def mark_audited(self, table: str) -> None:
        """Record that the table passed the audit exactly as it is staged now."""
        self.staging.mark_audited(table)

    # -- models, notes, work ------------------------------------------------

    def add_model(self, row: dict[str, Any]) -> None:
        """The candidate's row for `models`; measures may be given as dictionaries."""
        full = {name: row.get(name) for name in BY_NAME["models"].schema.names}
        for name in ("metrics", "baseline", "incumbent", "trained_on"):
            if not isinstance(full[name], str):
                full[name] = json.dumps(full[name] or {}, sort_keys=True)
        full["ds"] = self.ds.isoformat()
        if full["verdict"] not in ("accepted", "refused"):
            raise ValueError(f"verdict {full['verdict']!r}: accepted or refused")
        self._write_json(self.key(f"models/{row['model']}.json"), full)

    def candidates(self) -> list[dict[str, Any]]:
        """The model rows that this run added."""
        return [json.loads(self.store.read(k)) for k in self.store.list(self.key("models"))]

    def model_in_service(self, model: str, before: bool = False) -> dict[str, Any] | None:
        """The model to use: this run's accepted candidate, else the newest accepted one up to the date.

        `before=True` leaves out the date itself, this run's candidate and an
        earlier run's: it is the incumbent that a new candidate is held against.
        """
        own = [c for c in self.candidates() if c["model"] == model]
        if not before:
            accepted = next((c for c in own if c["verdict"] == "accepted"), None)
            if accepted:
                return accepted
            # This run's candidate replaces what an earlier run of the date trained, though it was refused.
            before = bool(own)
        rows = self.read("models", start=date.min, end=self.ds).to_pylist()
        known = [r for r in rows if r["model"] == model and r["verdict"] == "accepted"]
        known = [r for r in known if r["ds"] < self.ds or not before]
        return max(known, key=lambda r: (r["ds"], r["version"]), default=None)

    def note(self, name: str, value: Any) -> None:
        """Keep something for the report, under a name."""
        self._write_json(self.key(f"notes/{name}.json"), value)

    def notes(self) -> dict[str, Any]:
        keys = self.store.list(self.key("notes"))
        return {k.rsplit("/", 1)[-1].removesuffix(".json"): json.loads(self.store.read(k)) for k in keys}

    def work(self, name: str) -> str:
        """Key prefix for shards; the same on every retry of this run."""
        return f"work/{self.run_id}/{name}"

    def track(self, items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
        """Iterate with a progress bar on stderr; silent where nobody looks."""
        if not sys.stderr.isatty():
            yield from items
            return
        from rich.console import Console
        from rich.progress import track

        yield from track(items, description, total=total, console=Console(stderr=True))

    def _write_json(self, key: str, value: Any) -> None:
        self.store.write(key, json.dumps(value, ensure_ascii=False, sort_keys=True, default=_plain).encode())


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} does not go into JSON")
