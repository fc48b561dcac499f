"""Which rules hold for which copy: the settings, and what follows from them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date, timedelta

import pytest

from jobs import describe, writer_files
from jobs.errors import BadInput
from jobs.night import Night, Options
from jobs.settings import ROOT, load_settings
from tests.jobs.writer_shop import publish, put, rows_of, shop

DAY = date(2026, 1, 10)


def new_night(lake, day=DAY, **changes) -> Night:
    night = Night(load_settings(lake=str(lake), **changes), day, f"run-{day}", Options())
    night.pin()
    return night


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"markets": {"en": ["mars"], "zh": ["cn"]}}, "no market 'mars': there are cn, eu, us"),
        ({"markets": {"en": ["us"]}}, "no market is named for language 'zh'"),
        ({"markets": {"en": ["us"], "zh": ["us"]}}, "market 'us' has no rules for language 'zh'"),
        ({"markets": {"en": ["us"], "zh": ["cn"], "fr": ["eu"]}}, "'fr' is no language of en, zh"),
        ({"languages": ["en", "fr"]}, "setting 'languages': there are no rules for 'fr'; use en, zh"),
        ({"competitors": [""]}, "'' is no competitor's name"),
    ],
)
def test_settings_that_name_no_rules_are_bad_input(tmp_path, changes, told):
    with pytest.raises(BadInput, match=told):
        writer_files.rules(new_night(tmp_path, **changes))


def test_an_unknown_language_ends_the_command_with_the_exit_code_of_bad_input(tmp_path):
    new_night(tmp_path / "lake")
    env = os.environ | {"NIGHTSHELF_LAKE": str(tmp_path / "lake"), "NIGHTSHELF_LANGUAGES": '["tlh"]'}
    step = [sys.executable, "-m", "jobs.describe", "--ds", DAY.isoformat(), "--run-id", f"run-{DAY}"]
    found = subprocess.run(step, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert "there are no rules for 'tlh'" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_language_that_is_not_written_needs_no_market(tmp_path):
    found = writer_files.rules(new_night(tmp_path, languages=["zh"], markets={"zh": ["cn"]}))
    assert {k: r.markets for k, r in found.items()} == {"zh": ("cn",)}


def test_another_market_or_competitor_is_another_text(tmp_path):
    """Rules stand in the content hash: what was written under others is written anew."""
    first = new_night(tmp_path)
    put(first, "products", shop(DAY, 3, 0.0))
    describe.run(first)
    publish(first)
    for number, (changes, rewritten) in enumerate(
        [
            ({}, set()),
            ({"markets": {"en": ["us"], "zh": ["cn"]}}, {"en"}),
            ({"competitors": ["Rivalmart"]}, {"en", "zh"}),
        ],
        start=1,
    ):
        night = new_night(tmp_path, DAY + timedelta(days=number), **changes)
        put(night, "products", shop(night.ds, 3, 0.0))
        hashes = {k: r["content_hash"] for k, r in rows_of(first).items()}
        describe.run(night)
        changed = {k[1] for k, r in rows_of(night).items() if r["content_hash"] != hashes[k]}
        assert changed == rewritten


def test_a_competitors_name_is_printed_nowhere(tmp_path):
    night = new_night(tmp_path, competitors=["Rivalmart"])
    rows = shop(DAY, 2, 0.0)
    rows[0] |= {
        "title_en": "Mug as seen at Rivalmart",
        "attributes_en": '{"colour": "rivalmart red", "use": "tea"}',
    }
    put(night, "products", rows)
    describe.run(night)
    found = rows_of(night)["p0000", "en"]
    assert found["tier"] == "template"
    assert "rivalmart" not in found["text"].lower()
    assert "tea" in found["text"]
    assert json.loads(found["checks"])["claims"] is True
