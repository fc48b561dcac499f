import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.recommender.base import DAY, Behaviour
from models.recommender.sequences import histories, link_sessions, sent_back, sequences
from tests.models.recommender.shops import interactions

VIEW, CART, BUY, BACK = Behaviour.VIEW, Behaviour.CART, Behaviour.PURCHASE, Behaviour.RETURN


def test_one_visit_to_one_item_is_one_event_with_the_strongest_behaviour():
    seq = sequences(interactions([(0, 5, 10, VIEW, 1), (0, 5, 20, BUY, 1), (0, 6, 15, VIEW, 1)], 1, 9))
    assert seq.item.tolist() == [5, 6]
    assert seq.time.tolist() == [10, 15]
    assert seq.behaviour.tolist() == [BUY, VIEW]


def test_a_basket_shares_a_step_and_the_order_of_rows_does_not_matter():
    rows = [(0, 3, 10, BUY, 1), (0, 1, 10, BUY, 1), (0, 2, 99, BUY, 2), (1, 1, 5, BUY, 3)]
    seq = sequences(interactions(rows, 2, 9))
    assert seq.entity.tolist() == [0, 0, 0, 1]
    assert seq.item.tolist() == [1, 3, 2, 1]
    assert seq.step.tolist() == [0, 0, 1, 0]
    again = sequences(interactions(rows[::-1], 2, 9))
    assert again.item.tolist() == seq.item.tolist()


def test_anonymous_visits_are_sequences_of_their_own_and_returns_are_no_interest():
    rows = [(-1, 1, 10, VIEW, 0), (-1, 2, 20, VIEW, 0), (-1, 3, 10, VIEW, -1), (0, 4, 10, BACK, 1)]
    seq = sequences(interactions(rows, 1, 9))
    assert seq.entity.tolist() == [1, 1]  # visit 0, after the one known shopper
    assert seq.item.tolist() == [1, 2]


def test_what_was_sent_back_is_no_interest_any_more_but_having_looked_at_it_is():
    rows = [
        (0, 5, 10, VIEW, 1), (0, 5, 20, BUY, 1), (0, 6, 30, BUY, 1), (0, 6, DAY, BACK, 2),
        (0, 5, DAY, BACK, 2), (1, 6, 40, BUY, 3), (0, 7, 40, BUY, 1),
    ]  # fmt: skip
    seq = sequences(interactions(rows, 2, 9))
    assert list(zip(seq.entity.tolist(), seq.item.tolist(), seq.behaviour.tolist(), strict=True)) == [
        (0, 5, VIEW),
        (0, 7, BUY),
        (1, 6, BUY),
    ]


def test_a_return_takes_back_one_purchase_before_it_the_latest():
    rows = [
        (0, 5, 10, BACK, 1),
        (0, 5, 20, BUY, 2),
        (0, 5, 30, BUY, 3),
        (0, 5, 40, BACK, 4),
        (0, 5, 50, BUY, 5),
    ]
    assert sent_back(interactions(rows, 1, 9)).tolist() == [False, False, True, False, False]


def test_a_return_after_the_cut_does_not_change_the_past_before_it():
    shop = interactions([(0, 4, DAY, BUY, 0), (0, 4, 3 * DAY, BACK, 1)], 1, 9)
    assert histories(shop, as_of=2 * DAY).item.tolist() == [4]
    assert histories(shop, as_of=4 * DAY).item.tolist() == []


EVENT = st.tuples(
    st.integers(-1, 1), st.integers(0, 1), st.integers(0, 20), st.sampled_from([VIEW, BUY, BACK]),
    st.integers(-1, 2),
)  # fmt: skip


@given(st.lists(EVENT, max_size=30))
def test_returns_are_matched_as_one_by_one(rows):
    stacks, back = {}, set()
    for at in sorted(range(len(rows)), key=lambda n: (rows[n][2], rows[n][3], n)):
        user, item, _, kind, visit = rows[at]
        owner = user if user >= 0 else ("visit", visit)
        if kind == VIEW or owner == ("visit", -1):
            continue
        stack = stacks.setdefault((owner, item), [])
        if kind == BUY:
            stack.append(at)
        elif stack:
            back.add(stack.pop())
    assert set(np.flatnonzero(sent_back(interactions(rows, 2, 2))).tolist()) == back


def test_without_visits_a_day_is_one():
    rows = [(0, 5, 10, VIEW, -1), (0, 5, DAY - 1, BUY, -1), (0, 5, DAY + 1, VIEW, -1)]
    assert sequences(interactions(rows, 1, 9)).behaviour.tolist() == [BUY, VIEW]


def test_signing_in_claims_the_visit_unless_two_shoppers_did():
    user = np.array([-1, 3, -1, 1, 2, -1], np.int32)
    session = np.array([0, 0, 1, 1, 1, -1], np.int32)
    assert link_sessions(user, session).tolist() == [3, 3, -1, 1, 2, -1]


def test_history_counts_steps_and_days_back_and_sees_nothing_later():
    rows = [(1, 4, DAY, BUY, 0), (1, 5, 2 * DAY, VIEW, 1), (1, 6, 2 * DAY, VIEW, 1), (1, 7, 9 * DAY, BUY, 2)]
    past = histories(interactions(rows, 3, 9), as_of=4 * DAY)
    assert past.indptr.tolist() == [0, 0, 3, 3]
    assert past.item.tolist() == [4, 5, 6]
    assert past.distance.tolist() == [1, 0, 0]
    assert past.age.tolist() == [3, 2, 2]
    assert histories(interactions(rows, 3, 9), 4 * DAY, longest=2).item.tolist() == [5, 6]


def test_picking_pasts_keeps_their_order():
    rows = [(0, 1, 1, BUY, 0), (2, 2, 1, BUY, 1), (2, 3, 2, BUY, 2)]
    past = histories(interactions(rows, 3, 9), 10)
    picked = past.pick(np.array([2, 1, 0]))
    assert picked.indptr.tolist() == [0, 2, 2, 3]
    assert picked.item.tolist() == [2, 3, 1]
