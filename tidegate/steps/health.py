"""How every model is, from what is recorded: one object each, with what to do next. Nothing is computed anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import pyarrow.compute as pc
from sqlalchemy import func, select

from tidegate.adapters.schema import ledger as entries
from tidegate.alarms.incidents import Incident
from tidegate.alarms.severity import LOUDNESS
from tidegate.config.model import Model
from tidegate.errors import ConfigError, TidegateError
from tidegate.performance.service import QUANTILES, Service
from tidegate.steps.decisions import recommended
from tidegate.steps.due import done_windows, due_windows
from tidegate.steps.freeze import frozen
from tidegate.steps.stores import Stores

RECENT = 40
"""Windows that are looked through, newest first, for one that has matured."""


@dataclass(frozen=True)
class Health:
    """A model's state. ``fault`` says why nothing else is known: its file does not load, or its records do not read.

    ``performance`` is the newest window with enough labels: window, metric, value, rows. ``service`` is the newest
    window of the inference log. ``incidents`` counts the open ones by severity.
    """

    model: str
    state: str
    """fine, look (somebody should in the day), act (now)"""
    words: tuple[str, ...]
    next: str
    champion: int | None = None
    since: str = ""
    plan_revision: int = 0
    last: str = ""
    due: int = 0
    oldest_due: str = ""
    data: str = ""
    incidents: Mapping[str, int] = field(default_factory=dict)
    performance: Mapping[str, Any] = field(default_factory=dict)
    service: Mapping[str, Any] = field(default_factory=dict)
    candidate: Mapping[str, Any] = field(default_factory=dict)
    workers: int = 0
    behind: int = 0
    fault: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def health(stores: Stores, now: datetime) -> tuple[Health, ...]:
    """Every model of the home by name; one whose file is wrong is there with its fault."""
    names = sorted(p.stem for p in (stores.home.root / "configs" / "models").glob("*.yaml"))
    return tuple(health_of(stores, name, now) for name in names)


def health_of(stores: Stores, name: str, now: datetime) -> Health:
    """One model. Faults of its file or of its records are told, not raised."""
    try:
        return _health(stores, stores.project.model(name), now)
    except ConfigError as fault:
        words = (" ".join(str(fault).split()),)
        return Health(name, "act", words, f"mend configs/models/{name}.yaml, then: tidegate doctor", fault=words[0])
    except TidegateError as fault:
        words = (" ".join(str(fault).split()),)
        return Health(name, "act", words, "tidegate doctor", fault=words[0])


def _health(stores: Stores, model: Model, now: datetime) -> Health:
    plan = stores.plans.get(model.name)
    done = done_windows(stores, model)
    waiting = due_windows(stores, model, now) if done else ()  # of a model that never had a night, none is missed
    quality = stores.data_records.outcomes(model.dataset, "quality")
    open_ones = [
        i for i in stores.incidents.listed()
        if (i.scope, i.name) in (("model", model.name), ("dataset", model.dataset))
    ]  # fmt: skip
    candidate = stores.candidate(model.name) or {}
    live = stores.acks.live(model.name)
    behind = [a for a in live if a.fault or a.revision < plan.revision]
    known: dict[str, Any] = {
        "champion": plan.champion,
        "since": _since(stores, model.name) if plan.champion else "",
        "plan_revision": plan.revision,
        "last": max(done, default=""),
        "due": len(waiting),
        "oldest_due": waiting[0].id if waiting else "",
        "data": quality[max(quality)] if quality else "",
        "incidents": dict(Counter(i.severity for i in open_ones)),
        "performance": _performance(stores, model),
        "service": _service(stores, model),
        "candidate": {k: candidate[k] for k in ("version", "status", "digest") if k in candidate},
        "workers": len(live),
        "behind": len(behind),
    }
    stopped = frozen(stores, model, now)
    state, words, then = _judged(model, known, open_ones, stopped, recommended(stores, model))
    if behind and behind[0].fault:
        words = (*words, f"a gateway worker still serves another version: {behind[0].fault}")
    return Health(model.name, state, words, then, **known)


def _judged(
    model: Model, known: Mapping[str, Any], open_ones: list[Incident], stopped: str, wanted: str
) -> tuple[str, tuple[str, ...], str]:
    """State, what is wrong in words, and the one command that is next; the most urgent first."""
    found: list[tuple[str, str, str]] = []
    for one in sorted(open_ones, key=lambda i: (-LOUDNESS[i.severity], i.number)):
        urgent = "act" if one.severity == "page" and one.status == "open" else "look"
        found.append((urgent, f"incident {one.number} ({one.severity}, {one.status}): {one.text.split(', since')[0]}",
                      f"tidegate incident show {one.number}"))  # fmt: skip
    if known["behind"]:
        found.append(("act", f"{known['behind']} of {known['workers']} gateway workers are not at the plan",
                      f"tidegate reconcile {model.name}"))  # fmt: skip
    if known["candidate"].get("status") == "challenger":
        version = known["candidate"]["version"]
        found.append(("look", f"version {version} passed the gate and waits for an answer",
                      f"tidegate approve {model.name} {version}"))  # fmt: skip
    if stopped:
        found.append(("look", f"automation is {stopped}", f"tidegate unfreeze {model.name}"))
    if known["due"]:
        found.append(("look", f"{known['due']} nights are due, the oldest {known['oldest_due']}",
                      f"tidegate nightly {model.name} --window {known['oldest_due']}"))  # fmt: skip
    if known["data"] in ("fail", "inconclusive"):
        found.append(("look", f"the newest batch is {known['data']}", f"tidegate quarantine list {model.dataset}"))
    if known["champion"] is None and model.estimator.build is not None:
        found.append(("look", "no champion yet", f"tidegate retrain {model.name}"))
    if wanted:
        found.append(("look", wanted, f"tidegate decisions {model.name}"))
    if not found:
        return "fine", (), ""
    state = "act" if any(f[0] == "act" for f in found) else "look"
    found.sort(key=lambda f: f[0] != "act")
    return state, tuple(f[1] for f in found), found[0][2]


def _since(stores: Stores, model: str) -> str:
    """When the serving plan was changed last."""
    e = entries.c
    at = (e.namespace == stores.namespace) & (e.model == model) & (e.kind == "plan")
    with stores.control.read() as c:
        return str(c.execute(select(func.max(e.at)).where(at)).scalar() or "")[:10]


def _performance(stores: Stores, model: Model) -> dict[str, Any]:
    """The primary metric on the newest window with enough labels."""
    passed = sorted(w for w, o in stores.records.outcomes(model.name, "coverage").items() if o == "pass")
    for window in reversed(passed[-RECENT:]):
        rows = stores.lake.read("metrics", model.name, [window])
        if not rows.num_rows:
            continue
        wanted = pc.and_(pc.equal(rows["segment"], "all"), pc.equal(rows["metric"], model.metric.primary))
        for row in rows.filter(wanted).to_pylist():
            return {"window": window, "metric": row["metric"], "value": row["value"], "rows": row["n"]}
    return {}


def _service(stores: Stores, model: Model) -> dict[str, Any]:
    """The newest window of the log, as it was judged."""
    known = stores.records.outcomes(model.name, "service")
    if not known:
        return {}
    window = max(known)
    found = stores.records.verdict(model.name, "service", window)
    assert found is not None
    seen = Service.from_dict(found.numbers["service"])
    return {
        "window": window, "outcome": found.outcome, "answered": seen.answered, "error_share": seen.error_share,
        **{name: seen.latencies.quantile(q).value for name, q in QUANTILES.items()},
    }  # fmt: skip


__all__ = ["Health", "health", "health_of"]
