"""Retrain the recommender, and let the gate decide.

A refused model is recorded and not used: the one in service stays. Where there is none, 7-day popularity
serves.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from jobs import recommender_files as files
from jobs.cli import main
from jobs.evaluation_note import ALL, evaluation, without_small
from jobs.lake.forgotten import learnt_mark
from jobs.model_cards import may_go_on, read_card, write_card
from jobs.night import Night
from jobs.off_policy import estimate
from jobs.recommender_data import Shop, load, policy
from models.recommender import KINDS, from_recipe
from models.recommender.base import DAY
from models.recommender.gate import Measures, Verdict
from models.recommender.hybrid import Hybrid
from models.recommender.training import Task, Trained, popularity, train

MODEL = "recommender"
_ACCURACY = ("ndcg", "recall", "precision", "f1", "hr", "map", "mrr")
_MEASURED = (*_ACCURACY, "novelty", "diversity", "recall_head", "recall_tail")
_SHOWN = ("coverage", "gini", "overlap", "full", "users")


def run(night: Night) -> dict[str, Any]:
    incumbent = night.model_in_service(MODEL, before=True)
    serving = night.model_in_service(MODEL)
    if night.options.retrain == "never" and serving is not None:
        sentence = f"not retrained, as asked: {serving['version']} stays in service"
        night.note(MODEL, {"trained": False, "version": serving["version"], "why": sentence})
        return {"trained": False, "in_service": serving["version"], "why": sentence}
    shop = load(night)
    without = learnt_mark(night.store)
    warm = night.options.retrain == "auto" and may_go_on(incumbent, night.ds, files.code_hash(), without)
    version = version_of(night, shop, incumbent if warm else None)
    card = None if night.options.retrain == "always" else read_card(night.store, files.location(version))
    # A verdict holds against the incumbent of that moment only.
    if card is None or card["against"] != _name(incumbent):
        card = _train(night, shop, version, incumbent, warm)
    night.add_model(card["row"])
    night.note(MODEL, card["note"])
    # Lists and clicks are no part of the version: what they say is looked at each night.
    night.note("off_policy", estimate(night, shop, card["note"]["judged"], card["note"]["recipe"]))
    row = card["row"]
    in_service = row["version"] if row["verdict"] == "accepted" else _name(incumbent)
    return {
        "trained": True,
        "version": row["version"],
        "kind": row["kind"],
        "verdict": row["verdict"],
        "why": row["why"],
        "in_service": in_service,
        "ndcg@10": card["note"]["metrics"].get("ndcg@10"),
        "popularity": card["note"]["baseline"].get("ndcg@10"),
    }


def version_of(night: Night, shop: Shop, start: dict[str, Any] | None = None) -> str:
    """The date, and a hash of inputs, code, seed, settings and what it is trained on from: equal versions
    are equal models.
    """
    s = night.settings
    parts = [shop.fingerprint(), files.code_hash(), s.seed, s.history_days, s.holdout_days, s.top_k]
    parts += [s.category_share, s.brand_share, s.diversity]
    parts.append(s.min_group)  # a card's note was written with it
    parts.append(_name(start))
    if night.options.retrain == "never":
        parts.append("popularity")
    return f"{night.ds}-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]}"


def _train(
    night: Night, shop: Shop, version: str, incumbent: dict[str, Any] | None, warm: bool
) -> dict[str, Any]:
    """Trains, saves, and returns the card: the row for `models` and the note for the report."""
    cut = shop.as_of - night.settings.holdout_days * DAY
    task = Task(
        events=shop.events,
        items=shop.items,
        as_of=shop.as_of,
        holdout_days=night.settings.holdout_days,
        k=night.settings.top_k,
        seed=night.settings.seed,
        incumbent=_to_be_judged(night, shop, incumbent, cut),
        warm=warm,
        policy=policy(night.settings),
        least=night.settings.min_group,
    )
    trained, refused = _outcome(night, task)
    files.save(night.store, version, trained, shop.items, cut)
    least = night.settings.min_group
    row = {
        "model": MODEL,
        "version": version,
        "kind": trained.model.kind,
        "verdict": trained.verdict.word,
        "why": _why(trained, incumbent),
        "metrics": measures(trained.new, least),
        "baseline": measures(trained.baseline, least),
        "incumbent": measures(trained.incumbent, least),
        "location": files.location(version),
        "trained_on": _trained_on(night, shop, incumbent if trained.warm else None),
    }
    note = _note(row, trained, refused, least)
    card = {"row": row, "against": _name(incumbent), "note": note}
    write_card(night.store, files.location(version), card)
    return card


def _why(trained: Trained, incumbent: dict[str, Any] | None) -> str:
    if trained.warm:
        return f"{trained.verdict.why}; it was trained on from {_name(incumbent)}"
    if trained.cooled:
        return f"{trained.verdict.why}; trained from nothing, for going on was refused: {trained.cooled}"
    return trained.verdict.why


def _outcome(night: Night, task: Task) -> tuple[Trained, Trained | None]:
    """The model to record, and the refused candidate where popularity takes its place."""
    if night.options.retrain == "never":
        base = popularity(task)
        why = "no model is in service and retraining was ruled out: 7-day popularity serves"
        return replace(base, verdict=Verdict(True, why)), None
    trained = train(task)
    # An incumbent whose recipe is no longer known keeps serving too: it was accepted once.
    if trained.verdict.accepted or night.model_in_service(MODEL, before=True) is not None:
        return _stays(night, trained), None
    why = f"7-day popularity serves, for the first trained model was refused: {trained.verdict.why}"
    return replace(popularity(task), verdict=Verdict(True, why)), trained


def _stays(night: Night, trained: Trained) -> Trained:
    if trained.verdict.accepted:
        return trained
    name = _name(night.model_in_service(MODEL, before=True))
    return replace(trained, verdict=Verdict(False, f"{trained.verdict.why}; {name} stays in service"))


def _to_be_judged(
    night: Night, shop: Shop, incumbent: dict[str, Any] | None, cut: int
) -> tuple[str, dict[str, Any]] | Hybrid | None:
    """The incumbent as it was before `cut`, or what it is made by if it knows later days; None where its
    files are gone or unknown to this code.
    """
    if incumbent is None:
        return None
    where = incumbent["location"]
    try:
        kind, recipe = files.recipe(night.store, where)
        from_recipe(kind, recipe)
        return files.load_earlier(night.store, where, shop.items, cut) or (kind, recipe)
    except (FileNotFoundError, LookupError, TypeError, ValueError):
        return None


def _name(row: dict[str, Any] | None) -> str | None:
    return row["version"] if row else None


def measures(of: Measures | None, least: int) -> dict[str, float]:
    """Flat numbers, the same names for every model; none of fewer than `least` shoppers."""
    if of is None or of.users < least:
        return {}
    told = [name for name in _MEASURED if of.known[ALL][name] >= least]
    at_ten = {f"{name}@10": round(float(getattr(of, name)), 6) for name in told}
    return at_ten | {name: round(float(getattr(of, name)), 6) for name in _SHOWN}


def _trained_on(night: Night, shop: Shop, start: dict[str, Any] | None) -> dict[str, Any]:
    times = shop.events.time
    return {
        "tables": ["events_clean", "products", "users"],
        "ds": night.ds.isoformat(),
        "first_event": int(times.min()) if len(times) else None,
        "last_event": int(times.max()) if len(times) else None,
        "events": len(times),
        "shoppers": shop.known,
        "products": int(shop.listed.sum()),
        "code": files.code_hash(),
        "start": _name(start),
        # Empty where nobody was ever forgotten.
        "without": learnt_mark(night.store),
    }


def _note(row: dict[str, Any], trained: Trained, refused: Trained | None, least: int) -> dict[str, Any]:
    judged = refused or trained
    few = judged.new.users < least
    chances = trained.calibration
    return {
        **{
            name: row[name]
            for name in ("version", "kind", "verdict", "why", "metrics", "baseline", "incumbent")
        },
        "trained": True,
        "known_kinds": sorted(KINDS),
        "refused": {"metrics": measures(refused.new, least), "why": refused.verdict.why} if refused else None,
        "interval": None if few else list(judged.new.ndcg_interval),
        "segments": without_small(judged.new.segments, judged.new.sizes, least),
        "baseline_segments": without_small(judged.baseline.segments, judged.baseline.sizes, least),
        "evaluation": evaluation(judged, least),
        "judged": judged.model.kind,
        "recipe": judged.model.recipe,
        "selection": [] if few else judged.tried,
        "calibration": None if few else {"error": chances.error, "curve": chances.curve},
    }


if __name__ == "__main__":
    main("train_recommender")
