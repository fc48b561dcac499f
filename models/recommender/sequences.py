"""Events in order: the sequences a model learns from, and the pasts it scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.recommender.base import DAY, Behaviour, Bools, Floats, History, Interactions, Ints, Longs


@dataclass(frozen=True)
class Sequences:
    """Events sorted by entity, time, item. step counts an entity's distinct moments from 0.

    What one entity did to one item in one visit (or, without visits, one day) is one event: at its first
    moment, with its strongest behaviour. A view, a cart and a purchase of one thing are one interest.
    """

    entity: Longs
    item: Ints
    time: Longs
    behaviour: np.ndarray
    step: Ints
    n_items: int

    def __len__(self) -> int:
        return len(self.item)


def link_sessions(user: Ints, session: Ints) -> Ints:
    """Gives anonymous events to the one shopper who signed in during the visit; never guesses among two."""
    known = (user >= 0) & (session >= 0)
    if not known.any():
        return user
    n = int(session.max()) + 1
    low, high = np.full(n, np.iinfo(np.int32).max, np.int32), np.full(n, -1, np.int32)
    np.minimum.at(low, session[known], user[known])
    np.maximum.at(high, session[known], user[known])
    owner = np.where(low == high, high, np.int32(-1)).astype(np.int32)
    anonymous = (user < 0) & (session >= 0)
    return np.where(anonymous, owner[np.maximum(session, 0)], user).astype(np.int32)


def sent_back(interactions: Interactions) -> Bools:
    """(events,): the purchases that came back. A return takes back the latest purchase before it, of the same
    thing by the same shopper (or in the same visit), that is not taken back yet; without one, nothing.

    Only the events given count: the days before a cut, given alone, are as they were seen then.
    """
    entity, behaviour = interactions.entity(), interactions.behaviour
    at = np.flatnonzero((entity >= 0) & np.isin(behaviour, (Behaviour.PURCHASE, Behaviour.RETURN)))
    key = entity[at] * max(interactions.n_items, 1) + interactions.item[at]
    some = np.isin(key, np.unique(key[behaviour[at] == Behaviour.RETURN]))
    at, key = at[some], key[some]
    order = np.lexsort((behaviour[at], interactions.time[at], key))
    at, key = at[order], key[order]
    # A purchase opens a bracket, a return closes the last open one: both of a pair stand on one level.
    opens = behaviour[at] == Behaviour.PURCHASE
    start = _changes(key)
    group = np.repeat(np.arange(len(start)), np.diff(np.append(start, len(at))))
    step = np.where(opens, 1, -1)
    total = np.cumsum(step)
    total -= (total - step)[start][group]
    # Groups are set so far apart that the least of one is above all of the next.
    apart = group * (2 * len(at) + 1)
    lowest = np.minimum(np.minimum.accumulate(total - apart) + apart, 0)
    level = np.where(opens, total - lowest, total - lowest + 1)
    order = np.lexsort((np.arange(len(at)), level, group))
    same = (group[order][1:] == group[order][:-1]) & (level[order][1:] == level[order][:-1])
    found = np.zeros(len(interactions), np.bool_)
    found[at[order[:-1][same & opens[order][:-1]]]] = True
    return found


def sequences(interactions: Interactions) -> Sequences:
    """Sorts and merges. Left out are returns, the purchases that they take back, and what is nobody's."""
    entity = interactions.entity()
    keep = (entity >= 0) & (interactions.behaviour != Behaviour.RETURN) & ~sent_back(interactions)
    entity, item, time = entity[keep], interactions.item[keep], interactions.time[keep]
    behaviour, session = interactions.behaviour[keep], interactions.session[keep]
    # A visit and a day never collide: days are stored below zero.
    visit = np.where(session >= 0, session.astype(np.int64), -1 - time // DAY)
    order = np.lexsort((time, item, visit, entity))
    entity, item, time, behaviour, visit = (a[order] for a in (entity, item, time, behaviour, visit))
    first = _changes(entity, visit, item)
    if len(first):
        behaviour = np.maximum.reduceat(behaviour, first)
    entity, item, time = entity[first], item[first], time[first]
    order = np.lexsort((item, time, entity))
    entity, item, time, behaviour = entity[order], item[order], time[order], behaviour[order]
    return Sequences(entity, item, time, behaviour, _steps(entity, time), interactions.n_items)


def _changes(*columns: np.ndarray) -> Longs:
    """Positions at which any of the sorted columns changes, 0 included."""
    n = len(columns[0])
    new = np.zeros(n, np.bool_)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(new)


def _steps(entity: Longs, time: Longs) -> Ints:
    moment = np.zeros(len(entity), np.int64)
    moment[_changes(entity, time)] = 1
    moment = np.cumsum(moment) - 1
    start = _changes(entity)
    base = np.repeat(moment[start], np.diff(np.append(start, len(entity))))
    return (moment - base).astype(np.int32)


def histories(interactions: Interactions, as_of: int, longest: int = 100) -> History:
    """The last `longest` events of every known shopper, as `sequences` merges them; row i is user i."""
    seq = sequences(interactions.where((interactions.user >= 0) & (interactions.time < as_of)))
    starts = np.searchsorted(seq.entity, np.arange(interactions.n_users))
    ends = np.searchsorted(seq.entity, np.arange(interactions.n_users), side="right")
    position_from_end = np.repeat(ends, ends - starts) - np.arange(len(seq))
    keep: Bools = position_from_end <= longest
    lengths = np.minimum(ends - starts, longest)
    last_step = np.zeros(interactions.n_users, np.int32)
    some = ends > starts
    last_step[some] = seq.step[ends[some] - 1]
    distance = last_step[seq.entity] - seq.step
    age: Floats = ((as_of - seq.time) / DAY).astype(np.float32)
    return History(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        seq.item[keep],
        seq.behaviour[keep],
        distance[keep],
        age[keep],
        interactions.shoppers,
    )
