"""One run as a step sees it: what it reads, which model serves it."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.errors import BadInput
from jobs.lake.publish import Publisher
from jobs.night import Night
from tests.conftest import MakeNight


def row(version: str, verdict: str = "accepted") -> dict[str, Any]:
    return {
        "model": "recommender",
        "version": version,
        "kind": "k",
        "verdict": verdict,
        "why": "w",
        "location": "l",
    }


def publish_model(make_night: MakeNight, ds: str, run_id: str, version: str) -> Night:
    """Publish a night that accepted one model, through the publish step's own rows."""
    from jobs.publish import _models

    night = make_night(ds, run_id=run_id)
    night.add_model(row(version))
    night.stage("models", _models(night))
    night.mark_audited("models")
    Publisher(night.catalog).publish(night.staging, ds)
    return night


def version_of(night: Night, before: bool = False) -> str | None:
    found = night.model_in_service("recommender", before)
    return found and found["version"]


def test_the_newest_accepted_model_up_to_the_date_serves(make_night: MakeNight) -> None:
    publish_model(make_night, "2026-01-05", "a", "v5")
    publish_model(make_night, "2026-01-08", "b", "v8")
    assert version_of(make_night("2026-01-07")) == "v5"
    assert version_of(make_night("2026-01-09")) == "v8"
    assert version_of(make_night("2026-01-04")) is None
    # A run without training serves what its date accepted; a candidate is held against the one before.
    assert version_of(make_night("2026-01-08")) == "v8"
    assert version_of(make_night("2026-01-08"), before=True) == "v5"


def test_a_candidate_of_this_run_comes_first_and_a_refused_one_serves_nobody(make_night: MakeNight) -> None:
    publish_model(make_night, "2026-01-05", "a", "v5")
    publish_model(make_night, "2026-01-08", "b", "v8")
    night = make_night("2026-01-08", run_id="again")
    night.add_model(row("v8-new"))
    assert version_of(night) == "v8-new"
    night.add_model(row("v8-new", "refused"))
    # The earlier run's v8 leaves `models` with this run, so it may not serve it either.
    assert version_of(night) == "v5"


def test_a_run_keeps_its_date(make_night: MakeNight) -> None:
    make_night("2026-01-05", run_id="a")
    other = Night(make_night("2026-01-06", run_id="b").settings, make_night("2026-01-06").ds, "a")
    with pytest.raises(BadInput, match="is of 2026-01-05, not 2026-01-06"):
        _ = other.record


@pytest.mark.parametrize("run_id", ["", "...", "::"])
def test_a_run_id_without_a_letter_is_refused(make_night: MakeNight, run_id: str) -> None:
    from jobs.night import safe_run_id

    with pytest.raises(BadInput, match="--run-id"):
        safe_run_id(run_id)


def test_pinned_inputs_do_not_move_with_a_later_publish(make_night: MakeNight) -> None:
    publish_model(make_night, "2026-01-05", "a", "v5")
    night = make_night("2026-01-09", run_id="pinned")
    publish_model(make_night, "2026-01-08", "b", "v8")
    assert version_of(Night(night.settings, night.ds, "pinned")) == "v5"


def test_the_record_of_another_dates_run_is_left_as_it_is(make_night: MakeNight) -> None:
    make_night("2026-01-05", run_id="spring").note("kept", {"said": 1})
    with pytest.raises(BadInput, match="run 'spring' is of 2026-01-05, not 2026-01-06"):
        make_night("2026-01-06", run_id="spring")
    again = make_night("2026-01-05", run_id="other")
    first = Night(again.settings, again.ds, "spring")
    assert first.record["ds"] == "2026-01-05"
    assert first.notes()["kept"] == {"said": 1}
