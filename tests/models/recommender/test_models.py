"""What every recommender keeps to, with answers that can be worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

import models.recommender
from models.recommender import KINDS
from models.recommender.base import DAY, Behaviour, History, Items
from models.recommender.item_graph import Counts, ItemGraph, Pairs, prune
from models.recommender.popularity import Popularity
from models.recommender.sequences import histories, sequences
from tests.models.recommender.shops import AS_OF, interactions, toy_shop

VIEW, BUY, BACK = Behaviour.VIEW, Behaviour.PURCHASE, Behaviour.RETURN


def flat(**constants):
    """A graph whose edges are plain counts."""
    return ItemGraph(**{"out_power": 0.0, "in_power": 0.0, "backward": 0.0, **constants})


@pytest.fixture(scope="module")
def shop():
    return toy_shop(n_users=80)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_saved_model_scores_the_same_and_holds_no_pickle(kind, shop, tmp_path):
    model = KINDS[kind]().fit(shop.events, shop.items, AS_OF)
    model.save(tmp_path)
    past = histories(shop.events, AS_OF)
    twin = models.recommender.load(tmp_path)
    assert np.array_equal(model.score_block(past), twin.score_block(past))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["arrays.npz", "model.json"]
    with np.load(tmp_path / "arrays.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype != object for name in arrays)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_same_events_in_another_order_give_the_same_bytes(kind, shop, tmp_path):
    events = shop.events
    order = np.random.default_rng(3).permutation(len(events))
    columns = ("user", "item", "time", "behaviour", "session")
    shuffled = replace(events, **{name: getattr(events, name)[order] for name in columns})
    one, two = KINDS[kind]().fit(events, shop.items, AS_OF), KINDS[kind]().fit(shuffled, shop.items, AS_OF)
    past = histories(events, AS_OF)
    assert np.allclose(one.score_block(past), two.score_block(past), rtol=1e-6)


# A hybrid's scores are relative to the whole catalogue: see test_hybrid.py.
@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"hybrid"}))
def test_another_catalogue_keeps_what_is_known_and_knows_nothing_of_the_new(kind, shop):
    model = KINDS[kind]().fit(shop.events, shop.items, AS_OF)
    past = histories(shop.events, AS_OF)
    before = model.score_block(past)
    # One new item in front; everything else moves by one.
    mapping = np.arange(-1, len(shop.items))
    moved = History(past.indptr, past.item + 1, past.behaviour, past.distance, past.age)
    after = model.reindex(mapping).score_block(moved)
    assert np.allclose(after[:, 1:], before)
    assert (after[:, 0] == 0).all()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_an_empty_shop_is_no_error(kind):
    model = KINDS[kind]().fit(interactions([], 2, 3), Items.plain(3), AS_OF)
    ids, _ = model.recommend(History.empty(2), 2)
    assert ids.tolist() == [[0, 1], [0, 1]]


def test_popularity_halves_every_seven_days_and_takes_returns_back():
    rows = [
        (0, 0, AS_OF - 7 * DAY, BUY, 0),
        (0, 1, AS_OF, BUY, 1),
        (0, 2, AS_OF, BUY, 2),
        (0, 2, AS_OF, BACK, 3),
    ]
    model = Popularity().fit(interactions(rows, 1, 4), Items.plain(4), AS_OF)
    assert model.counts.tolist() == [0.5, 1.0, 0.0, 0.0]


def test_popularity_in_a_category_is_scaled_by_its_best_and_unknown_is_none():
    model = Popularity()
    model.counts = np.array([4.0, 2.0, 8.0, 9.0])
    assert model.within(np.array([0, 0, 1, -1], np.int32), 2).tolist() == [1.0, 0.5, 1.0, 0.0]


def test_edges_follow_the_order_and_decay_with_the_gap():
    rows = [(0, 0, 10, BUY, 0), (0, 1, 20, BUY, 1), (0, 2, 30, BUY, 2)]
    edges = flat(decay=0.5).fit(interactions(rows, 1, 3), Items.plain(3), AS_OF).edges.toarray()
    assert edges.tolist() == [[0, 1, 0.5], [0, 0, 1], [0, 0, 0]]


def test_a_part_counts_backwards_and_a_basket_both_ways_in_full():
    rows = [(0, 0, 10, BUY, 0), (0, 1, 10, BUY, 0), (0, 2, 20, BUY, 1)]
    edges = (
        flat(decay=0.5, backward=0.25).fit(interactions(rows, 1, 3), Items.plain(3), AS_OF).edges.toarray()
    )
    assert edges.tolist() == [[0, 1, 1], [1, 0, 1], [0.25, 0.25, 0]]


def test_degrees_scale_both_sides_and_behaviours_weigh():
    rows = [(0, 0, 10, BUY, 0), (0, 1, 20, VIEW, 1)]
    graph = flat(out_power=0.5, in_power=0.25).fit(interactions(rows, 1, 2), Items.plain(2), AS_OF)
    assert graph.edges.toarray()[0, 1] == pytest.approx(0.2 * 0.2**-0.5 * 0.2**-0.25)


def test_bought_again_is_an_edge_to_itself_with_its_own_weight():
    rows = [(0, 0, 10, BUY, 0), (0, 0, 2 * DAY, BUY, 1)]
    graph = flat(again=4.0).fit(interactions(rows, 1, 1), Items.plain(1), AS_OF)
    assert graph.edges.toarray().tolist() == [[4.0]]


def test_blocks_of_rows_count_what_one_block_counts(shop, monkeypatch):
    whole = ItemGraph().fit(shop.events, shop.items, AS_OF).edges
    monkeypatch.setattr("models.recommender.item_graph.PAIR_BUDGET", 700)
    assert len(list(Pairs(sequences(shop.events), ItemGraph().constants).blocks())) > 10
    parts = ItemGraph().fit(shop.events, shop.items, AS_OF).edges
    assert np.allclose(whole.toarray(), parts.toarray(), rtol=1e-5)


def best_seller(n_users=40):
    """Item 0 is in every shopper's day, before and after one of nine others."""
    rows = []
    for user in range(n_users):
        day = user * DAY
        other = 1 + user % 9
        rows += [(user, 0, day, BUY, -1), (user, other, day + 60, BUY, -1), (user, 0, day + DAY, VIEW, -1)]
    return interactions(rows, n_users, 10)


