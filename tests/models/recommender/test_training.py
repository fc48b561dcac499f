"""A whole training on a small shop, and models that were damaged on purpose."""

from dataclasses import replace

import numpy as np
import pytest

from models.recommender import selection, training
from models.recommender.base import DAY, Recommender
from models.recommender.evaluation import Holdout, measure
from models.recommender.gate import Verdict, judge
from models.recommender.hybrid import Hybrid
from models.recommender.popularity import Popularity
from models.recommender.selection import choose
from models.recommender.training import Task, popularity, train
from tests.models.recommender.shops import AS_OF, toy_shop

K = 5


@pytest.fixture(scope="module")
def shop():
    return toy_shop()


@pytest.fixture(scope="module")
def holdout(shop):
    return Holdout.split(shop.events, shop.items, AS_OF, 7)


@pytest.fixture(scope="module")
def trained(shop):
    return train(Task(shop.events, shop.items, AS_OF, holdout_days=7, k=K, seed=1))


def test_it_beats_popularity_and_is_accepted(trained):
    assert trained.verdict.accepted, trained.verdict.why
    assert trained.new.ndcg > 2 * trained.baseline.ndcg
    assert trained.new.full == 1.0
    assert trained.calibration.error < 0.05


def test_training_again_gives_the_same_model(shop, trained):
    again = train(Task(shop.events, shop.items, AS_OF, holdout_days=7, k=K, seed=1))
    assert again.new == trained.new
    assert again.model.recipe == trained.model.recipe
    for name, array in again.model.state().items():
        assert np.array_equal(array, trained.model.state()[name]), name


def test_choosing_never_sees_the_holdout(shop, holdout, monkeypatch):
    # So small a shop would be spared the sequence model.
    monkeypatch.setattr(selection, "MIN_EVENTS", 0)
    monkeypatch.setattr(selection, "MAX_EPOCHS", 2)
    model, tried = choose(holdout.past, holdout.items, holdout.cut, 7, 1)
    assert {t["what"] for t in tried} >= {"start", "again", "epochs", "weights", "ranker"}
    # Other purchases in the held-out days change nothing.
    late = shop.events.time >= holdout.cut
    other = replace(shop.events, item=np.where(late, 0, shop.events.item).astype(np.int32))
    elsewhere = Holdout.split(other, shop.items, AS_OF, 7)
    other_model, other_tried = choose(elsewhere.past, elsewhere.items, elsewhere.cut, 7, 1)
    assert (other_model.recipe, other_tried) == (model.recipe, tried)


def test_training_chooses_by_nothing_of_the_holdout(shop, holdout, trained):
    late = shop.events.time >= holdout.cut
    other = replace(shop.events, item=np.where(late, 0, shop.events.item).astype(np.int32))
    elsewhere = train(Task(other, shop.items, AS_OF, holdout_days=7, k=K, seed=1))
    assert elsewhere.tried == trained.tried
    assert elsewhere.new != trained.new


def test_the_serving_model_knows_the_last_days(shop, trained):
    before = Hybrid(**trained.model.recipe).fit(
        shop.events.before(AS_OF - 7 * DAY), shop.items, AS_OF - 7 * DAY
    )
    assert trained.model.parts["item_graph"].edges.nnz > before.parts["item_graph"].edges.nnz


class Shuffled(Recommender):
    """A good model whose items got mixed up."""

    kind = "shuffled"
    recipe, state, restore, reindex, n_items = {}, None, None, None, 0

    def __init__(self, inner):
        self.inner = inner

    def fit(self, interactions, items, as_of):
        self.inner.fit(interactions, items, as_of)
        return self

    def score_block(self, history):
        scores = self.inner.score_block(history)
        return scores[:, np.random.default_rng(0).permutation(scores.shape[1])]


class SameForAll(Shuffled):
    """A good model that gives everybody the first shopper's scores."""

    def score_block(self, history):
        return np.repeat(self.inner.score_block(history)[:1], len(history), axis=0)


@pytest.mark.parametrize("damaged", [Shuffled, SameForAll])
def test_a_damaged_model_is_refused(damaged, shop, holdout, trained):
    model = damaged(Hybrid(**trained.model.recipe)).fit(holdout.past, holdout.items, holdout.cut)
    verdict = judge(measure(model, holdout, K, 1), trained.baseline, trained.new, len(shop.items), K)
    assert not verdict.accepted
    # By popularity alone too, with no model in service.
    assert not judge(measure(model, holdout, K, 1), trained.baseline, None, len(shop.items), K).accepted


