"""The E2E challenge: what a text says, how inputs are mended, what counts as an error."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from benchmarks.e2e import template
from benchmarks.e2e.clean import cleaned, finish, group, source, spell, unspell
from benchmarks.e2e.measure import bleu, errors, slot_error_rate
from benchmarks.e2e.read import Example, normalise, read
from benchmarks.e2e.slots import said
from benchmarks.e2e.task import Written, choose
from benchmarks.formats import Unreadable

ASKED = {"name": "The Mill", "food": "Italian", "rating": "low", "area": "riverside", "near": "Café Rouge"}


@pytest.mark.parametrize(
    ("text", "slot", "values"),
    [
        ("__name__ is a pub.", "eatType", ["pub"]),
        ("a pub and restaurant", "eatType", ["pub", "restaurant"]),
        ("__name__ has british food", "food", ["English"]),
        ("by the river", "area", ["riverside"]),
        ("in the center of the city", "area", ["city centre"]),
        ("it is not family-friendly", "familyFriendly", ["no"]),
        ("it isn't child friendly", "familyFriendly", ["no"]),
        ("children are not allowed", "familyFriendly", ["no"]),
        ("not a place to take the family to: adults only", "familyFriendly", ["no"]),
        ("kids are welcome", "familyFriendly", ["yes"]),
        ("good for families", "familyFriendly", ["yes"]),
        ("prices under £20", "priceRange", ["less than £20"]),
        ("between £20 and £25", "priceRange", ["£20-25"]),
        ("more than 30 pounds", "priceRange", ["more than £30"]),
        ("a high price range", "priceRange", ["high"]),
        ("it is not expensive", "priceRange", ["cheap"]),
        ("moderately priced", "priceRange", ["moderate"]),
        ("rated one out of five", "rating", ["1 out of 5"]),
        ("a low customer rating", "rating", ["low"]),
        ("it is highly rated by customers", "rating", ["high"]),
        ("a 3 star rating", "rating", ["3 out of 5"]),
    ],
)
def test_what_a_text_says(text: str, slot: str, values: list[str]) -> None:
    assert said(text, {}).values[slot] == values


def test_an_ambiguous_phrase_means_what_was_asked_for() -> None:
    assert said("a low rating", {"rating": "1 out of 5"}).values["rating"] == ["1 out of 5"]
    assert said("a low rating", {"rating": "5 out of 5"}).values["rating"] == ["low"]


def test_a_hint_is_no_value() -> None:
    found = said("__name__ sells sushi", {"food": "Japanese"})
    assert "food" not in found.values
    assert found.hints == {"food"}


def test_one_spelling_of_texts() -> None:
    text = "The Mill ( a family - friendly pub ) is n't near Cafe Rouge .It 's £ 20 - 25 ."
    mr = {"name": "The Mill", "near": "Café Rouge"}
    assert normalise(text, mr) == "__name__ (a family-friendly pub) isn't near __near__. it's £20-25."


def test_an_input_is_what_its_text_says() -> None:
    ref = "The Mill serves Italian food by the river . It is family friendly ."
    mr = tuple(ASKED.items())
    mended = cleaned([Example(mr, ref)]).pairs[0]
    names = [name for name, _ in mended.source.pairs]
    assert names == ["⟦name⟧", "⟦food=Italian⟧", "⟦area=riverside⟧", "⟦familyFriendly=yes⟧"]
    as_given = cleaned([Example(mr, ref)], repair=False).pairs[0]
    assert as_given.source == source(mr)


@pytest.mark.parametrize(
    ("ref", "why"),
    [
        ("It serves Italian food .", "no name"),
        ("The Mill sells pasta .", "says something that no value stands for"),
        ("The Mill is a pub and a coffee shop .", "two values of one slot"),
        ("The Mill serves French food .", "another value than asked for"),
    ],
)
def test_what_teaches_nothing_certain_is_left_out(ref: str, why: str) -> None:
    found = cleaned([Example(tuple(ASKED.items()), ref)])
    assert found.pairs == []
    assert found.counts == {why: 1}


def test_words_of_letters_come_back() -> None:
    text = "__name__ near __near__ costs £20-25, or £30; rated 1 out of 5."
    assert unspell(spell(text)) == text


def test_errors_of_a_text() -> None:
    perfect = "The Mill is by the river near Café Rouge. It serves Italian food and has a low rating."
    assert errors(perfect, ASKED).count == 0
    wrong = errors("The Mill serves French food by the river and is a pub. Its rating is low.", ASKED)
    assert (wrong.missing, wrong.added, wrong.wrong) == (("near",), ("eatType",), ("food",))
    assert slot_error_rate([wrong]) == pytest.approx(100 * 3 / 5)


def test_a_template_says_every_request() -> None:
    for values in (
        {},
        {"eatType": "pub"},
        {"food": "Fast food", "priceRange": "£20-25", "rating": "3 out of 5"},
        {"eatType": "coffee shop", "food": "Indian", "area": "city centre", "familyFriendly": "no"},
        {"priceRange": "less than £20", "area": "riverside", "near": "Ranch", "familyFriendly": "yes"},
    ):
        mr = {"name": "Zizzi", **values}
        assert errors(template.write(mr), mr).count == 0, template.write(mr)


def test_the_first_text_without_an_error_is_chosen() -> None:
    mr = {"name": "Zizzi", "food": "Indian"}
    good, bad = "Zizzi serves Indian food.", "Zizzi serves Thai food."
    assert choose([good], mr) == (good, "model")
    assert choose([bad, good], mr) == (good, "retry")
    assert choose([bad], mr) == (template.write(mr), "template")
    assert choose([], mr)[1] == "template"


def test_what_reranking_alone_makes_of_a_run() -> None:
    mr = {"name": "Zizzi", "food": "Indian"}
    good, bad = "Zizzi serves Indian food.", "Zizzi serves Thai food."
    written = Written([tuple(mr.items())] * 3, [[good]] * 3, [[good], [bad, good], [bad]])
    written.finished = [choose(texts, mr) for texts in written.candidates]
    assert written.alone == [good, bad, bad]
    assert written.reranked == [good, good, bad]
    assert [text for text, _ in written.finished] == [good, good, template.write(mr)]


def test_names_and_capitals() -> None:
    assert finish("near __near__ is __name__. it is an english pub.", {"name": "Zizzi", "near": "Ranch"}) == (
        "Near Ranch is Zizzi. It is an English pub."
    )


def test_bleu_takes_the_best_of_several_references() -> None:
    assert bleu(["a b c d e"], [["x", "A b c d e"]]) == pytest.approx(100.0)
    assert bleu(["a b c d e", "f g h i j"], [["a b c d e"], ["f g h i j", "y"]]) == pytest.approx(100.0)
    assert bleu(["a b c d e"], [["v w x y z"]]) < 20


def test_both_formats_are_read_alike(tmp_path: Path) -> None:
    lines, table = tmp_path / "a.jsonl.gz", tmp_path / "a.csv"
    mr = {"name": "Zizzi", "customerrating": "5 out of 5", "priceRange": "£ 20 - 25"}
    with gzip.open(lines, "wt") as file:
        file.write(json.dumps({"mr": mr, "ref": "Zizzi ."}) + "\n")
    table.write_text('mr,ref\n"name[Zizzi], priceRange[£20-25], customer rating[5 out of 5]",Zizzi .\n')
    assert read(lines) == read(table)
    assert list(group(read(table)).values()) == [["Zizzi ."]]


@pytest.mark.parametrize("text", ["", "name,text\na,b\n", '{"mr": 1}\n', '{"mr": {}}\n'])
def test_a_foreign_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text)
    with pytest.raises(Unreadable, match=r"a\.txt"):
        read(path)


def test_a_plan_is_the_order_of_the_text_and_is_not_printed() -> None:
    ref = "By the river , The Mill serves Italian food ."
    pair = cleaned([Example(tuple(ASKED.items()), ref)], plan=True).pairs[0]
    assert pair.target.startswith("⟦area=riverside⟧⟦name⟧⟦food=Italian⟧⟦told⟧ by the river")
    assert unspell(pair.target) == "by the river, __name__ serves italian food."
