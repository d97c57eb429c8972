"""A replay's home, faults and progress."""

from __future__ import annotations

import json
import math
from datetime import date
from typing import Any, Protocol

import yaml

from tidegate.config.home import Home
from tidegate.config.project import load_project
from tidegate.errors import SourceError
from tidegate.lab.faults import apply, describe, read_faults
from tidegate.performance.metrics import metrics
from tidegate.performance.tally import EMPTY
from tidegate.steps.measure import matured, nightly_tallies
from tidegate.steps.stores import open_stores
from tidegate.verdicts import Alarm, Decision, Verdict
from tidegate.windows import Window

POLICIES = ("tidegate", "never", "monthly")
"""What `--policy all` replays."""
EVERY = ("tidegate", "monthly", "drift", "performance", "never")
"""What `--policy every` replays, the dearest first."""
RETRAIN = {policy: "evidence" if policy == "tidegate" else policy for policy in EVERY}


def policies_of(asked: str) -> list[str]:
    """The policies that `--policy` names."""
    return list({"all": POLICIES, "every": EVERY}.get(asked, (asked,)))


def prepare_home(base: Home, model_name: str, replay_id: str, policy: str) -> Home:
    """The home of one policy: its own lake, control and MLflow; ingest shared with the others.

    In a replay nobody is there to approve, so promotion is automatic.
    """
    home = base.replay(replay_id, policy)
    for folder in (home.state, home.shared):
        folder.mkdir(parents=True, exist_ok=True)
    changes = {"models": {model_name: {"promotion": "automatic", "retrain": {"policy": RETRAIN[policy]}}}}
    (home.state / "overrides.yaml").write_text(yaml.safe_dump(changes))
    return home


def inject(home: Home, dataset_name: str, faults: str | None, start: date, end: date) -> list[dict[str, str]]:
    """Write the faulted copies of raw files into the replay; returns what was injected."""
    dataset = load_project(home).dataset(dataset_name)
    done = []
    for fault in read_faults(home.root / faults) if faults else ():
        if not start <= fault.window <= end:
            continue
        if not dataset.source.files:
            raise SourceError(
                f"dataset {dataset_name}", "source.files, to inject faults into", "none", "leave out --faults"
            )
        name = dataset.source.files.format(date=fault.window.isoformat())
        original, target = home.root / name, home.shared / "injected" / name
        if not original.is_file():
            raise SourceError(
                f"source file {name}", "a file to inject a fault into", "no such file", "correct the fault's window"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        data = apply(fault, original.read_bytes())
        if not target.is_file() or target.read_bytes() != data:
            part = target.with_suffix(f".{home.state.name}.part")
            part.write_bytes(data)
            part.replace(target)
        done.append({"window": fault.window.isoformat(), "fault": fault.fault, "what": describe(fault)})
    return done


class NightLike(Protocol):
    """What a night's result has, as `flows.bodies.Night` gives it."""

    @property
    def quality(self) -> Verdict: ...
    @property
    def alarms(self) -> tuple[Alarm, ...]: ...
    @property
    def decision(self) -> Decision: ...
    @property
    def version(self) -> int | None: ...
    @property
    def gate(self) -> Verdict | None: ...
    @property
    def promoted(self) -> bool: ...


class Progress:
    """Appends a line per night to `progress.jsonl` in the policy's home, for whoever watches."""

    def __init__(self, home: Home, model: str) -> None:
        self.stores = open_stores(home)
        self.model = self.stores.project.model(model)
        self.path = home.state / "progress.jsonl"
        self.path.write_text("")

    def _write(self, body: dict[str, Any]) -> None:
        with self.path.open("a") as f:
            f.write(json.dumps(body) + "\n")

    def history(self, window: Window) -> None:
        self._write({"phase": "history", "window": window.id})

    def night(self, window: Window, night: NightLike) -> None:
        event = matured(self.stores, self.model, window)
        tally = nightly_tallies(self.stores, self.model, [event.id]).get(event.id, EMPTY)
        known = {k: v for k, v in metrics(self.model.kind, tally).items() if not math.isnan(v)} if tally.n else {}
        self._write({
            "phase": "night", "window": window.id, "event": event.id, "blocked": not night.quality.passed,
            "alarms": len(night.alarms), "retrain": night.decision.action == "retrain", "reason": night.decision.reason,
            "gate": night.gate.outcome if night.gate else None, "promoted": night.promoted, "version": night.version,
            "n": tally.n, "tally": tally.as_dict() if tally.n else None, "metrics": known,
        })  # fmt: skip

    def done(self) -> None:
        self._write({"phase": "done"})
