"""Forget a shopper: `nightshelf forget --user ID`.

The tombstone comes first: from then on no intake lets the shopper in. Then every file that holds the shopper
is written again without, the tables are swapped in one publish of kind `forget` together with the proof, and
what is no longer reachable is removed. Each part finds by itself what is left to do, so that a run after a
kill ends what it began.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from jobs import reviews
from jobs.erasure import counts, landing, tables, texts
from jobs.erasure.person import Person, checked
from jobs.errors import Transient
from jobs.failpoints import failpoint
from jobs.lake import forgotten, pseudonyms
from jobs.lake.amend import Amender
from jobs.lake.catalog import LakeCatalog, Swap
from jobs.lake.publish import FORGET, Conflict
from jobs.lake.reach import Reach
from jobs.lake.registry import BY_NAME
from jobs.lake.store import Store, TakenAway
from jobs.settings import Settings

_ATTEMPTS = 20
_PROOF = "erasures"
# A publish that only adds a proof of nothing: it takes nothing from any earlier one.
_PROOF_ONLY = "proof"
_LANDING = "landing"


@dataclass
class Erased:
    """What one call removed: rows per table (and `landing`), and files."""

    user_hash: str
    ds: str
    tables: dict[str, int] = field(default_factory=dict)
    files_rewritten: int = 0
    files_removed: int = 0
    sequence: int | None = None

    @property
    def rows(self) -> int:
        return sum(self.tables.values())

    @property
    def found(self) -> bool:
        return bool(self.rows or self.files_rewritten or self.files_removed)


def forget_user(settings: Settings, user_id: str) -> Erased:
    """Remove a shopper from the lake, for good. Safe to call again, and after a kill.

    Raises `BadInput` for what can be no id, `Transient` where nights keep publishing first.
    """
    store = Store.of(settings)
    person = _person(settings, store, checked(user_id))
    today = datetime.now(UTC).date().isoformat()
    known = forgotten.add(store, person.user_id, today)
    failpoint("after_forget", "tombstone")
    last: Exception | None = None
    erasure = _Erasure(store, LakeCatalog(settings, store), person, known.key(person.user_id), today)
    for _ in range(_ATTEMPTS):
        try:
            done = erasure.once()
        except (Conflict, FileNotFoundError, TakenAway) as error:
            # A night came first; or it, a landing or another erasure took away what was listed, or is being
            # written: look again.
            last = error
            continue
        forgotten.require_same_salt(store, known)
        return done
    if isinstance(last, TakenAway):
        raise last
    if isinstance(last, FileNotFoundError):
        raise Transient(f"{last}: named, but not there, {_ATTEMPTS} times in a row") from last
    raise Transient(f"nights published first, {_ATTEMPTS} times in a row; run 'nightshelf forget' again")


def _person(settings: Settings, store: Store, user_id: str) -> Person:
    """The shopper as the lake knows them; a lake with pseudonyms may name the shop's own id in a text."""
    known = pseudonyms.require(settings, store)
    return Person(user_id) if known is None else Person(known.of(user_id), (user_id,))


