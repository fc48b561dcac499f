from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.writer.tokenizer import BEGIN, END, PAD, Tokenizer

TEXTS = ["The red mug. ", "这款马克杯很好看，", "A ⟦v:colour⟧ mug by ⟦brand⟧!"]
TOKENIZER = Tokenizer.train(TEXTS, ["⟦v:colour⟧", "⟦brand⟧"], min_count=1)


@given(st.text(st.characters(codec=None)) | st.text("⟦⟧v:colour <pad>begin马é🔥\n", max_size=60))
def test_any_text_comes_back_exactly(text: str) -> None:
    ids = TOKENIZER.encode(text)
    assert TOKENIZER.decode(ids) == text
    assert not {PAD, BEGIN, END} & set(ids)


def test_frequent_words_characters_and_placeholders_are_one_piece_each() -> None:
    assert len(TOKENIZER.encode("The red mug")) == 3
    assert len(TOKENIZER.encode("马克杯")) == 3
    assert TOKENIZER.encode("⟦brand⟧") == [TOKENIZER.special("⟦brand⟧")]
    assert TOKENIZER.special("⟦brand⟧") in TOKENIZER.encode("by ⟦brand⟧!")
    assert all(i in TOKENIZER.byte_ids for i in TOKENIZER.encode("猫"))


def test_broken_bytes_are_shown_and_raise_nothing() -> None:
    assert TOKENIZER.decode([TOKENIZER.byte_ids[0xE9]]) == "\ufffd"
    assert TOKENIZER.decode([*TOKENIZER.encode("red"), END, *TOKENIZER.encode("mug")]) == "red"


def test_the_file_gives_the_same_tokenizer() -> None:
    again = Tokenizer.from_json(TOKENIZER.to_json())
    assert again.to_json() == TOKENIZER.to_json()
    assert again.encode(TEXTS[2]) == TOKENIZER.encode(TEXTS[2])


def test_the_vocabulary_does_not_depend_on_the_order_of_texts() -> None:
    assert (
        Tokenizer.train(reversed(TEXTS), [], min_count=1).words
        == Tokenizer.train(TEXTS, [], min_count=1).words
    )


def test_rare_words_are_left_to_bytes() -> None:
    found = Tokenizer.train(["red red blue"], [], min_count=2)
    assert " blue" not in found.words
    with pytest.raises(ValueError, match="twice"):
        Tokenizer(["⟦a⟧"], ["x", "x"])


WITH_WORDS = Tokenizer.train(
    ["这款连衣裙显瘦", "连衣裙显瘦"], [], 100, 2, cut=lambda run: run.replace("连衣裙", " 连衣裙 ").split()
)


def test_words_of_several_characters_are_one_piece_each() -> None:
    assert {"连衣裙", "显瘦"} <= set(WITH_WORDS.words)
    assert len(WITH_WORDS.encode("连衣裙显瘦")) == 2
    assert len(WITH_WORDS.encode("连衣显瘦")) == 3  # characters of a known word are known too
    assert len(TOKENIZER.encode("马克杯很好看")) == 6  # without a dictionary a character is a word


@given(st.text("这款连衣裙显瘦 ab1", max_size=30))
def test_any_text_comes_back_from_words(text: str) -> None:
    assert WITH_WORDS.decode(WITH_WORDS.encode(text)) == text
    assert WITH_WORDS.decode(Tokenizer.from_json(WITH_WORDS.to_json()).encode(text)) == text
