"""What a night is made of: plain functions of (what, window, clock, home) that call the tasks.

`flows.nightly` wraps a night for production, `flows.replay` calls it night by night.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tasks.night import collect_labels, decide_window, ingest_batch, score_batch, watch_window
from tasks.retrain import gate_candidate, promote_version, train_and_register
from tidegate.config.home import Home
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


def night(home: Home, model_name: str, window: str, now: datetime) -> Night:
    """One night: ingest → score → labels, performance → drift, alarms → decision → retrain."""
    model = open_stores(home).project.model(model_name)
    quality = ingest_batch(home, model.dataset, window, now)
    collect_labels(home, model_name, window, now)
    scored, alarms = None, []
    if quality.passed:
        scored = score_batch(home, model_name, window, now)
        alarms = watch_window(home, model_name, window, now)
    decision = decide_window(home, model_name, window, now)
    done = Night(window, quality, scored, tuple(alarms), decision)
    if decision.action in ("retrain", "regate"):
        version, verdict, promoted = retrain(
            home, model_name, window, now, decision.reason, again=decision.action == "regate"
        )
        return Night(window, quality, scored, tuple(alarms), decision, version, verdict, promoted)
    return done


def retrain(
    home: Home, model_name: str, window: str, now: datetime, reason: str, *, again: bool = False
) -> tuple[int | None, Verdict | None, bool]:
    """Train (or look again at) a candidate, gate it, and promote it where the model says so.

    Returns the version, the gate's verdict and whether it was promoted; (None, None,
    False) while another run holds the model's lease.
    """
    stores = open_stores(home)
    model = stores.project.model(model_name)
    with stores.leases.holding(f"retrain/{model_name}", model.owner) as lease:
        if lease is None:
            return None, Verdict("inconclusive", (f"another run is retraining {model_name}",)), False
        waiting = stores.candidate(model_name) if again else None
        version = int(str(waiting["version"])) if waiting else train_and_register(home, model_name, window, now, reason)
        verdict = gate_candidate(home, model_name, version, window, now)
        if not verdict.passed or model.promotion != "automatic":
            return version, verdict, False
        promote_version(home, model_name, version, window, now, "automatic", reason)
        return version, verdict, True
