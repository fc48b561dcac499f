"""Training pairs for ad copy: the attributes that a text tells, all of them and no others."""

from __future__ import annotations

import re
from collections.abc import Sequence

from benchmarks.adgen.read import Attribute, Example, Values, says
from models.writer.clean import Pair, Source

# Tags such as <UNK> and <BRAND> stand where the collectors removed something: no words to learn.
_TAG = re.compile(r"<\s*/?\s*[a-z]+\s*>")


def source(attributes: Sequence[Attribute]) -> Source:
    """What the network reads: each attribute's name and the words of its value."""
    return Source("zh", tuple((f"⟦{name}⟧", value) for name, value in attributes))


def pairs(examples: Sequence[Example], values: Values, repair: bool = True) -> list[Pair]:
    """Pairs to learn from. With `repair`, a pair's input is what its text tells, asked for or not."""
    found = []
    for number, example in enumerate(examples):
        text = re.sub(r"\s+", "", _TAG.sub("", example.text))
        told = _told(text, example.attributes, values) if repair else example.attributes
        if told and text:
            found.append(Pair(str(number), "zh", source(told), text, example.text))
    return found


def _told(text: str, attributes: Sequence[Attribute], values: Values) -> tuple[Attribute, ...]:
    asked = [a for a in attributes if says(text, a[1])]
    beyond = [(values.names[v], v) for v in values.unsupported(text, attributes)]
    return (*asked, *beyond)
