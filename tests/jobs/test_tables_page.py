from __future__ import annotations

from pathlib import Path

from jobs.tables_page import page

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_page_is_as_the_registry_says() -> None:
    assert (DOCS / "tables.md").read_text() == page(), "run: python -m jobs.tables_page > docs/tables.md"