def test_a_model_of_popularity_alone_is_refused(shop, holdout, trained):
    same = measure(Popularity().fit(holdout.past, holdout.items, holdout.cut), holdout, K, 1)
    assert same == trained.baseline
    assert not judge(same, trained.baseline, None, len(shop.items), K).accepted


def test_the_incumbent_is_fitted_on_the_same_days(shop, trained):
    recipe = (trained.model.kind, trained.model.recipe)
    again = train(Task(shop.events, shop.items, AS_OF, 7, K, 1, incumbent=recipe))
    assert again.incumbent == again.new
    assert again.verdict.accepted


@pytest.mark.parametrize("users", [0, 1, 8])
def test_too_little_data_is_refused_and_popularity_still_made(users):
    small = toy_shop(n_users=users)
    task = Task(small.events, small.items, AS_OF, 7, K, 1)
    refused = train(task)
    assert not refused.verdict.accepted
    assert "too little" in refused.verdict.why
    assert popularity(task).model.kind == "popularity"


def as_it_was(trained):
    """The model as a later night finds it: restored, with its weights from before its held-out days."""
    model = Hybrid(**trained.model.recipe).restore({n: np.array(v) for n, v in trained.model.state().items()})
    return model.rewind(trained.earlier)


@pytest.fixture(scope="module")
def with_sequences(shop):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "MIN_EVENTS", 0)
        patch.setattr(selection, "MAX_EPOCHS", 4)
        # So easy a shop needs no second opinion.
        patch.setattr(selection, "STARTS", ({"item_graph": 1.0, "sequence": 0.5},))
        trained = train(Task(shop.events, shop.items, AS_OF - DAY, holdout_days=7, k=K, seed=1))
    assert trained.model.weights["sequence"] > 0
    return trained


def test_a_warm_night_trains_on_and_never_on_its_holdout(shop, with_sequences, monkeypatch):
    monkeypatch.setattr(training, "choose", None)
    task = Task(shop.events, shop.items, AS_OF, 7, K, 1, as_it_was(with_sequences), warm=True)
    warm = train(task)
    assert warm.warm
    assert warm.model.recipe == with_sequences.model.recipe
    name = "item/embeddings"
    assert not np.array_equal(warm.earlier[name], with_sequences.earlier[name])
    assert not np.array_equal(warm.earlier[name], warm.model.state()[f"sequence:{name}"])
    late = shop.events.time >= AS_OF - 7 * DAY
    other = replace(shop.events, item=np.where(late, 0, shop.events.item).astype(np.int32))
    # The gate would refuse what cannot foresee such days.
    monkeypatch.setattr(training, "judge", lambda *_: Verdict(True, "as asked"))
    elsewhere = train(replace(task, events=other, incumbent=as_it_was(with_sequences)))
    for part, value in warm.earlier.items():
        assert np.array_equal(value, elsewhere.earlier[part]), part
    assert elsewhere.new != warm.new


def test_the_incumbent_of_a_warm_night_learns_nothing_but_counts(shop, holdout, with_sequences):
    task = Task(shop.events, shop.items, AS_OF, 7, K, 1, as_it_was(with_sequences))
    judged = train(task)
    assert not judged.warm
    model = as_it_was(with_sequences).resume(holdout.past, holdout.items, holdout.cut)
    assert judged.incumbent == measure(model, holdout, K, 1)
    table = model.trained_part()["item/embeddings"]
    assert np.array_equal(table, with_sequences.earlier["item/embeddings"])
    # What is counted is of tonight's days.
    fresh = Hybrid(**model.recipe).parts["item_graph"].fit(holdout.past, holdout.items, holdout.cut)
    assert np.array_equal(model.parts["item_graph"].edges.data, fresh.edges.data)


def test_a_warm_model_that_is_refused_is_chosen_anew(shop, with_sequences, monkeypatch):
    monkeypatch.setattr(Hybrid, "update", _damaged(Hybrid.update))
    task = Task(shop.events, shop.items, AS_OF, 7, K, 1, as_it_was(with_sequences), warm=True)
    trained = train(task)
    assert not trained.warm
    assert "model in service" in trained.cooled or "popularity" in trained.cooled
    assert trained.verdict.accepted
    assert trained.tried


def _damaged(update):
    """The first time, a table whose items got mixed up, and weights that trust nothing else."""
    calls = []

    def wrong(self, *days):
        calls.append(self)
        update(self, *days)
        if len(calls) == 1:
            part = self.parts["sequence"]
            part.table = part.table[np.random.default_rng(0).permutation(len(part.table))]
            self.weights = {**self.weights, "item_graph": 0.0, "sequence": 1.0}
        return self

    return wrong
