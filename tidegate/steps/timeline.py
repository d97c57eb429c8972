"""An incident's timeline, from what the nights around it left behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from tidegate.adapters import ledger
from tidegate.adapters.incidents import Happened
from tidegate.adapters.windowlog import restated
from tidegate.alarms.incidents import Incident
from tidegate.alarms.timeline import BEFORE, Entry, began, in_order, switched, unusual
from tidegate.config.model import Model
from tidegate.errors import ConfigError
from tidegate.steps.stores import Stores
from tidegate.steps.surroundings import KIND

AROUND = 7
"""Days before an incident's first sign whose changes are shown."""
LEDGER = ("plan", "override", "freeze", "detectors")
"""Entries of the ledger that change what decides or what is told."""


def timeline_of(stores: Stores, incident: Incident) -> list[Entry]:
    """What changed from a week before an incident's first sign to its end, and what happened to it, in order.

    A model whose file cannot be read any more is left out.
    """
    first = _shifted(incident.since, -AROUND)
    last = max(incident.last, incident.closed)
    models = list(_models(stores, incident))
    entries: list[Entry] = [_happened(h) for h in stores.incidents.history(incident.number)]
    for dataset in sorted({m.dataset for m in models}):
        entries += _data(stores, dataset, _shifted(first, -BEFORE * 2), last)
    for model in models:
        windows = _windows(_shifted(first, -BEFORE * 2), last)
        entries += _surroundings(stores, model, windows)
        entries += _traffic(stores, model, windows)
        entries += _drift(stores, model, first, last)
        entries += _ledger(stores, model)
    return in_order(e for e in entries if e.matter == "incident" or first <= e.window <= _shifted(last, 1))


def _models(stores: Stores, incident: Incident) -> Iterator[Model]:
    """The models that see an incident, its own first."""
    names = [incident.name] if incident.scope == "model" else sorted(incident.quiet)
    for name in names:
        try:
            yield stores.project.model(name)
        except ConfigError:
            continue


def _data(stores: Stores, dataset: str, first: str, last: str) -> Iterator[Entry]:
    windows = _windows(first, last)
    verdicts = stores.data_records.verdicts(dataset, "quality", windows)
    look = f"tidegate quarantine list {dataset} --window {{window}}"
    outcomes = {w: v.outcome + (f" ({'; '.join(v.reasons)[:100]})" if v.reasons else "") for w, v in verdicts.items()}
    for entry in switched("data", f"quality of {dataset}", outcomes, look):
        if verdicts[entry.window].outcome != "pass" or not entry.before.startswith("pass"):
            yield entry
    numbers = {w: v.numbers for w, v in verdicts.items()}
    yield from unusual("data", f"rows of {dataset}", _numbers(numbers, "rows"), look)
    yield from unusual("data", f"rows of {dataset} refused", _numbers(numbers, "quarantined"), look)
    for window, (before, after), at in restated(stores.data, "batches", dataset, windows):
        yield Entry(window, "data", f"{dataset} restated", f"{before:,} rows", f"{after:,} rows",
                    look.format(window=window), at.isoformat(timespec="seconds"))  # fmt: skip


def _surroundings(stores: Stores, model: Model, windows: Sequence[str]) -> Iterator[Entry]:
    known = {w: v.numbers for w, v in stores.records.verdicts(model.name, KIND, list(windows)).items()}
    look = {"config": f"tidegate config explain {model.name}", "code": "", "model": f"tidegate lineage {model.name}"}
    for matter in ("config", "code", "model"):
        for name in sorted({n for seen in known.values() for n in seen.get(matter, {})}):
            values = {w: seen[matter][name] for w, seen in known.items() if name in seen.get(matter, {})}
            what = f"{name} of {model.name}" if matter == "model" else name
            yield from switched(matter, what, values, look[matter])


def _traffic(stores: Stores, model: Model, windows: Sequence[str]) -> Iterator[Entry]:
    known = {w: v.numbers for w, v in stores.records.verdicts(model.name, "service", list(windows)).items()}
    look = f"tidegate service {model.name} --window {{window}}"
    seen = {w: numbers["service"] for w, numbers in known.items()}
    for name, what in (("answered", "requests answered"), ("failed", "requests failed"), ("refused", "rows refused"),
                       ("throttled", "requests turned away")):  # fmt: skip
        yield from unusual("traffic", f"{what} by {model.name}", _numbers(seen, name), look)
    for name in ("version", "source", "caller"):
        by = {w: sorted(n.get("by", {}).get(name) or {}) for w, n in known.items()}
        # Callers are pseudonyms or names of keys: how many there are is enough.
        of = {w: f"{len(v)}" if name == "caller" else ", ".join(v) for w, v in by.items() if v}
        yield from switched("traffic", f"{name}s asked of {model.name}", of, look)


def _drift(stores: Stores, model: Model, first: str, last: str) -> Iterator[Entry]:
    """On which window each subject's run of failed findings began; what failed on the first one may be older."""
    windows = [s.window for s in stores.lake.many("findings", model.name, _windows(first, last))]
    if not windows:
        return
    table = stores.lake.read("findings", model.name, windows, ["subject", "outcome"])
    failed: dict[str, set[str]] = {}
    for row in table.to_pylist():
        if row["outcome"] == "fail":
            failed.setdefault(row["subject"], set()).add(str(row["window"]))
    runs = {}
    for subject, on in failed.items():
        for window, before in zip(windows, [None, *windows], strict=False):
            if window in on and before not in on:
                runs[subject] = window
                break
    yield from began(runs, "data", f"tidegate findings {model.name} {{window}}")


def _ledger(stores: Stores, model: Model) -> Iterator[Entry]:
    for entry in ledger.entries(stores.control, stores.namespace, model.name):
        if entry["kind"] in LEDGER and entry["window"]:
            yield _change(model.name, entry)


def _change(model: str, entry: dict[str, Any]) -> Entry:
    body, kind = entry["body"], entry["kind"]
    by = f" by {body['by']}" if body.get("by") else ""
    why = f" ({body.get('reason') or body.get('approval') or ''})".replace(" ()", "")
    look = f"tidegate lineage {model}"
    if kind == "plan":
        before, after = (f"version {body[side]['champion']}" for side in ("from", "to"))
        return Entry(entry["window"], "model", f"champion of {model}{by}{why}", before, after, look, entry["at"])
    if kind == "detectors":
        before, after = (f"set {body[side]}" if body[side] else "none" for side in ("from", "to"))
        return Entry(entry["window"], "model", f"limits of {model}{by}", before, after, look, entry["at"])
    what = f"{body.get('what') or kind} of {model}{by}{why}"
    return Entry(entry["window"], "model", what, reference=look, at=entry["at"])


def _happened(h: Happened) -> Entry:
    e = h.event
    note = f": {e.note}" if e.note else ""
    return Entry(e.window, "incident", f"{e.what} by {e.by}{note}", at=h.at.isoformat(timespec="seconds"),
                 reference=f"tidegate incident show {e.number}")  # fmt: skip


def _numbers(seen: dict[str, Any], name: str) -> dict[str, float]:
    return {w: float(n[name]) for w, n in seen.items() if isinstance(n.get(name), int | float)}


def _windows(first: str, last: str) -> list[str]:
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    return [(start + timedelta(days=i)).isoformat() for i in range((end - start).days + 1)]


def _shifted(window: str, days: int) -> str:
    return (date.fromisoformat(window) + timedelta(days=days)).isoformat()


__all__ = ["timeline_of"]
