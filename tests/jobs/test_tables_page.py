from __future__ import annotations

import re
from pathlib import Path

import pytest

from jobs.lake.registry import TABLES
from jobs.settings import _is_known
from jobs.tables_page import page

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.glob("*.md")])


def test_the_page_is_as_the_registry_says() -> None:
    assert (DOCS / "tables.md").read_text() == page(), "run: python -m jobs.tables_page > docs/tables.md"


def test_the_readme_lists_the_tables_of_the_registry() -> None:
    listed = (ROOT / "README.md").read_text().split("<!-- tables -->")[1].split("<!-- /tables -->")[0]
    wanted = [f"| `{t.name}` | {', '.join(t.key)} | {t.doc} |" for t in TABLES]
    assert [line for line in listed.splitlines() if line.startswith("| `")] == wanted


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_a_page_names_settings_that_something_reads_and_pages_that_are_there(path: Path) -> None:
    text = path.read_text()
    for name in re.findall(r"NIGHTSHELF_[A-Z][A-Z0-9_]*[A-Z0-9]", text):
        assert _is_known(name), name
    for target, part in re.findall(r"\]\((?!https?:)([^)#]*)[^)]*\)(?:, \"([^\"]+)\")?", text):
        other = path.parent / target if target else path
        assert other.exists(), target
        assert not part or re.search(
            rf"^#+ {re.escape(part)}|\*\*{re.escape(part)}", other.read_text(), re.M
        ), f"{target} has no part '{part}'"
