from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.recommender import inner_product, scan
from models.recommender.base import Bools, Floats, Ints
from models.recommender.inner_product import InnerProduct
from models.recommender.products import Product
from models.recommender.race import Race
from models.recommender.rules import Excluded


@pytest.fixture(autouse=True, params=[False, True], ids=["float32", "bfloat16"])
def coarse(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both products, whatever this processor is best at."""
    monkeypatch.setattr(inner_product, "has_bfloat16", lambda: request.param)
    return bool(request.param)


def naive(
    users: Floats, items: Floats, k: int, seen: list[list[int]], allowed: Bools | None = None
) -> tuple[Ints, Floats]:
    """Every score, rounded once; a full sort; what was seen left out."""
    scores = (users.astype(np.float64) @ items.T.astype(np.float64)).astype(np.float32)
    ids = np.full((len(users), k), -1, np.int32)
    values = np.full((len(users), k), -np.inf, np.float32)
    for row, own in enumerate(scores):
        had = set(seen[row])
        left = [i for i in range(len(items)) if i not in had and (allowed is None or allowed[i])]
        best = sorted(left, key=lambda i: (-own[i], i))[:k]
        ids[row, : len(best)], values[row, : len(best)] = best, own[best]
    return ids, values


def excluded(seen: list[list[int]]) -> Excluded:
    indptr = np.cumsum([0, *map(len, seen)]).astype(np.int64)
    return Excluded(indptr, np.array([i for own in seen for i in own], np.int32))


def drawn(n: int, items: int, width: int, seed: int) -> tuple[Floats, Floats, list[list[int]]]:
    rng = np.random.default_rng(seed)
    seen = [rng.permutation(items)[: int(rng.integers(0, items // 4))].tolist() for _ in range(n)]
    return (
        rng.standard_normal((n, width), np.float32),
        rng.standard_normal((items, width), np.float32),
        seen,
    )


def same(found: tuple[Ints, Floats], wanted: tuple[Ints, Floats]) -> None:
    np.testing.assert_array_equal(found[0], wanted[0])
    np.testing.assert_array_equal(found[1], wanted[1])


@pytest.mark.parametrize("items", [7, 300, 9000])
def test_lists_are_those_of_a_full_sort_without_what_was_seen(items: int) -> None:
    users, table, seen = drawn(60, items, 16, seed=items)
    seen[0] = list(range(items))
    seen[1] = list(range(items - 2))
    same(InnerProduct(table).best(users, 10, excluded(seen)), naive(users, table, 10, seen))


def test_equals_stand_in_order_of_id_even_at_the_end_of_a_list() -> None:
    """Copies of a few vectors: what a product gives them differs in the last bits from place to place."""
    rng = np.random.default_rng(5)
    kinds = rng.standard_normal((40, 24), np.float32)
    table = kinds[rng.integers(0, 40, 8000)]
    users = rng.standard_normal((50, 24), np.float32)
    seen = [rng.permutation(8000)[:30].tolist() for _ in range(50)]
    same(InnerProduct(table).best(users, 20, excluded(seen)), naive(users, table, 20, seen))


@pytest.mark.parametrize("k", [15, 1000])
def test_scores_that_differ_less_than_a_product_rounds_are_told_apart(k: int) -> None:
    """All scores share a large part: float32 sums are off by more than the scores are apart."""
    rng = np.random.default_rng(6)
    large = rng.standard_normal((1, 32)).astype(np.float32) * 30_000
    table = np.concatenate([np.repeat(large, 6000, 0), rng.standard_normal((6000, 32))], axis=1)
    table = table.astype(np.float32)
    users = np.concatenate([rng.standard_normal((20, 32)), rng.standard_normal((20, 32))], axis=1)
    users = users.astype(np.float32)
    same(InnerProduct(table).best(users, k), naive(users, table, k, [[]] * 20))


def test_who_has_no_vector_gets_the_first_items_that_are_left() -> None:
    users, table, _ = drawn(3, 9000, 8, seed=1)
    users[1] = 0
    seen = [[], [0, 2, 4], []]
    ids, scores = InnerProduct(table).best(users, 4, excluded(seen))
    assert ids[1].tolist() == [1, 3, 5, 6]
    assert not scores[1].any()
    same((ids, scores), naive(users, table, 4, seen))


def test_a_long_past_and_hidden_items() -> None:
    users, table, seen = drawn(40, 6000, 12, seed=2)
    allowed = np.random.default_rng(3).random(6000) < 0.7
    seen[7] = list(range(5000))
    found = InnerProduct(table, allowed).best(users, 25, excluded(seen))
    same(found, naive(users, table, 25, seen, allowed))


def test_blocks_and_threads_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    users, table, seen = drawn(100, 5000, 64, seed=4)
    whole = InnerProduct(table).best(users, 30, excluded(seen), threads=1)
    monkeypatch.setattr(inner_product, "MOST_USERS", 7)
    same(InnerProduct(table).best(users, 30, excluded(seen), threads=3), whole)


def test_vectors_are_asked_for_block_by_block_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    users, table, _ = drawn(50, 400, 8, seed=7)
    monkeypatch.setattr(inner_product, "MOST_USERS", 8)
    asked = []

    def vectors(low: int, high: int) -> Floats:
        asked.append((low, high))
        return users[low:high]

    blocks = InnerProduct(table).blocks(50, vectors, 5, threads=2)
    first = next(blocks)
    assert first.low == 0
    assert first.ids.shape == (8, 5)
    # As many are under way as there are threads, and one more.
    assert asked == [(0, 8), (8, 16), (16, 24)]
    assert [b.low for b in blocks] == list(range(8, 50, 8))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 3e38])
def test_vectors_that_have_no_scores_are_refused(wrong: float) -> None:
    users, table, _ = drawn(3, 20, 8, seed=8)
    users[1, 2] = wrong
    with pytest.raises(ValueError, match="not finite"):
        InnerProduct(table).best(users, 3)


def test_nobody_nothing_and_no_place() -> None:
    users, table, _ = drawn(3, 20, 8, seed=8)
    assert InnerProduct(table).best(users[:0], 4)[0].shape == (0, 4)
    ids, scores = InnerProduct(table, np.zeros(20, np.bool_)).best(users, 4)
    assert (ids == -1).all()
    assert np.isneginf(scores).all()
    with pytest.raises(ValueError, match="at least one place"):
        InnerProduct(table).best(users, 0)


def raced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes which product names the candidates of each block."""
    kinds: list[str] = []
    real = InnerProduct._raced

    def noting(self: InnerProduct, product: Product, *rest: object) -> Race:
        kinds.append(type(product).__name__)
        return real(self, product, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(InnerProduct, "_raced", noting)
    return kinds


def test_a_coarse_product_finds_what_the_fine_one_does(coarse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    users, table, seen = drawn(300, 20_000, 64, seed=11)
    index = InnerProduct(table)
    kinds = raced(monkeypatch)
    same(index.best(users, 100, excluded(seen)), naive(users, table, 100, seen))
    assert kinds == ["BFloat16" if coarse else "Float32"]


def test_what_rounded_factors_hide_is_found_all_the_same(
    coarse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two large terms cancel each other, but for what rounding to 8 bits leaves of them."""
    rng = np.random.default_rng(13)
    users, table, _ = drawn(200, 20_000, 16, seed=13)
    large = rng.uniform(1, 3, (200, 1)).astype(np.float32)
    other = rng.uniform(1, 3, (20_000, 1)).astype(np.float32)
    users = np.concatenate([users / 5, large, large], axis=1)
    table = np.concatenate([table, other, -other * np.float32(1.001)], axis=1).astype(np.float32)
    kinds = raced(monkeypatch)
    same(InnerProduct(table).best(users, 50), naive(users, table, 50, [[]] * 200))
    assert kinds == ["BFloat16" if coarse else "Float32"]


@pytest.mark.parametrize("why", ["no score is positive", "they are too close"])
def test_where_the_coarse_product_cannot_tell_the_fine_one_does(
    coarse: bool, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    users, table, _ = drawn(20, 9000, 16, seed=12)
    users, table = np.abs(users), np.abs(table)
    if why == "no score is positive":
        users = -users
    else:
        table = 1 + table / 1000
    index = InnerProduct(table)
    kinds = raced(monkeypatch)
    same(index.best(users, 10), naive(users, table, 10, [[]] * 20))
    assert kinds == (["BFloat16", "Float32"] if coarse else ["Float32"])


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 90), st.integers(1, 30))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_small_integers_have_many_equals(seed: int, n: int, items: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    users = rng.integers(-1, 2, (n, 3)).astype(np.float32)
    table = rng.integers(-1, 2, (items, 3)).astype(np.float32)
    seen = [rng.permutation(items)[: int(rng.integers(0, items + 1))].tolist() for _ in range(n)]
    same(InnerProduct(table).best(users, k, excluded(seen)), naive(users, table, k, seen))


@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.integers(1, 12))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_reaches_the_limit_is_noted_unless_it_is_hidden_or_there_is_no_room(
    seed: int, items: int, room: int
) -> None:
    rng = np.random.default_rng(seed)
    tile = rng.integers(0, 9, (5, items)).astype(np.float32)
    limit = rng.integers(0, 12, 5).astype(np.float32)
    barred = rng.random((5, items)) < 0.2
    score = np.full((5, room), -np.inf, np.float32)
    item = np.zeros((5, room), np.int32)
    score[:, 0], item[:, 0] = 50, 7  # noted before
    filled = np.ones(5, np.int64)
    user, column = np.nonzero(barred)
    into = scan.Room(score, item, filled, np.float32(-np.inf))
    crowded = scan.note(tile, limit, np.arange(4), 100, (user, 100 + column), into)
    for user in range(5):
        wanted = {} if user == 4 else {100 + c: tile[user, c] for c in range(items) if not barred[user, c]}
        wanted = {c: value for c, value in wanted.items() if value >= limit[user]}
        if crowded[user]:
            # What is hidden takes room until it is found to be.
            assert 1 + (tile[user] >= limit[user]).sum() > room
            wanted = {}
        assert filled[user] == 1 + len(wanted)
        assert dict(zip(item[user, : filled[user]], score[user, : filled[user]], strict=True)) == wanted | {
            7: 50
        }
        assert (score[user, filled[user] :] == -np.inf).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 9), st.integers(2, 40))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_walk_notes_what_tiles_in_a_row_do_and_stops_where_there_is_no_room(
    seed: int, items: int, width: int, room: int
) -> None:
    rng = np.random.default_rng(seed)
    users, table = (rng.integers(-2, 3, (n, 3)).astype(np.float32) for n in (4, items))
    barred = rng.random((4, items)) < 0.3
    place, user = np.nonzero(barred.T)
    limit = rng.integers(-4, 5, 4).astype(np.float32)
    low = int(rng.integers(0, items))
    into = scan.Room(
        np.full((4, room), -np.inf, np.float32),
        np.zeros((4, room), np.int32),
        np.zeros(4, np.int64),
        np.float32(-np.inf),
    )
    memory = np.empty(4 * width, np.float32)
    stop, crowded = scan.walk(
        users, table, memory, width, limit, np.arange(4), (low, items), (user, place), into
    )
    scores = users @ table.T
    reached = scores >= limit[:, None]
    end = min(stop + width, items)
    if stop < items:
        assert crowded.any()
        assert (stop - low) % width == 0
    for u in range(4):
        noted = range(low, stop if crowded[u] else end)
        wanted = {i: scores[u, i] for i in noted if reached[u, i] and not barred[u, i]}
        assert into.filled[u] == len(wanted)
        found = into.item[u, : len(wanted)].tolist(), into.score[u, : len(wanted)].tolist()
        assert dict(zip(*found, strict=True)) == wanted
        if crowded[u]:
            assert len(wanted) + reached[u, stop:end].sum() > room


@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_groups_give_their_largest_without_what_is_hidden(seed: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    tile = rng.random((6, 4 * groups)).astype(np.float32)
    barred = rng.random(tile.shape) < 0.3
    best = np.empty((6, groups), np.float32)
    scan.maxima(tile, np.nonzero(barred), np.float32(-np.inf), best)
    wanted = np.where(barred, -np.inf, tile).reshape(6, 4, groups).max(axis=1)
    np.testing.assert_array_equal(best, wanted)


def test_who_is_promised_too_much_by_the_first_items_is_served_all_the_same() -> None:
    users, table, _ = drawn(40, 20_000, 8, seed=14)
    first = np.random.default_rng(0).permutation(20_000)[:30]
    # All that half of the users like stands among the first: no other item comes near.
    users[:20, 0], table[:, 0] = 1, 0
    table[first, 0] = 50
    same(InnerProduct(table).best(users, 40), naive(users, table, 40, [[]] * 40))
