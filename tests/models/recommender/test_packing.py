from __future__ import annotations

import numpy as np

from models.recommender.packing import epoch, pack, windows
from models.recommender.sequences import Sequences, sequences
from tests.models.recommender.shops import interactions, toy_shop


def seq_of(lengths: list[int]) -> Sequences:
    """One entity per length; item numbers ascend, so that every event can be told."""
    rows, item = [], 0
    for user, length in enumerate(lengths):
        for place in range(length):
            rows.append((user, item, place * 86_400, 3, -1))
            item += 1
    return sequences(interactions(rows, len(lengths), item))


def test_every_event_but_an_entitys_first_is_a_target_once() -> None:
    seq = seq_of([1, 2, 5, 11])
    first, size = windows(seq, 4)
    targets = [seq.item[a + i] for a, n in zip(first, size, strict=True) for i in range(1, n)]
    assert sorted(targets) == [2, *range(4, 8), *range(9, 19)]
    assert size.max() == 5
    assert len(set(seq.entity[first])) == 3


def test_rows_hold_the_windows_apart_and_in_order() -> None:
    seq = seq_of([4, 3, 5])
    rows = pack(seq, np.array([0, 4, 7]), np.array([4, 3, 5]), 6)
    # The third window would not fit behind the first two: it opens a row.
    assert rows.item.tolist() == [[1, 2, 3, 5, 6, 0], [8, 9, 10, 11, 0, 0]]
    assert rows.target.tolist() == [[2, 3, 4, 6, 7, 0], [9, 10, 11, 12, 0, 0]]
    assert rows.segment.tolist() == [[1, 1, 1, 2, 2, 0], [1, 1, 1, 1, 0, 0]]
    assert rows.place.tolist() == [[2, 1, 0, 1, 0, 0], [3, 2, 1, 0, 0, 0]]


def test_an_epoch_is_full_batches_of_every_window_in_another_order() -> None:
    seq = sequences(toy_shop().events)
    batches = list(epoch(seq, 20, 64, 8, np.random.default_rng(1)))
    assert {b.item.shape for b in batches} == {(8, 64)}
    _, size = windows(seq, 20)
    seen = sum(int((b.target > 0).sum()) for b in batches)
    # What fills no last batch is left out: less than one batch.
    assert (size - 1).sum() - 8 * 64 < seen <= (size - 1).sum()
    again = list(epoch(seq, 20, 64, 8, np.random.default_rng(2)))
    assert not np.array_equal(batches[0].item, again[0].item)


def test_a_shop_too_small_for_a_batch_still_trains() -> None:
    (batch,) = epoch(seq_of([3, 2]), 50, 64, 24, np.random.default_rng(1))
    assert batch.item.shape == (24, 64)
    assert (batch.target > 0).sum() == 3
