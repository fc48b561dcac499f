"""Every rule of every market has texts that break it and texts that only look as if they did."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from models.writer import rules
from models.writer.rules import (
    DEFAULT_MARKETS,
    EVERYWHERE,
    LANGUAGES,
    MARKETS,
    Rule,
    claimed,
    load_rules,
    parse,
)
from models.writer.text import normalise
from models.writer.verify import Verifier
from tests.models.writer.rule_examples import BREAKS, KEEPS
from tests.models.writer.shop import ROWS, brief, facts, judge

# Every market with a language that it has rules in.
IN_FORCE = [("en", "eu"), ("en", "us"), ("zh", "cn")]
COMPETITORS = ("Rivalmart", "North & Sons", "Macy\u2019s", "对手商城")
ALL: dict[str, Rule] = {
    r.id: r
    for language, market in IN_FORCE
    for r in load_rules(language, [market], COMPETITORS).rules
}  # fmt: skip


def test_every_market_is_looked_at() -> None:
    assert {m for _, m in IN_FORCE} == set(MARKETS)
    assert {x for _, ms in DEFAULT_MARKETS.items() for x in ms} == set(MARKETS)
    assert set(DEFAULT_MARKETS) == set(LANGUAGES)


def test_every_rule_has_examples_on_both_sides() -> None:
    assert set(ALL) == set(BREAKS) == set(KEEPS)


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, texts in BREAKS.items() for t in texts])
def test_breaks(name: str, text: str) -> None:
    assert list(ALL[name].matches(normalise(text)))


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, texts in KEEPS.items() for t in texts])
def test_keeps(name: str, text: str) -> None:
    assert not list(ALL[name].matches(normalise(text)))


@pytest.mark.parametrize("name", [n for n, r in ALL.items() if r.exempt])
def test_an_exemption_frees_a_text_that_would_break_the_rule(name: str) -> None:
    bare = replace(ALL[name], exempt="")
    assert any(list(bare.matches(normalise(text))) for text in KEEPS[name])


@pytest.mark.parametrize("name", ALL)
def test_every_rule_names_its_law_and_its_market(name: str) -> None:
    rule = ALL[name]
    assert rule.source
    assert rule.check in ("claims", "contacts", "markup")
    assert rule.severity in ("banned", "stated", "qualified")
    assert name.split("-")[0] in (*MARKETS, EVERYWHERE, "shop")
    for phrase in rule.phrases:
        assert list(rule.matches(normalise(phrase))), f"{phrase} is exempt from its own rule"


@pytest.mark.parametrize("name", ALL)
def test_a_phrase_is_found_however_its_apostrophe_and_hyphen_are_printed(name: str) -> None:
    rule = ALL[name]
    for phrase in rule.phrases:
        for mark in "\u2010\u2011\u2012\u2013\u2014\u2015\u2212":
            for apostrophe in "\u2018\u2019\u02bc":
                printed = phrase.replace("-", mark).replace("'", apostrophe)
                assert list(rule.matches(normalise(printed))), printed


def test_what_breaks_a_rule_is_told_as_the_text_has_it_and_where_it_has_it() -> None:
    text = normalise("It\u2019s \u2212 2 cm of eco\u2011friendly clay")
    rule = ALL["eu-green-generic"]
    (match,) = rule.find(text)
    assert text[match.start() : match.end()] == "eco\u2010friendly"
    assert list(rule.matches(text)) == ["eco\u2010friendly"]


@pytest.mark.parametrize(
    ("text", "said", "needs"),
    [
        ("It comes with a handy bamboo lid.", "comes with a handy bamboo lid", "lid"),
        ("It comes with a bamboo spoon and a lid.", "comes with a bamboo spoon", "spoon"),
        ("It comes with a pair of straws.", "comes with a pair of straws", "straws"),
        ("Machine washable.", "machine washable", "machine"),
        ("In size XL.", "size xl", "xl"),
        ("A vegan bag.", "vegan", "vegan"),
    ],
)
def test_what_attributes_must_have_may_be_a_part_of_what_is_said(text: str, said: str, needs: str) -> None:
    plain = normalise(text)
    (match,) = ALL["any-property"].find(plain)
    start, end = claimed(match)
    assert (match[0], plain[start:end]) == (said, needs)


def test_medical_claims_and_contacts_are_banned_in_every_market() -> None:
    for language, market in IN_FORCE:
        found = {r.id: r.severity for r in load_rules(language, [market]).rules}
        for name in ("any-medical", "any-phone", "any-email", "any-handle", "any-identity", "any-address"):
            assert found[name] == "banned"


@pytest.mark.parametrize(
    ("market", "text", "attribute", "check"),
    [
        # A generic green claim: the EU bans it, the United States ask for proof.
        ("eu", "An eco-friendly red stoneware mug.", "eco-friendly clay", "claims"),
        ("us", "An eco-friendly red stoneware mug.", "eco-friendly clay", ""),
        ("us", "An eco-friendly red stoneware mug.", "clay", "claims"),
        # Offsetting: as above.
        ("eu", "A carbon neutral red stoneware mug.", "carbon neutral clay", "claims"),
        ("us", "A carbon neutral red stoneware mug.", "carbon neutral clay", ""),
        # A duty that the law sets anyway is no advantage in the EU.
        ("eu", "A red stoneware mug with a legal guarantee.", "legal guarantee", "claims"),
        ("us", "A red stoneware mug with a legal guarantee.", "legal guarantee", ""),
        ("us", "A red stoneware mug, FDA approved.", "FDA approved", "claims"),
    ],
)
def test_a_market_has_its_own_law(market: str, text: str, attribute: str, check: str) -> None:
    row = ROWS[0] | {"attributes_en": json.dumps({"colour": "red", "material": "stoneware", "n": attribute})}
    verifier = Verifier("en", judge("en").lexicon, load_rules("en", [market]))
    assert set(verifier.verify(text, verifier.brief(facts("en", row))).failed) == (
        {check} if check else set()
    )


def test_the_rules_in_force_have_a_hash_of_their_own() -> None:
    hashes = {
        load_rules("en", ["us"]).digest,
        load_rules("en", ["eu"]).digest,
        load_rules("en", ["eu", "us"]).digest,
        load_rules("zh", ["cn"]).digest,
        load_rules("en", ["us"], ["Rivalmart"]).digest,
        load_rules("en", ["us"], ["Rivalmart", "Other"]).digest,
    }
    assert len(hashes) == 6
    assert load_rules("en", ["us", "eu"]).digest == load_rules("en", ["eu", "us", "eu"]).digest
    assert load_rules("en").markets == ("eu", "us")


@pytest.mark.parametrize(
    ("language", "markets", "competitors", "told"),
    [
        ("fr", ["eu"], [], "'fr': there are en, zh"),
        ("en", ["mars"], [], "no market 'mars': there are cn, eu, us"),
        ("en", [], [], "no market is named for language 'en'"),
        ("en", ["cn"], [], "market 'cn' has no rules for language 'en', only for zh"),
        ("en", ["us"], ["Rivalmart", " "], "' ' is no competitor's name"),
    ],
)
def test_what_there_are_no_rules_for_is_refused(
    language: str, markets: list[str], competitors: list[str], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        load_rules(language, markets, competitors)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"severity": "bad"}, "severity"),
        ({"check": "length"}, "check is not one of"),
        ({"source": ""}, "no source"),
        ({"phrases": []}, "no phrases and no pattern"),
        ({"exempts": "x"}, "unknown key 'exempts'"),
    ],
)
def test_a_broken_rule_is_refused(change: dict[str, object], told: str) -> None:
    good = {"id": "a", "check": "claims", "severity": "banned", "source": "law", "phrases": ["x y"]}
    assert parse("cn", dict(good)).phrases == ("x y",)
    with pytest.raises(ValueError, match=f"rules/cn.toml, rule 'a': .*{told}"):
        parse("cn", good | change)


def test_the_hash_of_all_rules_is_of_every_file(monkeypatch: pytest.MonkeyPatch) -> None:
    before = rules.digest()
    read = rules._read
    for name in (EVERYWHERE, *MARKETS):
        changed = (*read(name)[:2], read(name)[2] + b"#")
        with monkeypatch.context() as patch:
            patch.setattr(
                rules, "_read", lambda n, name=name, changed=changed: changed if n == name else read(n)
            )
            assert rules.digest() != before


def test_banned_phrases_of_the_markets_in_force_are_masked() -> None:
    for language, market in IN_FORCE:
        found = load_rules(language, [market], ["Rivalmart"])
        wanted = {p for r in found.rules if r.severity == "banned" for p in r.phrases}
        verifier = Verifier(language, judge(language).lexicon, found)
        assert set(verifier.brief(brief(language).shown).masked) == wanted
        assert len(wanted) > 20
        assert "Rivalmart" in wanted
    assert "carbon neutral" in load_rules("en", ["eu"]).banned
    assert "carbon neutral" not in load_rules("en", ["us"]).banned


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a.",
        "-a",
        "1 ",
        "<a",
        "a@",
        "微",
        "最",
        "no ",
        "eu ",
        "[",
        "加",
        "1-",
        "12-",
        "1",
        "1.",
        "万",
        "#1 ",
    ],
)
def test_a_long_text_is_read_in_a_moment(piece: str) -> None:
    """No pattern takes time in the square of the length: a shop's text may have 20,000 characters."""
    # Exemptions are looked for behind a match only.
    text = normalise("eco-friendly 最好 cure " + piece * 20_000)[:20_000]
    start = time.thread_time()
    for rule in ALL.values():
        list(rule.matches(text))
    assert time.thread_time() - start < 2
