"""Airflow's parts as they are started."""

from __future__ import annotations

import os
import subprocess
import sys

from scripts.services import airflow


def test_the_triggerer_finds_what_it_calls_when_a_night_is_late() -> None:
    """The deadline's callback is kept by its name, and imported there."""
    (triggerer,) = (s for s in airflow.servers(1, os.environ) if s.name == "airflow-triggerer")
    ask = [sys.executable, "-c", "from nightshelf_notify import say_late"]
    done = subprocess.run(ask, env=triggerer.environment, cwd=triggerer.cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
