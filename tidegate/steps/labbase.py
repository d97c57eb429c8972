"""The lab's baseline: a home in which nothing drifts, lived through night by night, with snapshots to fork from."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from tidegate.adapters.packages import load
from tidegate.alarms.calibration import CERTIFIED
from tidegate.clock import evening_of
from tidegate.config.base import show
from tidegate.config.home import Home
from tidegate.config.model import Model
from tidegate.config.values import NAME, NAME_WORDS
from tidegate.errors import ConfigError, UsageError
from tidegate.lineage.digest import json_digest
from tidegate.steps.decide import decide_window, labelled_nights
from tidegate.steps.estimate import estimate
from tidegate.steps.ingest import ingest
from tidegate.steps.labels import collect_labels
from tidegate.steps.labframes import Nights, gather, nights_in_order
from tidegate.steps.measure import measure
from tidegate.steps.retrain import train_package
from tidegate.steps.score import score
from tidegate.steps.stores import Stores, open_stores
from tidegate.steps.watch import watch
from tidegate.verdicts import Alarm, Decision, Verdict
from tidegate.windows import Window

Say = Callable[[str], None]

SETTLE = 14
"""Nights between the first champion and the first onset: persistence and gradual sums look back."""
EVERY = 6
"""Nights between two snapshots: onsets fall on every weekday."""
LAB = "installed by the lab, without a gate"


@dataclass(frozen=True)
class Lived:
    """One night as it was lived: what a person would have seen of it."""

    window: str
    quality: Verdict
    scored: int | None
    alarms: tuple[Alarm, ...]
    decision: Decision

    def brief(self) -> dict[str, Any]:
        """What the lab keeps of it."""
        told = [{"severity": a.severity, "monitor": a.monitor, "subject": a.subject, "cause": a.cause}
                for a in self.alarms]  # fmt: skip
        return {
            "window": self.window, "blocked": not self.quality.passed, "why": list(self.quality.reasons[:2]),
            "scored": self.scored, "alarms": told, "action": self.decision.action, "reason": self.decision.reason,
            "options": [{"action": o.action, "gain": o.gain, "chance": o.chance, "net": o.net, "low": o.low}
                        for o in self.decision.options],
        }  # fmt: skip


def live(stores: Stores, model: Model, window: Window, now: datetime) -> Lived:
    """One night in the order of `flows.bodies.night`; what it decides is told and not done."""
    dataset = stores.project.dataset(model.dataset)
    quality = ingest(stores, dataset, window, now)
    scored = score(stores, model, window, now) if quality.passed else None
    collect_labels(stores, model, window, now)
    measure(stores, model, window, now)
    estimate(stores, model, window, now)
    alarms = watch(stores, model, window, now)
    return Lived(window.id, quality, scored, tuple(alarms), decide_window(stores, model, window, now))


@dataclass(frozen=True, eq=False)
class Base:
    """One baseline: an order of the nights and a label delay.

    ``former`` and ``champion`` are versions 1 and 2, both trained on the evening of ``since``; the champion's limits
    are certified where its history allows it.
    """

    home: Home
    model_name: str
    nights: Nights
    since: str
    delay: int

    @property
    def stores(self) -> Stores:
        return open_stores(self.home)

    @property
    def model(self) -> Model:
        return self.stores.project.model(self.model_name)

    @property
    def snapshots(self) -> list[str]:
        """The evenings that can be forked from, in order."""
        return sorted(p.name for p in (self.home.state / "snapshots").glob("????-??-??"))

    def window(self, night: str) -> Window:
        dataset = self.stores.project.dataset(self.model.dataset)
        return self.stores.project.calendar(dataset).window(night)

    def nights_before(self, night: str, nights: int) -> str:
        """The night so many before."""
        return (date.fromisoformat(night) - timedelta(days=nights)).isoformat()

    def lived(self) -> dict[str, dict[str, Any]]:
        """What the baseline's own nights came to, by night."""
        path = self.home.state / "nights.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
        return {r["window"]: r for r in rows}


@dataclass(frozen=True)
class Ground:
    """What a lab stands on: a model of a home, a stretch of its history, and how much of that comes first.

    ``first``, ``last``: ISO dates. ``history``: matured nights that the champion learns from; with fewer than
    `CERTIFIED` its limits are not certified, and nothing pages by them. ``settle``: see `SETTLE`.
    """

    home: Home
    model_name: str
    lab_id: str
    first: str
    last: str
    history: int = CERTIFIED
    settle: int = SETTLE

    @property
    def folder(self) -> Path:
        """Everything of the lab; raises `ConfigError` if its id is no name."""
        if not NAME.fullmatch(self.lab_id):
            raise ConfigError("lab id", NAME_WORDS, show(self.lab_id), "choose another name")
        return self.home.state / "lab" / self.lab_id


