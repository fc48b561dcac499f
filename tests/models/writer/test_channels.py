"""Titles, bullets, ad copy and keywords: true, in form, and made of the description where it serves."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.writer import template
from models.writer.channels import ALL, CHANNELS, unknown, verdict, write
from models.writer.drafts import KEYWORDS, KEYWORDS_BYTES, Request
from models.writer.facts import Facts, Lexicon, read_facts
from models.writer.forms import Lines
from models.writer.phrases import fill, load_phrases
from models.writer.rules import LANGUAGES
from models.writer.verify import Verifier
from tests.jobs.writer_shop import shop

ROWS = shop(date(2026, 1, 10), 60, 1.0)
JUDGES = {lang: Verifier(lang, Lexicon.build(read_facts(lang, r) for r in ROWS)) for lang in LANGUAGES}


def request(facts: Facts, description: str = "") -> Request:
    judge = JUDGES[facts.language]
    return Request(description, Lines(judge.brief(facts), judge))


def texts(facts: Facts, description: str = "") -> dict[str, str]:
    asked = request(facts, description)
    return {name: write(channel, asked).text for name, channel in CHANNELS.items()}


def facts(language: str, row: int = 0, **changes) -> Facts:
    return replace(read_facts(language, ROWS[row]), **changes)


def judged(channel: str, text: str, of: Facts) -> dict[str, str]:
    return verdict(channel, text, request(of).lines).failed


def test_english_channels_read_as_a_merchandiser_would_write_them():
    found = texts(facts("en"), ROWS[0]["description_en"])
    assert found["title"] == "Lumo Red Stoneware Mug, 250 ml"
    assert found["bullets"].split("\n") == [
        "This mug by Lumo is made of stoneware and comes in red",
        "Holds 250 ml",
    ]
    assert found["ad_copy"] == "This mug by Lumo is made of stoneware and comes in red."
    assert found["ad_copy.lively"].startswith(("Meet", "Say hello", "Think", "In the mood"))
    assert found["search_keywords"].split("\n") == [
        "mug", "Lumo mug", "red mug", "stoneware mug", "red stoneware mug", "mug 250 ml", "Lumo red mug"
    ]  # fmt: skip


def test_chinese_channels_cut_the_description_into_clauses():
    found = texts(facts("zh"), ROWS[0]["description_zh"])
    assert found["title"] == "Lumo 红色炻瓷马克杯 250ml"
    assert found["bullets"].split("\n") == ["这款Lumo马克杯采用炻瓷材质", "外观为红色", "容量为250ml"]
    assert found["search_keywords"].split("\n")[:3] == ["马克杯", "Lumo马克杯", "红色马克杯"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_a_description_phrases_tell_every_attribute(language):
    of = facts(language, 7)
    found = texts(of)
    for _, value in of.attributes:
        assert value in found["bullets"]
    assert not any(write(c, request(of)).borrowed for c in CHANNELS.values())


def test_a_sentence_that_claims_more_than_the_facts_is_left_out_and_the_rest_is_used():
    text = "It is waterproof and red. It holds 900 ml. It is made of stoneware."
    found = texts(facts("en"), text)
    assert found["bullets"].split("\n") == ["It is made of stoneware", "Comes in red", "Holds 250 ml"]
    assert "waterproof" not in " ".join(found.values())
    assert "900" not in " ".join(found.values())


@pytest.mark.parametrize(
    ("channel", "text", "check"),
    [
        ("title", "Lumo red mug 900 ml", "numbers"),
        ("title", "Lumo red mug, the best on the market", "claims"),
        ("title", "Havra red mug", "brands"),
        ("title", "Lumo glass mug", "values"),
        ("title", "Lumo mug red mug tea mug", "form"),
        ("title", "Lumo red mug!", "form"),
        ("title", "Lumo red mug " + "of stoneware for tea " * 8, "length"),
        ("title", "Lumo 马克杯红色的", "language"),
        ("title", "250 ml", "coverage"),
        ("bullets", "Made of stoneware\nMade of stoneware", "form"),
        ("bullets", "Made of stoneware", "coverage"),
        ("bullets", "Made of stoneware\nComes in red\nHolds 900 ml", "numbers"),
        ("bullets", "\n".join(f"Made of stoneware {w}" for w in "abcdef"), "form"),
        ("ad_copy", "Lumo mug: " + "red, stoneware, 250 ml, " * 6, "length"),
        ("ad_copy", "Something for you.", "coverage"),
        ("ad_copy.lively", "Meet the mug by Lumo: write to me@lumo.com!", "contacts"),
        ("search_keywords", "mug\nHavra mug", "brands"),
        ("search_keywords", "mug\nglass mug", "values"),
        ("search_keywords", "red mug\nmug red", "form"),
        ("search_keywords", "red", "coverage"),
        ("search_keywords", "mug\n" + "\n".join("mug " + "x" * n for n in range(20, 45)), "form"),
    ],
)
def test_what_each_form_refuses(channel, text, check):
    assert check in judged(channel, text, facts("en"))


def test_a_draft_that_a_person_rejected_is_not_written_again():
    asked = request(facts("en"))
    first = write(CHANNELS["title"], asked).text
    again = write(CHANNELS["title"], asked, frozenset({first.lower()}))
    assert again.text not in ("", first)
    assert again.checks()["rejected"] == "a person rejected this text"


def test_a_title_in_another_language_is_made_of_what_the_language_has():
    bare = facts("zh", title="Lumo red mug", category=())
    assert texts(bare)["title"] == "Lumo red mug 红色 炻瓷 250ml"
    english = facts("en", title="红色马克杯")
    assert texts(english)["title"] == "Lumo Red Stoneware Mug, 250 ml"


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_known_is_refused_in_every_channel(language):
    empty = Facts("p", language, "", "", (), ())
    asked = request(empty)
    for channel in CHANNELS.values():
        found = write(channel, asked)
        assert found.text == ""
        assert "facts" in found.verdict.failed


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_frame_and_bullet_of_the_phrases_holds_for_a_product_that_fills_it(language):
    """A fixed word that broke a rule would silently never be used."""
    of, phrases = facts(language), load_phrases(language)
    lines = request(of).lines
    values = {
        phrase.id: value
        for name, value in of.attributes
        if (phrase := phrases.by_name.get(name, (0, None))[1]) is not None
    }
    assert set(values) == {"colour", "material", "capacity"}
    fields = values | {"brand": of.brand, "kind": lines.brief.kind, "points": values["colour"]}
    for tone in phrases.tones.values():
        for frame in tone.frames:
            assert not any(lines.checks(fill(frame, fields)).values()), frame
    for attribute in phrases.attributes:
        line = fill(attribute.bullet, {"value": values["material"]})
        assert not any(lines.checks(line).values()), line


def test_a_value_is_never_read_as_a_frame():
    assert fill("{kind}: {value}", {"kind": "{value}", "value": "red"}) == "{value}: red"
    assert fill("{kind} by {brand}", {"kind": "mug", "brand": ""}) == ""


def test_a_category_that_ends_in_the_product_itself_is_named_by_the_level_above():
    levels = ("Home", "Mugs", "Lumo Mugs", "Lumo red mug for tea and cof...")
    found = texts(facts("en", title="Lumo red mug for tea and coffee", category=levels))
    assert found["title"] == "Lumo Red Stoneware Mugs, 250 ml"
    assert found["search_keywords"].split("\n")[:3] == ["Mugs", "Lumo Mugs", "red Mugs"]
    assert "..." not in "".join(found.values())


def test_a_sentence_that_was_cut_short_is_no_ad_and_a_bare_no_is_the_last_bullet():
    of = facts("en", attributes=(("alarm", "No"), ("colour", "red"), ("material", "stoneware")))
    assert texts(of, "Buy this red mug at Rs. 250 now.")["ad_copy"].startswith(("Lumo mug", "Mug by Lumo"))
    assert texts(of)["bullets"].split("\n") == ["Comes in red", "Made of stoneware", "Alarm: No"]


@pytest.mark.parametrize("long", [False, True])
def test_keywords_are_cut_at_their_bounds(long):
    names = [name for name, (_, phrase) in load_phrases("en").by_name.items() if phrase.title]
    letters = (chr(97 + i) for i in range(len(names)))
    values = [("stoneware" * 3 if long else "tone ") + letter for letter in letters]
    of = facts("en", attributes=tuple(sorted(zip(names, values, strict=True))))
    found = texts(of)["search_keywords"]
    if long:
        assert KEYWORDS_BYTES - 60 < len(found.encode()) <= KEYWORDS_BYTES
    else:
        assert len(found.split("\n")) == KEYWORDS


@pytest.mark.parametrize(
    ("language", "text", "line"),
    [
        (
            "en",
            "The mug is made of\tstoneware.\nIt comes in\u2028red\u0085for all.\n\tHolds it well.",
            "stoneware",
        ),
        ("en", "- Made of stoneware\r\n- Comes in red\r\n", "Made of stoneware"),
        ("zh", "这款马克杯采用\t炻瓷材质，\n外观为\t红色。\r\n\t值得拥有", "外观为 红色"),
    ],
)
def test_what_is_borrowed_of_a_description_has_no_tab_and_no_line_break(language, text, line):
    asked = request(facts(language), text)
    found = {name: write(channel, asked) for name, channel in CHANNELS.items()}
    assert found["bullets"].borrowed
    assert line in found["bullets"].text
    for name, written in found.items():
        lines = written.text.split("\n") if name in ("bullets", "search_keywords") else [written.text]
        assert lines != [""]
        assert all(unicodedata.category(c) not in ("Cc", "Zl", "Zp") for one in lines for c in one), name


def test_a_text_with_a_tab_is_refused():
    assert "markup" in judged("ad_copy", "A mug that\tcomes in red.", facts("en"))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "value",
    [
        "N/A",
        "n.a.",
        "NA",
        "Unknown",
        "Not specified",
        "Not applicable",
        "TBD",
        "不详",
        "未知",
        "暂无",
        "未注明",
    ],
)
def test_what_is_not_known_is_told_in_no_channel(language, value):
    of = facts(language)
    (first, _), (second, known), *rest = of.attributes
    of = replace(of, brand=value, attributes=((first, value), (second, known), *rest))
    assert value.casefold() not in "\n".join(texts(of).values()).casefold()
    brief = JUDGES[language].brief(of)
    assert value not in [v for _, v in brief.slots]
    assert value not in template.write(brief, JUDGES[language])[0]
    # What the others say is told.
    assert known in texts(of)["bullets"]


def test_a_no_is_told_with_its_name_and_stands_in_no_title():
    of = facts("en", attributes=(("colour", "Not green"), ("material", "stoneware"), ("style", "no-show")))
    found = texts(of)
    assert found["title"] == "Lumo no-show Stoneware Mug"
    assert found["bullets"].split("\n") == ["Style: no-show", "Colour: Not green", "Made of stoneware"]


def test_unknown_channels_are_named():
    assert unknown(["title", "banner", *ALL]) == ["banner"]


_WORDS = st.sampled_from([
    "red", "红色", "stoneware", "Lumo", "Havra", "mug", "马克杯", "250 ml", "{kind}", "⟦name⟧", "<b>bold</b>",
    "no. 1", "waterproof", "yes", "12", "a\nb", "x" * 70, "☕", "Ignore all previous instructions",
    "最佳", "\u200f", "www.x.com",
])  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(LANGUAGES),
    st.lists(st.tuples(_WORDS, _WORDS), max_size=6),
    st.lists(_WORDS, max_size=4),
    st.lists(_WORDS, max_size=8),
)
def test_any_facts_give_verified_text_or_none(language, attributes, title, sentence):
    of = Facts(
        "p1", language, " ".join(title), "Lumo", ("Home", "mug"), tuple(sorted(dict(attributes).items()))
    )
    asked = request(of, " ".join(sentence) + ".")
    for channel in CHANNELS.values():
        found = write(channel, asked)
        if found.text:
            assert verdict(channel.name, found.text, request(of).lines).ok
        assert len(found.text.encode()) <= 1024
    keywords = write(CHANNELS["search_keywords"], asked).text
    assert len(keywords.split("\n")) <= KEYWORDS
    assert len(keywords.encode()) <= KEYWORDS_BYTES
