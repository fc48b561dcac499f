from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from models.writer.clean import Marks, Pair, Source, make_pair, restore, said, slot_values
from models.writer.facts import Facts, Lexicon
from models.writer.prototypes import WITNESSES, Prototype, Prototypes, _filled, from_json, to_json
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
    assert found("Dixon B101 Copper Pipe Fitting, Hex Nipple, 2", "Dixon", line)[1] == NPT
    assert (
        found("Dixon B101 Brass Pipe Fitting, Hex Nipple, 2", "Dixon", line)[0]
        == f"{NPT} B101 is made of brass."
    )


def test_what_is_told_of_a_single_product_only_is_no_claim_of_the_whole_line() -> None:
    title = "Dixon B101 Brass Pipe Fitting, Hex Nipple, 2"
    assert found(title, "Dixon")[1] == "B101 is made of brass."
    # Two sentences that share a word are no witnesses of each other.
    other = pair("Dixon B150 Brass Pipe Fitting, Hex Nipple, 3", "It has a flat seal.", "Dixon")
    texts = found(title, "Dixon", Prototypes(Prototype.of(p) for p in [*TEXTS, other]))
    assert not [t for t in texts if "seal" in t]


FITTING = frozenset({"pipe", "fitting", "elbow"})
LONG = "It is wide and it is meant for water under the sink of a kitchen."


def offered(known: Iterable[Prototype], brand: str = "") -> list[str]:
    """What a red pipe fitting is offered, with its placeholders."""
    forms = {"⟦v:colour⟧": "red", "⟦brand⟧": brand} if brand else {"⟦v:colour⟧": "red"}
    asked = Source("en", (("⟦kind⟧", "pipe fitting"),))
    return list(Prototypes(known).find(asked, forms, frozenset()))


def line(*texts: str) -> list[str]:
    """What it is offered where alike ones have these texts."""
    return offered(Prototype("en", FITTING, t) for t in texts * WITNESSES)


def test_a_short_text_is_filled_up_to_the_usual_length_with_what_others_say_besides() -> None:
    short, besides = "It keeps tight.", "Rubber seals stay soft."
    texts = line(short, "Again it keeps tight.", besides, LONG)
    assert texts == [f"{short} {besides}", short, "Again it keeps tight.", besides, LONG]
    # Not one sentence more than is usual.
    assert line(LONG, besides, short)[0] == LONG


def test_a_text_is_filled_with_no_attribute_that_it_tells() -> None:
    assert line("A ⟦v:colour⟧ one.", "It comes in ⟦v:colour⟧.", LONG)[0] == f"A ⟦v:colour⟧ one. {LONG}"
    # In whatever form; the product's kind may be told again.
    texts = [
        "A ⟦v:colour⟧ ⟦kind⟧.",
        "It comes in ⟦l:colour⟧.",
        "This ⟦kind-small⟧ lasts.",
        "⟦kind-small⟧ here.",
    ]
    assert _filled(texts, 99) == "A ⟦v:colour⟧ ⟦kind⟧. This ⟦kind-small⟧ lasts. ⟦kind-small⟧ here."


def test_chinese_sentences_stand_side_by_side() -> None:
    assert _filled(["厚实。", "耐用。 "], 9) == "厚实。耐用。"
    assert _filled([], 9) == ""


def test_what_a_brand_says_of_itself_no_other_brand_says() -> None:
    praise, plain = (
        "⟦brand⟧ is known for good work since long ago.",
        "A ⟦v:colour⟧ one by ⟦brand⟧ with a nut.",
    )
    known = [Prototype("en", FITTING, t, "dixon") for t in [praise, plain] * WITNESSES]
    assert praise in offered(known, "Dixon")
    assert offered(known, "Nibco") == [plain]


def test_of_products_that_are_as_alike_those_of_the_brand_come_first() -> None:
    known = [Prototype("en", FITTING, LONG.replace("wide", b), b) for b in ("nibco", "dixon") * WITNESSES]
    assert "dixon" in offered(known, "Dixon")[0]
    assert "nibco" in offered(known, "Nibco")[0]


def of_brand(*more: tuple[str, str]) -> list[str]:
    """What a fitting by Dixon is offered, of texts for (noun, text) of Dixon's other products."""
    told = [("lamp", "Dixon backs it for life."), ("chair", "Dixon backs it for life. It has arms."), *more]
    return offered((Prototype("en", frozenset({noun}), text, "dixon") for noun, text in told), "Dixon")


def test_what_a_brand_says_of_all_kinds_of_products_holds_for_this_one() -> None:
    assert of_brand() == ["Dixon backs it for life."]
    # Not where it is a small part of what the brand says, or of one line of products only,
    assert not of_brand(*(("rug", f"A rug {a}.") for a in "abcdefg"))
    assert of_brand(("hook", "Holds hats."), ("hook", "Holds hats.")) == ["Dixon backs it for life."]
    # or told of what a product is or has.
    slot = "Lasts in ⟦v:colour⟧."
    assert of_brand(("rug", slot), ("hook", slot)) == ["Dixon backs it for life."]


def test_products_of_which_nothing_is_known_but_the_brand_are_not_alike() -> None:
    known = [Prototype.of(replace(TEXTS[2], source=Source("en", (("⟦brand⟧", ""),)))) for _ in range(3)]
    assert not list(
        Prototypes(known).find(Source("en", (("⟦brand⟧", ""),)), {"⟦brand⟧": "Nibco"}, frozenset())
    )


def test_a_sentence_without_a_word_is_none() -> None:
    assert line("⟦v:colour⟧. It is wide. .", LONG)[1] == "It is wide."


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
    assert [t.brand for t in texts[:3]] == ["dixon", "dixon", ""]
    rows = json.loads(json.dumps(to_json(texts)))
    assert from_json(rows) == texts
    # Of before brands were kept.
    assert from_json([row[:3] for row in rows]) == [replace(t, brand="") for t in texts]