def baseline(ground: Ground, order: int, delay: int, say: Say = lambda _: None) -> Base:
    """Live through a baseline, unless that is done; a run that was killed goes on where it was.

    Parameters
    ----------
    order : int
        Number of the order of the nights; 0 leaves them as they were.
    delay : int
        Nights until labels are known, whatever the model file says.

    Raises
    ------
    UsageError
        If the history is too short for a champion and what follows, or the model is only monitored.
    ConfigError
        If the lab was begun with other dates or another model file.
    """
    real = open_stores(ground.home)
    model = real.project.model(ground.model_name)
    thing = f"lab of {model.name}"
    if model.estimator.build is None:
        raise UsageError(thing, "estimator.build", "a monitor-only model", "declare build: a lab trains models")
    calendar = real.project.calendar(real.project.dataset(model.dataset))
    span = calendar.window(ground.first).date, calendar.window(ground.last).date
    dates = gather(real, model, *span, ground.folder / "truth", say)
    own = _own_home(ground, model, order, delay)
    nights = nights_in_order(real, model, ground.folder / "truth", dates, order)
    matured = (calendar.window(dates[0]).date + timedelta(days=ground.history + delay)).isoformat()
    at = [d for d in dates if d >= matured]
    if len(at) < ground.settle + 2:
        need = f"more than {ground.history + delay + ground.settle + 1} nights: a history, and some that follow it"
        raise UsageError(thing, need, f"{len(dates)}", "give a longer history")
    base = Base(own, model.name, nights, at[0], delay)
    _live_through(base, ground.settle, say)
    return base


def _own_home(ground: Ground, model: Model, order: int, delay: int) -> Home:
    folder = ground.folder / f"order-{order}"
    own = Home(ground.home.root, folder / f"delay-{delay}", folder / "shared")
    for each in (own.state, own.shared):
        each.mkdir(parents=True, exist_ok=True)
    label: dict[str, Any] = {"delay": f"{delay}d"} | ({"arrived_at": None} if model.label.arrived_at else {})
    changes = {"models": {model.name: {"promotion": "automatic", "label": label}}}
    plan = [ground.first, ground.last, ground.history, ground.settle, model.model_dump(mode="json")]
    path, begun = own.state / "begun", json_digest(plan)
    if path.is_file() and path.read_text() != begun:
        what = "the dates and the model file that it was begun with"
        raise ConfigError(f"lab {ground.lab_id}", what, "others", "choose another --id")
    if not path.is_file():
        (own.state / "overrides.yaml").write_text(yaml.safe_dump(changes))
        path.write_text(begun)
    return own


def _live_through(base: Base, settle: int, say: Say) -> None:
    stores, model = base.stores, base.model
    dataset = stores.project.dataset(model.dataset)
    done = base.lived()
    dates = base.nights.dates
    late = [d for d in dates if d > base.since]
    for night in dates:
        window = base.window(night)
        now = evening_of(window)
        if night in done:
            continue
        if not (base.home.shared / "injected" / "frames" / "rows" / dataset.name / f"{night}.parquet").is_file():
            frame = base.nights.frame(night)
            base.nights.deliver(base.home, night, frame, frame)
        if night <= base.since:
            ingest(stores, dataset, window, now)
            collect_labels(stores, model, window, now)
            if night == base.since:
                say(f"training champions on {night}")
                first_champions(base, window, now)
            brief: dict[str, Any] = {"window": night}
        else:
            brief = live(stores, model, window, now).brief()
        # A snapshot is whole before the night is noted: after a kill it is made again.
        if night >= base.since and night in {base.since, *late[settle - 1 :: EVERY]}:
            _snapshot(base, night)
        with (base.home.state / "nights.jsonl").open("a") as f:
            f.write(json.dumps(brief) + "\n")
        say(f"baseline {base.home.shared.parent.name}, labels after {base.delay} nights: {night}")


def first_champions(base: Base, window: Window, now: datetime) -> None:
    """A former champion, trained on the older half of what is known, and the champion after it."""
    stores, model = base.stores, base.model
    known = sorted(labelled_nights(stores, model, window))
    if len(known) < 6:
        raise UsageError(f"lab of {model.name}", "at least 6 matured nights", f"{len(known)}", "give a longer history")
    for version, nights in ((1, known[: len(known) // 2]), (2, known)):
        if (stores.plans.get(model.name).champion or 0) < version:
            install(stores, model, version, *build(stores, model, window, now, nights), window, now)


def build(stores: Stores, model: Model, window: Window, now: datetime, nights: list[str]) -> tuple[Path, str]:
    """A package trained on these nights, all of them with out-of-fold scores; its folder and digest."""
    with stores.staging(model.name) as staging:
        return stores.keep(model.name, train_package(stores, model, window, now, nights, staging, held=len(nights)))


def install(
    stores: Stores, model: Model, version: int, folder: Path, digest: str, window: Window, now: datetime
) -> None:
    """Make a package the champion, as a promotion does, but without gate and registry: the lab says what serves."""
    spec = load(folder.resolve(), digest).spec
    plan = stores.plans.get(model.name)
    look = {"window": window.id, "against": plan.champion, "outcome": "pass", "reasons": [LAB]}
    body = {
        "window": window.id, "reason": "lab", "run_id": "", "trained_through": spec["trained"][-1],
        "rows": spec["rows"], "held_out": {}, "looks": [look], "promoted": window.id,
    }  # fmt: skip
    stores.records.put_version(
        model.name, version, owner=model.owner, digest=digest, status="champion", body=body, known_at=now
    )
    if plan.champion is not None:
        stores.records.set_status(model.name, plan.champion, "retired")
    after = replace(plan, champion=version, champion_digest=digest, challenger=None, challenger_digest=None)
    stores.plans.swap(plan, after, owner=model.owner, window=window.id, at=now, why={"by": "lab", "reason": LAB})


def _snapshot(base: Base, night: str) -> None:
    """The two control databases as they are; bulk files are never changed, so a fork links those they name."""
    folder = base.home.state / "snapshots" / night
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, home in (("state", base.home.state), ("shared", base.home.shared)):
        with sqlite3.connect(home / "control.db") as source, sqlite3.connect(part / f"{name}.db") as target:
            source.backup(target)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


__all__ = ["Base", "Ground", "Lived", "baseline", "build", "install", "live"]
