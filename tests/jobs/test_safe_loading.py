"""Nothing that is read from a lake can run: no pickles, no Keras code, no YAML objects, no evaluated text."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.settings import ROOT

FOLDERS = ("jobs", "models", "expectations", "dags", "benchmarks", "scripts", "docker")
# Modules whose loads run what they read, and names that evaluate text or read objects.
UNSAFE_MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle"}
UNSAFE_BUILTINS = {"eval", "exec", "__import__", "compile"}
UNSAFE_CALLS = {"read_pickle", "to_pickle", "unsafe_load", "full_load", "enable_unsafe_deserialization"}


def sources() -> list[Path]:
    return sorted(p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py"))


def unsafe(tree: ast.AST) -> Iterator[str]:
    """What in a module could run something that it reads."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] in UNSAFE_MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNSAFE_MODULES:
            yield f"from {node.module}"
        elif isinstance(node, ast.Call):
            yield from _unsafe_call(node)


def _unsafe_call(node: ast.Call) -> Iterator[str]:
    name, owner = _names(node.func)
    given = {k.arg: getattr(k.value, "value", "?") for k in node.keywords}
    if name in UNSAFE_CALLS or (name in UNSAFE_BUILTINS and isinstance(node.func, ast.Name)):
        yield name
    if name == "load" and owner in ("np", "numpy") and given.get("allow_pickle") is not False:
        yield "np.load without allow_pickle=False"
    if name in ("save", "savez", "savez_compressed") and given.get("allow_pickle") is True:
        yield "pickled arrays"
    if name in ("load_model", "deserialize_keras_object", "model_from_json", "from_preset") and (
        given.get("safe_mode", True) is not True
    ):
        yield f"{name} out of safe mode"
    if name == "load" and owner == "yaml":
        yield "yaml.load"
    if given.get("shell") is True:
        yield "a shell"


def _names(function: ast.expr) -> tuple[str, str]:
    if isinstance(function, ast.Attribute):
        return function.attr, getattr(function.value, "id", "")
    return getattr(function, "id", ""), ""


def test_no_source_loads_what_could_run() -> None:
    files = sources()
    assert len(files) > 150
    found = {str(f.relative_to(ROOT)): list(unsafe(ast.parse(f.read_text()))) for f in files}
    assert {f: names for f, names in found.items() if names} == {}


def test_every_folder_with_code_is_looked_at_here_and_by_bandit() -> None:
    """Tests alone may do what they like."""
    listed = ["git", "-C", str(ROOT), "ls-files", "*.py"]
    found = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {Path(name).parts[0] for name in found} - {"tests"} == set(FOLDERS)
    (given,) = re.findall(r"bin/bandit .* -r (.+)", (ROOT / "Makefile").read_text())
    assert set(given.split()) == set(FOLDERS)


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from cloudpickle import loads",
        "np.load(file)",
        "np.load(file, allow_pickle=True)",
        "np.load(file, allow_pickle=flag)",
        "keras.models.load_model(path, safe_mode=False)",
        "keras.saving.load_model(path, safe_mode=flag)",
        "keras.config.enable_unsafe_deserialization()",
        "pd.read_pickle(path)",
        "yaml.load(text)",
        "eval(text)",
        "subprocess.run(text, shell=True)",
    ],
)
def test_the_look_sees_each_kind(text: str) -> None:
    assert list(unsafe(ast.parse(text)))


@pytest.mark.parametrize("text", ["re.compile(p)", "np.load(f, allow_pickle=False)", "json.loads(t)"])
def test_and_lets_the_safe_ones_pass(text: str) -> None:
    assert not list(unsafe(ast.parse(text)))
