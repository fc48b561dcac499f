"""A change that is meant: a person lets a night pass the comparison with history, which then begins anew."""

from __future__ import annotations

import json
import subprocess
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from expectations.anomaly import Point
from jobs import audit, check_inputs, nightly, publish, quality
from jobs.cli import app
from jobs.errors import GateFailed
from jobs.lake.publish import Publisher
from jobs.night import Night, Options
from jobs.quality import ACCEPTED, Measure
from jobs.settings import Settings
from tests.expectations.good_rows import DS, good
from tests.jobs.small_lake import Rows, events, put, stage_inputs, stage_outputs

if TYPE_CHECKING:
    from tests.conftest import MakeNight

YES = Options(accept_changes=True)
COPY = ("product_descriptions", "rows")
# Two products in two languages and six channels, as `stage_outputs` has them.
TEXTS = 24


def day(number: int) -> date:
    """So many days after the night of these tests."""
    return DS + timedelta(days=number)


def metric(name: tuple[str, str], value: float, when: date) -> dict[str, object]:
    return good("quality_metrics", table_name=name[0], metric=name[1], value=value, ds=when)


def publish_history(make_night: MakeNight, rows: Rows) -> None:
    """As earlier nights published it."""
    night = make_night(run_id="earlier")
    put(night, "quality_metrics", rows, sorted({r["ds"] for r in rows}))
    night.mark_audited("quality_metrics")
    Publisher(night.catalog).publish(night.staging, day(-1).isoformat())


def five_times_as_much(make_night: MakeNight) -> None:
    past = [day(-n) for n in range(1, 29)]
    rows = [metric(COPY, 5 * TEXTS, d) for d in past]
    publish_history(make_night, rows + [metric(("events_clean", "rows"), 100, d) for d in past])


def staged(night: Night, **instead: Rows) -> Night:
    """Twenty events on the night's date: a fifth of what was usual."""
    shift = night.ds - DS
    rows = [
        e | {c: e[c] + shift for c in ("ds", "arrived", "event_time")}
        for e in events({0: 20}) + instead.pop("more", [])
    ]
    inputs = {
        "events_clean": rows,
        "products": [good("products", product_id=p) for p in ("p1", "p2")],
        "users": [good("users", user_id=u) for u in ("u1", "u2")],
        "quarantine": [good("quarantine")],
        "intake": [good("intake", rows_in=20, good=20, quarantined=0, duplicates=0)],
    }
    for table, found in (inputs | instead).items():
        put(night, table, [row | {"ds": night.ds} for row in found], [night.ds])
    return night


def test_a_fifth_of_the_usual_stops_the_night_and_says_how_to_go_on(
    spark: object, make_night: MakeNight
) -> None:
    five_times_as_much(make_night)
    night = staged(make_night())
    with pytest.raises(GateFailed) as error:
        check_inputs.run(night)
    assert "rows of events_clean on 2026-01-10: 20, far below the 100 usual" in str(error.value)
    assert "If the change is meant, run the date again with accept_changes" in str(error.value)
    assert "nightshelf nightly --ds 2026-01-10 --accept-changes" in str(error.value)


def test_a_change_that_is_meant_is_published_and_the_next_night_is_like_any_other(
    spark: object, make_night: MakeNight
) -> None:
    five_times_as_much(make_night)
    night = staged(make_night(options=YES))
    assert check_inputs.run(night)["status"] == "warning"
    stage_outputs(night)
    summary = audit.run(night)
    assert summary["status"] == "warning"
    assert any("24, far below the 120 usual" in w and "accepted" in w for w in summary["warned"])
    publish.run(night)
    marked = {(r["table_name"], r["metric"]): r["value"] for r in night.read("quality_metrics").to_pylist()}
    assert marked[ACCEPTED] == 1

    after = make_night("2026-01-11")
    past = quality.history(after)
    (same,) = quality.judged(after, "product_descriptions", {"rows": TEXTS}, past)
    assert same.status == "ok"
    measures, _ = check_inputs.measure_inputs(staged(after), past, 0.05, 0.5)
    assert {m.status for m in measures} == {"ok"}
    assert not [m for m in measures if (m.table_name, m.metric) == ACCEPTED]


def test_a_broken_rule_stops_an_accepted_night_too(spark: object, make_night: MakeNight) -> None:
    five_times_as_much(make_night)
    night = staged(
        make_night(options=YES), more=[good("events_clean", event_id="x", event_type="view", price=-1.0)]
    )
    with pytest.raises(GateFailed, match="1 rows break price_finite") as error:
        check_inputs.run(night)
    # Run again with the option, it would be no better.
    assert "accept_changes" not in str(error.value)
    note = night.notes()["quality_inputs"]
    assert len(note["critical"]) == 1
    assert any("far below the 100 usual" in w for w in note["warnings"])


