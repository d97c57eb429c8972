"""What a night is made of: plain functions of (what, window, clock, home) that call the tasks.

`flows.nightly` wraps a night for production, `flows.replay` calls it night by night.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from tasks.night import decide_window, ingest_batch, score_batch, watch_window
from tasks.retrain import (
    adjust_champion,
    gate_candidate,
    promote_version,
    roll_back_champion,
    train_and_register,
)
from tidegate.adapters.leases import Lease
from tidegate.config.home import Home
from tidegate.errors import SourceError
from tidegate.steps.adjust import What
from tidegate.steps.approval import Asked, ask
from tidegate.steps.candidate import training_failed, turn
from tidegate.steps.freeze import frozen
from tidegate.steps.rollback import former, rolled_back_on
from tidegate.steps.stores import open_stores
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


Elsewhere = Callable[[Home, str, str, str, datetime], bool]
"""Has (home, model, window, reason, now) retrained by another run; False if there is none that would."""


def night(
    home: Home, model_name: str, window: str, now: datetime, *, elsewhere: Elsewhere | None = None,
    tell: Callable[[], object] | None = None,
) -> Night:  # fmt: skip
    """One night: ingest → score → labels, performance → drift, alarms → decision → what it says.

    A retraining may be left to a run of its own (`elsewhere`); everything else is done here. `tell` is called as soon
    as alarms are stored, before anything that takes long; a replay has none.
    """
    model = open_stores(home).project.model(model_name)
    quality = ingested(home, model.dataset, window, now)
    scored = score_batch(home, model_name, window, now) if quality.passed else None
    alarms = watch_window(home, model_name, window, now)
    if tell is not None:
        tell()
    decision = decide_window(home, model_name, window, now)
    if not decision.acts:
        return Night(window, quality, scored, tuple(alarms), decision)
    if decision.action == "retrain" and elsewhere is not None and elsewhere(
        home, model_name, window, decision.reason, now
    ):  # fmt: skip
        return Night(window, quality, scored, tuple(alarms), decision)
    if decision.action in ("recalibrate", "move_threshold"):
        tried = adjusted(home, model_name, window, now, decision.action, decision.reason)
    elif decision.action == "roll_back":
        tried = rolled_back(home, model_name, window, now, decision.reason)
    else:
        tried = retrain(home, model_name, window, now, decision.reason, again=decision.action == "regate")
    return Night(
        window, quality, scored, tuple(alarms), decision, tried.version, tried.gate, tried.promoted, tried.asked
    )


@dataclass(frozen=True)
class Attempt:
    """What came of a change of the model: the version, the verdict, whether it is champion or waits for people."""

    version: int | None
    gate: Verdict
    promoted: bool = False
    asked: Asked | None = None


def retrain(home: Home, model_name: str, window: str, now: datetime, reason: str, *, again: bool = False) -> Attempt:
    """Train (or look again at) a candidate, gate it, and promote it where the model says so; else people are asked.

    One run at a time: while another holds the model's lease, or after it has tried on this
    window, nothing is trained and the attempt says so.
    """
    stores = open_stores(home)
    owner = stores.project.model(model_name).owner
    with stores.leases.holding(f"retrain/{model_name}", owner) as lease:
        if lease is None:
            return Attempt(None, Verdict("inconclusive", (f"another run is retraining {model_name}",)))
        waiting, why = turn(stores, model_name, window, again=again)
        if why:
            return Attempt(waiting, Verdict("inconclusive", (why,)))
        try:
            version = waiting or train_and_register(home, model_name, window, now, reason)
        except SourceError as fault:
            return Attempt(None, training_failed(stores, stores.project.model(model_name), window, fault, now))
        return _gated(home, model_name, version, window, now, reason, lease)


def adjusted(home: Home, model_name: str, window: str, now: datetime, what: What, reason: str) -> Attempt:
    """Recalibrate the champion or move its threshold: a candidate that is gated as one that was trained."""
    stores = open_stores(home)
    model = stores.project.model(model_name)
    with stores.leases.holding(f"retrain/{model_name}", model.owner) as lease:
        if lease is None:
            return Attempt(None, Verdict("inconclusive", (f"another run is retraining {model_name}",)))
        waiting, why = turn(stores, model_name, window, again=False, what=what)
        if why:
            return Attempt(waiting, Verdict("inconclusive", (why,)))
        try:
            version = waiting or adjust_champion(home, model_name, window, now, what, reason)
        except SourceError as fault:
            return Attempt(None, training_failed(stores, model, window, fault, now, what))
        return _gated(home, model_name, version, window, now, reason, lease)


def rolled_back(home: Home, model_name: str, window: str, now: datetime, reason: str) -> Attempt:
    """Make the former champion the champion again, where the model is promoted without asking; else say so."""
    stores = open_stores(home)
    model = stores.project.model(model_name)
    stopped = frozen(stores, model, now)
    if stopped or model.promotion != "automatic":
        why = stopped or f"promotion: {model.promotion}, so a person has to roll {model_name} back"
        return Attempt(None, Verdict("inconclusive", (f"not rolled back: {why}",)))
    with stores.leases.holding(f"retrain/{model_name}", model.owner) as lease:
        if lease is None:
            return Attempt(None, Verdict("inconclusive", (f"another run is retraining {model_name}",)))
        done = rolled_back_on(stores, model, window)
        if done is not None:
            return Attempt(done, Verdict("inconclusive", (f"rolled back to version {done} on {window} already",)))
        if former(stores, model) is None:
            return Attempt(None, Verdict("inconclusive", ("there is no former champion to go back to",)))
        version = roll_back_champion(home, model_name, window, now, "automatic", reason, lease)
        return Attempt(version, Verdict("pass", (f"rolled back to version {version}: {reason}",)), promoted=True)


def _gated(home: Home, model_name: str, version: int, window: str, now: datetime, reason: str, lease: Lease) -> Attempt:
    verdict = gate_candidate(home, model_name, version, window, now)
    if not verdict.passed:
        return Attempt(version, verdict)
    return _passed(home, model_name, version, window, now, reason, verdict, lease)


def _passed(
    home: Home, model_name: str, version: int, window: str, now: datetime, reason: str, verdict: Verdict, lease: Lease
) -> Attempt:
    """Promote a version that passed, or ask people."""
    stores = open_stores(home)
    model = stores.project.model(model_name)
    stopped = frozen(stores, model, now)
    if model.promotion == "automatic" and not stopped:
        promote_version(home, model_name, version, window, now, "automatic", reason, lease)
        return Attempt(version, verdict, promoted=True)
    asked = ask(stores, model, version, now)
    more = [t for t in (stopped and f"not promoted: {stopped}", asked.words if asked else "") if t]
    return Attempt(version, replace(verdict, reasons=(*verdict.reasons, *more)), asked=asked)
