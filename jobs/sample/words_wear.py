"""Attributes that many goods share, and those of clothing, shoes, bags and home textiles."""

from __future__ import annotations

from jobs.sample.slots import Slot, numbers, words

COLOUR = Slot(
    "colour",
    "颜色",
    words(
        "black=黑色, white=白色, ivory=米白色, light grey=浅灰色, navy blue=藏青色, sky blue=天蓝色,"
        " sage green=鼠尾草绿, olive=橄榄绿, burgundy=酒红色, coral=珊瑚色, blush pink=淡粉色,"
        " mustard yellow=姜黄色, caramel=焦糖色, lilac=浅紫色"
    ),
    ("comes in {v}", "is shown here in {v}", "keeps to {v} from edge to edge", "wears its {v} quietly"),
    ("选用{v}", "{v}的配色很耐看", "整体呈{v}", "{v}的外观清爽不张扬", "以{v}为主色调"),
    ("The colour is {v}.", "In {v}, it sits easily beside what you own.", "We chose {v} for this one."),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=4,
)
STYLE = Slot(
    "style",
    "风格",
    words(
        "minimalist=简约, vintage=复古, sporty=运动, elegant=优雅,"
        " playful=俏皮, rustic=田园, urban=都市, classic=经典"
    ),
    ("has a {v} look", "leans towards a {v} style", "keeps its lines {v}", "brings a {v} note to the day"),
    ("走的是{v}风格", "{v}风格一眼就能看出来", "整体是{v}风", "透着一股{v}的味道", "设计偏{v}风"),
    ("The style is {v}.", "If you like things {v}, this will feel familiar.", "Its mood is {v}."),
    adjective_en="{v}",
    adjective_zh="{v}风",
    rank=2,
)
PATTERN = Slot(
    "pattern",
    "图案",
    words(
        "striped=条纹, checked=格纹, floral=碎花, polka-dot=波点,"
        " colour-block=拼色, geometric=几何, tie-dyed=扎染, embroidered=刺绣"
    ),
    ("has a {v} surface", "is {v} all over", "carries a {v} design"),
    ("{v}图案点缀其间", "饰以{v}图案", "{v}的图案清晰大方", "以{v}图案作装饰"),
    ("The pattern is {v}.", "Up close, the {v} design shows its care."),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=3,
)
SEASON = Slot(
    "season",
    "适用季节",
    words("spring=春季, summer=夏季, autumn=秋季, winter=冬季"),
    ("is meant for {v}", "was drawn with {v} in mind", "belongs to your {v} days"),
    ("适合{v}使用", "专为{v}准备", "{v}用正合适", "是{v}的好选择"),
    ("It is at home in {v}.", "Keep it for {v}.", "Made for {v}, ready when you are."),
)
SIZE_WEAR = Slot(
    "size",
    "尺码",
    words("S=S码, M=M码, L=L码, XL=XL码"),
    ("is cut in size {v}", "comes in size {v}"),
    ("本款为{v}", "尺码为{v}"),
    ("This one is a size {v}.",),
)
WEIGHT = Slot(
    "weight",
    "重量",
    numbers("180 240 320 450 600 850 1200", "g"),
    ("weighs {v}", "tips the scales at {v}", "comes to {v}"),
    ("重量为{v}", "单件重{v}", "整体重约{v}"),
    ("On the scales it reads {v}.", "At {v}, you know what you are carrying."),
)
FABRIC = Slot(
    "material",
    "材质",
    words(
        "cotton=棉, polyester=聚酯纤维, linen=亚麻, viscose=粘纤,"
        " denim=牛仔布, wool=羊毛, silk=真丝, cashmere=羊绒"
    ),
    ("is made of {v}", "is cut from {v}", "uses {v} throughout", "is sewn in {v}"),
    ("采用{v}面料", "以{v}制成", "面料为{v}", "选用{v}面料裁制", "{v}面料触感自然"),
    ("The fabric is {v}.", "{V} is what you feel first.", "We used {v} for the body."),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=5,
    graded=True,
)
FIT = Slot(
    "fit",
    "版型",
    words("slim=修身, regular=合体, relaxed=宽松, oversized=廓形"),
    ("has a {v} fit", "is cut to a {v} fit", "falls in a {v} shape"),
    ("{v}版型穿着自在", "采用{v}版型", "版型{v}", "{v}的剪裁修饰身形"),
    ("The fit is {v}.", "Its {v} cut follows your movement."),
    adjective_en="{v}-fit",
    adjective_zh="{v}",
    rank=1,
)
SLEEVE = Slot(
    "sleeve",
    "袖长",
    words("long-sleeved=长袖, short-sleeved=短袖, three-quarter-sleeved=七分袖, sleeveless=无袖"),
    ("is {v}", "has a {v} cut", "keeps a {v} shape"),
    ("{v}设计", "{v}款式利落", "袖型为{v}", "{v}的设计便于搭配"),
    ("The cut is {v}.",),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=1,
)
NECKLINE = Slot(
    "neckline",
    "领型",
    words(
        "round=圆领, V-shaped=V领, square=方领, stand-up=立领,"
        " shirt-collar=衬衫领, turtleneck=高领, boat=一字领"
    ),
    ("has a {v} neckline", "opens with a {v} neckline", "frames the face with a {v} neckline"),
    ("{v}设计衬托颈部线条", "{v}显得精神", "领口为{v}", "搭配{v}，上身大方"),
    ("The neckline is {v}.", "Look for the {v} neckline."),
)
TROUSER_CUT = Slot(
    "leg",
    "裤型",
    words("straight=直筒, wide=阔腿, tapered=锥形, flared=喇叭"),
    ("has a {v} leg", "falls in a {v} leg", "is drawn with a {v} leg"),
    ("{v}裤型显腿长", "{v}裤型走动自如", "采用{v}裤型"),
    ("The leg is {v}.",),
    adjective_en="{v}-leg",
    adjective_zh="{v}",
    rank=1,
)
RISE = Slot(
    "rise",
    "腰型",
    words("high=高腰, mid=中腰, low=低腰"),
    ("sits at a {v} rise", "has a {v} rise"),
    ("{v}设计", "{v}款式拉长比例", "腰型为{v}"),
    ("The rise is {v}.",),
)
UPPER = Slot(
    "upper",
    "鞋面材质",
    words("mesh=网布, canvas=帆布, knit=飞织, suede=反绒皮, leather=头层牛皮"),
    ("has a {v} upper", "is built on a {v} upper", "wraps the foot in {v}"),
    ("鞋面采用{v}", "{v}鞋面贴合脚型", "以{v}作鞋面", "{v}鞋面质感在线"),
    ("The upper is {v}.", "{V} forms the upper."),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=5,
    graded=True,
)
SOLE = Slot(
    "sole",
    "鞋底材质",
    words("EVA foam=EVA, rubber=橡胶, TPU=TPU, cork=软木"),
    ("walks on a sole of {v}", "stands on {v}", "has a sole of {v}"),
    ("鞋底为{v}", "{v}鞋底踩地踏实", "搭配{v}大底"),
    ("Under the foot there is {v}.", "The sole is {v}."),
)
CLOSURE = Slot(
    "closure",
    "闭合方式",
    words("lace-up=系带, slip-on=一脚蹬, zip=拉链, buckle=搭扣, hook-and-loop=魔术贴"),
    ("has a {v} closure", "fastens with a {v} closure", "goes on and off by its {v} closure"),
    ("{v}设计穿脱方便", "采用{v}设计", "{v}款，出门不耽误"),
    ("The closure is {v}.",),
)
HEEL = Slot(
    "heel height",
    "跟高",
    numbers("2 3 4 5 6 7", "cm"),
    ("has a {v} heel", "stands on a {v} heel", "adds {v} at the heel"),
    ("跟高{v}", "{v}的鞋跟走路稳当", "鞋跟约{v}"),
    ("The heel measures {v}.",),
)
SIZE_SHOE = Slot(
    "size",
    "鞋码",
    words("EU 36=36码, EU 38=38码, EU 40=40码, EU 42=42码, EU 44=44码"),
    ("comes in {v}", "is a {v}"),
    ("本款为{v}", "鞋码{v}"),
    ("This pair is sized {v}.",),
)
BAG_MATERIAL = Slot(
    "material",
    "材质",
    words("canvas=帆布, nylon=尼龙, polycarbonate=聚碳酸酯, vegan leather=人造革, split leather=二层牛皮"),
    ("is made of {v}", "has a body of {v}", "is built from {v}"),
    ("采用{v}制作", "包身为{v}", "{v}材质结实挺括", "以{v}打造"),
    ("The body is {v}.", "{V} keeps its shape."),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=5,
    graded=True,
)
LITRES = Slot(
    "capacity",
    "容量",
    numbers("5 8 12 16 20 26 34", "L"),
    ("holds {v}", "has room for {v}", "swallows {v} of whatever you carry"),
    ("容量{v}", "{v}的容量装得下一天所需", "内部空间{v}"),
    ("There is space for {v} inside.", "Capacity: {v}."),
    graded=True,
)
POCKETS = Slot(
    "pockets",
    "口袋数",
    words("2 pockets=2个口袋, 3 pockets=3个口袋, 4 pockets=4个口袋, 6 pockets=6个口袋"),
    ("has {v}", "sorts your things into {v}", "is divided by {v}"),
    ("设有{v}", "{v}分门别类", "共{v}，取放顺手"),
    ("You will find {v}.",),
)
STRAP = Slot(
    "strap",
    "背带",
    words("adjustable=可调节, padded=加厚, detachable=可拆卸, chain=链条"),
    ("has a {v} strap", "hangs from a {v} strap", "is carried on a {v} strap"),
    ("{v}背带", "配有{v}背带", "{v}的背带用着顺手"),
    ("The strap is {v}.",),
)
HOME_FABRIC = Slot(
    "material",
    "材质",
    words("polyester=聚酯纤维, microfibre=超细纤维, cotton=棉, linen=亚麻, bamboo fibre=竹纤维, wool=羊毛"),
    ("is woven from {v}", "is made of {v}", "feels of {v} through and through"),
    ("采用{v}织造", "以{v}为面料", "{v}面料亲近自然", "材质为{v}"),
    ("The cloth is {v}.", "{V} is all there is to it."),
    adjective_en="{v}",
    adjective_zh="{v}",
    rank=5,
    graded=True,
)
HOME_SIZE = Slot(
    "size",
    "尺寸",
    words(
        "45 × 45 cm=45×45cm, 70 × 140 cm=70×140cm, 130 × 170 cm=130×170cm, 150 × 200 cm=150×200cm,"
        " 200 × 230 cm=200×230cm"
    ),
    ("measures {v}", "comes at {v}", "spreads over {v}"),
    ("尺寸为{v}", "{v}的尺寸", "规格{v}"),
    ("Its size is {v}.",),
    graded=True,
)
DENSITY = Slot(
    "density",
    "克重",
    numbers("120 180 250 320 400 550", "g/m²"),
    ("is woven at {v}", "has a density of {v}", "weighs in at {v}"),
    ("克重{v}", "{v}的克重", "织物克重达到{v}"),
    ("Density: {v}.",),
)
WASH = Slot(
    "care",
    "洗涤方式",
    words("machine wash=机洗, hand wash=手洗, dry clean=干洗"),
    ("asks for a {v}", "is cared for by a {v}", "needs a {v}"),
    ("支持{v}", "建议{v}", "打理只需{v}"),
    ("Care: {v}.",),
)
