"""The run's page: whole after a good night, useful after a bad one, safe with hostile text."""

from __future__ import annotations

import re
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs import plots, report, report_parts
from jobs.errors import GateFailed
from jobs.lake.registry import BY_NAME
from jobs.runner import run_step
from tests.e2e.browser import NARROW, chromium
from tests.expectations.good_rows import DS, good
from tests.jobs.small_lake import put

if TYPE_CHECKING:
    from jobs.night import Night

EVIL = '<script>alert("x")</script>'

INTAKE = {
    "totals": {"rows_in": 12345, "good": 12000, "quarantined": 300, "duplicates": 45, "late": 7},
    "sources": {"shop/events": {"rows_in": 12345, "good": 12000, "quarantined": 300, "duplicates": 45}},
    "rules": [{"source": "shop", "entity": "events", "rule": "price_finite", "rows": 300}],
    "days": ["2026-01-10"],
}
OUTCOME = {
    "rule": "price_present",
    "severity": "warning",
    "ok": False,
    "broken": 3,
    "doc": "has a price",
    "error": "",
}
CHECKED = {
    "status": "warning",
    "critical": [],
    "warnings": ["products: 3 rows break price_present (has a price)"],
    "tables": {"products": {"rows": 2400, "outcomes": [OUTCOME], "metadata": "m"}},
    "measures": [],
    "docs": "runs/test-2026-01-10/docs/inputs/index.html",
    "days": {"rows": [["2026-01-08", 100.0], ["2026-01-09", 120.0]]},
}
MODEL = {
    "verdict": "refused",
    "why": "NDCG@10 0.1 is below popularity's 0.2; v0 stays in service",
    "version": "v1",
    "kind": "blend",
    "metrics": {"ndcg@10": 0.1, "hr@10": 0.3},
    "baseline": {"ndcg@10": 0.2, "hr@10": 0.4},
    "incumbent": {"ndcg@10": 0.25},
    "evaluation": {
        "sizes": {"all": 1200, "light": 1000},
        "models": {
            "trained, refused": {"all": {"ndcg": [0.1234, 0.11, 0.13], "hr": [0.5, 0.4, 0.6]}, "light": {}},
            "7-day popularity": {"all": {"ndcg": [0.05, 0.04, 0.06], "novelty": [2.5, 2.4, 2.6]}},
        },
        "withheld": ["new", "heavy"],
        "least": 5,
    },
}
OFF_POLICY = {
    "value": 0.83, "low": 0.79, "high": 0.87, "logged": 0.72, "effective": 9000.4, "overlap": 0.4,
    "clicks": 4321, "lists": 6000, "places": 120000, "shoppers": 900, "not_matched": 2,
    "examination": "prior", "why": None,
}  # fmt: skip
TESTED = {
    "experiment": "spring", "shares": {"control": 0.1, "model": 0.9}, "crossed": 3,
    "warnings": ["the arms' sizes do not fit their shares"],
    "rows": [
        {"arm": "model", "metric": "revenue", "users": 900, "mean": 12.5, "lift": 0.2, "lift_low": 0.1,
         "lift_high": 0.3, "p_value": 0.012, "first_list": "2026-01-02", "last_list": "2026-01-09"},
        {"arm": "control", "metric": "revenue", "detail": "fewer than 5 shoppers: not reported",
         "first_list": "2026-01-02", "last_list": "2026-01-09"},
    ],
}  # fmt: skip
TRENDING = {
    "rows": 7,
    "top": [
        {"rank": 1, "product_id": "p7", "title_en": EVIL, "title_zh": "茶", "signal": "looked_at",
         "score": 3.25, "recent": 47, "before": 30, "expected": 5.04},
    ],
}  # fmt: skip
LISTED = {
    "product_id": "p1", "title_en": EVIL, "title_zh": "马克杯", "shoppers": 2431, "probability": 0.125,
    "reasons": [
        {"reason": f"Because you bought {EVIL}", "reason_zh": "因为您买过马克杯", "share": 0.615},
        {"reason": "Picked for your taste", "reason_zh": "根据您的喜好挑选", "share": 0.2},
    ],
}  # fmt: skip
LISTS = {
    "shoppers": 3000, "full_lists": 2999, "coverage": 0.88, "rows": 60000, "sources": {"item_graph": 1.0},
    "exposure_deciles": [0.1] * 10, "most_listed": [LISTED], "least": 5, "gini": 0.345, "share_new": 0.043,
    "new_days": 14, "largest_brand": 0.217,
}  # fmt: skip
COPY = {
    "tiers": {"model": 5, "template": 4},
    "tiers_by_language": {"model.en": 5, "template.zh": 4, "refused.zh": 1},
    "tiers_by_channel": {"title": {"human": 5}, "description": {"model": 5, "template": 4, "refused": 1}},
    "alike": {
        "en": {"texts": 40, "near_duplicates": 12, "share": 0.3, "largest": 7, "another_chosen": 9,
               "begin_too_alike": 2, "openings": [
                   {"category": "Home", "opening": "this mug by", "products": 11, "share": 0.275}
               ], "examples": [
                   {"category": "Home", "texts": 7, "similarity": 0.912,
                    "pair": [{"product_id": "p8", "text": EVIL}, {"product_id": "p9", "text": "Twin."}]},
               ]},
        "zh": {"texts": 0, "near_duplicates": 0, "share": 0.0, "largest": 0, "another_chosen": 0,
               "begin_too_alike": 0, "openings": [], "examples": []},
    },
    "samples": [
        {"kind": "model.en", "product_id": "p1", "language": "en", "tier": "model", "text": "A red mug.",
         "checks": {"values": True, "brand": "Acme is missing"}},
        {"kind": "refused.zh", "product_id": "p2", "language": "zh", "tier": "refused", "text": None,
         "checks": {"facts": "nothing could be told"}},
        {"kind": "human.en.title", "product_id": "p1", "language": "en", "channel": "title", "tier": "human",
         "text": "Lumo mug", "checks": {"form": True}},
    ],
    "refused": [
        {"product_id": "p1", "language": "en", "published": "retry", "text": "A blue mug", "why": ["values"]},
    ],
}  # fmt: skip
CALIBRATION = {
    "error": 0.0123,
    "curve": [
        {"predicted": 0.0, "observed": 0.0, "rows": 50},
        {"predicted": 0.1, "observed": 0.12, "rows": 50},
    ],
}
QUEUE = {
    "counts": {"texts": 9, "high": 1},
    "rows": [
        {"rank": 1, "risk": "high", "product_id": "p1", "language": "en", "channel": "description",
         "tier": "human", "title": "A charger in a colour with a long name",
         "text": "Say hello to a charger. More than 10,000 customers own one already. It weighs 240 g.",
         "reasons": ["a person's text fails claims: 'customers' (eu-material-claim, us-material-claim)"]},
    ],
}  # fmt: skip
NOTES = {
    "intake": INTAKE,
    "quality_inputs": CHECKED,
    "audit": {**CHECKED, "docs": "runs/test-2026-01-10/docs/audit/index.html", "warnings": []},
    "recommender": {**MODEL, "calibration": CALIBRATION},
    "off_policy": OFF_POLICY,
    "experiments": TESTED,
    "trending": TRENDING,
    "writer": {"trained": False, "why": "too few pairs", "version": None},
    "recommendations": LISTS,
    "descriptions": COPY,
    "review_queue": QUEUE,
}


