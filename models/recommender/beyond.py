"""What a list is worth besides being right: how new it is, how varied, and whom among the items it serves.

Lists are (users, k) arrays of item ids, -1 for no item, best first.
"""

from __future__ import annotations

import numpy as np

from models.recommender.base import Behaviour, Bools, Doubles, Interactions, Ints, Items

HEAD_SHARE = 0.5
# Lists compared at once: their pairs of attributes stay in the cache.
_BLOCK = 2_048


def self_information(past: Interactions) -> Doubles:
    """(items,): -log2 of the share of shoppers who have touched the item (Zhou et al., PNAS 2010).

    An item that nobody has touched counts as touched by one: it is as new as can be told.
    """
    keep = (past.user >= 0) & (past.behaviour != Behaviour.RETURN)
    pair = np.unique(past.user[keep].astype(np.int64) * max(past.n_items, 1) + past.item[keep])
    shoppers = max(len(np.unique(past.user[keep])), 1)
    touched = np.bincount(pair % max(past.n_items, 1), minlength=past.n_items)
    return np.asarray(-np.log2(np.maximum(touched, 1) / shoppers))


def novelty(ids: Ints, information: Doubles) -> Doubles:
    """(users,): mean self-information of the items shown, in bits; nan for an empty list."""
    shown = ids >= 0
    bits = np.where(shown, information[np.maximum(ids, 0)] if len(information) else 0.0, 0.0)
    with np.errstate(invalid="ignore"):
        return np.asarray(bits.sum(axis=1) / shown.sum(axis=1))


def diversity(ids: Ints, items: Items) -> Doubles:
    """(users,): mean distance of two items of a list, 0 (all alike) to 1 (nothing in common).

    Intra-list diversity (Ziegler et al., WWW 2005), the distance being 1 - Jaccard over the values in
    `Items.attribute_slots`. Pairs of which nothing is known are left out; nan where no pair is left.
    """
    slots = items.attribute_slots()
    blocks = [_diversity(ids[low : low + _BLOCK], slots) for low in range(0, len(ids), _BLOCK)]
    return np.concatenate(blocks) if blocks else np.zeros(0)


def _diversity(ids: Ints, slots: Ints) -> Doubles:
    users, k = ids.shape
    if len(slots) == 0:
        return np.full(users, np.nan)
    mine = np.where((ids >= 0)[:, :, None], slots[np.maximum(ids, 0)], 0)
    shared = np.zeros((users, k, k), np.int32)
    for a in range(mine.shape[2]):
        for b in range(mine.shape[2]):
            left, right = mine[:, :, None, a], mine[:, None, :, b]
            shared += (left == right) & (left > 0)
    size = (mine > 0).sum(axis=2)
    union = size[:, :, None] + size[:, None, :] - shared
    listed = ids >= 0
    pairs = np.triu(np.ones((k, k), np.bool_), 1) & listed[:, :, None] & listed[:, None, :] & (union > 0)
    distance = np.where(pairs, 1 - shared / np.maximum(union, 1), 0.0)
    with np.errstate(invalid="ignore"):
        return np.asarray(distance.sum(axis=(1, 2)) / pairs.sum(axis=(1, 2)))


def head(past: Interactions, share: float = HEAD_SHARE) -> Bools:
    """(items,): the short head, which is the best sellers that together took `share` of all purchases.

    Head and tail are split by the share of the interactions, not of the catalogue, as in Cremonesi et al.
    (RecSys 2010). An item that sold nothing is tail.
    """
    bought = past.of(Behaviour.PURCHASE)
    sold = np.bincount(bought.item, minlength=past.n_items)
    order = np.lexsort((np.arange(len(sold)), -sold))
    before = np.cumsum(sold[order]) - sold[order]
    found = np.zeros(len(sold), np.bool_)
    found[order] = (before < share * sold.sum()) & (sold[order] > 0)
    return found
