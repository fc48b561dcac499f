"""A writer's files, without its network."""

from __future__ import annotations

import json

import pytest

from models.writer.clean import FORMS, Marks, Plan, make_pair
from models.writer.encode import make_tokenizer
from models.writer.writer import NETWORK_FILES, Writer
from tests.models.writer.shop import facts, judge


def files() -> dict[str, bytes]:
    pair = make_pair(facts("en"), "A red mug made of stoneware.", judge("en"), Marks())
    assert pair is not None
    network = dict.fromkeys(NETWORK_FILES, b"")
    return Writer(make_tokenizer([pair]), Plan({"en": {"colour": 0.5}}, {"en": 2}), [], network).to_files()


def test_the_plan_comes_back() -> None:
    again = Writer.from_files(files())
    assert again.plan == Plan({"en": {"colour": 0.5}}, {"en": 2})
    assert again.to_files() == files()


@pytest.mark.parametrize("forms", [None, FORMS - 1])
def test_a_writer_of_other_placeholders_is_refused(forms: int | None) -> None:
    """Its "⟦n:volume⟧res" would be "1.5 litresres"."""
    kept = files()
    told = json.loads(kept["plan.json"])
    told = told | {"forms": forms} if forms else {k: v for k, v in told.items() if k != "forms"}
    with pytest.raises(ValueError, match="placeholders"):
        Writer.from_files(kept | {"plan.json": json.dumps(told).encode()})
