"""Attributes of electronics, kitchenware, sports goods, toys and stationery."""

from __future__ import annotations

from jobs.sample.slots import Slot, numbers, words

SCREEN = Slot(
    "screen",
    "屏幕尺寸",
    words("5.8 inch=5.8英寸, 6.1 inch=6.1英寸, 6.5 inch=6.5英寸, 6.8 inch=6.8英寸"),
    ("has a screen of {v}", "opens onto a {v} display", "shows everything on a {v} screen"),
    ("配备{v}屏幕", "{v}屏幕看得清楚", "屏幕尺寸{v}"),
    ("The display measures {v}.",),
    graded=True,
)
BATTERY = Slot(
    "battery",
    "电池容量",
    numbers("3000 4000 4500 5000 5500", "mAh"),
    ("runs on a {v} battery", "carries a {v} battery", "draws on {v}"),
    ("内置{v}电池", "电池容量{v}", "{v}电池陪你一整天", "搭载{v}电池"),
    ("Inside sits a {v} battery.", "The battery is rated at {v}."),
    graded=True,
)
STORAGE = Slot(
    "storage",
    "存储容量",
    numbers("64 128 256 512", "GB"),
    ("stores {v}", "has {v} of storage", "keeps {v} at hand"),
    ("存储空间{v}", "{v}存储", "机身存储{v}，照片随手存"),
    ("There is {v} of storage.",),
    graded=True,
)
CAMERA = Slot(
    "camera",
    "摄像头像素",
    words("12 MP=1200万像素, 48 MP=4800万像素, 50 MP=5000万像素, 64 MP=6400万像素"),
    ("takes pictures at {v}", "has a {v} camera", "looks out through a {v} camera"),
    ("主摄{v}", "后置{v}摄像头", "{v}镜头记录日常"),
    ("The main camera has {v}.",),
    graded=True,
)
PHONE_WEIGHT = Slot(
    "weight",
    "重量",
    numbers("162 175 188 199 214", "g"),
    ("weighs {v}", "rests in the hand at {v}"),
    ("机身重{v}", "重量{v}", "拿在手里{v}"),
    ("The whole thing weighs {v}.",),
)
CASE_MATERIAL = Slot(
    "material",
    "材质",
    words("TPU=TPU, silicone=硅胶, polycarbonate=聚碳酸酯, vegan leather=人造革, aramid fibre=芳纶纤维"),
    ("is made of {v}", "wraps the phone in {v}", "is shaped in {v}"),
    ("采用{v}材质", "{v}材质贴合机身", "以{v}制成"),
    ("The shell is {v}.",),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=5,
    graded=True,
)
THICKNESS = Slot(
    "thickness",
    "厚度",
    numbers("0.8 1.2 1.5 2 2.5", "mm"),
    ("is {v} thick", "adds {v}", "keeps to {v}"),
    ("厚度{v}", "厚{v}", "{v}的厚度"),
    ("It measures {v} at the side.",),
)
PHONE_FIT = Slot(
    "fits",
    "适配机型",
    words("5.8 inch phones=5.8英寸手机, 6.1 inch phones=6.1英寸手机, 6.5 inch phones=6.5英寸手机"),
    ("fits {v}", "is made for {v}", "slips over {v}"),
    ("适配{v}", "适用于{v}", "专为{v}开模"),
    ("Meant for {v}.",),
)
POWER_CELL = Slot(
    "capacity",
    "容量",
    numbers("5000 10000 15000 20000 30000", "mAh"),
    ("stores {v}", "has a capacity of {v}", "keeps {v} in reserve"),
    ("容量{v}", "{v}电量", "内含{v}电芯，出门不慌"),
    ("Capacity: {v}.", "That is {v} in your pocket."),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=3,
    graded=True,
)
WATTS = Slot(
    "output",
    "输出功率",
    numbers("18 20 30 45 65 100", "W"),
    ("delivers {v}", "puts out {v}", "charges at {v}"),
    ("输出功率{v}", "{v}输出", "支持{v}充电"),
    ("Output: {v}.",),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=3,
    graded=True,
)
PORTS = Slot(
    "ports",
    "接口",
    words("1 USB-C port=1个USB-C口, 2 USB-C ports=2个USB-C口, 3 USB-C ports=3个USB-C口"),
    ("has {v}", "offers {v}", "connects through {v}"),
    ("配备{v}", "设有{v}", "{v}，接线省心"),
    ("You get {v}.",),
    graded=True,
)
CABLE = Slot(
    "cable length",
    "线长",
    numbers("60 100 150 200", "cm"),
    ("comes with a {v} cable", "reaches {v}", "has a cable of {v}"),
    ("线长{v}", "附{v}线缆", "{v}的线够得到床头"),
    ("The cable is {v} long.",),
)
PLAYTIME = Slot(
    "playtime",
    "续航时间",
    words("6 hours=6小时, 8 hours=8小时, 10 hours=10小时, 24 hours=24小时, 30 hours=30小时"),
    ("plays for {v}", "lasts {v}", "keeps going for {v}"),
    ("续航{v}", "一次充电可听{v}", "连续播放{v}"),
    ("One charge gives {v}.",),
    graded=True,
)
BLUETOOTH = Slot(
    "Bluetooth",
    "蓝牙版本",
    words("5.0=5.0, 5.2=5.2, 5.3=5.3, 5.4=5.4"),
    ("connects by Bluetooth {v}", "uses Bluetooth {v}", "pairs over Bluetooth {v}"),
    ("蓝牙{v}连接", "搭载蓝牙{v}", "采用蓝牙{v}"),
    ("The link is Bluetooth {v}.",),
)
NOISE = Slot(
    "noise cancelling",
    "降噪",
    words("active=主动降噪, passive=被动降噪"),
    ("has {v} noise cancelling", "uses {v} noise cancelling"),
    ("支持{v}", "具备{v}", "{v}让耳边安静下来"),
    ("Noise cancelling is {v}.",),
)
COOK_MATERIAL = Slot(
    "material",
    "材质",
    words(
        "aluminium=铝, stoneware=炻瓷, borosilicate glass=高硼硅玻璃, cast iron=铸铁,"
        " stainless steel=不锈钢, bone china=骨瓷"
    ),
    ("is made of {v}", "is formed from {v}", "has a body of {v}"),
    ("以{v}制成", "采用{v}材质", "{v}材质厚实耐看", "主体为{v}"),
    ("The body is {v}.", "{V} gives it its weight."),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=5,
    graded=True,
)
DIAMETER = Slot(
    "diameter",
    "直径",
    numbers("20 22 24 26 28 30", "cm"),
    ("is {v} across", "measures {v} from rim to rim", "has a diameter of {v}"),
    ("直径{v}", "{v}口径", "锅口{v}"),
    ("From rim to rim it is {v}.",),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=0,
    graded=True,
)
MILLILITRES = Slot(
    "capacity",
    "容量",
    numbers("300 350 400 500 600 750 1000", "ml"),
    ("holds {v}", "takes {v}", "has room for {v}"),
    ("容量{v}", "{v}容量刚刚好", "可装{v}"),
    ("Filled to the brim, it holds {v}.", "Capacity: {v}."),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=0,
    graded=True,
)
HOB = Slot(
    "suitable for",
    "适用炉灶",
    words("gas hobs=燃气灶, induction hobs=电磁炉, all hobs=各类炉灶"),
    ("works on {v}", "is suitable for {v}", "is happy on {v}"),
    ("适用于{v}", "{v}可用", "可搭配{v}使用"),
    ("Use it on {v}.",),
)
COATING = Slot(
    "coating",
    "涂层",
    words("ceramic=陶瓷涂层, granite-effect=麦饭石涂层, titanium=钛涂层, uncoated=无涂层"),
    ("has a {v} inner surface", "cooks on a {v} surface"),
    ("内壁{v}", "采用{v}", "{v}的锅面容易打理"),
    ("The inner surface is {v}.",),
)
HANDLE = Slot(
    "handle",
    "手柄",
    words("wooden=木质, steel=钢制, silicone-wrapped=硅胶包裹, detachable=可拆卸"),
    ("has a {v} handle", "is held by a {v} handle", "ends in a {v} handle"),
    ("{v}手柄", "配{v}手柄", "{v}手柄握感踏实"),
    ("The handle is {v}.",),
)
LID = Slot(
    "lid",
    "盖子",
    words("bamboo lid=竹盖, glass lid=玻璃盖, screw lid=旋盖, flip lid=翻盖"),
    ("closes with a {v}", "comes with a {v}", "is topped by a {v}"),
    ("配有{v}", "{v}设计", "附{v}"),
    ("On top is a {v}.",),
)
SPORT_MATERIAL = Slot(
    "material",
    "材质",
    words("PVC=PVC, TPE=TPE, natural rubber=天然橡胶, aluminium=铝合金, stainless steel=不锈钢"),
    ("is made of {v}", "is built from {v}", "relies on {v}"),
    ("采用{v}材质", "以{v}打造", "{v}材质经得起折腾"),
    ("The material is {v}.",),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=5,
    graded=True,
)
LEVEL = Slot(
    "level",
    "适合人群",
    words("beginners=初学者, regular training=日常训练者, advanced athletes=进阶训练者"),
    ("is aimed at {v}", "suits {v}", "was drawn up for {v}"),
    ("适合{v}", "面向{v}", "{v}用起来顺手"),
    ("Best matched with {v}.",),
    graded=True,
)
MAT_THICKNESS = Slot(
    "thickness",
    "厚度",
    numbers("4 5 6 8 10", "mm"),
    ("is {v} thick", "puts {v} between you and the floor"),
    ("厚度{v}", "{v}厚", "厚度达{v}"),
    ("Thickness: {v}.",),
    graded=True,
)
LENGTH = Slot(
    "length",
    "长度",
    numbers("173 183 200 250 280 300", "cm"),
    ("is {v} long", "stretches to {v}", "runs to {v}"),
    ("长度{v}", "全长{v}", "长{v}"),
    ("End to end it is {v}.",),
)
KILOS = Slot(
    "weight",
    "重量",
    numbers("2 4 5 8 10 15", "kg"),
    ("weighs {v}", "gives you {v} to lift", "comes at {v}"),
    ("重量{v}", "单只{v}", "{v}配重"),
    ("Weight: {v}.",),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=0,
    graded=True,
)
GRIP = Slot(
    "grip",
    "握把",
    words("foam=泡棉, rubber=橡胶, knurled=滚花, cork=软木"),
    ("has a {v} grip", "sits in the palm with a {v} grip"),
    ("{v}握把", "握把为{v}", "{v}握把不易打滑"),
    ("The grip is {v}.",),
)
AGE = Slot(
    "age",
    "适用年龄",
    words("1 year and up=1岁以上, 3 years and up=3岁以上, 6 years and up=6岁以上, 8 years and up=8岁以上"),
    ("is meant for {v}", "suits children of {v}", "is for {v}"),
    ("适合{v}儿童", "{v}即可玩", "面向{v}的孩子"),
    ("Recommended age: {v}.",),
)
THEME = Slot(
    "theme",
    "主题",
    words("space=太空, ocean=海洋, forest=森林, farm=农场, city=城市, dinosaur=恐龙"),
    ("has a {v} theme", "plays on a {v} theme", "opens up a {v} world"),
    ("以{v}为主题", "{v}主题", "带孩子走进{v}世界"),
    ("The theme is {v}.",),
    adjective_en="{v}-themed",
    adjective_zh="{v}主题",
    rank=3,
)
PIECES = Slot(
    "pieces",
    "片数",
    words("48 pieces=48片, 100 pieces=100片, 220 pieces=220片, 500 pieces=500片, 1000 pieces=1000片"),
    ("counts {v}", "comes as {v}", "is made up of {v}"),
    ("共{v}", "内含{v}", "全套{v}"),
    ("In the box are {v}.",),
    graded=True,
)
TOY_MATERIAL = Slot(
    "material",
    "材质",
    words("ABS plastic=ABS塑料, cardboard=纸板, beech wood=榉木, plush=毛绒, die-cast metal=合金"),
    ("is made of {v}", "is crafted in {v}", "feels of {v}"),
    ("采用{v}材质", "以{v}制作", "{v}材质手感好"),
    ("The material is {v}.",),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=5,
)
TOY_HEIGHT = Slot(
    "height",
    "高度",
    numbers("12 18 25 30 40 60", "cm"),
    ("stands {v} tall", "is {v} high", "reaches {v}"),
    ("高{v}", "高度{v}", "身高{v}"),
    ("It stands {v} tall.",),
    graded=True,
)
PAGES = Slot(
    "pages",
    "页数",
    words("80 pages=80页, 120 pages=120页, 160 pages=160页, 240 pages=240页"),
    ("has {v}", "gives you {v}", "runs to {v}"),
    ("共{v}", "内页{v}", "{v}足够写上一阵子"),
    ("There are {v}.",),
    graded=True,
)
PAPER = Slot(
    "ruling",
    "内页",
    words("lined=横线, dotted=点阵, squared=方格, blank=空白"),
    ("has {v} paper", "opens on {v} pages"),
    ("{v}内页", "内页为{v}", "采用{v}内页"),
    ("The paper is {v}.",),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=3,
)
SHEET = Slot(
    "size",
    "开本",
    words("A4=A4, A5=A5, A6=A6, B5=B5"),
    ("is {v} in size", "comes in {v}"),
    ("{v}开本", "尺寸为{v}", "{v}大小"),
    ("The format is {v}.",),
)
COVER = Slot(
    "cover",
    "封面",
    words("kraft=牛皮纸, cloth=布面, hard=硬壳, soft=软皮"),
    ("has a {v} cover", "is bound in a {v} cover"),
    ("{v}封面", "封面为{v}", "{v}封面耐翻"),
    ("The cover is {v}.",),
    adjective_en="{v}-cover",
    adjective_zh="{v}",
    rank=5,
)
TIP = Slot(
    "tip",
    "笔尖",
    numbers("0.38 0.5 0.7 1.0", "mm"),
    ("writes with a {v} tip", "draws a {v} line", "has a {v} tip"),
    ("笔尖{v}", "{v}笔尖", "书写线条{v}"),
    ("The tip is {v}.",),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=0,
)
INK = Slot(
    "ink",
    "墨水",
    words("gel=中性, oil-based=油性, pigment=颜料, water-based=水性"),
    ("uses {v} ink", "flows with {v} ink", "is filled with {v} ink"),
    ("{v}墨水", "采用{v}墨水", "{v}墨水书写顺滑"),
    ("The ink is {v}.",),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=3,
)
PACK = Slot(
    "pack",
    "包装数量",
    words("1 piece=1支装, 3 pieces=3支装, 6 pieces=6支装, 12 pieces=12支装"),
    ("comes as a pack of {v}", "is sold in {v}"),
    ("{v}", "每盒{v}", "规格{v}"),
    ("One pack holds {v}.",),
    graded=True,
)
