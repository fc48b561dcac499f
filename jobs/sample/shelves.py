"""What goes with what, and the invented brands of each category."""

from __future__ import annotations

# After the left one, people buy the right ones.
COMPLEMENTS: dict[str, tuple[str, ...]] = {
    "Dresses": ("Sandals", "Crossbody bags"),
    "Shirts": ("Trousers", "Jackets"),
    "Knitwear": ("Trousers", "Ankle boots"),
    "Jackets": ("Ankle boots", "Knitwear"),
    "Trousers": ("Casual shoes", "Shirts"),
    "Running shoes": ("Water bottles", "Skipping ropes"),
    "Casual shoes": ("Backpacks", "Trousers"),
    "Backpacks": ("Water bottles", "Notebooks"),
    "Totes": ("Notebooks", "Lipsticks"),
    "Phones": ("Phone cases", "Power banks", "Earbuds", "Chargers"),
    "Power banks": ("Chargers",),
    "Earbuds": ("Phone cases",),
    "Frying pans": ("Food boxes",),
    "Mugs": ("Coffee", "Tea", "Biscuits"),
    "Teapots": ("Tea", "Mugs"),
    "Coffee": ("Mugs", "Biscuits"),
    "Tea": ("Biscuits", "Teapots"),
    "Bedding": ("Cushions", "Blankets"),
    "Blankets": ("Cushions",),
    "Cleansers": ("Face creams", "Serums"),
    "Serums": ("Face creams",),
    "Lipsticks": ("Serums",),
    "Yoga mats": ("Water bottles", "Towels"),
    "Dumbbells": ("Yoga mats", "Skipping ropes"),
    "Building blocks": ("Puzzles", "Soft toys"),
    "Notebooks": ("Pens", "Pencil cases"),
    "Pens": ("Notebooks",),
    "Cat food": ("Cat litter", "Pet beds"),
    "Dog food": ("Pet beds",),
}

# Invented names, with how dear each is beside its rivals.
BRANDS: dict[str, tuple[tuple[str, float], ...]] = {
    "Clothing": (("Belquin", 0.7), ("Wrenfold", 1.0), ("Marrowick", 1.4), ("Umbriva", 1.7)),
    "Shoes": (("Fennstride", 0.8), ("Thistlow", 1.0), ("Corvanta", 1.2), ("Oskavel", 1.6)),
    "Bags": (("Pondrel", 0.7), ("Quillmoor", 1.0), ("Talvetti", 1.4), ("Umbriva", 1.8)),
    "Electronics": (("Lunoveth", 0.7), ("Zephlin", 0.9), ("Iskarra", 1.1), ("Nordquill", 1.5)),
    "Kitchen": (("Sorrelby", 0.8), ("Hearthwin", 1.0), ("Galdora", 1.3), ("Kelmira", 1.6)),
    "Home textiles": (("Mirabrook", 0.8), ("Yarrowby", 1.0), ("Elmoria", 1.3), ("Cindrel", 1.6)),
    "Beauty": (("Solvanto", 0.7), ("Petalune", 1.0), ("Elmoria", 1.2), ("Xandive", 1.7)),
    "Sports": (("Fennstride", 0.8), ("Brindlow", 1.0), ("Tarquell", 1.3)),
    "Toys": (("Glimmerfold", 0.8), ("Pipwhistle", 1.0), ("Havenquist", 1.4)),
    "Stationery": (("Inkermoss", 0.8), ("Quillmoor", 1.1), ("Pellworth", 1.5)),
    "Food": (("Ravensby", 0.8), ("Jorvello", 1.0), ("Meadowelt", 1.2), ("Cindrel", 1.5)),
    "Pets": (("Tuftonby", 0.8), ("Whiskerel", 1.0), ("Barkholm", 1.3)),
}