class _Erasure:
    def __init__(
        self, store: Store, catalog: LakeCatalog, person: Person, user_hash: str, today: str
    ) -> None:
        self.store, self.catalog, self.person = store, catalog, person
        self.user_hash, self.today = user_hash, today
        self.publisher = Amender(catalog)

    def once(self) -> Erased:
        """Plan on what is current now, publish, clean up; raises `Conflict` if a night came between."""
        base = self.catalog.pointers()
        suspects = tables.suspects(self.store, self.person)
        found = landing.look(self.store, self.person, suspects)
        refused = found.hashes | (suspects - found.others)
        current = tables.current_files(self.catalog, base)
        held = tables.look(self.store, self.person, refused, current)
        shards = texts.shards(self.store, self.person)
        unfinished = texts.unfinished(self.store, self.person)
        told = texts.texts(self.store, self.person)
        left = forgotten.pending(self.store, self.user_hash)
        failpoint("after_forget", "look")
        done = Erased(self.user_hash, self.today)
        done.files_rewritten = len(told) + len(found.files)
        done.files_removed = len(shards) + len(unfinished) + len(found.stray)
        if found.rows:
            done.tables[_LANDING] = found.rows
        if held.any() or found.rows:
            self._publish_without(done, base, held, refused, found, left or [])
        else:
            self._publish_proof(done, base)
            self._remove(left or [])
        failpoint("after_forget", "removal")
        forgotten.clear_pending(self.store, self.user_hash)
        self._clean(found, suspects, [*shards, *unfinished])
        return done

    def _publish_without(
        self,
        done: Erased,
        base: dict[str, str],
        held: tables.Held,
        refused: set[str],
        landed: landing.Landed,
        left: list[str],
    ) -> None:
        """Swap the personal tables for ones without the shopper and without a past; remove what was before.

        A shopper who only landed is in no table yet, but a night that is at work may have read the landing:
        the publish keeps it from bringing them in.
        """
        run_id = self._run_id()
        before = {key for table in tables.PERSONAL for key in self.store.list(f"warehouse/{table}")}
        swaps: list[Swap] = []
        if held.any():
            forgotten.set_pending(self.store, self.user_hash, sorted(before | {*left}))
            forgotten.mark_learnt(self.store, self.user_hash)
            plan = tables.plan(self.catalog, base, held, self.person, refused, run_id)
            done.tables |= {table: rows for table, rows in plan.rows.items() if rows}
            done.files_rewritten += plan.rewritten
            done.files_removed += len(before - plan.kept)
            restated = counts.restate(self.catalog, base, plan, landed, run_id)
            swaps = [*plan.swaps, *([restated] if restated else [])]
            failpoint("after_forget", "rewrite")
        self._publish(FORGET, swaps, done, base)
        failpoint("after_forget", "publish")
        self._remove([*before, *left] if held.any() else left)

    def _remove(self, before: list[str]) -> None:
        """Remove files of before the erasure, but for those that are in use again or still."""
        if before:
            # After a rollback a table lists snapshots that maintenance has removed.
            self.store.delete(sorted({*before} - self._alive(Reach(self.catalog, missing_ok=True))))

    def _alive(self, reach: Reach) -> set[str]:
        """What the tables reach, as they are now and as publishes since the last erasure left them."""
        log = self.publisher.log()
        floor = max((p.seq for p in log if p.kind == FORGET), default=0)
        pointers = {m for p in log if p.seq >= floor for m in p.tables.values()}
        pointers |= {*self.catalog.pointers().values()}
        there = (m for m in pointers if self.store.exists(self.store.key_of(m)))
        return set().union(*(reach.of(m) for m in there))

    def _publish_proof(self, done: Erased, base: dict[str, str]) -> None:
        """Nothing in the tables: keep the proof of what else was removed, or that there was nothing."""
        if done.found or not self._proof(base):
            self._publish(_PROOF_ONLY, [], done, base)
        else:
            self.publisher.refresh_current()

    def _publish(self, kind: str, swaps: Iterable[Swap], done: Erased, base: dict[str, str]) -> None:
        row = _added(self._proof(base), done)
        spec = BY_NAME[_PROOF]
        key = f"warehouse/{_PROOF}/data/{self.user_hash[:16]}-{self.publisher.sequence() + 1}.parquet"
        self.store.write_parquet(key, pa.Table.from_pylist([row], schema=spec.schema))
        proof = self.catalog.stage(spec, [self.user_hash], [self.store.location(key)], self._run_id())
        done.sequence = self.publisher.amend(kind, [*swaps, proof], base).seq

    def _run_id(self) -> str:
        newest = self.publisher.newest()
        return newest.run_id if newest else ""

    def _proof(self, base: dict[str, str]) -> dict[str, Any] | None:
        """The shopper's row of `erasures`, where an earlier call left one."""
        if _PROOF not in base:
            return None
        scan = self.catalog.open(base[_PROOF]).scan(f"user_hash = '{self.user_hash}'")
        rows: list[dict[str, Any]] = scan.to_arrow().to_pylist()
        return rows[0] if rows else None

    def _clean(self, found: landing.Landed, suspects: set[str], shards: list[str]) -> None:
        """What lies beside the tables: any night that reads it meanwhile goes by the tombstone."""
        landing.clean(self.store, self.person, suspects, found, self.publisher.alone)
        failpoint("after_forget", "landing")
        self.store.delete(shards)
        failpoint("after_forget", "shards")
        texts.redact(self.store, self.person, self.publisher.alone)
        failpoint("after_forget", "texts")
        for name in (self.person.user_id, *self.person.aliases):
            reviews.erase_reviewer(self.store, name)


def _added(row: dict[str, Any] | None, done: Erased) -> dict[str, Any]:
    """The proof: what this call removed, on top of what earlier ones did."""
    before = row or {"tables": "{}", "files_rewritten": 0, "files_removed": 0}
    earlier = Counter(json.loads(before["tables"]))
    removed = earlier + Counter(done.tables)
    # Rows of the landing are counted before they go: a call that goes on where one was killed meets the same.
    landed = max(earlier[_LANDING], done.tables.get(_LANDING, 0))
    if landed:
        removed[_LANDING] = landed
    return {
        "user_hash": done.user_hash,
        "ds": datetime.fromisoformat(done.ds).date(),
        "rows_removed": removed.total(),
        "tables": json.dumps(removed, sort_keys=True),
        "files_rewritten": before["files_rewritten"] + done.files_rewritten,
        "files_removed": before["files_removed"] + done.files_removed,
    }


def show(done: Erased, as_json: bool) -> None:
    """Print what was removed; the id itself is not repeated."""
    if as_json:
        print(json.dumps({**asdict(done), "rows": done.rows}, sort_keys=True))
        return
    name = f"shopper {done.user_hash[:12]}"
    if not done.found:
        print(f"{name}: nothing of them was in the lake; the tombstone keeps them out from now on")
        return
    for table, rows in sorted(done.tables.items()):
        print(f"{table:22} {rows:>9,} rows removed")
    print(
        f"{name} is forgotten: {done.rows:,} rows, {done.files_rewritten:,} files written again without "
        f"them, {done.files_removed:,} removed; the next night trains the recommender from nothing"
    )