class Page(HTMLParser):
    """Tags that are open at the end, and every address that the page would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in {"meta", "br", "link", "img", "input"}:
            self.open.append(tag)
        self.loads += [v or "" for k, v in attrs if k in {"src", "href", "xlink:href", "srcset", "data"}]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [v or "" for k, v in attrs if k in {"src", "xlink:href", "href"}]


def note_all(night: Night, **instead: Any) -> None:
    for name, note in (NOTES | instead).items():
        night.note(name, note)


def page_of(night: Night) -> str:
    run_step(night, "report", report.run)
    return night.store.read(night.key("report.html")).decode()


def step(night: Night, name: str, error: Exception | None = None) -> None:
    def act(_: Night) -> dict[str, Any]:
        if error:
            raise error
        return {}

    if error:
        with pytest.raises(type(error)):
            run_step(night, name, act)
    else:
        run_step(night, name, act)


def test_a_good_night_is_told_whole(night: Night) -> None:
    step(night, "clean")
    step(night, "publish")
    note_all(night)
    days = [DS - timedelta(days=n) for n in range(8)]
    metric = {"table_name": "events_clean", "metric": "rows"}
    put(night, "quality_metrics", [good("quality_metrics", ds=d, value=90.0, **metric) for d in days], days)
    text = page_of(night)
    for told in (
        "Published", "All tables of the night became visible at once.", "12,345", "price_finite",
        "products: 3 rows break price_present (has a price)", "docs/audit/index.html", "Events a day",
        "8 nights on record", "v0 stays in service", "too few pairs", "2,999", "12.5%", "因为您买过马克杯",
        "2,431", "61.5%",
        "0.123", "0.110–0.130", "40.0–60.0 %", "1,200 shoppers", "fewer than 5 shoppers", "(new, heavy)",
        "4,321 clicks", "0.83 clicks a list (0.79–0.87)", "covers 40%", "spring", "+20.0%",
        "+10.0% to +30.0%",
        "3 shoppers were seen in two arms", "2026-01-02 to 2026-01-09", "looked at", "3.2 ×", "茶 p7",
        "0.34", "4.3%", "21.7%", "of 100 listed rows", "calibration error 1.23%",
        "A red mug.", "Acme is missing", "A blue mug", "quality_metrics", "not passed",
        "nothing could be told", "Who wrote the copy", "by channel", "Lumo mug", "this mug by", "27.5%",
        "91.2%", "Twin.", "Near-duplicates, en",
    ):  # fmt: skip
        assert told in text, told
    assert text.count("<svg") == 9


def test_the_page_is_well_formed_loads_nothing_and_escapes_everything(night: Night) -> None:
    hostile = {**INTAKE, "rules": [{"source": EVIL, "entity": "events", "rule": EVIL, "rows": 1}]}
    hostile["sources"] = {EVIL: INTAKE["sources"]["shop/events"]}
    note_all(night, intake=hostile, recommender={**MODEL, "why": EVIL})
    text = page_of(night)
    page = Page(text)
    assert page.open == []
    assert "script" not in page.tags
    outside = [a for a in page.loads if not a.startswith(("#", "docs/"))]
    assert outside == []
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text


def test_on_a_telephone_sentences_have_room(night: Night, tmp_path: Path) -> None:
    note_all(night)
    shown = tmp_path / "report.html"
    shown.write_text(page_of(night))
    with chromium() as browser:
        page = browser.new_page(viewport=NARROW)
        page.goto(shown.as_uri())
        texts = "[...document.querySelectorAll('td, li, p')].filter(e => e.offsetWidth)"
        widths = page.evaluate(f"{texts}.map(e => [e.offsetWidth, e.innerText])")
        assert any("eu-material-claim" in text for _, text in widths)
        assert [t for width, t in widths if len(t) > 60 and width < NARROW["width"] / 4] == []
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]


def test_ids_of_pictures_do_not_clash(night: Night) -> None:
    note_all(night)
    ids = re.findall(r' id="([^"]+)"', page_of(night))
    assert len(ids) == len(set(ids))


def test_a_night_stopped_by_a_gate_says_where_and_what_is_missing(night: Night) -> None:
    step(night, "clean")
    night.note("intake", INTAKE)
    step(night, "check_inputs", GateFailed("products: 3 rows break title_present. Nothing was published"))
    text = page_of(night)
    assert "Stopped by a gate" in text
    assert "check_inputs: products: 3 rows break title_present" in text
    assert "The step train_recommender did not run." in text
    assert "The step describe did not run." in text
    assert "12,345" in text


def test_a_bug_and_a_night_without_any_step_are_told_too(night: Night) -> None:
    assert "Not published" in page_of(night)
    step(night, "features", ValueError("no such column"))
    text = page_of(night)
    assert "Failed" in text
    assert "ValueError: no such column" in text


def test_a_night_that_was_not_approved_says_why(night: Night) -> None:
    """It is no failure; and once it was published after all, it is no longer told."""
    step(night, "audit")
    night.note("approval", {"kept": "2 warnings of the audit; nobody answered in time"})
    text = page_of(night)
    assert "Not approved" in text
    assert "2 warnings of the audit; nobody answered in time. Readers see the last good night." in text
    step(night, "publish")
    text = page_of(night)
    assert "Published" in text
    assert "nobody answered" not in text


def test_a_failure_after_publish_takes_nothing_back() -> None:
    records = {
        "publish": {"step": "publish", "outcome": "done"},
        "describe": {"step": "describe", "outcome": "failed", "error": "late"},
    }
    assert report.verdict(records).word == "Published"


def test_an_error_is_told_as_it_stands() -> None:
    """A path with '..' is no slip of the pen."""
    failed = {
        "step": "ingest",
        "outcome": "failed",
        "error": "'../raw/events.csv': no such file.",
        "exit_code": 2,
    }
    said = report.verdict({"ingest": failed}).sentence
    assert said.startswith("ingest: '../raw/events.csv': no such file. Nothing was published;")


def test_a_night_before_these_measures_is_told_as_it_was(night: Night) -> None:
    """Cards and notes of older nights lack the measures by segment, and there was no experiment."""
    older = {k: v for k, v in MODEL.items() if k != "evaluation"}
    for name, note in (NOTES | {"recommender": older}).items():
        if name not in ("off_policy", "experiments", "trending"):
            night.note(name, note)
    text = page_of(night)
    assert "v0 stays in service" in text
    assert "What its lists are worth" not in text
    assert "No experiment is on." in text
    assert "The step features did not run." in text
    assert "KeyError" not in text


def test_a_shopper_s_list_in_an_older_note_is_not_shown(night: Night) -> None:
    """Notes once held a few single shoppers' lists."""
    row = {"rank": 1, "product_id": "p1", "title_en": "Mug", "reason": "Because you bought a spoon"}
    older = {k: v for k, v in LISTS.items() if k not in ("most_listed", "least")}
    note_all(night, recommendations={**older, "samples": [{"shopper": 1, "rows": [row]}]})
    text = page_of(night)
    assert "2,999" in text
    assert "Because you bought" not in text
    assert "In the most lists" not in text


