import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.recommender import rules as rules_module
from models.recommender.base import DAY, Behaviour, mask
from models.recommender.rules import (
    Excluded,
    Lists,
    RuleBroken,
    Rules,
    already_bought,
    assert_rules,
    bought_again,
    pick,
)
from tests.models.recommender.shops import catalogue, interactions

BUY, BACK = Behaviour.PURCHASE, Behaviour.RETURN
NOBODY = (np.zeros(0, np.int64), np.zeros(0, np.int32))


def scores(*rows):
    return np.array(rows, np.float32)


def test_caps_hold_where_the_list_can_be_filled_without_breaking_them():
    rules = Rules(catalogue(2, 4), k=4, category_cap=2, brand_cap=2)
    lists = pick(scores([9, 8, 7, 6, 4, 3, 2, 1]), rules)
    assert lists.ids.tolist() == [[0, 1, 4, 5]]
    assert lists.level.tolist() == [0]


def test_caps_give_way_for_the_one_whose_list_would_stay_short():
    rules = Rules(catalogue(2, 4), k=4, category_cap=2, brand_cap=2)
    inf = -np.inf
    lists = pick(scores([9, 8, 7, 6, inf, inf, inf, inf], [1, 2, 3, 4, 5, 6, 7, 8]), rules)
    assert lists.ids.tolist() == [[0, 1, 2, 3], [7, 6, 3, 2]]
    assert lists.level.tolist() == [1, 0]


def test_one_variant_of_a_product_even_if_the_list_stays_short():
    items = catalogue(1, 4, parent=np.array([0, 0, 1, 1], np.int32))
    lists = pick(scores([4, 3, 2, 1]), Rules.of(items, 3))
    assert lists.ids.tolist() == [[0, 2, -1]]


def test_deep_lists_are_searched_to_the_end():
    # The first 90 are variants of one thing: the second product lies far below the first look.
    parent = np.where(np.arange(100) < 90, 0, np.arange(100)).astype(np.int32)
    lists = pick(-np.arange(100, dtype=np.float32)[None], Rules.of(catalogue(1, 100, parent=parent), 5))
    assert lists.ids.tolist() == [[0, 90, 91, 92, 93]]


def rebuyers(item, buyers, again, start=0):
    rows = [(start + u, item, 0, BUY, -1) for u in range(buyers)]
    return rows + [(start + u, item, 5 * DAY, BUY, -1) for u in range(again)]


def test_what_people_buy_again_may_be_shown_again():
    rows = rebuyers(0, 60, 30) + rebuyers(1, 60, 0)
    events = interactions(rows, 60, 4)
    items = catalogue(4, 1)
    assert bought_again(events, items).tolist() == [True, False, False, False]
    excluded = already_bought(events, items)
    assert excluded.pairs(np.array([7]))[1].tolist() == [1]


def test_a_category_speaks_for_products_that_few_have_bought():
    items = catalogue(2, 2)
    rows = rebuyers(0, 60, 30) + rebuyers(2, 60, 0)
    assert bought_again(interactions(rows, 60, 4), items).tolist() == [True, True, False, False]


def test_twice_on_one_day_is_not_again():
    rows = [(u, 0, second, BUY, -1) for u in range(60) for second in (1, 900)]
    assert not bought_again(interactions(rows, 60, 1), catalogue(1, 1)).any()


def test_bought_in_one_colour_is_bought_in_all():
    items = catalogue(1, 4, parent=np.array([0, 1, 0, 2], np.int32))
    excluded = already_bought(interactions([(1, 0, 5, BUY, -1)], 2, 4), items)
    assert excluded.pairs(np.array([0, 1]))[0].tolist() == [1, 1]
    assert excluded.pairs(np.array([0, 1]))[1].tolist() == [0, 2]


def test_what_was_sent_back_frees_the_other_sizes_and_is_not_offered_again():
    items = catalogue(1, 5, parent=np.array([0, 1, 0, 2, 0], np.int32))
    rows = [(0, 0, 5, BUY, -1), (0, 0, 9, BACK, -1), (0, 1, 5, BUY, -1)]
    assert already_bought(interactions(rows, 1, 5), items).item.tolist() == [0, 1]
    # The right size was bought then, and kept.
    kept = already_bought(interactions([*rows, (0, 2, 12, BUY, -1)], 1, 5), items)
    assert kept.item.tolist() == [0, 1, 2, 4]
    # Seen from before the return, it was kept.
    assert already_bought(interactions(rows, 1, 5).before(9), items).item.tolist() == [0, 1, 2, 4]


