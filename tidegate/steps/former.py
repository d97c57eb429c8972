"""The former champion: which one it is, what it would gain, whether it still fits today's data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tidegate.adapters.packages import Loaded
from tidegate.config.model import Model
from tidegate.decision.adjusting import Gain, paired_gain
from tidegate.decision.options import unit_of
from tidegate.errors import IntegrityError, RegistryError, SourceError, UsageError
from tidegate.performance.worth import row_worth
from tidegate.rollout.history import champions
from tidegate.steps.adjust import Recent, learned_through, recent_of
from tidegate.steps.pins import intact, plan_changes
from tidegate.steps.stores import Stores
from tidegate.steps.switch import sound
from tidegate.training.thresholds import cuts_of
from tidegate.verdicts import Verdict
from tidegate.windows import Window

GONE = (IntegrityError, RegistryError, SourceError, OSError)
"""What a package raises that cannot be loaded, whether its bytes, its types or its code are to blame."""


@dataclass(frozen=True, eq=False)
class Target:
    """Where a rollback goes: the version's row and package, and which ones were passed over, and why."""

    record: dict[str, Any]
    package: Loaded
    passed_over: tuple[str, ...] = ()

    @property
    def version(self) -> int:
        """Its number."""
        return int(self.record["version"])


def former(stores: Stores, model: Model) -> tuple[int, Loaded] | None:
    """The last champion before this one whose package can still be loaded; None without one.

    Those that were rolled back themselves are passed over: nobody goes back to what was found wanting.
    """
    for record in _before(stores, model):
        try:
            return record["version"], stores.package(model.name, record["version"], record["digest"])
        except GONE:
            continue
    return None


def target(stores: Stores, model: Model, to: int | None = None) -> Target:
    """The former champion to go back to, loaded and smoke-tested: the last that is sound, or the one asked for.

    What lies in the local folder comes first; the registry is asked only where nothing there is sound.

    Raises
    ------
    UsageError
        If there is no former champion, or the version asked for is none.
    IntegrityError
        If there are some, and none of their packages is sound.
    """
    asked = [_asked(stores, model, to)] if to is not None else list(_before(stores, model))
    if not asked:
        do = f"tidegate retrain {model.name}, or look at tidegate lineage {model.name}"
        raise UsageError(f"rollback of {model.name}", "a former champion", "none", do)
    faults: dict[int, str] = {}
    for fetch in (False, True):
        for record in asked:
            version = int(record["version"])
            folder = stores.package_folder(model.name, record["digest"])
            try:
                if fetch and not intact(folder, record["digest"]):
                    stores.fetch(model.name, version, record["digest"])
                package = sound(stores, model.name, version, record["digest"], fetch=False)
            except GONE as fault:
                faults[version] = str(fault)
                continue
            others = tuple(f"version {v} is passed over: {why}" for v, why in faults.items() if v != version)
            return Target(record, package, others)
    found = "; ".join(f"version {v}: {why}" for v, why in faults.items())
    do = f"restore {stores.package_folder(model.name, '')} or the registry, or tidegate retrain {model.name}"
    raise IntegrityError(f"rollback of {model.name}", "a former champion whose package is sound", found, do)


def _before(stores: Stores, model: Model) -> list[dict[str, Any]]:
    """The rows of those that were champion, the last first, without today's and those rolled back."""
    now = stores.plans.get(model.name).champion
    known = {v["version"]: v for v in stores.records.versions(model.name)}
    order = [v for v in reversed(champions(plan_changes(stores, model.name))) if v != now]
    return [known[v] for v in order if v in known and known[v]["status"] != "rolled_back"]


def _asked(stores: Stores, model: Model, to: int) -> dict[str, Any]:
    """The row of the version that a person names; one that was rolled back may be named, one never champion not."""
    thing, do = f"version {to} of {model.name}", f"look at tidegate lineage {model.name}"
    record = next((v for v in stores.records.versions(model.name) if v["version"] == to), None)
    if record is None:
        raise UsageError(thing, "a former champion", "no such version", do)
    if stores.plans.get(model.name).champion == to:
        raise UsageError(thing, "a former champion", "the champion of today", "nothing: it is served already")
    if to not in champions(plan_changes(stores, model.name)):
        found = f"{record['status']}, never champion"
        raise UsageError(thing, "a former champion", found, f"tidegate approve or override, or {do}")
    return record


def rollback_gain(stores: Stores, model: Model, window: Window) -> Gain:
    """What the former champion would have gained on a row over the champion, each with its own threshold.

    On the newest `decision.nights` matured nights after whatever either was fitted on. NaN, and why, without a
    champion or a former one, where one of them does not score, and on too few nights.
    """
    champion, before = stores.champion(model.name), former(stores, model)
    if champion is None or before is None:
        why = "there is no champion" if champion is None else "there is no former champion to go back to"
        return Gain(np.nan, np.nan, 0, why)
    return gain_of(stores, model, champion[1], *before, window)[0]


