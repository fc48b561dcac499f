from __future__ import annotations

import json

from models.writer.clean import Marks, Pair, make_pair, restore, said, slot_values
from models.writer.facts import Facts, Lexicon
from models.writer.prototypes import Prototype, Prototypes, from_json, to_json
from models.writer.text import units
from models.writer.verify import Verifier

JUDGE = Verifier("en", Lexicon(brands=["Dixon", "Nibco"]))
NPT = "The fitting has NPT threads for a tight seal."


def facts(title: str, brand: str = "") -> Facts:
    return Facts(title, "en", title, brand, (), ())


def pair(title: str, text: str, brand: str = "") -> Pair:
    found = make_pair(facts(title, brand), text, JUDGE, Marks())
    assert found is not None
    return found


TEXTS = [
    pair("Dixon B100 Brass Pipe Fitting, Hex Nipple, 1", f"{NPT} B100 is made of brass.", "Dixon"),
    pair(
        "Dixon B200 Steel Pipe Fitting, Elbow, 3/8", "A fitting by Dixon, 3/8 wide. It is an elbow.", "Dixon"
    ),
    pair("Scotch Foil Tape", "The tape is for foil."),
    pair("Nibco 304 Vent Cap", "A cap for 304 vents. It is a vent cap.", "Nibco"),
    *(
        pair(f"Gift {a}", f"It is a gift {a} for the kit, so {b} and made of {c}, in an item by us, wide.")
        for a, b, c in zip("abc", "def", "ghi", strict=True)
    ),
]
SECOND = pair("Dixon B700 Brass Pipe Fitting, Hex Nipple, 7", NPT, "Dixon")
REMEMBERED = Prototypes(Prototype.of(p) for p in TEXTS)


def found(title: str, brand: str = "", texts: Prototypes = REMEMBERED) -> list[str]:
    brief = JUDGE.brief(facts(title, brand))
    forms = dict(slot_values(brief))
    own = frozenset(units(f"{title} {brand}"))
    return [restore(t, forms) for t in texts.find(said(title, brief), forms, own)]


def test_the_most_alike_text_comes_first_with_the_product_s_own_strings() -> None:
    near = pair("Dixon B500 Steel Pipe Fitting, Long Elbow, 3/8", "A long fitting.", "Dixon")
    texts = found(
        "Dixon B300 Steel Pipe Fitting, Elbow, 5/8", "Dixon", Prototypes(map(Prototype.of, [near, *TEXTS]))
    )
    assert texts[0] == "A fitting by Dixon, 5/8 wide. It is an elbow."


def test_what_the_other_product_s_title_says_is_left_out() -> None:
    line = Prototypes(Prototype.of(p) for p in [*TEXTS, SECOND])
    assert found("Dixon B101 Copper Pipe Fitting, Hex Nipple, 2", "Dixon", line)[0] == NPT
    assert (
        found("Dixon B101 Brass Pipe Fitting, Hex Nipple, 2", "Dixon", line)[0]
        == f"{NPT} B101 is made of brass."
    )


def test_what_is_told_of_a_single_product_only_is_no_claim_of_the_whole_line() -> None:
    title = "Dixon B101 Brass Pipe Fitting, Hex Nipple, 2"
    assert found(title, "Dixon")[0] == "B101 is made of brass."
    # Two sentences that share a word are no witnesses of each other.
    other = pair("Dixon B150 Brass Pipe Fitting, Hex Nipple, 3", "It has a flat seal.", "Dixon")
    texts = found(title, "Dixon", Prototypes(Prototype.of(p) for p in [*TEXTS, other]))
    assert not [t for t in texts if "seal" in t]


def test_a_word_that_most_texts_hold_is_nobody_s_own() -> None:
    """ "It is" and "made of" may stand in a title too."""
    titled = Prototypes(
        Prototype.of(p) for p in [*TEXTS, pair("Kit of 2 Lamp Rods", "Made of rods in a kit.")]
    )
    assert found("Kit 3 Lamp Rods", "", titled) == ["Made of rods in a kit."]


def test_sentences_with_strings_or_numbers_that_the_product_has_not_are_left_out() -> None:
    assert found("Nibco Vent Cap", "Nibco") == ["It is a vent cap."]
    # Not even where it stands there as a number that is part of the text: only a placeholder holds a number.
    bare = Prototype("en", Prototype.of(TEXTS[3]).features, "A cap for 12 vents. It is a vent cap.")
    assert found("Nibco 12 Vent Cap", "Nibco", Prototypes([bare, *REMEMBERED.texts[-3:]])) == [
        "It is a vent cap."
    ]


def test_of_products_that_are_not_alike_nothing_is_taken() -> None:
    assert found("Walnut Chair") == []
    assert found("Foil for kitchens, heavy, wide, and very long indeed") == []
    assert found("Foil Tape", "", Prototypes([])) == []


def test_kept_texts_are_the_same_texts() -> None:
    texts = [Prototype.of(p) for p in TEXTS]
    assert from_json(json.loads(json.dumps(to_json(texts)))) == texts
