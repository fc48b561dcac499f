"""The object store fails under what is no night's step: maintenance, a rollback, an erasure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import Done, Toy
from tests.faults.forks import Forks
from tests.faults.invariants import Before, View, naming
from tests.faults.proxy import Proxy
from tests.faults.recorder import Case
from tests.faults.test_catalog import one_line
from tests.faults.test_store import STORMS, wire, with_a_night
from tests.faults.toy import CROWDED, SHOPPER, without

pytestmark = [pytest.mark.s3, pytest.mark.slow, pytest.mark.timeout(900)]
__all__ = ("wire",)
_RETRIES = 8


def rows(toy: Toy) -> dict[str, list[dict[str, Any]]]:
    """The rows of every table that nights make; proofs of erasures are not of them."""
    return {t: toy.lake.rows(m) for t, m in toy.lake.pointers().items() if t != "erasures"}


def until_done(toy: Toy, case: Case, view: View, *command: str) -> Done:
    """The same command again for as long as it says that trying again may help."""
    for _ in range(_RETRIES):
        done = toy.cli(*command)
        case.exit(done.returncode, 0, 20, told=done.stderr)
        if done.returncode == 0:
            break
        one_line(done.stderr)
        case.check(view)
    case.exit(done.returncode, 0, told=done.stderr)
    return done


@pytest.mark.parametrize("name", STORMS)
def test_a_storm_under_a_command(
    name: str, wire: Proxy, s3_endpoint: str, processes: Forks, tmp_path: Path, case: Case
) -> None:
    wire.heal()
    toy = with_a_night(wire, s3_endpoint, processes, tmp_path)
    base = rows(toy)
    toy.environment[CROWDED] = "1"
    assert toy.run().returncode == 0
    toy.before = Before(sequence=toy.before.sequence)
    whole, named = rows(toy), naming(toy.lake, SHOPPER)
    assert named

    wire.inject(STORMS[name])
    until_done(toy, case, toy.view(settled=False), "maintain")
    assert rows(toy) == whole
    until_done(toy, case, toy.view(settled=False), "rollback", "--run", "base")
    assert rows(toy) == base
    forgotten = {SHOPPER: named}
    begun = toy.view(settled=False, forgotten={SHOPPER: naming(toy.lake, SHOPPER)}, erased=False)
    done = until_done(toy, case, begun, "forget", "--user", SHOPPER)
    hits = wire.heal()
    assert hits > 0
    case.fault(hits)
    assert SHOPPER not in done.stdout + done.stderr
    assert rows(toy) == without(base)
    case.check(toy.view(forgotten=forgotten))
