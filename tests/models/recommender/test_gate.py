import re
from dataclasses import replace

import pytest

from models.recommender.gate import Bounds, Measures, judge

GOOD = Measures(
    users=500, ndcg=0.12, recall=0.2, precision=0.1, hr=0.4, map=0.1, mrr=0.2, full=1.0, coverage=0.5,
    distinct=900, gini=0.7, overlap=0.1,
)  # fmt: skip
POPULAR = replace(GOOD, ndcg=0.06, overlap=0.99, distinct=24)


def verdict(new=GOOD, baseline=POPULAR, incumbent=None, n_items=2000):
    return judge(new, baseline, incumbent, n_items, k=20)


def test_better_than_popularity_is_accepted_and_says_by_what():
    assert verdict().accepted
    assert "0.1200 beats 7-day popularity's 0.0600" in verdict().why


def test_popularity_itself_is_refused():
    assert not verdict(new=replace(GOOD, ndcg=POPULAR.ndcg)).accepted
    assert not verdict(new=POPULAR).accepted


def test_two_percent_below_the_model_in_service_is_let_through_and_no_more():
    assert verdict(incumbent=replace(GOOD, ndcg=0.12 / 0.981)).accepted
    refused = verdict(incumbent=replace(GOOD, ndcg=0.12 / 0.979))
    assert not refused.accepted
    assert "98%" in refused.why


def test_one_list_for_all_is_refused_however_good():
    refused = verdict(new=replace(GOOD, overlap=1.0, distinct=20))
    assert not refused.accepted
    assert "100%" in refused.why
    assert "only 20 products" in refused.why


def test_a_shop_of_few_products_cannot_be_personal():
    assert verdict(new=replace(GOOD, overlap=1.0, distinct=20), n_items=60).accepted


def test_a_shopper_without_a_full_list_refuses_it():
    assert "0.20% of the shoppers" in verdict(new=replace(GOOD, full=0.998)).why


def test_too_few_buyers_prove_nothing():
    refused = verdict(new=replace(GOOD, users=19))
    assert not refused.accepted
    assert "too little to judge by" in refused.why


@pytest.mark.parametrize("users", [3, 19, 20, 30])
def test_of_a_small_group_of_buyers_the_sentence_tells_no_number_and_the_verdict_is_the_same(users):
    for new in (replace(GOOD, users=users), replace(POPULAR, users=users)):
        plain = verdict(new=new)
        discreet = judge(new, POPULAR, None, 2000, 20, Bounds(min_told=31))
        assert discreet.accepted == plain.accepted
        assert "fewer than 31 shoppers bought in the holdout" in discreet.why
        assert set(re.findall(r"[0-9.]+", discreet.why)) <= {"31", "20"}
        assert judge(new, POPULAR, None, 2000, 20, Bounds(min_told=users)) == plain


def test_that_nobody_bought_is_told():
    assert ": 0 shoppers bought" in judge(replace(GOOD, users=0), POPULAR, None, 9, 3, Bounds(min_told=5)).why
