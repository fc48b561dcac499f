"""The last resort: one sentence a slot, so that every slot is told and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

_RATING = {
    "low": "a low customer rating",
    "average": "an average customer rating",
    "high": "a high customer rating",
}
_PRICE = {
    "cheap": "It is cheap.",
    "moderate": "Its prices are moderate.",
    "high": "It is expensive.",
}
_FRIENDLY = {"yes": "It is family friendly.", "no": "It is not family friendly."}
_AREA = {"city centre": "in the city centre", "riverside": "in the riverside area"}


def write(mr: Mapping[str, str]) -> str:
    """A text for any request; values that the challenge does not have are told as they are."""
    kind = mr.get("eatType", "")
    food = mr.get("food", "")
    opening = f"{mr.get('name', 'This place')} is {_article(kind)}" if kind else ""
    where = [_AREA.get(mr["area"], f"in the {mr['area']} area")] if "area" in mr else []
    where += [f"near {mr['near']}"] if "near" in mr else []
    if not opening:
        opening = mr.get("name", "This place") + (f" serves {food} food" if food else " is")
        if not food and not where:
            opening = mr.get("name", "This place") + " is a place to go"
    elif food:
        opening += f" that serves {food} food"
    sentences = [" ".join([opening, *where]) + "."]
    if "rating" in mr:
        sentences.append(f"It has {_RATING.get(mr['rating'], 'a customer rating of ' + mr['rating'])}.")
    if "priceRange" in mr:
        sentences.append(_PRICE.get(mr["priceRange"], f"Its price range is {mr['priceRange']}."))
    if "familyFriendly" in mr:
        sentences.append(_FRIENDLY.get(mr["familyFriendly"], ""))
    return " ".join(s for s in sentences if s)


def _article(noun: str) -> str:
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"
