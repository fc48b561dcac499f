"""Pages as people see them: Debian's Chromium without a window, and pictures of what it shows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 400, "height": 800}
# Nothing is asked of the network but the pages; root has no sandbox.
_QUIET = (
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser of Playwright's; skips where there is no Chromium."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no Chromium here (Debian's package chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_QUIET))
        yield browser
        browser.close()


def pictures(otherwise: Path) -> Path:
    """Where pictures go: the folder that `NIGHTSHELF_PICTURES` names, for a person to look at them."""
    folder = Path(os.environ.get("NIGHTSHELF_PICTURES") or otherwise)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def log_in(page: Any, url: str, user: str, password: str) -> None:
    """Through Airflow's own form."""
    page.goto(url)
    page.locator("input[name=username]").fill(user)
    page.locator("input[name=password]").fill(password)
    page.locator("button[type=submit]").click()
    page.get_by_text("Dags").first.wait_for()
