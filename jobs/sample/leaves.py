"""The kinds of product that the sample shop sells."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.sample import words_care as c
from jobs.sample import words_goods as g
from jobs.sample import words_wear as w
from jobs.sample.slots import Slot


@dataclass(frozen=True)
class Leaf:
    """One kind of product.

    `noun_en` holds a `*` where adjectives go inside it ("pair of * jeans"). `price` is the middle of its
    prices in CNY. `vary` names the attributes in which the variants of one product differ. `cycle` is the
    number of days after which it is used up (0: it lasts), `returns` the share of purchases that come back.
    """

    category: str
    name: str
    noun_en: str
    noun_zh: str
    measure: str
    slots: tuple[Slot, ...]
    price: float
    vary: tuple[str, ...] = ("colour",)
    cycle: int = 0
    returns: float = 0.03

    @property
    def path(self) -> str:
        return f"{self.category} > {self.name}"

    @property
    def type_en(self) -> str:
        return self.noun_en.split("* ")[-1]

    def noun(self, adjectives: str = "") -> str:
        """English noun, singular, with its adjectives in place."""
        words = f"{adjectives} " if adjectives else ""
        return self.noun_en.replace("* ", words) if "*" in self.noun_en else words + self.noun_en


_WEAR = ("colour", "size")
_WORN = (w.COLOUR, w.STYLE, w.FABRIC, w.PATTERN, w.FIT, w.SLEEVE, w.NECKLINE, w.SEASON, w.SIZE_WEAR)
_FOOT = (w.COLOUR, w.STYLE, w.UPPER, w.SOLE, w.CLOSURE, w.SEASON, w.SIZE_SHOE)
_BAG = (w.COLOUR, w.STYLE, w.BAG_MATERIAL, w.LITRES, w.POCKETS, w.STRAP, w.WEIGHT)
_SOFT = (w.COLOUR, w.STYLE, w.HOME_FABRIC, w.PATTERN, w.HOME_SIZE, w.DENSITY, w.WASH)
_MUG = (w.COLOUR, w.STYLE, g.COOK_MATERIAL, g.MILLILITRES, g.LID)
_PUZZLE = (g.THEME, g.PIECES, g.TOY_MATERIAL, g.AGE, w.STYLE)
_BOOT = (*_FOOT, w.HEEL)
_CARE = (c.BOTTLE, c.SKIN, c.INGREDIENT, c.TEXTURE, c.SCENT)

LEAVES: tuple[Leaf, ...] = (
    Leaf("Clothing", "Dresses", "dress", "连衣裙", "条", _WORN, 259, _WEAR, returns=0.12),
    Leaf("Clothing", "Shirts", "shirt", "衬衫", "件", _WORN, 169, _WEAR, returns=0.09),
    Leaf("Clothing", "Knitwear", "sweater", "针织衫", "件", _WORN, 219, _WEAR, returns=0.09),
    Leaf("Clothing", "Jackets", "jacket", "外套", "件", _WORN, 359, _WEAR, returns=0.1),
    Leaf(
        "Clothing",
        "Trousers",
        "pair of * trousers",
        "长裤",
        "条",
        (w.COLOUR, w.STYLE, w.FABRIC, w.PATTERN, w.TROUSER_CUT, w.RISE, w.SEASON, w.SIZE_WEAR),
        199,
        _WEAR,
        returns=0.11,
    ),
    Leaf("Shoes", "Running shoes", "pair of * running shoes", "跑鞋", "双", _FOOT, 399, _WEAR, returns=0.1),
    Leaf("Shoes", "Casual shoes", "pair of * casual shoes", "休闲鞋", "双", _FOOT, 299, _WEAR, returns=0.09),
    Leaf("Shoes", "Ankle boots", "pair of * ankle boots", "短靴", "双", _BOOT, 459, _WEAR, returns=0.1),
    Leaf("Shoes", "Sandals", "pair of * sandals", "凉鞋", "双", _BOOT, 199, _WEAR, returns=0.08),
    Leaf("Bags", "Backpacks", "backpack", "双肩包", "只", _BAG, 239),
    Leaf("Bags", "Totes", "tote bag", "托特包", "只", _BAG, 199),
    Leaf("Bags", "Crossbody bags", "crossbody bag", "斜挎包", "只", _BAG, 269),
    Leaf(
        "Electronics",
        "Phones",
        "phone",
        "手机",
        "台",
        (w.COLOUR, g.SCREEN, g.BATTERY, g.STORAGE, g.CAMERA, g.PHONE_WEIGHT),
        2199,
        ("colour", "storage"),
        returns=0.05,
    ),
    Leaf(
        "Electronics",
        "Phone cases",
        "phone case",
        "手机壳",
        "个",
        (w.COLOUR, w.STYLE, g.CASE_MATERIAL, w.PATTERN, g.THICKNESS, g.PHONE_FIT),
        59,
        ("colour", "fits"),
    ),
    Leaf(
        "Electronics",
        "Power banks",
        "power bank",
        "充电宝",
        "个",
        (w.COLOUR, g.POWER_CELL, g.WATTS, g.PORTS, w.WEIGHT),
        149,
    ),
    Leaf(
        "Electronics",
        "Earbuds",
        "pair of * wireless earbuds",
        "无线耳机",
        "副",
        (w.COLOUR, w.STYLE, g.PLAYTIME, g.BLUETOOTH, g.NOISE),
        299,
        returns=0.06,
    ),
    Leaf(
        "Electronics",
        "Chargers",
        "charger",
        "充电器",
        "个",
        (w.COLOUR, g.WATTS, g.PORTS, g.CABLE, w.WEIGHT),
        99,
    ),
    Leaf(
        "Kitchen",
        "Frying pans",
        "frying pan",
        "煎锅",
        "口",
        (w.COLOUR, g.COOK_MATERIAL, g.DIAMETER, g.COATING, g.HANDLE, g.HOB, w.WEIGHT),
        189,
        ("diameter",),
    ),
    Leaf("Kitchen", "Mugs", "mug", "马克杯", "只", _MUG, 59),
    Leaf(
        "Kitchen",
        "Teapots",
        "teapot",
        "茶壶",
        "把",
        (w.COLOUR, w.STYLE, g.COOK_MATERIAL, g.MILLILITRES, g.HANDLE, g.LID),
        139,
    ),
    Leaf(
        "Kitchen",
        "Food boxes",
        "food box",
        "保鲜盒",
        "个",
        (w.COLOUR, g.COOK_MATERIAL, g.MILLILITRES, g.LID, w.WEIGHT),
        49,
        ("capacity",),
    ),
    Leaf("Home textiles", "Bedding", "duvet cover", "被套", "床", _SOFT, 299, ("colour", "size")),
    Leaf("Home textiles", "Towels", "towel", "毛巾", "条", _SOFT, 49),
    Leaf("Home textiles", "Cushions", "cushion", "抱枕", "个", _SOFT, 69),
    Leaf("Home textiles", "Blankets", "blanket", "盖毯", "条", (*_SOFT, w.SEASON), 169),
    Leaf("Beauty", "Face creams", "face cream", "面霜", "瓶", _CARE, 159, ("volume",), cycle=28),
    Leaf("Beauty", "Serums", "serum", "精华液", "瓶", _CARE, 219, ("volume",), cycle=30),
    Leaf("Beauty", "Cleansers", "cleanser", "洁面乳", "支", _CARE, 89, ("volume",), cycle=24),
    Leaf(
        "Beauty",
        "Shampoos",
        "shampoo",
        "洗发水",
        "瓶",
        (c.BOTTLE, c.HAIR, c.INGREDIENT, c.SCENT, c.TEXTURE),
        79,
        ("volume", "scent"),
        cycle=26,
    ),
    Leaf(
        "Beauty",
        "Lipsticks",
        "lipstick",
        "口红",
        "支",
        (c.SHADE, c.FINISH, w.STYLE, c.INGREDIENT, c.GRAMS_SMALL),
        129,
        ("shade",),
    ),
    Leaf(
        "Sports",
        "Yoga mats",
        "yoga mat",
        "瑜伽垫",
        "张",
        (w.COLOUR, g.SPORT_MATERIAL, g.MAT_THICKNESS, g.LENGTH, g.LEVEL, w.PATTERN),
        129,
    ),
    Leaf(
        "Sports",
        "Dumbbells",
        "dumbbell",
        "哑铃",
        "只",
        (w.COLOUR, g.SPORT_MATERIAL, g.KILOS, g.GRIP, g.LEVEL),
        99,
        ("weight",),
    ),
    Leaf(
        "Sports",
        "Skipping ropes",
        "skipping rope",
        "跳绳",
        "根",
        (w.COLOUR, g.SPORT_MATERIAL, g.LENGTH, g.GRIP, g.LEVEL),
        49,
    ),
    Leaf(
        "Sports",
        "Water bottles",
        "sports bottle",
        "运动水壶",
        "只",
        (w.COLOUR, w.STYLE, g.SPORT_MATERIAL, g.MILLILITRES, g.LID),
        79,
        ("colour", "capacity"),
    ),
    Leaf(
        "Toys",
        "Building blocks",
        "building block set",
        "积木",
        "套",
        (g.THEME, g.PIECES, g.TOY_MATERIAL, g.AGE, w.COLOUR),
        139,
        ("theme",),
    ),
    Leaf(
        "Toys",
        "Soft toys",
        "soft toy",
        "毛绒玩具",
        "只",
        (w.COLOUR, g.THEME, g.TOY_HEIGHT, g.AGE, w.STYLE, w.WASH),
        79,
    ),
    Leaf("Toys", "Puzzles", "puzzle", "拼图", "盒", _PUZZLE, 69, ("theme",)),
    Leaf(
        "Stationery",
        "Notebooks",
        "notebook",
        "笔记本",
        "本",
        (w.COLOUR, w.STYLE, g.COVER, g.PAPER, g.PAGES, g.SHEET),
        35,
        cycle=35,
    ),
    Leaf(
        "Stationery",
        "Pens",
        "pen",
        "签字笔",
        "支",
        (w.COLOUR, w.STYLE, g.TIP, g.INK, g.PACK),
        25,
        ("colour", "tip"),
        cycle=30,
    ),
    Leaf(
        "Stationery",
        "Pencil cases",
        "pencil case",
        "笔袋",
        "个",
        (w.COLOUR, w.STYLE, w.BAG_MATERIAL, w.PATTERN, w.POCKETS),
        39,
    ),
    Leaf(
        "Food",
        "Coffee",
        "bag of * coffee beans",
        "咖啡豆",
        "袋",
        (c.GRAMS, c.ROAST, c.NOTE, c.ORIGIN, c.PACKAGING, c.SHELF),
        79,
        ("net weight",),
        cycle=14,
        returns=0.005,
    ),
    Leaf(
        "Food",
        "Tea",
        "pack of * tea",
        "茶叶",
        "盒",
        (c.GRAMS, c.NOTE, c.ORIGIN, c.PACKAGING, c.SHELF),
        99,
        ("net weight",),
        cycle=20,
        returns=0.005,
    ),
    Leaf(
        "Food",
        "Nuts",
        "bag of * mixed nuts",
        "混合坚果",
        "袋",
        (c.GRAMS, c.FLAVOUR, c.ORIGIN, c.SUGAR, c.PACKAGING, c.SHELF),
        59,
        ("flavour",),
        cycle=12,
        returns=0.005,
    ),
    Leaf(
        "Food",
        "Biscuits",
        "box of * biscuits",
        "饼干",
        "盒",
        (c.GRAMS, c.FLAVOUR, c.SUGAR, c.PACKAGING, c.SHELF),
        29,
        ("flavour",),
        cycle=10,
        returns=0.005,
    ),
    Leaf(
        "Pets",
        "Cat food",
        "bag of * cat food",
        "猫粮",
        "袋",
        (c.PET_KILOS, c.PROTEIN, c.LIFE, c.GRAIN, c.SHELF),
        119,
        ("net weight",),
        cycle=18,
        returns=0.01,
    ),
    Leaf(
        "Pets",
        "Dog food",
        "bag of * dog food",
        "狗粮",
        "袋",
        (c.PET_KILOS, c.PROTEIN, c.LIFE, c.GRAIN, c.SHELF),
        139,
        ("net weight",),
        cycle=18,
        returns=0.01,
    ),
    Leaf(
        "Pets",
        "Cat litter",
        "bag of * cat litter",
        "猫砂",
        "袋",
        (c.PET_KILOS, c.LITTER, c.SCENT, c.PACKAGING),
        39,
        ("scent",),
        cycle=14,
        returns=0.01,
    ),
    Leaf(
        "Pets",
        "Pet beds",
        "pet bed",
        "宠物窝",
        "个",
        (w.COLOUR, w.STYLE, c.PET_FABRIC, c.PET_SIZE, c.PET_KIND, w.WASH),
        129,
        ("colour", "size"),
    ),
)