def gain_of(
    stores: Stores, model: Model, theirs: Loaded, version: int, ours: Loaded, window: Window
) -> tuple[Gain, Recent | None]:
    """The gain of one version over the champion, and the rows that it was found on."""
    nothing = (np.nan, np.nan, 0)
    if list(ours.spec["classes"]) != list(theirs.spec["classes"]):
        return Gain(*nothing, f"version {version} knows other classes"), None
    lacking = [f for f in ours.spec["features"] if f not in stores.project.dataset(model.dataset).columns]
    if lacking:
        return Gain(*nothing, f"version {version} needs {', '.join(lacking)}, which is no column any more"), None
    try:
        recent = recent_of(stores, model, theirs, window, after=max(learned_through(p.spec) for p in (ours, theirs)))
        if not recent.nights:
            return Gain(*nothing, "no matured night since the training of both"), None
        again = ours.scores(recent.rows)
    except SourceError as fault:
        return Gain(*nothing, f"one of the two gives no scores: {fault}"), None
    ours_cut = (again, cuts_of(ours.spec, recent.rows))
    return paired_gain(model, recent.night, recent.labels, ours_cut, (recent.scores, recent.cut)), recent


def still_fits(stores: Stores, model: Model, to: Target, window: Window) -> Verdict:
    """Whether a former champion can serve today's rows, and what it gains on matured nights.

    Fails if it needs what the contract or the newest batch does not have, if a score on that batch is not finite, or
    if it is proven worse than the champion: the upper bound of its gain at level 1 - `gate.alpha` lies below
    `alarms.min_effect` of what a row is usually worth. A gain that cannot be told is no reason to fail: who rolls
    back has reasons that labels do not show yet.
    """
    wrong, reasons = _unfit(stores, model, to, window)
    if wrong:
        return Verdict("fail", (wrong,))
    thing, good = f"version {to.version}", bool(reasons)
    if not good:
        reasons = ["there is no batch that it could be tried on"]
    champion = _champion(stores, model)
    gain, recent = (
        (Gain(np.nan, np.nan, 0, "today's champion cannot be loaded"), None)
        if champion is None
        else (gain_of(stores, model, champion, to.version, to.package, window))
    )
    numbers: dict[str, Any] = {"gain": gain.value, "se": gain.se, "blocks": gain.blocks, "unit": unit_of(model)}
    if recent is None or gain.why:
        return Verdict("pass" if good else "inconclusive", (*reasons, f"its gain is not known: {gain.why}"), numbers)
    usual = float(np.abs(row_worth(model, recent.scores, recent.labels, recent.cut)).mean())
    least = model.alarms.min_effect * usual
    told = f"gains {gain.value:+.4g} ± {gain.se:.2g} {unit_of(model)} a row over the champion ({gain.blocks} blocks)"
    if gain.upper(model.gate.alpha) < -least:
        return Verdict("fail", (f"{thing} {told}: it is proven worse by more than {least:.3g}",), numbers)
    return Verdict("pass" if good else "inconclusive", (*reasons, f"it {told}"), numbers)


def _unfit(stores: Stores, model: Model, to: Target, window: Window) -> tuple[str, list[str]]:
    """Why a version cannot serve rows of today, empty if it can; and what it was tried on."""
    columns, spec, thing = stores.project.dataset(model.dataset).columns, to.package.spec, f"version {to.version}"
    wrong = [
        f"{f} is {columns[f].type if f in columns else 'no column'} now, and was {t}"
        for f, t in spec["features"].items()
        if f not in columns or columns[f].type != t
    ]
    if wrong:
        return f"{thing} does not fit the contract: {'; '.join(wrong)}", []
    good = [s.window for s in stores.data.many("batches", model.dataset) if s.window <= window.id and s.rows]
    if not good:
        return "", []
    rows = stores.data.read("batches", model.dataset, good[-1:])
    lacking = [f for f in spec["features"] if f not in rows.column_names]
    if lacking:
        return f"the batch of {good[-1]} has no {', '.join(lacking)}, which {thing} needs", []
    try:
        bad = int((~np.isfinite(to.package.scores(rows))).sum())
    except SourceError as fault:
        return f"{thing} does not score the batch of {good[-1]}: {fault}", []
    if bad:
        return f"{thing} gives {bad} scores that are not finite on the batch of {good[-1]}", []
    return "", [f"{thing} scores the {rows.num_rows} rows of {good[-1]}"]


def _champion(stores: Stores, model: Model) -> Loaded | None:
    """Today's champion; one that is broken is no reason to stay with it."""
    try:
        found = stores.champion(model.name)
    except GONE:
        return None
    return found[1] if found else None


__all__ = ["GONE", "Target", "former", "gain_of", "rollback_gain", "still_fits", "target"]
