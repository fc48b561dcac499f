"""Units of measure, in English and Chinese: how they are written behind a number."""

from __future__ import annotations

import re

from models.writer.text import HAN

# Canonical unit: its spellings; "_" is a gap that need not be there.
_SPELT = {
    "mcg": "mcg μg microgram micrograms 微克",
    "mg": "mg milligram milligrams 毫克",
    "g": "g gm gms gram grams gramme grammes 克",
    "kg": "kg kgs kilogram kilograms kilo kilos 千克 公斤",
    "ton": "ton tons tonne tonnes 吨",
    "jin": "斤",
    "oz": "oz ounce ounces 盎司",
    "floz": "fl_oz fluid_ounce fluid_ounces 液量盎司 液盎司",
    "lb": "lb lbs pound pounds 磅",
    "ct": "carat carats 克拉",
    "ml": "ml cc millilitre millilitres milliliter milliliters 毫升",
    "cl": "cl centilitre centilitres centiliter centiliters",
    "l": "l ltr ltrs litre litres liter liters 升 公升",
    "gal": "gal gals gallon gallons us_gallon us_gallons 加仑",
    "qt": "qt qts quart quarts 夸脱",
    "pt": "pint pints 品脱",
    "nm": "nm nanometre nanometres nanometer nanometers 纳米",
    "um": "μm um micron microns 微米",
    "mil": "mil mils",
    "mm": "mm millimetre millimetres millimeter millimeters 毫米",
    "cm": "cm cms centimetre centimetres centimeter centimeters 厘米 公分",
    "m": "m metre metres meter meters 米",
    "km": "km kilometre kilometres kilometer kilometers 公里 千米",
    "in": "in inch inches 英寸 英吋 寸",
    "ft": "ft foot feet 英尺",
    "yd": "yd yds yard yards",
    "mi": "mile miles 英里",
    "chi": "尺",
    "ga": "ga gauge gauges",
    "w": "w watt watts 瓦 瓦特",
    "kw": "kw kilowatt kilowatts 千瓦",
    "wh": "wh watt_hour watt_hours 瓦时",
    "kwh": "kwh kilowatt_hour kilowatt_hours 千瓦时",
    "hp": "hp horsepower 马力",
    "v": "v volt volts vac vdc 伏 伏特",
    "kv": "kv kilovolt kilovolts 千伏",
    "a": "amp amps ampere amperes 安培",
    "ma": "ma milliamp milliamps 毫安",
    "ah": "ah amp_hour amp_hours 安时",
    "mah": "mah 毫安时",
    "ohm": "ohm ohms ω 欧姆",
    "hz": "hz hertz 赫兹",
    "khz": "khz kilohertz 千赫",
    "mhz": "mhz megahertz 兆赫",
    "ghz": "ghz gigahertz 吉赫",
    "rpm": "rpm revolutions_per_minute 转每分 转/分钟 转/分",
    "dpi": "dpi dots_per_inch",
    "px": "px pixel pixels 像素",
    "mp": "mp megapixel megapixels",
    "wpx": "万像素",
    "fps": "fps frames_per_second 帧",
    "lm": "lm lumen lumens 流明",
    "lux": "lux 勒克斯",
    "db": "db dba decibel decibels 分贝",
    "psi": "psi pounds_per_square_inch",
    "bar": "bar",
    "pa": "pa 帕",
    "kpa": "kpa 千帕",
    "mpa": "mpa 兆帕",
    "kb": "kb kilobyte kilobytes",
    "mb": "mb megabyte megabytes",
    "gb": "gb gigabyte gigabytes",
    "tb": "tb terabyte terabytes",
    "kbps": "kbps",
    "mbps": "mbps",
    "gbps": "gbps",
    "bit": "bit bits",
    "cal": "calorie calories kcal 千卡 大卡 卡路里",
    "kj": "kj kilojoule kilojoules 千焦",
    "btu": "btu btus",
    "cfm": "cfm",
    "gpm": "gpm gallons_per_minute",
    "iu": "iu 国际单位",
    "denier": "denier den 旦",
    "km/h": "kmh kph",
    "mi/h": "mph miles_per_hour",
    "g/m2": "gsm",
    "ms": "ms millisecond milliseconds 毫秒",
    "s": "sec secs second seconds 秒 秒钟",
    "min": "min minute minutes mins 分钟",
    "h": "h hour hours hr hrs 小时 钟头",
    "day": "day days 天",
    "week": "week weeks wk wks 星期 周",
    "month": "month months mos 个月",
    "year": "year years yr yrs 年 周年 岁 周岁",
    "%": "% percent per_cent pct",
    "°c": "°_c ℃ celsius degrees_c degree_celsius degrees_celsius deg_c 摄氏度",
    "°f": "°_f ℉ fahrenheit degrees_f degree_fahrenheit degrees_fahrenheit deg_f 华氏度",
    "°": "° deg degree degrees 度",
    "times": "times 倍",
    "pc": "pc pcs pk piece pieces pack packs count 件 个 片 支 只 枚",
}
UNIT_OF = {word.replace("_", ""): unit for unit, words in _SPELT.items() for word in words.split()}
# A text may name the unit less exactly: "wash at 40 degrees" of "40 °C".
LESS_EXACT = {"°": ("°c", "°f"), "oz": ("floz",)}
# "One" and 一 before these are a number; "one piece", "one day" and 一秒 are turns of speech.
MEASURES = frozenset(_SPELT) - {"pc", "day", "s", "°"}
_LENGTHS = frozenset("mm cm m km in ft yd mi".split())  # noqa: SIM905
_POWERS = {"square": "2", "sq": "2", "平方": "2", "cubic": "3", "cu": "3", "立方": "3"}
_SIZES = "wide|long|high|deep|tall|thick|length|width|height|depth|diameter|diam|dia|od|id|by|x|w|l|h|d"
# Where a spelling is something else: "6 in the box", "2 bar stools", "2 w/ lids", 两天然.
_UNLESS = {
    "in": rf"(?:(?! ?[a-z0-9])|(?= (?:{_SIZES})\b))",
    "bar": "(?! ?[a-z0-9])",
    "w": "(?!/)",
    "天": "(?!然)",
    "升": "(?![级降华])",
    "米": "(?![色白黄灰粉其])",
    "年": "(?![级龄代轻])",
    "尺": "(?!寸)",
    "个": "(?![性人])",
    "只": "(?![需要是有能会])",
    "支": "(?![持撑架])",
    "周": "(?<![一四]周)",
}