def test_bought_already_gives_way_for_the_one_who_would_have_no_list_and_nobody_else():
    items = catalogue(1, 4, in_stock=np.array([1, 1, 0, 1], np.bool_))
    rows = [(0, i, 5, BUY, -1) for i in (0, 1, 3)] + [(1, i, 5, BUY, -1) for i in (0, 1, 2)]
    excluded = already_bought(interactions(rows, 3, 4), items)
    assert np.diff(excluded.indptr).tolist() == [0, 3, 0]
    forbidden = excluded.pairs(np.arange(3))
    rules = Rules.of(items, 3)
    lists = pick(mask(scores(*[[4, 3, 2, 1]] * 3), items.in_stock, forbidden), rules)
    assert lists.ids.tolist() == [[0, 1, 3], [3, -1, -1], [0, 1, 3]]
    assert_rules(lists, rules, forbidden)
    nothing = catalogue(1, 4, in_stock=np.zeros(4, np.bool_))
    assert len(already_bought(interactions(rows, 3, 4), nothing).pairs(np.arange(3))[0]) == 0


def walked(monkeypatch, score, rules):
    """The lists, and how many candidates were looked at for them."""
    seen = []
    greedy = rules_module._greedy

    def counting(ids, *rest):
        seen.append(ids.size)
        return greedy(ids, *rest)

    monkeypatch.setattr(rules_module, "_greedy", counting)
    lists = pick(score, rules)
    monkeypatch.undo()
    return lists, sum(seen)


@pytest.mark.parametrize("group", ["brand", "category"])
def test_a_cap_that_the_shop_can_never_meet_is_not_looked_for_in_the_whole_catalogue(monkeypatch, group):
    n, k, users = 2_000, 4, 5
    none = np.full(n, -1, np.int32)
    items = catalogue(1, n, **{"category": none, "brand": none, group: np.zeros(n, np.int32)})
    score = np.random.default_rng(1).random((users, n)).astype(np.float32)
    lists, looked = walked(monkeypatch, score, Rules.of(items, k))
    assert looked <= users * 3 * k
    assert lists.level.tolist() == [1] * users
    monkeypatch.setattr(Rules, "first_level", 0)
    slowly, far = walked(monkeypatch, score, Rules.of(items, k))
    assert far > users * n
    for name in ("ids", "scores", "level"):
        assert np.array_equal(getattr(lists, name), getattr(slowly, name))


def test_a_cap_that_one_other_product_meets_is_kept():
    items = catalogue(1, 50, brand=np.where(np.arange(50) == 49, -1, 0).astype(np.int32))
    rules = Rules(items, k=2, category_cap=2, brand_cap=1)
    lists = pick(-np.arange(50, dtype=np.float32)[None], rules)
    assert (lists.ids.tolist(), lists.level.tolist()) == ([[0, 49]], [0])


def broken(ids, forbidden=NOBODY, level=0, **items):
    ids = np.array([ids], np.int32)
    rules = Rules(catalogue(2, 3, **items), k=2, category_cap=1, brand_cap=1)
    assert_rules(Lists(ids, np.zeros(ids.shape, np.float32), np.array([level], np.int32)), rules, forbidden)


@pytest.mark.parametrize(
    ("ids", "given", "sentence"),
    [
        ([0, 3], {"in_stock": np.array([0, 1, 1, 1, 1, 1], np.bool_)}, "not in stock"),
        ([0, 3], {"parent": np.array([0, 1, 2, 0, 4, 5], np.int32)}, "two variants"),
        ([3, 3], {}, "two variants"),
        ([0, 3], {"forbidden": (np.array([0]), np.array([3], np.int32))}, "already bought"),
        ([0, 1], {}, "one category"),
        ([0, 3], {"brand": np.zeros(6, np.int32)}, "one brand"),
        ([0, -1], {}, "has 1 products where 2 were possible"),
    ],
)
def test_a_broken_rule_is_found(ids, given, sentence):
    broken([0, 3])
    with pytest.raises(RuleBroken, match=sentence):
        broken(ids, **given)


def test_a_cap_that_gave_way_is_not_broken():
    broken([0, 1], level=1)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_whatever_is_scored_the_lists_break_no_rule(seed):
    rng = np.random.default_rng(seed)
    n, users, k = int(rng.integers(1, 40)), 6, int(rng.integers(1, 9))
    items = catalogue(
        1, n,
        category=rng.integers(-1, 4, n).astype(np.int32),
        brand=rng.integers(-1, 3, n).astype(np.int32),
        parent=rng.integers(0, n, n).astype(np.int32),
        in_stock=rng.random(n) < 0.8,
    )  # fmt: skip
    owned = [np.flatnonzero(rng.random(n) < 0.3).astype(np.int32) for _ in range(users)]
    excluded = Excluded(np.append(0, np.cumsum([len(o) for o in owned])), np.concatenate(owned))
    forbidden = excluded.pairs(np.arange(users))
    score = mask(rng.integers(0, 4, (users, n)).astype(np.float32), items.in_stock, forbidden)
    rules = Rules.of(items, k)
    lists = pick(score, rules)
    from_the_first = Rules.of(items, k)
    vars(from_the_first)["first_level"] = 0
    slowly = pick(score, from_the_first)
    assert all(np.array_equal(getattr(lists, n), getattr(slowly, n)) for n in ("ids", "scores", "level"))
    # A greedy walk may miss a fuller list only through variants, and never does: one of each parent is left.
    assert_rules(lists, rules, forbidden)