def test_a_shop_too_small_to_show_what_is_listed_says_so(night: Night) -> None:
    note_all(night, recommendations={**LISTS, "most_listed": []})
    assert "No product stands in so many lists." in page_of(night)


def test_where_nothing_listed_was_bought_words_stand_for_an_empty_plot(night: Night) -> None:
    nothing = {"error": 0.0, "curve": [{"predicted": 0.0, "observed": 0.0, "rows": 820}]}
    note_all(night, recommender={**MODEL, "calibration": nothing})
    text = page_of(night)
    assert "Of 820 listed rows none was bought" in text
    assert "in ten equal groups" not in text


def test_what_is_not_known_is_said(night: Night) -> None:
    why = "no event of the holdout says which list it came from"
    note_all(
        night, off_policy={"value": None, "why": why}, trending={"rows": 0, "top": []},
        experiments={**TESTED, "rows": [], "warnings": []},
    )  # fmt: skip
    text = page_of(night)
    assert f"Not estimated from clicks on lists: {why}." in text
    assert "Nothing is bought or looked at surely more than usual." in text
    assert "No list of it has been followed by a day of events yet." in text


def test_a_note_of_another_shape_costs_only_its_section(night: Night) -> None:
    note_all(night, intake={"other": 1})
    text = page_of(night)
    assert "KeyError" in text
    assert "12.5%" in text