def _spellings(han: bool) -> str:
    words = (w for spelt in _SPELT.values() for w in spelt.split() if ("\u2e80" <= w[0] <= "\uf900") == han)
    ranked = sorted(words, key=lambda w: (-len(w), w))
    return "|".join(re.escape(w).replace("_", "[ .-]{0,2}") + _UNLESS.get(w, "") for w in ranked)


# What may stand between a number and its unit.
GAP = r"(?:[\-\u2010-\u2014] ?| )?"
_PER = "m2|m²|m3|m³|cm2|cm²|in2|ft2|km|m|cm|in|ft|kg|lb|oz|g|l|ml|gal|day|hour|hr|h|minute|min|sec|s"
# A unit behind a number, in a text of small letters or by a pattern that does not tell them apart.
UNIT = (
    r"(?P<power>(?:square|sq|cubic|cu)[ .-]{1,2}|平方|立方)?"
    rf"(?P<unit>(?:{_spellings(False)})(?=[23²³]?(?![^\W\d_{HAN}]))|{_spellings(True)})"
    r"(?P<raised>(?<=[a-z])[23²³](?![\da-z]))?"
    rf"(?P<per>/(?:(?:{_PER})(?![a-z0-9])|平方米|立方米|公斤|小时|分钟|秒|升|天))?"
)


def canonical(match: re.Match[str]) -> str:
    """The unit that `UNIT` has matched in a text that `normalise` has seen: "m2" for "square metres"."""
    unit = UNIT_OF[re.sub("[ .-]", "", match["unit"])]
    if unit in _LENGTHS:
        unit += _POWERS.get((match["power"] or "").rstrip(" .-"), match["raised"] or "")
    per = (match["per"] or "")[1:].replace("平方米", "m2").replace("立方米", "m3")
    return f"{unit}/{UNIT_OF.get(per, per)}" if per else unit
