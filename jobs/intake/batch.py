"""One landing of new files: every entity's rows, then the manifest that shows them."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.errors import BadInput, Transient
from jobs.intake.files import RawFile
from jobs.intake.forgotten import scrubbed, theirs
from jobs.intake.mapped import LANDING, Arrival, distinct_versions, landed_rows, values_of
from jobs.intake.mapping import Entity, EntityName, Mapping, nearest
from jobs.intake.pseudonyms import pseudonymised
from jobs.intake.raw import FILE, UNREADABLE, read_raw, reading
from jobs.lake import pseudonyms
from jobs.lake.forgotten import load
from jobs.lake.store import Store
from jobs.settings import Settings
from jobs.spark import path

_BYTES_PER_FILE = 128 << 20


@dataclass(frozen=True)
class Landed:
    """What one call landed of one entity. `status`: landed, or known (nothing was left to land).

    `refused`: rows per rule that the landing itself saw broken; `clean` holds them against the others.
    """

    source: str
    entity: str
    status: str
    files: tuple[str, ...]
    rows: int = 0
    skipped: int = 0
    first_day: date | None = None
    last_day: date | None = None
    remapped: tuple[str, ...] = ()
    refused: dict[str, int] = field(default_factory=dict)

    def sentence(self) -> str:
        """For people: what happened, and what to know about it."""
        what = f"{self.source}: {self.entity}: "
        if self.status == "known":
            what += f"nothing new, {len(self.files)} file(s) are landed already"
        else:
            days = f", days {self.first_day} to {self.last_day}" if self.first_day else ""
            what += f"{self.rows:,} rows from {len(self.files)} file(s){days}"
        if self.skipped:
            what += f"; {self.skipped:,} rows belong to no section of the mapping and were left out"
        if self.refused:
            worst = sorted(self.refused.items(), key=lambda one: (-one[1], one[0]))
            what += "; refused on arrival: " + ", ".join(f"{rows:,} {rule}" for rule, rows in worst)
        if self.refused.get("too_late", 0) > self.rows // 2:
            what += " (a history goes without --ds, and without 'arrived_from_filename' of [events.read])"
        if self.remapped:
            what += (
                f"; {self.remapped[0]} was landed with an earlier version of the mapping, and stays as it was"
            )
        return what


class Batch:
    """One landing of some new files: writes every entity's rows, then the manifest that shows them."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        spark: SparkSession,
        mapping: Mapping,
        files: dict[EntityName, list[RawFile]],
        arrived: date | None,
        identities: list[str],
    ) -> None:
        self.settings, self.store, self.spark, self.mapping = settings, store, spark, mapping
        self.files = {e: group for e, group in files.items() if group}
        self.arrived = arrived
        self.identities = identities
        self.attempt = uuid.uuid4().hex[:8]
        self.forgotten = load(store)
        self.pseudonyms = pseudonyms.require(settings, store)
        self._folders: list[str] = []
        self._refused: dict[EntityName, dict[str, int]] = {}

    def write(self, fingerprint: str, remapped: tuple[str, ...]) -> list[Landed]:
        name = hashlib.sha256("\n".join([fingerprint, *self.identities]).encode()).hexdigest()[:16]
        try:
            with reading(self.spark):
                # All of the mapping is analysed before the first row is written.
                raws = {e: self._raw(e) for e in self.files}
                rows = {e: self._rows(e, raws[e]) for e in self.files}
                bodies = {e: self._write_entity(e, rows[e], name) for e in self.files}
                skipped = self._skipped(raws)
        except PySparkException as error:
            self._forget()
            raise self._bad_sql(error) from error
        except BaseException:
            self._forget()
            raise
        # Not undone on failure: a store may have written it and lost only its answer.
        self._show(name, fingerprint, bodies)
        return [self._landed(e, bodies[e], skipped.get(e, 0), remapped) for e in bodies]

    def _show(self, name: str, fingerprint: str, bodies: dict[EntityName, Any]) -> None:
        """Write the manifest: from here on the batch is there."""
        manifest = {
            "batch": name,
            "source": self.mapping.source,
            "mapping": fingerprint,
            "files": self.identities,
            "entities": bodies,
        }
        key = f"landing/{self.mapping.source}/_batches/{name}.json"
        try:
            pseudonyms.begin(self.settings, self.store)
        except BaseException:
            self._forget()
            raise
        self.store.write(key, json.dumps(manifest, sort_keys=True).encode())
        self._require_same_key(key)
        if load(self.store) != self.forgotten:
            # An erasure that began meanwhile may have looked through the landing before this batch was there.
            self.store.delete([key])
            self._forget()
            raise Transient("a shopper was forgotten while files were landed; nothing was landed: try again")

    def _require_same_key(self, key: str) -> None:
        """Undo where a first import with a key, beside this one without, has bound the lake to it."""
        if self.pseudonyms is None:
            try:
                pseudonyms.require(self.settings, self.store)
            except BadInput:
                self.store.delete([key])
                self._forget()
                raise

    def _raw(self, entity: EntityName) -> DataFrame:
        """The entity's raw rows; an unreadable one belongs to the first section that reads its file."""
        part: Entity = getattr(self.mapping, entity)
        earlier = [e for e in self.files if list(self.files).index(e) < list(self.files).index(entity)]
        taken = {f.uri for e in earlier for f in self.files[e]}
        own = [f for f in self.files[entity] if f.uri not in taken]
        shared = [f for f in self.files[entity] if f.uri in taken]
        frames = [read_raw(self.spark, own, part.read)] if own else []
        if shared:
            frames.append(read_raw(self.spark, shared, part.read).where(~F.col(UNREADABLE)))
        return frames[0] if len(frames) == 1 else frames[0].unionByName(frames[1], allowMissingColumns=True)

    def _rows(self, entity: EntityName, raw: DataFrame) -> DataFrame:
        part: Entity = getattr(self.mapping, entity)
        self._check_columns(entity, part)
        arrival = Arrival(self.arrived, part.read.arrived_from_filename, self.settings.lookback_days)
        self._check_pattern(part)
        values = values_of(self.mapping, entity, raw)
        if self.pseudonyms is not None:
            values = pseudonymised(entity, values, self.pseudonyms)
        return landed_rows(self.mapping, entity, values, arrival)

    def _check_columns(self, entity: EntityName, part: Entity) -> None:
        """Every file has every column, not only some of them; JSON files are checked together."""
        elsewhere = {*part.optional, FILE, *(("pos", "item") if part.explode else ())}
        for file in self.files[entity]:
            for key, column in part.columns.items():
                if file.columns and column not in file.columns and column not in elsewhere:
                    raise BadInput(
                        f"{file.uri}: no column '{column}', which mapping {self.mapping.path} names as "
                        f"'{entity}.columns.{key}'; {nearest(column, file.columns)}"
                    )

    def _check_pattern(self, part: Entity) -> None:
        if part.read.time_format:
            try:
                probe = F.try_to_timestamp(F.lit("x"), F.lit(part.read.time_format))
                self.spark.range(1).select(probe).collect()
            except PySparkException:
                raise BadInput(
                    f"mapping {self.mapping.path}: 'read.time_format': '{part.read.time_format}' is no "
                    "datetime pattern of Spark; write it like dd/MM/yyyy HH:mm"
                ) from None

    def _write_entity(self, entity: EntityName, rows: DataFrame, batch: str) -> dict[str, Any]:
        fallback = self._fallback(entity, rows)
        if fallback is not None:
            rows = rows.withColumns({c: F.coalesce(c, F.lit(fallback)) for c in ("ds", "arrived")})
        rows, gone = self._left_out(entity, rows)
        if entity != "events":
            rows = distinct_versions(entity, rows)
        folder = f"landing/{self.mapping.source}/{entity}/{batch}-{self.attempt}"
        self._folders.append(folder)
        size = sum(f.size for f in self.files[entity])
        # Days stand together, so that a reader of a few days skips the rest.
        spread = rows.select(*LANDING[entity].names).repartition(max(2, size // _BYTES_PER_FILE), "ds")
        target = path(self.store.uri(folder))
        spread.sortWithinPartitions("ds", "row_hash").write.parquet(target)
        counted = (
            self.spark.read.schema(LANDING[entity])
            .parquet(target)
            .groupBy("ds", "arrived", "broken")
            .agg(F.sum("copies").alias("n"))
            .collect()
        )
        days: Counter[tuple[str, str]] = Counter()
        refused: Counter[str] = Counter()
        for row in counted:
            days[str(row["ds"]), str(row["arrived"])] += row["n"]
            refused.update({rule: row["n"] for rule in (row["broken"] or "").split(",") if rule})
        self._refused[entity] = dict(refused)
        body = {"folder": folder, "days": [[*day, n] for day, n in sorted(days.items())]}
        return body | ({"forgotten": gone} if gone else {})

    def _left_out(self, entity: EntityName, rows: DataFrame) -> tuple[DataFrame, list[list[Any]]]:
        """The rows without those of forgotten shoppers, and how many these were per day and arrival."""
        if not self.forgotten.hashes:
            return rows, []
        doomed = theirs(entity, self.forgotten)
        counted = rows.where(doomed).groupBy("ds", "arrived").count().orderBy("ds", "arrived").collect()
        gone = [[str(r["ds"]), str(r["arrived"]), r["count"]] for r in counted]
        kept = rows.where(~doomed).withColumn("raw", scrubbed(F.lit(entity), self.forgotten))
        return kept, gone

    def _fallback(self, entity: EntityName, rows: DataFrame) -> date | None:
        """The day of rows without one: the latest day of the batch. None where every row has its day."""
        part: Entity = getattr(self.mapping, entity)
        if self.arrived is not None or part.read.arrived_from_filename:
            return None
        found = rows.agg(F.max("ds").alias("last"), F.count("*").alias("n")).first()
        assert found is not None
        if found["last"] is None and found["n"]:
            column = "event_time" if entity == "events" else "day"
            shown = ", ".join(f.name for f in self.files[entity][:3])
            raise BadInput(
                f"mapping {self.mapping.path}: no row of {shown} has a readable '{entity}.{column}'; "
                "map the right column, or set 'read.time_format'"
            )
        last: date | None = found["last"]
        return last

    def _skipped(self, raws: dict[EntityName, DataFrame]) -> dict[EntityName, int]:
        """Raw rows that no section takes, counted under the first section that reads their file."""
        counts: dict[EntityName, int] = {}
        seen: set[str] = set()
        for entity, raw in raws.items():
            mine = {f.uri for f in self.files[entity]} - seen
            seen |= mine
            takers = [e for e, files in self.files.items() if mine & {f.uri for f in files}]
            filters = [getattr(self.mapping, e).where for e in takers]
            if mine and all(filters):
                taken = F.coalesce(F.expr(" OR ".join(f"({f})" for f in filters)), F.lit(False))
                counts[entity] = raw.where(~taken & ~F.col(UNREADABLE)).count()
        return counts

    def _bad_sql(self, error: PySparkException) -> BaseException:
        """A person's SQL that broke on a row is bad input; anything else is not theirs to mend."""
        condition = error.getCondition() or ""
        state = error.getSqlState() or ""
        # SQLSTATE class 22: data exceptions (a bad cast, a division by zero, an index outside its array).
        if not state.startswith("22"):
            return error
        where = str(error).split("== SQL")[-1].split("\n")[1:2] if "== SQL" in str(error) else []
        shown = f" ({where[0].strip()})" if where else ""
        # Spark's own sentence quotes what stands in the row, which may be anybody's name.
        return BadInput(
            f"mapping {self.mapping.path}: an SQL expression{shown} failed on a row: {condition}. "
            "Use try_cast, try_divide or try_element_at"
        )

    def _forget(self) -> None:
        for folder in self._folders:
            self.store.delete(self.store.list(folder))

    def _landed(
        self, entity: EntityName, body: dict[str, Any], skipped: int, remapped: tuple[str, ...]
    ) -> Landed:
        days = [date.fromisoformat(d) for d, _, _ in body["days"]]
        return Landed(
            self.mapping.source,
            entity,
            "landed",
            tuple(f.name for f in self.files[entity]),
            sum(n for _, _, n in body["days"]),
            skipped,
            min(days, default=None),
            max(days, default=None),
            remapped,
            self._refused[entity],
        )
