"""Settings that cannot be read: one line that names what and where, and never what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.errors import BadInput
from jobs.settings import load_settings


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SOURCES", "[{", "setting 'sources': not valid JSON"),
        ("LANGUAGES", "en", """setting 'languages': not valid JSON, which a list needs, such as '["en"]'"""),
        ("MIN_GROUP", "many", "setting 'min_group': Input should be a valid integer"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(f"NIGHTSHELF_{name}", value)
    with pytest.raises(BadInput) as caught:
        load_settings()
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


def test_a_file_of_settings_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "nightshelf.toml"
    file.write_text('s3_secret_key = "planted-secret\n')
    monkeypatch.setenv("NIGHTSHELF_CONFIG", str(file))
    with pytest.raises(BadInput, match=r"nightshelf\.toml: not valid TOML: .*line 1") as caught:
        load_settings()
    assert "planted" not in str(caught.value)
