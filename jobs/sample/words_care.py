"""Attributes of beauty, food and pet goods: the things that are used up."""

from __future__ import annotations

from jobs.sample.slots import Slot, numbers, words

BOTTLE = Slot(
    "volume",
    "净含量",
    numbers("30 50 80 100 150 200 300", "ml"),
    ("contains {v}", "comes in a {v} bottle", "gives you {v}"),
    ("净含量{v}", "{v}装", "每瓶{v}"),
    ("One bottle holds {v}.", "Volume: {v}."),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=0,
    graded=True,
)
SKIN = Slot(
    "skin type",
    "适用肤质",
    words("dry skin=干性肌肤, oily skin=油性肌肤, combination skin=混合性肌肤, sensitive skin=敏感肌肤"),
    ("is made for {v}", "suits {v}", "was composed for {v}"),
    ("适合{v}", "专为{v}调配", "{v}可放心选择"),
    ("If you have {v}, this is for you.", "Made with {v} in mind."),
)
HAIR = Slot(
    "hair type",
    "适用发质",
    words("dry hair=干性发质, oily hair=油性发质, coloured hair=染后发质, fine hair=细软发质"),
    ("is made for {v}", "suits {v}", "looks after {v}"),
    ("适合{v}", "针对{v}", "{v}用着合适"),
    ("If you have {v}, try this.",),
)
SCENT = Slot(
    "scent",
    "香型",
    words(
        "rose=玫瑰, jasmine=茉莉, citrus=柑橘, cedar=雪松, green tea=绿茶, bergamot=佛手柑, lavender=薰衣草"
    ),
    ("has a {v} scent", "is {v} to the nose", "leaves a {v} note"),
    ("{v}香型", "带有{v}气息", "气味为{v}", "{v}调，闻着舒服"),
    ("The scent is {v}.",),
    adjective_en="{v}",
    adjective_zh="{v}香",
    rank=3,
)
INGREDIENT = Slot(
    "key ingredient",
    "主要成分",
    words(
        "aloe=芦荟, oat extract=燕麦提取物, hyaluronic acid=透明质酸,"
        " niacinamide=烟酰胺, squalane=角鲨烷, ceramide=神经酰胺"
    ),
    ("relies on {v}", "is built around {v}", "works with {v}"),
    ("主要成分为{v}", "添加{v}", "以{v}为核心成分", "蕴含{v}"),
    ("Its key ingredient is {v}.", "{V} does the work here."),
    graded=True,
)
TEXTURE = Slot(
    "texture",
    "质地",
    words("gel=啫喱, cream=霜状, milk=乳状, oil=油状, foam=泡沫"),
    ("has a texture of {v}", "spreads like a {v}", "comes as a {v}"),
    ("{v}质地", "质地为{v}", "{v}质地容易推开"),
    ("The texture is that of a {v}.",),
)
FINISH = Slot(
    "finish",
    "妆效",
    words("matte=哑光, satin=缎光, glossy=水光, velvet=丝绒"),
    ("has a {v} finish", "dries to a {v} finish", "leaves a {v} finish"),
    ("{v}妆效", "上唇呈{v}", "妆感{v}"),
    ("The finish is {v}.",),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=2,
)
SHADE = Slot(
    "shade",
    "色号",
    words(
        "brick red=砖红, rose beige=玫瑰豆沙, peach=蜜桃, berry=浆果,"
        " terracotta=陶土红, plum=梅子, cinnamon=肉桂"
    ),
    ("comes in {v}", "wears {v}", "paints the lips {v}"),
    ("色号为{v}", "{v}显气色", "{v}色日常好搭"),
    ("The shade is {v}.",),
    adjective_en="{v}",
    adjective_zh="{v}色",
    rank=4,
)
GRAMS_SMALL = Slot(
    "net weight",
    "净含量",
    numbers("3 3.5 4 4.5", "g"),
    ("contains {v}", "weighs {v} net"),
    ("净含量{v}", "{v}装", "每支{v}"),
    ("Net weight: {v}.",),
)
GRAMS = Slot(
    "net weight",
    "净含量",
    numbers("100 150 200 250 400 500 1000", "g"),
    ("contains {v}", "comes as {v}", "gives you {v}"),
    ("净含量{v}", "{v}装", "每袋{v}"),
    ("Net weight: {v}.", "There is {v} in each pack."),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=0,
    graded=True,
)
FLAVOUR = Slot(
    "flavour",
    "口味",
    words(
        "roasted=炭烤, sea salt=海盐, cocoa=可可, matcha=抹茶, honey=蜂蜜, sesame=芝麻,"
        " black pepper=黑胡椒, coconut=椰香"
    ),
    ("has a {v} flavour", "comes in the {v} flavour", "is the {v} one of its family"),
    ("{v}口味", "口味为{v}", "{v}的味道恰到好处", "入口是{v}味"),
    ("The flavour is {v}.",),
    adjective_en="{v}",
    adjective_zh="{v}味",
    rank=3,
)
NOTE = Slot(
    "tasting note",
    "风味",
    words("nutty=坚果, floral=花香, fruity=果香, caramel=焦糖, smoky=烟熏, chocolate=巧克力"),
    ("has a {v} note", "opens with a {v} note", "stays {v} to the last sip"),
    ("带有{v}风味", "{v}风味明显", "入口有{v}气息"),
    ("Look for the {v} note.",),
    adjective_en="{v}",
    adjective_zh="{v}风味",
    rank=3,
)
ORIGIN = Slot(
    "origin",
    "产地",
    words(
        "Yunnan=云南, Fujian=福建, Xinjiang=新疆, Ethiopia=埃塞俄比亚, Colombia=哥伦比亚,"
        " New Zealand=新西兰, Vietnam=越南"
    ),
    ("comes from {v}", "is grown in {v}", "has its origin in {v}"),
    ("产自{v}", "产地为{v}", "选自{v}"),
    ("Origin: {v}.", "It travelled here from {v}."),
)
ROAST = Slot(
    "roast",
    "烘焙度",
    words("light=浅烘, medium=中烘, dark=深烘"),
    ("is a {v} roast", "has been given a {v} roast"),
    ("{v}豆", "烘焙度为{v}", "采用{v}"),
    ("The roast is {v}.",),
    adjective_en="{v}-roast",
    adjective_zh="{v}",
    rank=2,
)
PACKAGING = Slot(
    "packaging",
    "包装",
    words("resealable bag=自封袋, tin=铁罐, glass jar=玻璃罐, paper box=纸盒, sachet set=独立小包"),
    ("is packed in a {v}", "reaches you in a {v}"),
    ("{v}包装", "采用{v}包装", "{v}包装方便存放"),
    ("Packaging: {v}.",),
)
SHELF = Slot(
    "shelf life",
    "保质期",
    words("6 months=6个月, 9 months=9个月, 12 months=12个月, 18 months=18个月"),
    ("keeps for {v}", "has a shelf life of {v}", "stays good for {v}"),
    ("保质期{v}", "可存放{v}", "未开封保质{v}"),
    ("Shelf life: {v}.",),
)
SUGAR = Slot(
    "sugar",
    "糖分",
    words("no added sugar=无添加糖, low sugar=低糖, regular sugar=常规糖"),
    ("is made with {v}", "comes with {v}"),
    ("{v}配方", "配方为{v}", "{v}，口感平衡"),
    ("Sugar: {v}.",),
)
PET_KILOS = Slot(
    "net weight",
    "净含量",
    numbers("1 1.5 2 2.5 5 10", "kg"),
    ("contains {v}", "comes as {v}", "gives you {v}"),
    ("净含量{v}", "{v}装", "每袋{v}"),
    ("Net weight: {v}.",),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=0,
    graded=True,
)
PROTEIN = Slot(
    "main protein",
    "主要蛋白",
    words("chicken=鸡肉, salmon=三文鱼, beef=牛肉, duck=鸭肉, lamb=羊肉"),
    ("is built on {v}", "has {v} as its main protein", "starts from {v}"),
    ("以{v}为主料", "主要蛋白来自{v}", "{v}配方"),
    ("The main protein is {v}.",),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=3,
    graded=True,
)
LIFE = Slot(
    "life stage",
    "适用阶段",
    words("young animals=幼年期, adult animals=成年期, senior animals=老年期, all life stages=全阶段"),
    ("is meant for {v}", "feeds {v}", "suits {v}"),
    ("适合{v}宠物", "面向{v}宠物", "{v}宠物的均衡之选"),
    ("Made for {v}.",),
)
GRAIN = Slot(
    "recipe",
    "配方",
    words("grain-free=无谷, rice-based=大米基底, oat-based=燕麦基底"),
    ("uses a recipe that is {v}", "is {v}"),
    ("{v}配方", "采用{v}配方"),
    ("The recipe is {v}.",),
)
LITTER = Slot(
    "material",
    "材质",
    words("bentonite=膨润土, tofu fibre=豆腐, pine wood=松木, mixed clay=混合"),
    ("is made of {v}", "relies on {v}"),
    ("{v}材质", "采用{v}原料", "以{v}制成"),
    ("The material is {v}.",),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=5,
)
PET_FABRIC = Slot(
    "material",
    "材质",
    words("fleece=绒布, nylon=尼龙, canvas=帆布, corduroy=灯芯绒, memory foam=记忆棉"),
    ("is made of {v}", "is covered in {v}", "feels of {v}"),
    ("采用{v}", "以{v}制成", "{v}材质结实"),
    ("The material is {v}.",),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=5,
    graded=True,
)
PET_SIZE = Slot(
    "size",
    "尺寸",
    words("small=小号, medium=中号, large=大号"),
    ("comes in {v}", "is a {v} size"),
    ("{v}", "本款为{v}", "尺寸为{v}"),
    ("The size is {v}.",),
    graded=True,
)
PET_KIND = Slot(
    "for",
    "适用宠物",
    words("cats=猫, small dogs=小型犬, medium dogs=中型犬, large dogs=大型犬"),
    ("is made for {v}", "welcomes {v}", "suits {v}"),
    ("适合{v}使用", "专为{v}设计", "{v}用着合适"),
    ("Made for {v}.",),
)
