"""The dead-man's switch: a night that nobody ran pages, whatever it was that stopped."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from tidegate.alarms.incidents import rules_of
from tidegate.clock import now as wall
from tidegate.config.home import Home
from tidegate.config.model import Model
from tidegate.deploy.due import due, late
from tidegate.errors import ConfigError
from tidegate.steps.due import done_windows
from tidegate.steps.stores import Stores
from tidegate.verdicts import Alarm, Signal

SUBJECT = "nightly"


@dataclass(frozen=True, slots=True)
class Overdue:
    """A model whose oldest night that is due should have been done by ``until``; ``alarms`` are those that are new."""

    model: str
    window: str
    due: datetime
    until: datetime
    nights: int
    alarms: tuple[Alarm, ...] = ()


def overdue(stores: Stores, now: datetime) -> tuple[Overdue, ...]:
    """Models whose nights are not being run; opens a page-level incident for each, once.

    To be called by whatever does not hang on the scheduler, as often as it likes: while the incident is open, nothing
    is said or written again. Of a model that never had a night, only what was due since it was deployed counts. A
    model whose file is wrong is left out: its deployment says so.
    """
    return tuple(replace(found, alarms=_told(stores, found, now)) for found in late_models(stores, now))


def late_models(stores: Stores, now: datetime) -> tuple[Overdue, ...]:
    """The same models, and nothing is told or written."""
    out, since = [], _since(stores.home)
    for path in sorted((stores.home.root / "configs" / "models").glob("*.yaml")):
        try:
            found = _overdue(stores, stores.project.model(path.stem), now, since.get(path.stem))
        except ConfigError:
            continue
        if found is not None:
            out.append(found)
    return tuple(out)


def _overdue(stores: Stores, model: Model, now: datetime, since: datetime | None) -> Overdue | None:
    dataset, platform = stores.project.dataset(model.dataset), stores.project.platform
    calendar, done = stores.project.calendar(dataset), done_windows(stores, model)
    if not done and since is None:
        return None
    # What was over before it was deployed is nobody's to do.
    done = done or {calendar.shift(calendar.of(since), -1).id} if since else done
    waiting = due(calendar, model.schedule, done, now, platform.schedule.catch_up)
    if not waiting:
        return None
    found = late(calendar, model.schedule, waiting[0], now, platform.schedule.patience)
    return None if found is None else Overdue(model.name, waiting[0].id, found.at, found.until, len(waiting))


def _told(stores: Stores, found: Overdue, now: datetime) -> tuple[Alarm, ...]:
    """The alarms that are new."""
    model, platform = stores.project.model(found.model), stores.project.platform
    dataset = stores.project.dataset(model.dataset)
    window = stores.project.calendar(dataset).of(now).id
    nights = f"{found.nights} nights are" if found.nights > 1 else "a night is"
    why = f"{nights} not done, the oldest {found.window}, which was to run at {found.due:%Y-%m-%d %H:%M} UTC"
    signal = Signal(window, "service", SUBJECT, "nights not done", "fault", math.nan, math.nan, math.nan, math.nan,
                    found.window, True, True, reason=why)  # fmt: skip
    rules = rules_of(model, dataset, platform)
    told = stores.incidents.at_once(
        [signal], rules, window, owner=model.owner, freezes=platform.freezes, known_at=now
    )  # fmt: skip
    return tuple(told)


def deployed(home: Home, models: Iterable[str]) -> None:
    """Keep since when each model has been deployed; the first time counts."""
    path, known = _file(home), {name: at.isoformat() for name, at in _since(home).items()}
    wanted = {name: known.get(name, wall().isoformat()) for name in models}
    if wanted != known:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_name(f".{path.name}.{os.getpid()}")
        made.write_text(json.dumps(wanted, indent=1))
        made.replace(path)


def _since(home: Home) -> dict[str, datetime]:
    try:
        return {name: datetime.fromisoformat(at) for name, at in json.loads(_file(home).read_text()).items()}
    except (OSError, ValueError):
        return {}


def _file(home: Home) -> Path:
    return home.state / "up" / "deployed.json"
