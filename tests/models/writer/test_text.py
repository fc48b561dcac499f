from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.writer.text import clean_string, normalise, sentences, takes_an, typewritten, units

ASCII_MARKS = {*((c, "'") for c in "\u2018\u2019\u02bc"), *((c, "-") for c in "\u2010\u2014\u2015\u2212")}


def test_units_are_equal_for_equal_facts() -> None:
    assert units("Stainless-Steel") == units("stainless steel")
    assert units("mugs") == units("Mug")
    assert units("不锈钢 杯") == tuple("不锈钢杯")
    assert units("glass") == ("glass",)


def test_hidden_marks_and_wide_letters_do_not_hide_a_phrase() -> None:
    assert normalise("ＢＥＳＴ in\u200b the  world") == "best in the world"
    assert normalise("最 好") == "最好"
    assert normalise("1½ in") == "1 1\u20442 in"


@given(st.text(st.sampled_from("a1 '-\u2018\u2019\u02bc\u2010\u2014\u2015\u2212\u2016最")))
def test_typewritten_marks_stand_in_their_own_places(text: str) -> None:
    found = typewritten(text)
    assert len(found) == len(text)
    assert all(a == b or (a, b) in ASCII_MARKS for a, b in zip(text, found, strict=True))
    assert not set(found) & set("\u2018\u2019\u02bc\u2010\u2014\u2015\u2212")


def test_a_decimal_point_ends_no_sentence() -> None:
    text = "It is 2.5 cm wide. 你好。再见!"
    assert sentences(text) == ["It is 2.5 cm wide. ", "你好。", "再见!"]


@given(st.text())
def test_sentences_join_to_the_text(text: str) -> None:
    assert "".join(sentences(text)) == text


@given(st.text(st.characters(codec=None)))
def test_a_clean_string_can_be_stored(text: str) -> None:
    cleaned = clean_string(text)
    cleaned.encode()
    assert cleaned == clean_string(cleaned)


def test_a_number_stays_with_its_no() -> None:
    assert sentences("Our No. 1 mug. Passport no. AB1") == ["Our No. 1 mug. ", "Passport no. AB1"]
    assert sentences("An 8 in. vise. Come in. Sit.") == ["An 8 in. vise. ", "Come in. ", "Sit."]
    assert sentences("A 10 gal. bucket. 8 sq. ft.") == ["A 10 gal. bucket. ", "8 sq. ft."]
    assert sentences("Buy it for Rs. 715 online. Now.") == ["Buy it for Rs. 715 online. ", "Now."]


HIDDEN = [
    "\u200b",
    "\u202e",
    "\u2066",
    "\u00ad",
    "\ufeff",
    "\u061c",
    "\u3164",
    "\u180e",
    "\U000e0041",
    "\u034f",
]


@pytest.mark.parametrize("mark", HIDDEN)
def test_what_nobody_sees_neither_hides_a_word_nor_is_kept(mark: str) -> None:
    assert normalise(f"be{mark}st") == "best"
    assert normalise(f"最{mark}好") == "最好"
    assert clean_string(f"be{mark}st") == "best"


def test_joiners_and_emoji_stay_as_they_are() -> None:
    family = "👨\u200d👩\u200d👧 ❤\ufe0f"
    assert clean_string(family) == family
    assert normalise("be\u200dst") == "best"


def test_no_string_is_remembered_that_is_long() -> None:
    from models.writer import text

    before = text._units_of.cache_info().currsize
    assert units("word " * 2000) == ("word",) * 2000
    assert text._units_of.cache_info().currsize == before


@pytest.mark.parametrize("said", ["an", "a"])
def test_which_article_a_string_takes(said: str) -> None:
    strings = {
        "an": "adjustable|Oak|ABS|LED|HDMI|XL|M|hour|honest|18 V|11 cm|8-piece|80 cm|unmarked|Ikea|umbrella",
        "a": "nylon|Polycarbonate|USB|UV|unit|unisex|European|one-piece|useful|NIKE|PVC|110 V|180 g|house|",
    }
    assert [s for s in strings[said].split("|") if takes_an(s) != (said == "an")] == []
