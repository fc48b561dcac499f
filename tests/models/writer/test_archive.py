"""Rules and phrases are found where the package lies in an archive, as it does in Spark's executors."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

from models.writer.phrases import load_phrases
from models.writer.rules import MARKETS, load_rules

ROOT = Path(__file__).resolve().parents[3]


def test_rules_and_phrases_are_read_from_an_archive(tmp_path: Path) -> None:
    archive = tmp_path / "code.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for found in (ROOT / "models").rglob("*"):
            if found.suffix in (".py", ".toml"):
                file.write(found, found.relative_to(ROOT))
    code = (
        "import json, models; from models.writer import phrases, rules; "
        "print(json.dumps([models.__file__, phrases.load_phrases('zh').digest, rules.MARKETS, "
        "rules.load_rules('zh', ('cn',)).digest]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(archive)}, cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    where, phrases, markets, rules = json.loads(done.stdout)
    assert str(archive) in where
    assert (phrases, tuple(markets)) == (load_phrases("zh").digest, MARKETS)
    assert rules == load_rules("zh", ("cn",)).digest
