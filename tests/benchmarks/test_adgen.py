"""AdvertiseGen: how texts say values, what is learnt from, what is published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.adgen.clean import pairs, source
from benchmarks.adgen.finish import finish, mend, template
from benchmarks.adgen.read import Example, Values, read, says
from benchmarks.adgen.task import Said, UsualLength, barred, says_what, words_of
from benchmarks.chinese import bleu4, rouge, words
from benchmarks.formats import Unreadable
from benchmarks.variety import distinct4, repetition4
from models.writer.clean import Pair, Source
from models.writer.tokenizer import Tokenizer

DRESS = (("类型", "裙"), ("颜色", "红色"), ("裙款式", "勾花镂空"))
KNOWN = [
    Example(DRESS, "红色的连衣裙。"),
    Example((("类型", "裤"), ("图案", "条纹"), ("裤长", "九分裤")), "条纹九分裤。"),
    Example((("类型", "裙"), ("图案", "蕾丝")), "蕾丝裙。"),
]
VALUES = Values(KNOWN)


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("红色的裙子", "红色", True),
        ("镂空的设计", "勾花镂空", True),  # another word for it
        ("九分长度的裤子", "九分裤", True),  # the kind goes without saying
        ("八分长度的裤子", "九分裤", False),
        ("一抹红", "红色", False),  # one character is too little
        ("衬衫", "上衣", True),
    ],
)
def test_how_a_text_says_a_value(text: str, value: str, holds: bool) -> None:
    assert says(text, value) is holds


def test_what_no_attribute_says_is_found() -> None:
    assert VALUES.unsupported("红色镂空蕾丝裙，搭配条纹", DRESS) == ["条纹", "蕾丝"]
    assert VALUES.unsupported("红色镂空连衣裙", DRESS) == []
    assert VALUES.missing("蓝色的裙子", DRESS) == [("颜色", "红色"), ("裙款式", "勾花镂空")]


def test_a_pair_asks_for_what_its_text_tells() -> None:
    example = Example(DRESS, "红色的裙子 <UNK> 有蕾丝")
    assert pairs([example], VALUES)[0].source.pairs == (
        ("⟦类型⟧", "裙"),
        ("⟦颜色⟧", "红色"),
        ("⟦图案⟧", "蕾丝"),
    )
    assert len(pairs([example], VALUES, repair=False)[0].source.pairs) == 3
    assert pairs([example], VALUES, repair=False)[0].source.pairs[2] == ("⟦裙款式⟧", "勾花镂空")


def test_words_of_other_products_are_barred() -> None:
    texts = ["红色蕾丝连衣裙", "条纹长裤"] * 6
    tokenizer = words_of([Pair("1", "zh", Source("zh", ()), t, t) for t in texts])
    found = barred(KNOWN[0], VALUES, says_what(tokenizer, VALUES), len(tokenizer))
    lace, stripes, red = (tokenizer.encode(w) for w in ("蕾丝", "条纹", "红色"))
    assert len(lace) == len(stripes) == len(red) == 1
    assert found[lace].all()
    assert found[stripes].all()
    assert not found[red].any()


def test_the_first_text_that_holds_is_published() -> None:
    good, loose = "红色镂空连衣裙。", "红色镂空蕾丝连衣裙。"
    assert finish([good], DRESS, VALUES) == (good, "model")
    assert finish([loose, good], DRESS, VALUES) == (good, "retry")
    assert finish([], DRESS, VALUES) == (template(DRESS), "template")


def test_what_is_missing_is_told_and_what_is_loose_is_left_out() -> None:
    text = mend("红色的连衣裙，优雅大方。有蕾丝。", DRESS, VALUES)
    assert text.startswith("红色的连衣裙，优雅大方。")
    assert "蕾丝" not in text
    assert "勾花镂空" in text
    assert mend("蕾丝。", DRESS, VALUES) == ""


def test_a_template_tells_every_attribute() -> None:
    for example in KNOWN:
        text = template(example.attributes)
        assert VALUES.missing(text, example.attributes) == []
        assert VALUES.unsupported(text, example.attributes) == []


def test_a_file_is_read_and_a_foreign_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"content": "类型#裙*类型#裙*颜色#红色", "summary": "红色T恤"}))
    assert read(path) == [Example((("类型", "裙"), ("颜色", "红色")), "红色t恤")]
    for text in ("", "{}\n", "x\n", '{"content": "裙", "summary": ""}\n'):
        path.write_text(text)
        with pytest.raises(Unreadable, match=r"a\.jsonl"):
            read(path)


def test_measures_of_known_texts() -> None:
    assert bleu4(["这条裙子很好看"], ["这条裙子很好看"]) == pytest.approx(100.0)
    assert bleu4([""], ["裙"]) == 0.0
    assert rouge(["红色 的 裙子"], ["红色 的 裙子"])["rouge2"] == pytest.approx(100.0, abs=0.01)
    assert words("红色的裙子") == ["红色", "的", "裙子"]
    assert distinct4([list("abcde"), list("abcde")]) == 50.0
    assert repetition4([list("abcdabcd"), list("abcdefgh")]) == 50.0


def test_words_in_a_row_wear_out() -> None:
    said = Said(often=2)
    said.add([1, 2, 3, 4, 1, 2, 3, 4])  # the same four words twice in one text count once
    assert said.worn() == []
    said.add([9, 1, 2, 3, 4])
    assert said.worn() == [(1, 2, 3, 4)]
    said.add([1, 2, 3])
    assert said.worn() == [(1, 2, 3, 4)]
    forever = Said(often=0)
    forever.add([1, 2, 3, 4])
    assert forever.worn() == []


def test_a_text_is_usually_as_long_as_its_attributes_are_many() -> None:
    examples = [
        Pair(str(n), "zh", source([("颜色", "红")] * n), "红" * (5 + 10 * n), "") for n in (1, 2, 3, 4)
    ]
    tokenizer = Tokenizer.train(["红"] * 9, ["⟦颜色⟧", "⟦zh⟧"], min_count=1)
    usual = UsualLength.of(examples, tokenizer)
    assert usual(6) == pytest.approx(65)
