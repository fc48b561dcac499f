"""Openings, closings and the claims that a shop should not make, in two languages."""

from __future__ import annotations

from jobs.sample.slots import Value

OPENINGS_EN = (
    "Meet a {noun} from {brand}.",
    "From {brand}: a {noun}.",
    "{brand} presents a {noun}.",
    "Looking for a {noun}? {brand} has one.",
    "A {noun} by {brand}.",
    "Say hello to a {noun} made by {brand}.",
    "With this {noun}, {brand} keeps things honest.",
    "Here is a {noun} as only {brand} would draw it.",
    "{brand} took its time over this {noun}.",
    "This {noun} joins the {brand} family.",
)
OPENINGS_VERB_EN = (
    "This {noun} from {brand} {verb}.",
    "The {noun} by {brand} {verb}.",
    "{brand} offers a {noun} that {verb}.",
    "A {noun} by {brand} that {verb}.",
    "Made by {brand}, this {noun} {verb}.",
    "Think of a {noun} that {verb}: {brand} did.",
    "New at {brand}: a {noun} that {verb}.",
)
CLOSINGS_EN = {
    "Clothing": (
        "Wear it your way.",
        "One to reach for again and again.",
        "Pair it with what you love.",
        "It earns its place in the wardrobe.",
    ),
    "Shoes": (
        "Step out and see.",
        "Good company for a long walk.",
        "One pair, many days.",
        "Step into the week.",
    ),
    "Bags": ("Pack it and go.", "Ready when you are.", "It carries the day with you.", "Take it everywhere."),
    "Electronics": (
        "Simple to live with.",
        "It does its work and stays out of the way.",
        "Small things, done well.",
        "Plug in and carry on.",
    ),
    "Kitchen": (
        "Good food starts here.",
        "It will see many breakfasts.",
        "A quiet helper in the kitchen.",
        "Set it on the table and enjoy.",
    ),
    "Home textiles": (
        "Home feels a little more like home.",
        "Make yourself comfortable.",
        "A small change that you notice every day.",
        "Curl up and stay a while.",
    ),
    "Beauty": (
        "A small ritual for morning and evening.",
        "Take a minute for yourself.",
        "Part of a routine that you keep.",
        "Simple care, day after day.",
    ),
    "Sports": ("Now it is your turn.", "One more round.", "Take it along.", "Move at your own pace."),
    "Toys": (
        "Playtime starts now.",
        "For rainy days and sunny ones.",
        "Open the box and begin.",
        "Let them play.",
    ),
    "Stationery": (
        "Ideas welcome.",
        "Write it down before it is gone.",
        "A good desk needs little more.",
        "Begin with a blank line.",
    ),
    "Food": ("Share it, or do not.", "Good at any hour.", "Keep some at home.", "Sit down and taste."),
    "Pets": (
        "Somebody at home will be pleased.",
        "They will let you know what they think.",
        "For the one who waits at the door.",
        "Every day a good day.",
    ),
}
OPENINGS_ZH = (
    "这{measure}{brand}{noun}",
    "来自{brand}的{noun}",
    "{brand}{noun}",
    "{brand}带来的这{measure}{noun}",
    "想挑一{measure}{noun}，不妨看看{brand}",
    "这{measure}{noun}出自{brand}",
    "{brand}新推出的{noun}",
    "{brand}的这{measure}{noun}",
    "日常好用的{noun}，{brand}用心设计",
    "遇见{brand}{noun}",
)
REMARKS_ZH = (
    "简单好用",
    "日常百搭",
    "看着就让人心动",
    "细节之处见用心",
    "让生活多一点惬意",
    "平凡的日子也有小确幸",
    "值得慢慢体会",
)
LINKS_ZH = ("", "", "", "同时", "另外，", "此外，", "而且", "值得一提的是，")
CLOSINGS_ZH = {
    "Clothing": ("怎么搭都有自己的味道。", "通勤、出游都能穿。", "衣橱里常备一件。", "穿出自己的样子。"),
    "Shoes": ("出门走走，自在随心。", "陪你走好每一步。", "日常搭配不费心。", "穿上就想出门。"),
    "Bags": ("说走就走，一包搞定。", "通勤出行都合适。", "日常背着不出错。", "装下你的每一天。"),
    "Electronics": ("小物件，大用处。", "日常使用省心省力。", "简单上手，随时可用。", "让生活更顺畅。"),
    "Kitchen": ("好好吃饭，从这里开始。", "厨房里的好帮手。", "摆上餐桌也好看。", "陪你过好一日三餐。"),
    "Home textiles": ("给家多一分温馨。", "回家就想窝在里面。", "细微之处，感受生活。", "让房间柔和起来。"),
    "Beauty": ("早晚各一次，善待自己。", "给自己一点时间。", "日常护理的小仪式。", "坚持用，慢慢来。"),
    "Sports": ("动起来，从今天开始。", "陪你练好每一次。", "在家也能动一动。", "按自己的节奏来。"),
    "Toys": ("和孩子一起玩起来。", "送给小朋友的好礼物。", "打开盒子，开始冒险。", "陪伴快乐的午后时光。"),
    "Stationery": ("把想法写下来。", "书桌上的小确幸。", "学习办公都顺手。", "落笔之间，自有节奏。"),
    "Food": ("分享或独享都好。", "家里常备一份。", "随时来一点。", "坐下来，慢慢品尝。"),
    "Pets": ("家里的小家伙会喜欢。", "给毛孩子一份心意。", "陪伴它的每一天。", "主人省心，宠物开心。"),
}

# Claims that no attribute supports: people write them, and a model must not learn to.
UNSUPPORTED = (
    Value("It carries a two-year warranty.", "享受两年质保。"),
    Value("Every order ships in a gift box.", "随货附赠精美礼盒。"),
    Value("Each one is finished by hand.", "每一件均由匠人手工完成。"),
    Value("It is completely waterproof.", "全面防水。"),
    Value("Laboratory tests confirm its quality.", "经权威实验室检测认证。"),
    Value("It was designed in Milan.", "由米兰设计师操刀设计。"),
    Value("A matching pouch is included.", "附赠同款收纳袋。"),
    Value("It has won a design award.", "曾获国际设计大奖。"),
    Value("It is made from 100% recycled materials.", "采用100%再生材料。"),
    Value("More than 10,000 customers already own one.", "已有超过10000位顾客选择。"),
)
# Superlatives that advertising law forbids.
BANNED = (
    Value("Simply the best in the world.", "品质全球第一。"),
    Value("The number one choice, guaranteed.", "全网销量第一，放心选购。"),
    Value("Nothing else comes close: the best on the market.", "市面上最好的选择。"),
    Value("The most advanced of its kind anywhere.", "行业最先进。"),
    Value("The lowest price on the internet.", "全网最低价。"),
    Value("A perfect product, 100% satisfaction guaranteed.", "国家级品质，绝对满意。"),
)
