"""The one task factory: a step of the night as a process, as a Spark application, or as a pod.

`NIGHTSHELF_RUN_WITH` decides. Whichever it is, the command line, the meaning of the exit code and the XCom
are the same. An operator's package is imported only where it is chosen.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from airflow.sdk import BaseOperator
from nightshelf_step import StepOperator, choice, setting

WAYS = ("process", "spark-submit", "kubernetes")

# Steps whose rows Spark makes. Lists and copy are among them only where the settings say so.
SPARK = frozenset({"ingest", "clean", "check_inputs", "features", "ab_report", "audit"})
SPARK_WHERE = {"recommend": "scoring", "describe": "writing"}


def run_with() -> str:
    """How steps are run here; raises `ValueError` for a way that there is not."""
    return choice("NIGHTSHELF_RUN_WITH", WAYS)


def uses_spark(name: str) -> bool:
    return name in SPARK or (name in SPARK_WHERE and setting(SPARK_WHERE[name]) == "spark")


def step(name: str, *, gpu: bool = False, **kwargs: Any) -> BaseOperator:
    """The task of one step. With `gpu` it waits for a slot of the pool of GPUs."""
    way = run_with()
    given: dict[str, Any] = {"task_id": name, "step": name, **kwargs}
    if gpu:
        given["pool"] = os.environ.get("NIGHTSHELF_GPU_POOL") or "gpu"
    if way == "kubernetes":
        return _operator("nightshelf_kubernetes", "PodStepOperator", way)(gpu=gpu, **given)
    if gpu:
        # The worker itself needs the GPU; where pods do the work, it does not.
        given["queue"] = "gpu"
    if way == "spark-submit" and uses_spark(name):
        return _operator("nightshelf_spark", "SparkStepOperator", way)(**given)
    return StepOperator(**given)


def _operator(module: str, name: str, way: str) -> Any:
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"NIGHTSHELF_RUN_WITH={way}: install this package's extra '{way}' ({error})"
        ) from error
