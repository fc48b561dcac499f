"""Pretrained writers for real: tiny presets saved to disk, fine-tuned, stored, loaded in another process."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from models.writer.clean import Marks, Pair, Source, make_pair
from models.writer.facts import Lexicon, read_facts
from models.writer.preset import (
    FILES,
    PresetError,
    PresetWriter,
    check_installed,
    fitting_prompt,
    preset_hash,
    prompt,
)
from models.writer.verify import Brief, Verifier
from tests.jobs.writer_shop import shop

KINDS = ("causal", "seq2seq")
# What does not hang on the kind of model is tested once.
ONE_KIND = pytest.mark.parametrize("trained", ["causal"], indirect=True)
ROWS = shop(date(2026, 1, 1), 120, written=1.0)
STEPS = 24


@lru_cache
def shop_pairs(language: str) -> list[tuple[Pair, Brief]]:
    judge = Verifier(language, Lexicon.build(read_facts(language, r) for r in ROWS))
    marks, found = Marks(), []
    for row in ROWS:
        facts = read_facts(language, row)
        pair = make_pair(facts, row[f"description_{language}"], judge, marks)
        assert pair is not None
        found.append((pair, judge.brief(facts)))
    return found


PAIRS = [*shop_pairs("en"), *shop_pairs("zh")]
BRIEFS = [b for _, b in shop_pairs("en")[:6]]
LESSONS = [(prompt(p.source, b), p.text) for p, b in PAIRS]


@pytest.fixture(scope="module")
def presets():
    pytest.importorskip("keras_hub", reason="keras-hub is not installed: the extra 'preset'")
    from tests.models.writer import presets

    return presets


class Trained:
    """A preset, a writer fine-tuned on it, and what the base was before."""

    def __init__(self, presets, kind: str, folder: Path) -> None:
        from models.writer.preset_base import open_base
        from models.writer.preset_train import LoraRecipe, train_preset

        self.kind, self.folder = kind, presets.make(kind, folder, LESSONS, steps=60)
        self.hash = preset_hash(folder)
        base = open_base(folder, self.hash, 8)
        self.before = weights(base)
        recipe = LoraRecipe(rate=2e-2)  # a tiny model takes large steps
        self.writer, self.losses = train_preset(folder, PAIRS, STEPS, 16, seed=1, recipe=recipe)


def weights(base) -> dict[str, np.ndarray]:
    """Of the base: everything that is no adapter."""
    return {v.path: np.array(v) for v in base.lm.weights if "lora" not in v.name}


@pytest.fixture(scope="module", params=KINDS)
def trained(request, presets, tmp_path_factory) -> Trained:
    return Trained(presets, request.param, tmp_path_factory.mktemp("presets") / request.param)


def test_a_prompt_names_what_is_asked() -> None:
    pair, brief = shop_pairs("en")[0]
    assert prompt(pair.source, brief) == (
        "en; name: Lumo red mug; kind: mug; brand: Lumo; colour: red; material: stoneware\n"
    )
    pair, brief = shop_pairs("zh")[0]
    told = prompt(pair.source, brief)
    assert told.startswith("zh; 名称: Lumo 红色马克杯; ")
    assert "品牌: Lumo" in told


def test_a_prompt_that_is_too_long_loses_its_last_attributes_whole() -> None:
    brief = BRIEFS[0]
    asked = Source("en", (("⟦name⟧", "⟦t:1⟧ mug"), ("⟦v:colour⟧", "red"), ("⟦v:note⟧", "x" * 50)))
    # The title as it is: the placeholders of our own network are nothing to a language model.
    name = f"en; name: {brief.shown.title}"
    assert fitting_prompt(asked, brief, lambda t: len(t) < 50) == f"{name}; colour: red\n"
    # What never fits is cut down to the first pair, and then by the model's own packing.
    assert fitting_prompt(asked, brief, lambda t: False) == f"{name}\n"


def test_lessons_are_packed_as_keras_hub_packs_them(trained, presets) -> None:
    base = trained.writer.base
    encoded = base.encode([p for p, _ in LESSONS[:3]])
    given, wanted, weight = base.training_batch(encoded, [base.target(t) for _, t in LESSONS[:3]])
    theirs, their_wanted, their_weight = base.preprocessor(presets.packed(trained.kind, LESSONS[:3]))
    assert set(given) == set(theirs)
    for i in range(3):
        start = len(encoded[i].prefix) - 1
        end = start + int(weight[i].sum())
        # They learn the prompt and the start too; of the text, the same tokens, end included.
        assert int(np.asarray(their_weight)[i].sum()) == end
        assert wanted[i, start:end].tolist() == np.asarray(their_wanted)[i, start:end].tolist()
        for name, ours in given.items():
            reach = len(encoded[i].source) if name.startswith("encoder") else end
            assert ours[i, :reach].tolist() == np.asarray(theirs[name])[i, :reach].tolist(), name


def test_adapters_learn_and_the_base_stays_bit_for_bit(trained) -> None:
    base = trained.writer.base
    assert len(trained.losses) == STEPS
    assert loss_of(trained.writer) < loss_of(silent(trained.writer)) - 0.01
    after = weights(base)
    assert set(after) == set(trained.before)
    assert all(np.array_equal(after[path], trained.before[path]) for path in after)
    assert {v.path for v in base.lm.trainable_variables} == set(trained.writer.adapters)
    assert any(np.abs(a).max() > 0 for path, a in trained.writer.adapters.items() if path.endswith("_b"))
    assert preset_hash(trained.folder) == trained.hash


def silent(writer: PresetWriter) -> PresetWriter:
    """The base alone: adapters of zero change nothing."""
    zero = {path: 0 * a for path, a in writer.adapters.items()}
    return PresetWriter(writer.folder, writer.about, writer.plan, zero)


def loss_of(writer: PresetWriter, batch: int = 16) -> float:
    from models.writer.preset_train import token_loss

    return token_loss(writer, PAIRS[::4], batch)


@ONE_KIND
def test_what_fills_up_a_batch_has_no_weight(trained) -> None:
    assert loss_of(trained.writer, 9) == pytest.approx(loss_of(trained.writer, 16), rel=1e-4)


@ONE_KIND
def test_files_hold_adapters_only_by_path_and_no_pickle(trained) -> None:
    found = trained.writer.to_files()
    assert tuple(found) == FILES
    with np.load(io.BytesIO(found["adapters.npz"]), allow_pickle=False) as stored:
        assert set(stored.files) == {v.path for v in trained.writer.base.lm.trainable_variables}
        assert all("lora" in path and stored[path].dtype == np.float32 for path in stored.files)
    about = json.loads(found["adapters.json"])
    assert about == {"base": trained.hash, "rank": 8, "task": type(trained.writer.base.lm).__name__}
    assert PresetWriter.from_files(found, trained.folder).to_files() == found


def test_another_process_writes_the_same(trained, tmp_path) -> None:
    for name, data in trained.writer.to_files().items():
        (tmp_path / name).write_bytes(data)
    code = """
