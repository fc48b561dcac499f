"""How numbers and their units are read, in both languages."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.writer.measures import UNIT_OF
from models.writer.quantities import first_quantity, numbers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Set of 6", [("6", "")]),
        ("30 x 40 cm", [("30", "cm"), ("40", "cm")]),
        ("30×40×50cm", [("30", "cm"), ("40", "cm"), ("50", "cm")]),
        ("10-20 cm, 10 to 20 cm", [("10", "cm"), ("20", "cm")] * 2),
        ("110/220 V", [("110", "v"), ("220", "v")]),
        ("1,000.50 g and 2.0 litres", [("1000.5", "g"), ("2", "l")]),
        ("500毫升", [("500", "ml")]),
        ("５００ＭＬ", [("500", "ml")]),
        ("USB3 and A5", [("usb3", "code"), ("a5", "code")]),
        ("4K", [("4k", "code")]),
        ("6 in the box, 2 bar stools, 2 w/ lids", [("6", ""), ("2", ""), ("2", "")]),
        ("10 in. bucket, 10 in wide, 2 bar", [("10", "in"), ("10", "in"), ("2", "bar")]),
        ("٣ kg", [("3", "kg")]),
    ],
)
def test_numbers_with_their_units(text: str, found: list[tuple[str, str]]) -> None:
    assert [n[:2] for n in numbers(text)] == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1/2 inch, 3/4-Inch", [("0.5", "in"), ("0.75", "in")]),
        ("2-1/2 inch, 2 1/2 inch, 2½ inch", [("2.5", "in")] * 3),
        (".5 inch, ½ inch, half an inch, half-inch", [("0.5", "in")] * 4),
        ("three-quarter sleeve, 3/4 sleeve", [("0.75", "")] * 2),
        ("1/3 cup", [("1/3", "")]),
        ("3/8\" x 1-7/16\", 6' x 8'", [("0.375", "in"), ("1.4375", "in"), ("6", "ft"), ("8", "ft")]),
        ('the "Model 5", a “size 6” and a 7" one', [("5", ""), ("6", ""), ("7", "in")]),
        ("半升", [("0.5", "l")]),
    ],
)
def test_a_fraction_is_one_number(text: str, found: list[tuple[str, str]]) -> None:
    assert [n[:2] for n in numbers(text)] == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("fifty uses", [("50", "")]),
        ("a fifteen-year warranty", [("15", "year")]),
        ("twenty-five, two hundred and six, three dozen", [("25", ""), ("206", ""), ("36", "")]),
        ("two litres, five pieces", [("2", "l"), ("5", "pc")]),
        ("one-litre, one year, one percent", [("1", "l"), ("1", "year"), ("1", "%")]),
        ("one of a kind, one piece, one day, all-in-one, often", []),
        ("十二件装, 两百毫升", [("12", "pc"), ("200", "ml")]),
        ("一升, 一年质保, 二〇二四年", [("1", "l"), ("1", "year"), ("2024", "year")]),
        ("一款百搭, 一件, 一年四季, 每一年, 大半年, 四周都好, 个性十足", []),
        ("三倍, 一倍", [("3", "times"), ("1", "times")]),
        ("百分之五十, 百分之50, 百分百", [("50", "%"), ("50", "%"), ("100", "%")]),
    ],
)
def test_number_words_are_numbers(text: str, found: list[tuple[str, str]]) -> None:
    assert [n[:2] for n in numbers(text)] == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2万毫安时, 2 万毫安时, 2万5千毫安时", [("20000", "mah")] * 2 + [("25000", "mah")]),
        ("1.5万小时, 3亿次, 5百克", [("15000", "h"), ("300000000", ""), ("500", "g")]),
        ("２万毫安时, ٢万毫安时, 两万毫安时, 二十万毫安时", [("20000", "mah")] * 3 + [("200000", "mah")]),
        ("三百二十万个, 一亿两千万个", [("3200000", "pc"), ("120000000", "pc")]),
        ("2 dozen eggs, 2-dozen, 3 thousand", [("24", ""), ("24", ""), ("3000", "")]),
        ("half a dozen, 1.5 million, 1/3 dozen", [("6", ""), ("1500000", ""), ("4", "")]),
        # Units, and words of their own.
        ("5千克, 2千瓦, 3千米, 2千卡", [("5", "kg"), ("2", "kw"), ("3", "km"), ("2", "cal")]),
        ("4800万像素", [("4800", "wpx")]),
        ("2百搭, 3万向轮, 4十字", [("2", ""), ("3", ""), ("4", "")]),
        ("2 dozens of thousands", [("24", ""), ("1000", "")]),
    ],
)
def test_digits_with_a_large_word_behind_them_are_one_number(text: str, found: list[tuple[str, str]]) -> None:
    assert [n[:2] for n in numbers(text)] == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("-20 °C, at \u221220 °C, (-5.5 °F)", [("-20", "°c"), ("-20", "°c"), ("-5.5", "°f")]),
        ("-20~60℃, -20 to -10 °C", [("-20", "°c"), ("60", "°c"), ("-20", "°c"), ("-10", "°c")]),
        ("温度-20℃，零至-5℃", [("-20", "°c"), ("-5", "°c")]),
        ("-20, -0 °C", [("-20", ""), ("0", "°c")]),
        # Ranges, sizes, model numbers, dates and items of a list.
        (
            "10-20 cm, 10 -20 °C, 10°C-20°C",
            [("10", "cm"), ("20", "cm"), ("10", ""), ("20", "°c"), ("10", "°c"), ("20", "°c")],
        ),
        ("30x40, 2-1/2 in", [("30", ""), ("40", ""), ("2.5", "in")]),
        ("A-20, A-20 °C, 型号-20", [("a20", "code"), ("a20", "code"), ("20", "")]),
        ("2024-12-20", [("2024", ""), ("12", ""), ("20", "")]),
        ("-3 pockets, -2 pieces, -40 cm", [("3", ""), ("2", "pc"), ("40", "cm")]),
    ],
)
def test_a_minus_belongs_to_its_number(text: str, found: list[tuple[str, str]]) -> None:
    assert [n[:2] for n in numbers(text)] == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,5 l, 1,50 kg, 12,5-cm", [("1.5", "l"), ("1.5", "kg"), ("12.5", "cm")]),
        ("1,5 x 2,5 m, 1,5-2,5 l", [("1.5", "m"), ("2.5", "m"), ("1.5", "l"), ("2.5", "l")]),
        ("1,500 ml, 1,234,567.5 g", [("1500", "ml"), ("1234567.5", "g")]),
        ("sizes 1,5 and 2,4,6 oz", [("1", ""), ("5", ""), ("2", ""), ("4", ""), ("6", "oz")]),
        ("3,5 pieces", [("3", ""), ("5", "pc")]),
    ],
)
def test_a_comma_before_a_measure_is_a_decimal_one(text: str, found: list[tuple[str, str]]) -> None:
    assert [n[:2] for n in numbers(text)] == found


def test_digits_of_any_script_are_percents() -> None:
    assert [n[:2] for n in numbers("百分之٩, 百分之०, 百分之½")][:2] == [("9", "%"), ("0", "%")]


@pytest.mark.parametrize(
    ("unit", "texts"),
    [
        ("gal", "10-gallon|10 gal.|10加仑|10 US gallons"),
        ("qt", "10 quarts|10夸脱"),
        ("pt", "10 pints|10品脱"),
        ("yd", "10 yards|10-yd"),
        ("floz", "10 fl. oz|10 fluid ounces"),
        ("psi", "10 psi|10 pounds per square inch"),
        ("a", "10 amps|10安培"),
        ("v", "10 volts|10伏"),
        ("w", "10-watt|10瓦"),
        ("hz", "10 hertz|10赫兹"),
        ("lm", "10 lumens|10流明"),
        ("rpm", "10 rpm|10转/分钟"),
        ("dpi", "10 dpi"),
        ("°f", "10 °F|10 degrees Fahrenheit|10华氏度|10℉"),
        ("°c", "10 °C|10 degrees Celsius|10摄氏度|10℃"),
        ("kwh", "10 kWh|10 kilowatt-hours|10千瓦时"),
        ("db", "10 dB|10分贝"),
        ("m2", "10 m²|10 square metres|10平方米|10 sq. m"),
        ("g/m2", "10 g/m²|10 gsm|10克/平方米"),
        ("week", "10 weeks|10周"),
    ],
)
def test_units_in_all_their_spellings(unit: str, texts: str) -> None:
    assert [(t, n.value, n.unit) for t in texts.split("|") for n in numbers(t)] == [
        (t, "10", unit) for t in texts.split("|")
    ]


def test_the_word_behind_a_number_is_told() -> None:
    assert [n.next for n in numbers("16 drawers, 5 of them, 3/8 shank, 6 or 8 oz, 12层")] == [
        *("drawer", "", "shank", "oz", "", "层")
    ]


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("1.5 litres", "1.5 litres"),
        ("16 ounces", "16 ounces"),
        ("500毫升大号", "500毫升"),
        ("12个月以上", "12个月"),
        ("1/2-Inch", "1/2-Inch"),
        ("2-1/2 in. pipe", "2-1/2 in"),
        ("1½ cups", "1½"),
        ("30 x 40 cm (folded)", "30 x 40 cm"),
        ("about 10-20 cm", "10-20 cm"),
        ("16 drawers", "16"),
        ("EU 36", "36"),
        ("36码", "36"),
        ("250 g/m² cotton", "250 g/m²"),
        ("4K, A5 and 2.4K", ""),
        ("5万毫安时大容量", "5万毫安时"),
        ("2 dozen eggs", "2 dozen"),
        ("1,5 l bottle", "1,5 l"),
        ("-20 °C", ""),
        ("\u221220 °C", ""),
        ("cotton", ""),
    ],
)
def test_the_first_quantity_is_whole(value: str, form: str) -> None:
    assert first_quantity(value) == form


NUMERALS = ["1", "16", "1,5", "-2", "2万", "5 dozen", "1.5", "1/2", ".5", "½", "2-1/2", "1,000"]
MARKS = ["-", "/", "x", "×", ".", '"', "'", " "]
WORDS = [*sorted(UNIT_OF), *NUMERALS, *MARKS, "drawers", "大号", "以上", "装"]


@given(st.lists(st.sampled_from(WORDS), max_size=8).map("".join))
def test_no_form_ends_inside_a_word_or_a_number(value: str) -> None:
    form = first_quantity(value)
    if form:
        before, after = value.split(form, 1)
        assert not re.match(r"[a-z0-9]|[.,/]\d", after), (value, form)
        assert not re.search(r"[A-Za-z0-9]$", before), (value, form)


def least_seconds(text: str) -> float:
    """Of this thread alone, and the least of three: the process collects garbage and has other threads."""
    found = []
    for _ in range(3):
        start = time.thread_time()
        numbers(text)
        found.append(time.thread_time() - start)
    return min(found)


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "1",
        "1/",
        "1 1/2",
        "two ",
        "one hundred ",
        "百",
        '"',
        "1x",
        "1-",
        "a1-",
        "1,",
        "1,1-",
        "1万",
        "-1",
        "-1 ",
    ],
)
def test_a_long_text_is_read_in_time(piece: str) -> None:
    """Twice the text takes about twice the time: no pattern goes back over what it has read."""
    short, long = (least_seconds((piece * size)[:size]) for size in (5_000, 10_000))
    assert long < 3 * short + 0.2
