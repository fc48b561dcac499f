"""What models may know of a product or a shopper besides the name, as numbers that stay the same every night.

A value's number is a hash of its text (feature hashing, Weinberger et al., ICML 2009): no list of values has
to be kept with a model, and a value that comes tomorrow has its number already.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.recommender.base import Floats, Ints

# Above every number of an item's attribute, and of a shopper's.
ITEM_SIZE = 4096
SHOPPER_SIZE = 512
CATEGORY_LEVELS, TITLE_WORDS = 2, 6
# A word that nearly every title holds tells nothing, and one of a single title leads nowhere.
FEWEST, LARGEST_SHARE = 2, 0.1
SHOPPER_COLUMNS = ("age_band", "gender", "city")


def numbers(texts: pd.Series, size: int) -> Ints:
    """(rows,): 1 to size - 1 by the hash of each text, 0 for none."""
    known = texts.notna() & (texts != "")
    hashes = pd.util.hash_array(texts.fillna("").to_numpy(dtype=object), categorize=True)
    return np.where(known, hashes % np.uint64(size - 1) + 1, 0).astype(np.int32)


def item_slots(catalogue: pa.Table) -> Ints:
    """(products, slots): category, brand, decile of price, upper category levels, words of the title."""
    path = catalogue["category"].to_pandas().astype("string").str.strip()
    brand = catalogue["brand"].to_pandas().astype("string").str.strip()
    decile = price_decile(prices(catalogue))
    columns = [
        numbers("category " + path, ITEM_SIZE),
        numbers("brand " + brand, ITEM_SIZE),
        numbers(pd.Series(np.where(decile >= 0, np.char.add("price ", decile.astype(str)), "")), ITEM_SIZE),
    ]
    levels = path.str.split(r"\s*>\s*", expand=True, regex=True)
    for level in range(CATEGORY_LEVELS):
        above = levels[level] if level in levels else pd.Series(pd.NA, index=path.index, dtype="string")
        columns.append(numbers(f"level {level} " + above, ITEM_SIZE))
    title = pc.coalesce(catalogue["title_en"], catalogue["title_zh"])
    return np.concatenate([np.stack(columns, axis=1), title_words(title.to_pandas())], axis=1)


def title_words(titles: pd.Series) -> Ints:
    """(products, `TITLE_WORDS`): the rarest telling words of each title, rarest first."""
    words = titles.astype("string").str.lower().str.findall(r"[^\W\d_]{2,}").explode().dropna()
    out = np.zeros((len(titles), TITLE_WORDS), np.int32)
    if len(words) == 0:
        return out
    pairs = pd.DataFrame({"row": words.index.to_numpy(), "word": words.to_numpy()}).drop_duplicates()
    carried = pairs.groupby("word")["row"].transform("size").to_numpy()
    telling = (carried >= FEWEST) & (carried <= max(FEWEST, LARGEST_SHARE * len(titles)))
    pairs, carried = pairs[telling], carried[telling]
    order = np.lexsort((pairs["word"].to_numpy().astype(str), carried, pairs["row"].to_numpy()))
    row = pairs["row"].to_numpy()[order]
    number = numbers("word " + pairs["word"].iloc[order], ITEM_SIZE)
    place = np.arange(len(row)) - np.searchsorted(row, row)
    kept = place < TITLE_WORDS
    out[row[kept], place[kept]] = number[kept]
    return out


def prices(catalogue: pa.Table) -> Floats:
    """(products,): nan where there is none."""
    return np.asarray(catalogue["price"].to_pandas().to_numpy(dtype=np.float32, na_value=np.nan))


def price_decile(price: Floats) -> Ints:
    """(products,): how many deciles of the catalogue's prices lie below, 0 to 9; -1 without a price."""
    known = price[np.isfinite(price)]
    if len(known) == 0:
        return np.full(len(price), -1, np.int32)
    limits = np.quantile(known, np.arange(1, 10) / 10)
    below = np.searchsorted(limits, np.nan_to_num(price))
    return np.asarray(np.where(np.isfinite(price), below, -1), np.int32)


def shopper_slots(users: pa.Table, ids: pa.StringArray) -> Ints:
    """(shoppers, 3): age band, gender and city of these shoppers, 0 where unknown."""
    at = pc.index_in(ids, value_set=users["user_id"].combine_chunks())
    rows = users.take(at)
    columns = [numbers(rows[n].to_pandas().astype("string"), SHOPPER_SIZE) for n in SHOPPER_COLUMNS]
    return np.stack(columns, axis=1) if len(rows) else np.zeros((0, len(SHOPPER_COLUMNS)), np.int32)
