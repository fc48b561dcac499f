"""A preset as the shop's writer: the real steps, the command line, and what a missing base does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from jobs import describe, train_writer
from jobs import writer_files as files
from jobs.errors import BadInput
from jobs.night import Night, Options
from jobs.settings import load_settings
from models.writer.preset import PresetWriter, prompt
from tests.jobs.writer_shop import publish, put, rows_of, shop

DAY = date(2026, 1, 10)
STEPS = 30


def preset_night(lake: Path, day: date, run_id: str, preset: Path | str, retrain: str = "auto") -> Night:
    wanted = {"writer_backend": "preset", "writer_preset": str(preset), "writer_steps": STEPS}
    settings = load_settings(lake=str(lake), writer_batch=16, **wanted)
    night = Night(settings, day, run_id, Options(retrain=retrain))
    night.pin()
    return night


def command(lake: Path, step: str, *more: str, day: date = DAY, blocked: bool = False):
    """The step as a process of its own; `blocked`: in an environment without keras-hub."""
    block = "sys.modules['keras_hub'] = None; " if blocked else ""
    code = f"import sys; {block}from jobs.cli import main; main({step!r})"
    words = ["--ds", str(day), "--run-id", "by-hand", *more]
    env = {**os.environ, "NIGHTSHELF_LAKE": str(lake), "NIGHTSHELF_CONFIG": "/dev/null"}
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=env)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A tiny GPT-2 that has read another shop's texts: what pretraining is to a real one."""
    pytest.importorskip("keras_hub", reason="keras-hub is not installed: the extra 'preset'")
    from tests.models.writer import presets
    from tests.models.writer.test_preset import LESSONS

    return presets.make("causal", tmp_path_factory.mktemp("base") / "preset", LESSONS, steps=2000)


@pytest.fixture(scope="module")
def trained(base, tmp_path_factory):
    """Lake and summary of a night whose writer is a preset; the night is published."""
    lake = tmp_path_factory.mktemp("preset") / "lake"
    night = preset_night(lake, DAY, "first", base)
    put(night, "products", shop(DAY))
    summary = train_writer.run(night)
    written = describe.run(night)
    rows, note = rows_of(night), night.notes()["writer"]
    publish(night)
    return lake, summary, written, rows, note


@pytest.mark.slow
def test_the_gate_judges_a_preset_like_any_other_writer(trained, base) -> None:
    lake, summary, _, _, note = trained
    assert summary["verdict"] == "accepted", summary["why"]
    row = preset_night(lake, DAY, "reader", base).model_in_service("writer")
    digest = PresetWriter.from_files(kept(lake, row, base), base).about.base
    assert row["version"].endswith(f"-base-{digest[:12]}")
    assert row["kind"] == f"GPT2CausalLM preset {digest[:12]} with LoRA adapters of rank 8"
    assert json.loads(row["metrics"])["loss"] < json.loads(row["metrics"])["frequency_loss"]
    assert note["losses"][-1] < note["losses"][0]


def kept(lake: Path, row: dict, base: Path) -> dict[str, bytes]:
    night = preset_night(lake, DAY, "reader", base)
    names = [k.rsplit("/", 1)[-1] for k in night.store.list(row["location"])]
    assert sorted(names) == ["adapters.json", "adapters.npz", "card.json", "learnt.npz", "plan.json"]
    return {name: night.store.read(f"{row['location']}/{name}") for name in names}


@pytest.mark.slow
def test_its_texts_are_verified_rows_with_label_and_version(trained) -> None:
    _, summary, written, rows, _ = trained
    machine = [r for r in rows.values() if r["tier"] in ("model", "retry")]
    assert written["tiers"].get("model", 0) >= 20, written
    assert all(r["ai_label"] and r["model_version"] == summary["version"] for r in machine)
    assert all(
        all(v is True for v in json.loads(r["checks"]).values()) for r in machine if r["tier"] == "model"
    )


@pytest.mark.slow
def test_an_unchanged_catalogue_trains_and_writes_nothing(trained, base) -> None:
    lake, summary, *_ = trained
    night = preset_night(lake, DAY + timedelta(days=1), "again", base)
    put(night, "products", shop(night.ds))
    assert train_writer.run(night)["in_service"] == summary["version"]
    assert describe.run(night)["written_by_model"] == 0


@pytest.mark.slow
def test_the_base_that_is_gone_stops_describe_with_exit_2_and_one_sentence(trained, base, tmp_path) -> None:
    lake, *_ = trained
    done = command(lake, "describe", "--preset", str(tmp_path))
    assert done.returncode == 2, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("nightshelf: ")]
    assert len(said) == 1
    assert "no folder with a config.json" in said[0]
    (tmp_path / "config.json").write_text("{}")
    night = preset_night(lake, DAY + timedelta(days=1), "other", tmp_path)
    with pytest.raises(BadInput, match="holds another one"):
        describe.run(night)


@pytest.mark.slow
def test_without_its_base_the_one_in_service_is_no_rival(trained, base) -> None:
    lake, *_ = trained
    night = preset_night(lake, DAY + timedelta(days=1), "reader", base)
    row = night.model_in_service("writer")
    assert isinstance(train_writer._rival(night, row), PresetWriter)
    plain = Night(load_settings(lake=str(lake)), night.ds, "reader", Options())
    assert train_writer._rival(plain, row) is None
    assert train_writer._warm_start(plain, row) is None


def test_what_is_learnt_hangs_on_the_base(tmp_path, make_night, monkeypatch) -> None:
    night = make_night()
    put(night, "products", shop(night.ds, 30))
    judges = files.verifiers(night)
    pairs = train_writer.load_pairs(night, judges)
    monkeypatch.setattr("jobs.writer_preset.check_installed", lambda: None)
    (tmp_path / "config.json").write_text("{}")
    known = set()
    for changes in ({}, {"writer_backend": "preset", "writer_preset": str(tmp_path)}):
        known.add(train_writer.learnt_from(make_night(**changes), pairs, judges).digest)
    (tmp_path / "config.json").write_text("{ }")
    known.add(train_writer.learnt_from(make_night(**changes), pairs, judges).digest)
    assert len(known) == 3


@pytest.mark.parametrize(
    ("words", "blocked", "sentence"),
    [
        (["--backend", "preset"], False, "needs the folder of a keras-hub preset"),
        (["--backend", "preset", "--preset", "hf://a/b"], False, "no folder with a config.json"),
        (["--backend", "preset", "--preset", "."], True, "keras-hub, which is not installed: pip install"),
        (["--backend", "gpt"], False, "setting 'writer_backend'"),
    ],
)
def test_a_backend_that_cannot_be_used_ends_with_exit_2_and_one_sentence(
    tmp_path, words: list[str], blocked: bool, sentence: str
) -> None:
    done = command(tmp_path / "lake", "train_writer", *words, blocked=blocked)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_prompt_holds_no_price(make_night) -> None:
    night = make_night()
    put(night, "products", shop(night.ds, 30))
    pairs = train_writer.load_pairs(night, files.verifiers(night))
    assert not any("9.5" in prompt(pair.source, brief) for pair, brief in pairs.train)
