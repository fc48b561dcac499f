import json
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from jobs import recommend, train_recommender
from jobs.arms import draw, names
from jobs.errors import GateFailed
from jobs.lake.registry import BY_NAME
from jobs.night import Night, Options
from jobs.reasons import Reasons
from jobs.recommender_data import Shop, load
from jobs.settings import Experiment, load_settings
from models.recommender.base import CATEGORY, DAY, POPULAR, Behaviour
from tests.jobs.toy_lake import COLD, DS, event, put, shop, stage_shop
from tests.models.recommender.shops import AS_OF, catalogue, interactions

SPLIT = Experiment(name="lists", arms={"control": 0.5, "model": 0.5})
SETTINGS = {"top_k": 5, "similar_k": 4, "block_size": 32}


@pytest.fixture
def ready(make_night):
    """A night with a trained model."""

    def make(run_id="a", toy=None, options=None, **changes):
        night = make_night(ds=DS.isoformat(), run_id=run_id, options=options, **{**SETTINGS, **changes})
        stage_shop(night, toy)
        train_recommender.run(night)
        return night

    return make


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """One finished night that several tests read."""
    folder = tmp_path_factory.mktemp("done")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NIGHTSHELF_CONFIG", "/dev/null")
        night = Night(load_settings(lake=str(folder / "lake"), **SETTINGS), DS, "done")
    night.pin()
    stage_shop(night)
    train_recommender.run(night)
    recommend.run(night)
    return night


def test_every_known_shopper_has_a_full_list_best_first(done):
    table = done.read("recommendations")
    assert table.schema.equals(BY_NAME["recommendations"].schema)
    assert len(table) == 121 * 5
    frame = table.to_pandas().sort_values(["user_id", "rank"])
    assert frame.groupby("user_id")["rank"].apply(list).map(lambda r: r == [1, 2, 3, 4, 5]).all()
    assert (frame.groupby("user_id")["score"].diff().dropna() <= 0).all()
    assert frame["probability"].between(0, 1).all()
    assert COLD in set(frame["user_id"])
    assert not frame.duplicated(["user_id", "product_id"]).any()


def test_no_list_breaks_a_rule(done):
    frame = done.read("recommendations").to_pandas()
    assert "p0003" not in set(frame["product_id"])  # out of stock
    bought = done.read("events_clean", start=DS.min, end=DS).to_pandas()
    bought = bought[bought["event_type"] == "purchase"]
    pairs = set(zip(bought["user_id"], bought["product_id"], strict=True))
    shown = set(zip(frame["user_id"], frame["product_id"], strict=True))
    from models.recommender.rules import bought_again

    data = load(done)
    again = set(data.items.product_id[bought_again(data.events, data.items)])
    assert not {p for p in shown & pairs if p[1] not in again}
    variants = frame[frame["product_id"].isin(["p0004", "p0005", "p0006"])]
    assert not variants["user_id"].duplicated().any()


def test_reasons_name_what_was_really_done(done):
    frame = done.read("recommendations").to_pandas()
    because = frame[frame["reason_product_id"].notna()]
    assert len(because) > 100
    personal = frame["source"].isin(["item_graph", "sequence", "attributes"])
    assert personal[because.index].all()
    taste = frame[personal & frame["reason_product_id"].isna()]
    assert len(taste) < 0.2 * personal.sum()
    assert set(taste["reason"]) <= {"Picked for your taste"}
    assert set(taste["reason_zh"]) <= {"根据您的喜好挑选"}
    events = done.read("events_clean", start=DS.min, end=DS).to_pandas()
    bought = set(zip(events["user_id"], events["product_id"], events["event_type"], strict=True))
    for row in because.itertuples():
        number = int(row.reason_product_id[1:])
        kind = "purchase" if "bought" in row.reason else "view"
        assert (row.user_id, row.reason_product_id, kind) in bought
        if row.reason_product_id != row.product_id:
            chinese = f"东西{number}" if number % 2 else f"Thing {number}"
            verb, verb_zh = ("bought", "买过") if kind == "purchase" else ("looked at", "看过")
            assert row.reason == f"Because you {verb} Thing {number}"
            assert row.reason_zh == f"因为您{verb_zh} {chinese}"
        else:
            assert row.reason in ("You bought this before", "You looked at this before")


def test_an_audience_of_fewer_than_min_group_is_not_written(done):
    listed = done.read("recommendations").to_pandas().groupby("product_id")["user_id"].nunique()
    least = done.settings.min_group
    assert (listed < least).any(), "the test would prove nothing: every product is in enough lists"
    found = done.read("audiences").to_pandas()
    assert found.groupby(["audience", "target"])["user_id"].nunique().min() >= least
    products = set(found.query("audience == 'product'")["target"])
    assert products == set(listed.index[listed >= least])