def test_the_page_is_made_again_where_an_erasure_came_in_between(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took the shopper out of a note, and looked at the run's files, before the page was written."""
    note_all(night, off_policy={"value": None, "why": "ada said so"})
    pages = []

    def render(story: dict[str, Any]) -> str:
        night.note("off_policy", {"value": None, "why": "(forgotten) said so"})
        pages.append(story)
        return _render(story)

    _render = report.render
    monkeypatch.setattr(report, "render", render)
    text = page_of(night)
    assert "(forgotten) said so" in text
    assert "ada said so" not in text
    assert len(pages) == 2


def test_baselines_may_stand_behind_their_names() -> None:
    note = {"metrics": {"bleu": 40.0}, "baseline": {"template.bleu": 20.0, "nearest neighbour.bleu": 30.0}}
    (_, writer) = report_parts.models(None, note)
    assert writer["contenders"] == ["this night", "template", "nearest neighbour"]
    assert writer["table"] == {"bleu": {"this night": 40.0, "template": 20.0, "nearest neighbour": 30.0}}


def test_the_same_data_makes_the_same_picture() -> None:
    points = [(date(2026, 1, d), float(d)) for d in range(1, 9)]
    assert plots.lines({"a": points}, bad=points[:1]) == plots.lines({"a": points}, bad=points[:1])
    assert "#010203" not in plots.lines({"a": points})


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345, "12,345"), (0.123456, "0.1235"), (None, "–"), (0.0, "0"), (True, "yes"), ("a", "a")],
)
def test_numbers_are_written_as_people_write_them(value: Any, text: str) -> None:
    assert report_parts.number(value) == text


