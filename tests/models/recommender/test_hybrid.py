"""The night's model: every part of it at once, its reasons, and what is new in the shop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import models.recommender
from models.recommender.base import CATEGORY, DAY, GRAPH, POPULAR, Behaviour, History
from models.recommender.evaluation import Holdout
from models.recommender.hybrid import Hybrid
from models.recommender.item_graph import ItemGraph
from models.recommender.scoring import Block, best_reasons
from models.recommender.sequence_model import SequenceModel
from models.recommender.sequences import histories
from tests.models.recommender.shops import AS_OF, catalogue, interactions, toy_shop

BUY = Behaviour.PURCHASE
SMALL = {"width": 16, "length": 12, "time": 24, "rows": 16, "negatives": 64, "rate": 5e-3, "epochs": 6}
WEIGHTS = {"item_graph": 1.0, "sequence": 0.5, "attributes": 0.3}


@pytest.fixture(scope="module")
def holdout() -> Holdout:
    made = toy_shop()
    return Holdout.split(made.events, made.items, AS_OF, 7)


@pytest.fixture(scope="module")
def model(holdout: Holdout) -> Hybrid:
    made = Hybrid(parts={"sequence": SMALL}, weights=WEIGHTS, ranker={"weight": 1.0, "days": 7, "seed": 1})
    return made.fit(holdout.past, holdout.items, holdout.cut)


@pytest.fixture(scope="module")
def blocks(model: Hybrid, holdout: Holdout) -> list[Block]:
    return list(holdout.lists(model, holdout.buyers[:60], 10))


def test_stored_it_gives_the_same_lists(
    model: Hybrid, holdout: Holdout, blocks: list[Block], tmp_path
) -> None:
    model.save(tmp_path)
    twin = models.recommender.load(tmp_path).refresh(holdout.past, holdout.items, holdout.cut)
    again = list(holdout.lists(twin, holdout.buyers[:60], 10))
    for one, other in zip(blocks, again, strict=True):
        assert np.array_equal(one.lists.ids, other.lists.ids)
        np.testing.assert_allclose(one.logits, other.logits, atol=1e-4)


@pytest.mark.parametrize("kind", ["item_graph", "sequence", "attributes", "category_popularity"])
def test_what_the_past_gave_sums_to_a_parts_score(kind: str, model: Hybrid, holdout: Holdout) -> None:
    past = holdout.histories.pick(np.arange(40))
    part = model.parts[kind]
    scores = part.score_block(past)
    ids = np.tile(np.arange(0, len(holdout.items), 7, dtype=np.int32), (40, 1))
    given, mean = part.contributions(past, ids)
    sums = np.zeros(ids.shape)
    np.add.at(sums, past.row, given)
    wanted = np.take_along_axis(scores, ids.astype(np.int64), 1)
    assert np.abs(wanted).max() > 0
    np.testing.assert_allclose(sums, wanted, atol=1e-4 * np.abs(scores).max())
    means = np.bincount(past.row, mean, minlength=40)
    np.testing.assert_allclose(means, scores.mean(axis=1), atol=1e-4 * np.abs(scores).max())


def test_reasons_sum_to_the_score_but_for_what_is_popular(model: Hybrid, blocks: list[Block]) -> None:
    for block in blocks:
        ids, past = block.lists.ids, block.history
        given, _ = model.contributions(past, ids)
        sums = np.zeros(ids.shape)
        np.add.at(sums, past.row, given)
        scores = np.take_along_axis(model.score_block(past), ids.astype(np.int64), 1)
        popular = model.part_scores(past, ids)[POPULAR]
        np.testing.assert_allclose(sums, scores - popular, atol=1e-3)


def test_removing_the_named_item_lowers_the_score(model: Hybrid, blocks: list[Block]) -> None:
    checked = 0
    for block in blocks:
        item, amount, behaviour = best_reasons(model, block)
        before = model.score_block(block.history)
        for row, place in zip(*np.nonzero(item >= 0), strict=True):
            assert amount[row, place] > 0
            mine = block.history.pick(np.array([row]))
            assert item[row, place] in mine.item
            assert behaviour[row, place] == mine.behaviour[mine.item == item[row, place]].max()
            less = model.score_block(mine.where(mine.item != item[row, place]))
            listed = block.lists.ids[row, place]
            assert less[0, listed] < before[row, listed]
            checked += 1
    places = sum(int((b.lists.ids >= 0).sum()) for b in blocks)
    assert checked > 0.7 * places, "hardly any row has a reason"


def test_nothing_is_named_that_did_not_help(model: Hybrid, blocks: list[Block]) -> None:
    class Contrary(Hybrid):
        """Says that every past item gave a lot; the score only rises when one goes."""

        def contributions(self, history: History, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            n = len(history.item)
            return np.ones((n, ids.shape[1]), np.float32), np.zeros(n, np.float32)

        def score_block(self, history: History) -> np.ndarray:
            size = np.diff(history.indptr).astype(np.float32)
            return np.repeat(-size[:, None], self.n_items, axis=1)

    contrary = Contrary.of(model.parts, WEIGHTS)
    item, amount, _ = best_reasons(contrary, blocks[0])
    assert (item == -1).all()
    assert not amount.any()


def test_it_says_which_part_gave_most() -> None:
    # Item 1 follows item 0; item 2 sells in the same category; item 3 sells elsewhere.
    rows = [(0, 0, 10, BUY, 0), (0, 1, 20, BUY, 1), (1, 0, 10, BUY, 2)]
    rows += [(-1, 2, AS_OF - 9, BUY, -1), (-1, 3, AS_OF - 9, BUY, -1)]
    events = interactions(rows, 3, 6)
    weights = {"item_graph": 1.0, "category_popularity": 0.1, "popularity": 0.01}
    model = Hybrid(weights=weights).fit(events, catalogue(2, 3), AS_OF)
    sources = model.sources(histories(events, AS_OF), np.tile(np.array([[1, 2, 3]], np.int32), (3, 1)))
    assert sources[1].tolist() == [GRAPH, CATEGORY, POPULAR]
    assert sources[2].tolist() == [POPULAR] * 3


@pytest.mark.parametrize("kind", ["sequence", "attributes"])
def test_a_new_product_is_found_by_its_attributes_on_its_first_day(kind: str, holdout: Holdout) -> None:
    model = Hybrid(parts={"sequence": SMALL}, weights={kind: 1.0})
    model.fit(holdout.past, holdout.items, holdout.cut)
    n, old = len(holdout.items), holdout.items
    # Two products that nobody has touched: one of the first category, one of the last.
    mapping = np.append(np.arange(n), [-1, -1])
    category = np.append(old.category, [0, 5]).astype(np.int32)
    items = replace(
        old,
        product_id=np.append(old.product_id, ["z0", "z1"]),
        category=category,
        brand=np.full(n + 2, -1, np.int32),
        parent=np.arange(n + 2, dtype=np.int32),
        in_stock=np.ones(n + 2, np.bool_),
    )
    events = replace(holdout.past, n_items=n + 2)
    model.reindex(mapping).refresh(events, items, holdout.cut)
    home = np.array([np.bincount(old.category[h.item], minlength=6).argmax() for h in _each(holdout)])
    scores = model.score_block(holdout.histories)
    first = np.flatnonzero(home == 0)
    assert len(first) > 10
    assert (scores[first, n] > scores[first, n + 1]).mean() > 0.95
    # Above most of the catalogue, not only above the other one.
    above = (scores[first, n][:, None] > scores[first, :n]).mean()
    assert above > 0.7


def _each(holdout: Holdout) -> list[History]:
    return [holdout.histories.pick(np.array([u])) for u in range(len(holdout.histories))]


def test_an_unknown_shopper_sees_what_sells(model: Hybrid) -> None:
    scores = model.score_block(History.empty(1))
    popular = model.parts["popularity"].score_block(History.empty(1))
    assert np.array_equal(np.argsort(-scores[0], kind="stable"), np.argsort(-popular[0], kind="stable"))


def test_a_part_without_weight_is_not_kept() -> None:
    parts = {
        "item_graph": ItemGraph(),
        "sequence": SequenceModel(),
    }
    assert set(Hybrid.of({**Hybrid().parts, **parts}, {"item_graph": 1.0, "sequence": 0.0}).parts) == {
        "item_graph", "category_popularity", "popularity",
    }  # fmt: skip


def test_days_without_a_purchase_leave_the_ranker_out(holdout: Holdout) -> None:
    quiet = holdout.past.before(holdout.cut - 7 * DAY)
    model = Hybrid(ranker={"weight": 1.0, "days": 7, "seed": 1}).fit(quiet, holdout.items, holdout.cut)
    assert model.recipe["ranker"] is None
    scores = model.score_block(holdout.histories)
    assert model.rerank(holdout.histories, scores)[1] is None