def test_a_shopper_without_a_past_gets_what_is_popular(done):
    cold = done.read("recommendations").to_pandas().query("user_id == @COLD")
    assert set(cold["source"]) == {"popularity"}
    assert set(cold["reason"]) == {"Popular in the shop this week"}
    assert set(cold["reason_zh"]) == {"本周店内热销"}


def test_similar_items_are_in_stock_neighbours_never_itself(done):
    frame = done.read("similar_items").to_pandas()
    assert set(frame["product_id"]) == {f"p{i:04d}" for i in range(60)}
    assert (frame["product_id"] != frame["similar_id"]).all()
    assert "p0003" not in set(frame["similar_id"])
    assert (
        frame.groupby("product_id")["rank"].apply(list).map(lambda r: r == list(range(1, len(r) + 1))).all()
    )
    assert (
        frame.sort_values(["product_id", "rank"]).groupby("product_id")["score"].diff().dropna() <= 0
    ).all()
    walk = frame[(frame["rank"] == 1) & (frame["source"] == "item_graph")]
    follows = walk["similar_id"].str[1:].astype(int) - walk["product_id"].str[1:].astype(int)
    # Shoppers walk from each product to the next one.
    assert (follows == 1).mean() > 0.5
    variants = {"p0004", "p0005", "p0006"}
    assert not (frame["product_id"].isin(variants) & frame["similar_id"].isin(variants)).any()