def test_the_share_of_refused_rows_is_no_change_to_accept(spark: object, make_night: MakeNight) -> None:
    night = make_night(options=YES)
    stage_inputs(night, intake=[good("intake", rows_in=100, good=40, quarantined=60, duplicates=0, late=0)])
    with pytest.raises(GateFailed, match=r"60\.0% of 100 rows"):
        check_inputs.run(night)


def test_the_option_is_recorded_with_the_run(
    lake_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.settings.settings", lambda: lake_settings)
    for flags, wanted in (["--accept-changes"], True), ([], False):
        done = CliRunner().invoke(app, ["pin_inputs", "--ds", "2026-01-10", *flags])
        assert done.exit_code == 0, done.output
        night = Night(lake_settings, DS, "manual-2026-01-10")
        assert night.options == Options(accept_changes=wanted)


def test_a_whole_night_is_given_the_option(
    lake_settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[list[str]] = []

    def start(command: list[str], **_: object) -> subprocess.Popen[bytes]:
        started.append(command)
        return popen(["true"])

    popen = subprocess.Popen
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.setattr(nightly, "settings", lambda: lake_settings)
    monkeypatch.setattr(nightly, "prepare_airflow", lambda *_: None)
    monkeypatch.setattr(nightly.subprocess, "Popen", start)
    CliRunner().invoke(app, ["nightly", "--ds", "2026-01-10", "--accept-changes"])
    (command,) = started
    assert json.loads(command[-1])["accept_changes"] is True


def verdict(night: Night, value: float = 20) -> Measure:
    (found,) = quality.judged(night, *_rows(value), quality.history(night))
    return found


def _rows(value: float) -> tuple[str, dict[str, float]]:
    return "events_clean", {"rows": value}


def test_a_rerun_of_the_accepted_date_is_accepted_without_the_option(make_night: MakeNight) -> None:
    rows = [metric(("events_clean", "rows"), 100, day(-n)) for n in range(1, 29)]
    publish_history(make_night, [*rows, metric(ACCEPTED, 1, DS), metric(("events_clean", "rows"), 20, DS)])
    again = make_night()
    assert quality.accepts(again, quality.history(again))
    assert verdict(again).status == "warning"
    # Its own earlier numbers are no history.
    assert all(d < DS for d, _ in quality.history(again)["events_clean", "rows"])


def test_the_mark_stays_when_only_the_inputs_were_accepted(make_night: MakeNight, spark: object) -> None:
    """Steps by hand: `check_inputs --accept-changes`, then `audit` without."""
    five_times_as_much(make_night)
    night = staged(make_night(options=YES))
    check_inputs.run(night)
    stage_outputs(night)
    stage_copy_as_usual(night)
    plain = type(night)(night.settings, night.ds, night.run_id, Options())
    audit.run(plain)
    marked = {(r["table_name"], r["metric"]) for r in plain.read("quality_metrics").to_pylist()}
    assert ACCEPTED in marked


def stage_copy_as_usual(night: Night) -> None:
    past = [day(-n) for n in range(1, 29)]
    put(night, "quality_metrics", [metric(COPY, TEXTS, d) for d in past], past)


def test_an_earlier_date_is_held_against_its_own_past(make_night: MakeNight) -> None:
    past = [metric(("events_clean", "rows"), 100, day(-n)) for n in range(1, 40)]
    later = [metric(("events_clean", "rows"), 20, day(n)) for n in range(10)]
    publish_history(make_night, [*past, metric(ACCEPTED, 1, DS), *later])
    backfill = make_night("2026-01-05")
    assert verdict(backfill, 100).status == "ok"
    assert verdict(backfill).status == "critical"
    # And a later date against what came since, the accepted night's number included.
    assert verdict(make_night("2026-01-20")).status == "ok"
    assert verdict(make_night("2026-01-20"), 1).status == "warning"
    assert verdict(make_night("2026-01-16"), 100).status == "ok"
    assert verdict(make_night("2026-01-17"), 100).status == "warning"


def test_the_newest_mark_counts() -> None:
    points: list[Point] = [(day(n), 1.0) for n in range(5)]
    past = {ACCEPTED: [(day(1), 1.0), (day(3), 1.0)], ("t", "rows"): points}
    assert quality.since(past, ("t", "rows"), day(5)) == points[3:]
    assert quality.since(past, ("t", "rows"), day(3)) == points[1:]
    assert quality.since(past, ("t", "rows"), day(1)) == points
