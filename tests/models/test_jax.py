"""The same models under JAX: trained, scored and stored by the code that TensorFlow runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECOMMENDER = (
    "tests/models/recommender/test_sequence_model.py::test_it_learns_what_comes_next",
    "tests/models/recommender/test_sequence_model.py::test_a_score_depends_on_its_own_past_only",
    "tests/models/recommender/test_ranker.py::test_stored_and_trained_again_it_is_the_same",
)
WRITER = (
    "tests/models/writer/test_copying.py::test_a_word_that_no_text_held_is_copied[True]",
    "tests/models/writer/test_network.py::test_beams_are_those_of_a_naive_search[copies]",
    "tests/models/writer/test_network.py::test_files_give_the_same_network_and_the_same_bytes[plain]",
)


@pytest.mark.slow
@pytest.mark.parametrize("tests", [RECOMMENDER, WRITER], ids=["recommender", "writer"])
def test_models_train_and_score_under_jax(tests: tuple[str, ...]) -> None:
    pytest.importorskip("jax", reason="JAX is not installed")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert f"{len(tests)} passed" in ran.stdout