import json, sys
from pathlib import Path
from models.writer.preset import FILES, PresetWriter
from tests.models.writer.test_preset import BRIEFS
here, base = map(Path, sys.argv[1:])
writer = PresetWriter.from_files({name: (here / name).read_bytes() for name in FILES}, base)
print(json.dumps(writer.candidates(BRIEFS)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(trained.folder)],
        capture_output=True, text=True, check=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
    )  # fmt: skip
    wrote = trained.writer.candidates(BRIEFS)
    assert json.loads(done.stdout.splitlines()[-1]) == wrote
    assert sum(map(len, wrote)) >= len(BRIEFS), "a test of nothing: hardly a text was finished"


@ONE_KIND
def test_candidates_come_for_every_product_in_the_order_given(trained) -> None:
    writer = trained.writer
    forward, back = writer.candidates(BRIEFS), writer.candidates(BRIEFS[::-1])
    assert forward == back[::-1]
    assert all(len(set(texts)) == len(texts) for texts in forward)
    assert writer.candidates([]) == []


def test_what_is_banned_is_not_written(trained) -> None:
    from models.writer.preset_search import BeamSearch

    base = trained.writer.base
    base.use(trained.writer.adapters)
    encoded = base.encode([prompt(trained.writer.ask(b), b) for b in BRIEFS])
    before = base.search(encoded, BeamSearch(base.never, base.ends, [], base.max_new))
    phrase = next(beams[0] for beams in before if beams)[1:3]
    holds = [phrase in [t[i : i + 2] for i in range(len(t))] for beams in before for t in beams]
    assert any(holds)
    after = base.search(encoded, BeamSearch(base.never, base.ends, [phrase], base.max_new))
    for tokens in (t for beams in after for t in beams):
        assert all(tokens[i : i + 2] != phrase for i in range(len(tokens)))
        grams = [tuple(tokens[i : i + 4]) for i in range(len(tokens) - 3)]
        assert len(grams) == len(set(grams))
        assert len(tokens) < base.max_new