def test_a_best_seller_is_counted_a_slice_at_a_time(monkeypatch):
    """More pairs than the budget stand in one item's row: no slice has more, and their sum is the same."""
    exact = ItemGraph(decay=0.5, backward=0.5).constants
    seq = sequences(best_seller())
    whole = Counts.of(seq, exact).rows
    asked = []
    along = Pairs._along

    def watched(self, at, offset):
        asked.append(len(at))
        return along(self, at, offset)

    monkeypatch.setattr(Pairs, "_along", watched)
    budget = 700
    monkeypatch.setattr("models.recommender.item_graph.PAIR_BUDGET", budget)
    pairs = Pairs(seq, exact)
    hot = np.bincount(seq.item)[0]
    assert hot * 2 * exact.window > 10 * budget
    rows = pairs.rows(0, 1)
    assert max(asked) * 2 * exact.window <= budget
    assert sum(asked) == hot * 2 * exact.window
    assert np.array_equal(rows.toarray(), whole[:1].toarray())
    assert rows.has_canonical_format
    # Weights that are no binary fractions: the order of a sum moves its last digits.
    usual = ItemGraph().constants
    sliced = Pairs(seq, usual).rows(0, 1).toarray()
    monkeypatch.undo()
    assert np.allclose(sliced, Pairs(seq, usual).rows(0, 1).toarray(), rtol=1e-12, atol=0)


def test_counts_agree_with_a_naive_double_loop(shop):
    graph = flat(window=5, decay=0.7, backward=0.3)
    seq = sequences(shop.events)
    weight = np.array([0.2, 0.4, 0.6, 1.0, 0.0])[seq.behaviour]
    naive = np.zeros((len(shop.items),) * 2)
    for i in range(len(seq)):
        for j in range(i + 1, min(i + 6, len(seq))):
            if seq.entity[i] == seq.entity[j]:
                gap = seq.step[j] - seq.step[i]
                w = weight[i] * weight[j] * 0.7 ** max(gap - 1, 0)
                naive[seq.item[i], seq.item[j]] += w
                naive[seq.item[j], seq.item[i]] += w if gap == 0 else 0.3 * w
    assert np.allclose(graph.fit(shop.events, shop.items, AS_OF).edges.toarray(), naive, rtol=1e-5)


def test_pruning_keeps_the_strongest_and_the_lower_id_of_equals():
    from scipy import sparse

    rows = sparse.csr_array(np.array([[3.0, 1.0, 3.0, 2.0, 1.0], [0, 0, 0, 0, 1.0]]))
    assert prune(rows, 3).toarray().tolist() == [[3, 0, 3, 2, 0], [0, 0, 0, 0, 1]]
    assert prune(rows, 4).toarray().tolist() == [[3, 1, 3, 2, 0], [0, 0, 0, 0, 1]]


def test_counts_kept_for_trying_powers_give_the_same_graph(shop):
    graph = ItemGraph(in_power=0.5, again=4.0, width=7).fit(shop.events, shop.items, AS_OF)
    counts = Counts.of(sequences(shop.events), graph.constants)
    twin = ItemGraph(in_power=0.5, again=4.0, width=7).fit_counts(counts)
    assert graph.edges.nnz > 100
    assert np.array_equal(graph.edges.toarray(), twin.edges.toarray())
