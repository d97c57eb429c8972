"""A run that failed becomes an alarm of the model that it was for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tidegate.alarms.incidents import rules_of
from tidegate.config.model import Model
from tidegate.errors import ConfigError
from tidegate.steps.stores import Stores
from tidegate.verdicts import Alarm, Signal


def tell(
    stores: Stores,
    flow: str,
    request: Mapping[str, Any],
    state: str,
    what: str,
    run: str,
    now: datetime,
    *,
    by_itself: bool,
    again: bool = False,
) -> list[Alarm]:
    """Open an incident of a failed run, or continue it; the alarms that are new.

    A night that failed pages; another run that nobody looks at is a ticket, one that a person started a line of the
    digest. A run for no model in particular is told to whoever owns the first one.
    """
    model = _model(stores, request)
    if model is None:
        return []
    dataset, platform = stores.project.dataset(model.dataset), stores.project.platform
    window = stores.project.calendar(dataset).of(now).id
    then = "; it was started again" if again else ""
    reason = f"{flow} {state.lower()}: {' '.join(what.split())[:300]}; run {run}{then}"
    signal = Signal(
        window, "service", f"run [{flow}]", "failed runs", "fault" if flow == "nightly" and not again else "sudden",
        math.nan, math.nan, math.nan, math.nan, window, by_itself, True, reason=reason,
    )  # fmt: skip
    rules = rules_of(model, dataset, platform)
    return stores.incidents.at_once(
        [signal], rules, window, owner=model.owner, freezes=platform.freezes, known_at=now
    )  # fmt: skip


def _model(stores: Stores, request: Mapping[str, Any]) -> Model | None:
    models = []
    for path in sorted((stores.home.root / "configs" / "models").glob("*.yaml")):
        try:
            models.append(stores.project.model(path.stem))
        except ConfigError:
            continue
    named = [m for m in models if m.name == request.get("model")]
    of_dataset = [m for m in models if m.dataset == request.get("dataset")]
    return next(iter((*named, *of_dataset, *models)), None)