@ONE_KIND
def test_the_seed_decides(trained) -> None:
    from models.writer.preset_train import train_preset

    def files(seed: int) -> str:
        writer, _ = train_preset(trained.folder, PAIRS[:32], 3, 8, seed=seed)
        return hashlib.sha256(writer.to_files()["adapters.npz"]).hexdigest()

    assert files(5) == files(5)
    base = trained.writer.base
    base.start_adapters(5)
    one = base.read_adapters()
    base.start_adapters(6)
    assert any(not np.array_equal(a, one[path]) for path, a in base.read_adapters().items())


@ONE_KIND
def test_training_goes_on_from_a_writer(trained) -> None:
    from models.writer.preset_train import train_preset

    _, losses = train_preset(trained.folder, PAIRS, 1, 16, seed=1, start=trained.writer)
    assert losses[0] < trained.losses[0]


@ONE_KIND
def test_another_base_is_refused(trained, presets, tmp_path) -> None:
    found = trained.writer.to_files()
    other = presets.make(trained.kind, tmp_path / "other", LESSONS, seed=2)
    with pytest.raises(PresetError, match="holds another one") as error:
        PresetWriter.from_files(found, other)
    assert trained.hash[:12] in str(error.value)
    assert "--preset" in str(error.value)
    with pytest.raises(PresetError, match="no folder with a config"):
        PresetWriter.from_files(found, tmp_path / "absent")
    with pytest.raises(PresetError, match="no preset is given"):
        PresetWriter.from_files(found, "")


@ONE_KIND
def test_weights_configs_and_words_are_in_the_hash_and_the_date_is_not(trained, tmp_path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained.folder, copy)
    assert preset_hash(copy) == trained.hash
    (copy / "metadata.json").write_text(json.dumps({"date_saved": "another day"}))
    assert preset_hash(copy) == trained.hash
    for name in ("model.weights.h5", "config.json", "assets/tokenizer/merges.txt"):
        before = (copy / name).read_bytes()
        (copy / name).write_bytes(before + b" ")
        assert preset_hash(copy) != trained.hash, name
        (copy / name).write_bytes(before)


@ONE_KIND
def test_a_preset_that_would_run_code_is_refused(trained, tmp_path) -> None:
    import keras

    evil, mark = tmp_path / "evil", tmp_path / "ran"
    shutil.copytree(trained.folder, evil)
    task = json.loads((evil / "task.json").read_bytes())
    layer = keras.layers.Lambda(eval(f"lambda x: open({str(mark)!r}, 'w')"))
    task["config"]["preprocessor"] = keras.saving.serialize_keras_object(layer)
    (evil / "task.json").write_text(json.dumps(task))
    from models.writer.preset_base import open_base

    with pytest.raises(PresetError, match="cannot load it"):
        open_base(evil, preset_hash(evil), 8)
    assert not mark.exists()


def test_a_folder_of_another_kind_is_refused(presets, tmp_path) -> None:
    from models.writer.preset_base import open_base

    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(PresetError, match="no CausalLM or Seq2SeqLM"):
        open_base(tmp_path, preset_hash(tmp_path), 8)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(PresetError, match=r"config\.json is no preset's"):
        open_base(tmp_path, preset_hash(tmp_path), 8)


@ONE_KIND
def test_adapters_of_another_shape_are_refused(trained) -> None:
    writer = trained.writer
    wrong = {path: a[..., :4] for path, a in writer.adapters.items()}
    with pytest.raises(PresetError, match="do not fit"):
        PresetWriter(trained.folder, writer.about, writer.plan, wrong).candidates(BRIEFS)
    broken = {**writer.to_files(), "adapters.json": json.dumps({"base": trained.hash}).encode()}
    with pytest.raises(ValueError, match=r"adapters\.json"):
        PresetWriter.from_files(broken, trained.folder)
    assert asdict(writer.about)["rank"] == 8


def test_without_the_extra_the_message_says_how_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(PresetError, match="pip install"):
        check_installed()
