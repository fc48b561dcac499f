"""What would stop the night hours later stops it before it is begun."""

from __future__ import annotations

import pytest

from jobs import pin_inputs
from jobs.errors import BadInput
from tests.conftest import MakeNight


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("languages", ["fr"]),
        ("channels", ["descripton"]),
        ("markets", {"en": ["mars"]}),
        ("markets", {"fr": ["eu"]}),
    ],
)
def test_settings_of_the_copy_are_checked_first(make_night: MakeNight, setting: str, value: object) -> None:
    night = make_night(**{setting: value})
    with pytest.raises(BadInput, match=f"setting.*'{setting}'"):
        pin_inputs.run(night)
