"""A mapping says what is wrong with it: the file, the key, the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.errors import BadInput
from jobs.intake.mapping import contract_columns, load_mapping, nearest
from jobs.settings import ROOT

GOOD = """
source = "shop"
[read]
delimiter = ";"
[events.columns]
user_id = "who"
product_id = "what"
event_time = "when"
[events.sql]
event_type = "'view'"
[products.columns]
product_id = "sku"
[products.read]
format = "jsonl"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "shop.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_section_inherits_how_files_are_read_and_may_say_otherwise(tmp_path: Path) -> None:
    mapping = load_mapping(write(tmp_path, GOOD))
    assert mapping.events is not None
    assert mapping.products is not None
    assert (mapping.events.read.format, mapping.events.read.delimiter) == ("csv", ";")
    assert (mapping.products.read.format, mapping.products.read.delimiter) == ("jsonl", ";")


def test_the_fingerprint_ignores_comments_and_place_but_not_meaning(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    first = load_mapping(write(tmp_path, GOOD)).fingerprint()
    assert load_mapping(write(tmp_path / "b", "# a comment\n" + GOOD)).fingerprint() == first
    assert load_mapping(write(tmp_path, GOOD.replace('"who"', '"whom"'))).fingerprint() != first


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("[events.columns]", "[events.colums]"), ["'events.colums'", "did you mean 'columns'"]),
        (('source = "shop"', 'sorce = "shop"'), ["sorce", "did you mean 'source'"]),
        (("[read]", "[raed]"), ["'raed'", "did you mean 'read'"]),
        (('delimiter = ";"', 'delimeter = ";"'), ["'read.delimeter'", "did you mean 'delimiter'"]),
        (('format = "jsonl"', 'formt = "jsonl"'), ["'products.read.formt'", "did you mean 'format'"]),
        (('format = "jsonl"', 'format = "xml"'), ["products.read.format", "csv"]),
        (('product_id = "sku"', 'product_id = "sku"\ntitel_en = "t"'), ["titel_en", "'title_en'"]),
        (("event_type = \"'view'\"", ""), ["[events] lacks 'event_type'"]),
        (("event_type = \"'view'\"", 'event_type = "\'v\'"\nuser_id = "x"'), ["events.user_id", "keep one"]),
        (("[read]", '[read]\ntimezone = "Londn"'), ["Londn", "Europe/London"]),
        (("[read]", '[read]\nencoding = "utf8x"'), ["utf8x", "gb18030"]),
        (("[read]", '[read]\nencoding = "utf-16"'), ["'events.read.encoding'", "multiline = true", "UTF-8"]),
        (
            ('format = "jsonl"', 'format = "jsonl"\nencoding = "utf-16le"'),
            ["'products.read.encoding'", "line by line", "convert the files to UTF-8"],
        ),
        (('delimiter = ";"', "delimiter = '\\t'"), ["'events.read.delimiter'", "backslash", '"\\t"']),
        (('delimiter = ";"', "delimiter = ',\"'"), ["'events.read.delimiter'", "a quote"]),
        (("[read]", "[read]\narrived_from_filename = 'x-.*'"), ["arrived_from_filename", "one group"]),
        (("[events.columns]", '[events.refuse]\n"No!" = "true"\n[events.columns]'), ["refuse.No!"]),
        (('source = "shop"', 'source = "My Shop"'), ["'source'", "My Shop"]),
        (('source = "shop"', "source = shop"), ["not valid TOML", "line 2"]),
    ],
)
def test_what_is_wrong_is_named_with_file_and_remedy(
    tmp_path: Path, change: tuple[str, str], told: list[str]
) -> None:
    assert change[0] in GOOD
    path = write(tmp_path, GOOD.replace(change[0], change[1], 1))
    with pytest.raises(BadInput) as caught:
        load_mapping(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    for part in told:
        assert part in message


def test_a_mapping_without_any_entity_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"add a section \[events\]"):
        load_mapping(write(tmp_path, 'source = "shop"'))


def test_a_missing_file_names_the_shipped_mappings() -> None:
    with pytest.raises(BadInput, match=r"online_retail.*did you mean 'online-retail'"):
        load_mapping("online_retail")


@pytest.mark.parametrize("path", sorted((ROOT / "mappings").glob("*.toml")), ids=lambda p: p.stem)
def test_shipped_mappings_load_by_their_name(path: Path) -> None:
    assert load_mapping(path.stem).source == path.stem


def test_the_contract_is_the_registry_without_what_the_intake_fills() -> None:
    assert contract_columns("users") == ("user_id", "age_band", "gender", "city")
    assert "first_seen" not in contract_columns("products")


def test_nearest_lists_what_there_is_when_nothing_is_near() -> None:
    assert nearest("zzz", ["price", "brand"]) == "known: brand, price"
    assert nearest("Price", ["price"]) == "did you mean 'price'?"
    assert nearest("x", []) == "there are none"
