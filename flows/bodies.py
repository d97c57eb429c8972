"""What a night is made of: plain functions of (what, window, clock, home) that call the tasks.

`flows.nightly` wraps a night for production, `flows.replay` calls it night by night.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tasks.night import decide_window, ingest_batch, score_batch, watch_window
from tasks.retrain import gate_candidate, promote_version, train_and_register
from tidegate.config.home import Home
from tidegate.errors import SourceError
from tidegate.steps.approval import Asked, ask
from tidegate.steps.candidate import training_failed
from tidegate.steps.freeze import frozen
from tidegate.steps.stores import Stores, open_stores
from tidegate.verdicts import Alarm, Decision, Verdict


@dataclass(frozen=True)
class Night:
    """What happened to one model on one window."""

    window: str
    quality: Verdict
    scored: int | None
    alarms: tuple[Alarm, ...]
    decision: Decision
    version: int | None = None
    gate: Verdict | None = None
    promoted: bool = False
    asked: Asked | None = None


def ingested(home: Home, dataset: str, window: str, now: datetime) -> Verdict:
    """The quality verdict of a window; a task runs only for what has not passed yet."""
    known = open_stores(home).data_records.verdict(dataset, "quality", window)
    return known if known is not None and known.passed else ingest_batch(home, dataset, window, now)


def night(home: Home, model_name: str, window: str, now: datetime) -> Night:
    """One night: ingest → score → labels, performance → drift, alarms → decision → retrain."""
    model = open_stores(home).project.model(model_name)
    quality = ingested(home, model.dataset, window, now)
    scored = score_batch(home, model_name, window, now) if quality.passed else None
    alarms = watch_window(home, model_name, window, now)
    decision = decide_window(home, model_name, window, now)
    if decision.action not in ("retrain", "regate"):
        return Night(window, quality, scored, tuple(alarms), decision)
    tried = retrain(home, model_name, window, now, decision.reason, again=decision.action == "regate")
    return Night(
        window, quality, scored, tuple(alarms), decision, tried.version, tried.gate, tried.promoted, tried.asked
    )


@dataclass(frozen=True)
class Attempt:
    """What came of a retrain: the version, the gate's verdict, whether it was promoted or waits for people."""

    version: int | None
    gate: Verdict
    promoted: bool = False
    asked: Asked | None = None


def _due(stores: Stores, model: str, window: str) -> dict[str, Any] | None:
    """The version whose look is this window's: the one that had it, else the candidate that waits for it."""
    known = stores.records.versions(model)
    had = [v for v in known if window in [look["window"] for look in v["body"]["looks"]]]
    later = [v for v in had if v["body"]["looks"][0]["window"] != window]
    waits = [v for v in known if v["status"] == "candidate"]
    due = [v for v in waits if v["body"]["window"] <= window >= (v["body"].get("next_look") or "")]
    return next(iter((*later, *reversed(due), *had)), None)


def retrain(home: Home, model_name: str, window: str, now: datetime, reason: str, *, again: bool = False) -> Attempt:
    """Train (or look again at) a candidate, gate it, and promote it where the model says so; else people are asked.

    One run at a time: while another holds the model's lease, or after it has tried on this
    window, nothing is trained and the attempt says so.
    """
    stores = open_stores(home)
    model = stores.project.model(model_name)
    with stores.leases.holding(f"retrain/{model_name}", model.owner) as lease:
        if lease is None:
            return Attempt(None, Verdict("inconclusive", (f"another run is retraining {model_name}",)))
        tried = next((v for v in stores.records.versions(model_name) if v["body"]["window"] == window), None)
        waiting = _due(stores, model_name, window) if again else tried
        say = f"no candidate is due for a look on {window}" if again and waiting is None else ""
        if waiting is not None and waiting["status"] not in ("candidate", "challenger"):
            say = f"version {waiting['version']} was already trained on {window} and is {waiting['status']}"
        if say:
            return Attempt(waiting["version"] if waiting else None, Verdict("inconclusive", (say,)))
        try:
            version = waiting["version"] if waiting else train_and_register(home, model_name, window, now, reason)
        except SourceError as fault:
            return Attempt(None, training_failed(stores, model, window, fault, now))
        verdict = gate_candidate(home, model_name, version, window, now)
        if not verdict.passed:
            return Attempt(version, verdict)
        stopped = frozen(stores, model, now)
        if model.promotion != "automatic" or stopped:
            asked = ask(stores, model, version, now)
            more = [t for t in (stopped and f"not promoted: {stopped}", asked.words if asked else "") if t]
            return Attempt(version, replace(verdict, reasons=(*verdict.reasons, *more)), asked=asked)
        promote_version(home, model_name, version, window, now, "automatic", reason, lease)
        return Attempt(version, verdict, promoted=True)
