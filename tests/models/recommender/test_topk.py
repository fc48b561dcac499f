import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.recommender.topk import top_k


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 12)), elements=st.integers(-2, 3)),
    st.integers(1, 14),
)
def test_same_as_a_full_sort_with_ties_in_order_of_id(scores, k):
    ids, values = top_k(scores, k)
    for row in range(len(scores)):
        naive = sorted(range(scores.shape[1]), key=lambda i: (-scores[row, i], i))[:k]
        padded = naive + [-1] * (k - len(naive))
        assert ids[row].tolist() == padded
        assert values[row, : len(naive)].tolist() == [scores[row, i] for i in naive]


def test_what_may_not_be_shown_is_no_item():
    ids, values = top_k(np.array([[-np.inf, 2, -np.inf, 1]], np.float32), 3)
    assert ids.tolist() == [[1, 3, -1]]
    assert values.tolist() == [[2, 1, -np.inf]]


@pytest.mark.parametrize("shape", [(0, 5), (3, 0)])
def test_nobody_or_nothing(shape):
    ids, _ = top_k(np.zeros(shape, np.float32), 4)
    assert ids.shape == (shape[0], 4)
    assert (ids == -1).all()