def test_a_stopped_night_still_draws_its_own_odd_number() -> None:
    odd = {
        "table_name": "events_clean",
        "metric": "rows",
        "value": 0.0,
        "status": "critical",
        "detail": "none",
    }
    before = [good("quality_metrics", table_name="events_clean", value=9.0, ds=DS - timedelta(days=1))]
    told = report_parts.history(before, {"quality_inputs": {"measures": [odd]}}, DS)
    calm = report_parts.history(before, {"quality_inputs": {"measures": [{**odd, "status": "ok"}]}}, DS)
    assert told is not None
    assert calm is not None
    assert plots.RED in told["charts"][0]["plot"]
    assert plots.RED not in calm["charts"][0]["plot"]


def test_charts_name_tables_that_exist() -> None:
    for _, wanted, _ in report_parts._CHARTS:
        assert {table for table, _ in wanted} <= set(BY_NAME)


def test_a_picture_of_one_day_shows_days_and_not_years() -> None:
    picture = plots.lines({"one": [(DS, 1.0)], "two": [(DS, 2.0)]})
    assert f"{DS:%Y-%b}" in picture
    assert str(DS.year + 1) not in picture


@pytest.mark.parametrize(
    ("names", "rows"),
    [(("a", "b", "c"), 1), (("lists by popularity", "copy by template", "copy refused"), 2)],
)
def test_a_legend_has_as_many_columns_as_the_picture_has_room_for(names: tuple[str, ...], rows: int) -> None:
    """Pages cut off what is wider."""
    picture = plots.lines({name: [(DS, 1.0), (DS + timedelta(days=9), 2.0)] for name in names})
    places = [re.search(rf'y="([\d.]+)"[^>]*>{name}</text>', picture) for name in names]
    assert len({place.group(1) for place in places if place}) == rows