def test_a_crash_in_the_middle_resumes_at_the_missing_shard_with_the_same_rows(ready, monkeypatch):
    night = ready("crash")
    built = []
    whole = recommend.Lister.recommendations

    def dies_in_the_third(self, low, high):
        if len(built) == 2:
            raise KeyboardInterrupt
        built.append(low)
        return whole(self, low, high)

    monkeypatch.setattr(recommend.Lister, "recommendations", dies_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        recommend.run(night)
    assert not night.is_staged("recommendations")
    shards = night.store.list(night.work("recommendations"))
    assert [s.rsplit("/", 1)[-1] for s in shards] == ["shard-00000.parquet", "shard-00001.parquet"]

    def counts(self, low, high):
        built.append(low)
        return whole(self, low, high)

    monkeypatch.setattr(recommend.Lister, "recommendations", counts)
    recommend.run(night)
    assert built == [0, 32, 64, 96]
    monkeypatch.undo()
    undisturbed = ready("calm")
    recommend.run(undisturbed)
    for table in ("recommendations", "similar_items"):
        order = [(c, "ascending") for c in BY_NAME[table].key]
        assert night.read(table).sort_by(order).equals(undisturbed.read(table).sort_by(order))


def test_shards_of_other_inputs_are_not_taken_for_ours(ready):
    night = ready()
    built = []
    for key in ("one", "two", "one"):
        recommend.shards(night, "recommendations", key, 10, lambda low, high: built.append(low) or SHARD)
    assert built == [0, 0]


SHARD = BY_NAME["recommendations"].schema.empty_table()


def test_no_shard_that_names_a_shopper_is_left_behind(done):
    assert done.store.list(done.work("recommendations")) == []
    notes = json.dumps(done.notes())
    assert "u0001" not in notes
    assert COLD not in notes


def test_blocks_do_not_change_the_rows(ready):
    one, two = ready("one"), ready("two", block_size=7)
    recommend.run(one)
    recommend.run(two)
    order = [("user_id", "ascending"), ("rank", "ascending")]
    assert one.read("recommendations").sort_by(order).equals(two.read("recommendations").sort_by(order))


def test_a_purchase_that_came_back_is_no_reason_and_hides_no_other_size(ready):
    """Lists are as long as the shop: what is not in them was left out. `p0006` is a variant of `p0005`."""
    toy = shop(n_users=60)
    night = ready(toy=toy, top_k=60)
    day = DS - timedelta(days=1)
    bought = [event(day, event_id=p, user_id=COLD, product_id=p) for p in ("p0000", "p0005")]
    back = event(DS, event_id="back", user_id=COLD, product_id="p0005", event_type="return")

    def listed(events):
        stage_shop(night, toy, more_events=events)
        recommend.run(night)
        mine = night.read("recommendations").to_pandas().query("user_id == @COLD")
        return set(mine["product_id"]), set(mine["reason_product_id"].dropna())

    sizes = {"p0004", "p0005", "p0006"}
    kept, because = listed(bought)
    assert not kept & sizes
    assert because == {"p0000", "p0005"}
    shown, because = listed([*bought, back])
    assert len(shown & sizes) == 1
    assert "p0005" not in shown
    assert because == {"p0000"}


@pytest.mark.parametrize("change", [{"holdout_days": 6}, {"brand_share": 0.3}])
def test_shards_made_under_other_settings_are_not_taken_for_ours(make_night, change):
    one, two = make_night(ds=DS.isoformat()), make_night(ds=DS.isoformat(), **change)
    stage_shop(one)
    data = load(one)
    assert recommend._digest(one, data, "v") != recommend._digest(two, data, "v")


def reasons_of(sold, returned=(), category=None, ago=2):
    """Of a shop that sold so many of each product, all in one category: what is said of each, by source."""
    rows = [(0, i, AS_OF - ago * DAY, Behaviour.PURCHASE, -1) for i, n in enumerate(sold) for _ in range(n)]
    rows += [(0, i, AS_OF - ago * DAY + 60, Behaviour.RETURN, -1) for i in returned]
    n = len(sold)
    items = catalogue(1, n)
    paths = category or ["Shop > Lamps"] * n
    products = pa.table({
        "product_id": items.product_id.tolist(), "title_en": [f"T{i}" for i in range(n)],
        "title_zh": pa.nulls(n, pa.string()), "category": paths,
    })  # fmt: skip
    events = interactions(rows, 1, n)
    data = Shop(events, items, products, np.ones(n, np.bool_), pa.array(["u"]), 1, AS_OF)
    every = np.arange(n, dtype=np.int32)
    nobody, none = np.full(n, -1, np.int32), np.full(n, -1, np.int8)
    made = Reasons.of(data)
    return {
        name: [t.to_pylist() for t in made.sentences(every, nobody, none, np.full(n, kind, np.int8))]
        for name, kind in (("shop", POPULAR), ("category", CATEGORY))
    }


def test_popular_is_said_of_what_sells_above_the_mean_and_of_nothing_else():
    sold = [200] * 5 + [1] * 20
    said = reasons_of(sold, returned=[24])
    assert said["shop"][0] == ["Popular in the shop this week"] * 5 + ["From our range"] * 20
    assert said["shop"][1] == ["本周店内热销"] * 5 + ["本店商品"] * 20
    assert said["category"][0] == ["Popular in Lamps this week"] * 5 + ["From our range"] * 20
    assert said["category"][1] == ["Lamps 本周热销"] * 5 + ["本店商品"] * 20


def test_what_sold_in_earlier_weeks_is_not_said_to_be_popular_this_week():
    assert reasons_of([200] + [1] * 9, ago=10)["shop"][0][0] == "Popular in the shop"


def test_where_all_sell_alike_nothing_is_popular():
    assert set(reasons_of([3] * 7)["shop"][0]) == {"From our range"}
    assert set(reasons_of([0] * 7)["shop"][0]) == {"From our range"}


def test_a_product_alone_in_its_category_may_be_popular_in_the_shop():
    paths = ["Shop > Lamps", *["Shop > Rugs"] * 4]
    said = reasons_of([90, 1, 1, 1, 1], category=paths)["category"][0]
    assert said == ["Popular in the shop this week", *["From our range"] * 4]


def test_only_as_many_shoppers_as_asked(ready):
    night = ready(options=Options(max_users=10))
    assert recommend.run(night)["shoppers"] == 10
    assert pc.count_distinct(night.read("recommendations")["user_id"]).as_py() == 10


def test_a_shop_of_few_products_gives_what_it_has(ready):
    night = ready(toy=shop(categories=1, size=4, n_users=30))
    recommend.run(night)
    frame = night.read("recommendations").to_pandas()
    assert (frame.groupby("user_id").size() <= 3).all()  # one of the four is out of stock
    assert set(frame[frame["user_id"] == COLD]["product_id"]) == {"p0000", "p0001", "p0002"}


def test_a_shop_with_one_shopper_gets_that_one_s_list_and_tells_of_nobody(ready):
    night = ready(toy=shop(n_users=1))
    put(night, "users", [{"user_id": "u0000", "ds": night.ds}], [night.ds])
    train_recommender.run(night)
    assert recommend.run(night)["shoppers"] == 1
    lists = night.read("recommendations").to_pandas()
    assert set(lists["user_id"]) == {"u0000"}
    assert sorted(lists["rank"]) == [1, 2, 3, 4, 5]
    # Too few to judge a model by, and for a group.
    assert night.model_in_service("recommender")["kind"] == "popularity"
    assert len(night.read("audiences")) == 0
    assert night.notes()["recommendations"]["most_listed"] == []


def test_an_older_model_serves_a_catalogue_that_has_grown(ready):
    night = ready()
    grown = shop(size=16)
    stage_shop(night, grown)
    recommend.run(night)
    frame = night.read("recommendations").to_pandas()
    assert len(frame) == 121 * 5
    assert set(frame["model_version"]) == {night.model_in_service("recommender")["version"]}


def test_without_a_model_the_gate_says_what_to_do(make_night):
    with pytest.raises(GateFailed, match="run train_recommender"):
        recommend.run(make_night(ds=DS.isoformat()))


def test_the_control_arm_gets_popularity_under_the_same_rules(ready):
    """A treatment that really differs, whose rows say what they are; the others' lists stay as they were."""
    plain, tried = ready("plain"), ready("tried", experiment=SPLIT)
    recommend.run(plain)
    recommend.run(tried)
    before, frame = (n.read("recommendations").to_pandas() for n in (plain, tried))
    assert set(before["bucket"]) == {"model"}
    assert before["experiment"].isna().all()
    assert set(frame["experiment"]) == {"lists"}
    users = pa.array(sorted(frame["user_id"].unique()))
    drawn = dict(zip(users.to_pylist(), np.array(names(SPLIT))[draw(users, SPLIT)], strict=True))
    assert (frame["bucket"] == frame["user_id"].map(drawn)).all()
    control = frame[frame["bucket"] == "control"]
    assert 30 < control["user_id"].nunique() < 90
    assert set(control["source"]) == {"popularity"}
    assert set(control["model_version"]) == {"7-day-popularity"}
    assert control["reason_product_id"].isna().all()
    assert set(control["reason"]) <= {
        "Popular in the shop this week",
        "Popular in the shop",
        "From our range",
    }
    assert control["probability"].between(0, 1).all()
    assert (control.groupby("user_id").size() == 5).all()
    assert "p0003" not in set(control["product_id"])  # out of stock, here too
    # Not all alike: what a shopper has bought is left out.
    assert control.groupby("user_id")["product_id"].apply(tuple).nunique() > 1
    model = frame[frame["bucket"] == "model"].drop(columns=["experiment"]).sort_values(["user_id", "rank"])
    same = before[before["user_id"].isin(model["user_id"])].drop(columns=["experiment"])
    assert model.reset_index(drop=True).equals(same.sort_values(["user_id", "rank"]).reset_index(drop=True))
    arms = tried.notes()["recommendations"]["arms"]
    assert arms == frame.drop_duplicates("user_id")["bucket"].value_counts().to_dict()


def test_the_report_gets_exposure_and_sources(done):
    note = done.notes()["recommendations"]
    assert note["shoppers"] == note["full_lists"] == 121
    assert sum(note["sources"].values()) == pytest.approx(1)
    assert sum(note["exposure_deciles"]) == pytest.approx(1)
    assert 0 < note["share_new"] < 1
    assert 0 < note["coverage"] <= 1
    assert np.isfinite(note["mean_probability"])


def test_the_report_gets_what_is_listed_most_and_no_shopper_s_list(done):
    """A reason names what one shopper bought: it is told only where at least `min_group` shoppers read it."""
    note, least = done.notes()["recommendations"], done.settings.min_group
    frame = done.read("recommendations").to_pandas()
    shoppers = frame.groupby("product_id")["user_id"].nunique()
    read = frame.groupby(["product_id", "reason", "reason_zh"])["user_id"].nunique()
    assert (read < least).any(), "the test would prove nothing: every reason is read by enough"
    told = note["most_listed"]
    assert [t["shoppers"] for t in told] == sorted(shoppers, reverse=True)[:10]
    for t in told:
        mine = frame[frame["product_id"] == t["product_id"]]
        assert t["shoppers"] == len(mine) >= least
        assert t["probability"] == pytest.approx(mine["probability"].mean())
        counts = [read[t["product_id"], r["reason"], r["reason_zh"]] for r in t["reasons"]]
        assert min(counts, default=least) >= least
        assert counts == sorted(read[t["product_id"]], reverse=True)[: len(counts)]
        assert [r["share"] for r in t["reasons"]] == pytest.approx([c / len(mine) for c in counts])
    assert sum(len(t["reasons"]) for t in told) > len(told)
    assert not [key for key in _keys(note) if "sample" in key or key in ("user_id", "shopper", "rank")]


def _keys(note):
    for value in note if isinstance(note, list) else note.values():
        if isinstance(value, dict | list):
            yield from _keys(value)
    if isinstance(note, dict):
        yield from note
