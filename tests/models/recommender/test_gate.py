from dataclasses import replace

from models.recommender.gate import Measures, judge

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
