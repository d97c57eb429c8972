"""Whether a former champion can serve the rows of today, and what it would gain over the champion."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np

from tidegate.adapters.packages import Loaded
from tidegate.config.model import Model
from tidegate.decision.adjusting import Gain, paired_gain
from tidegate.decision.options import unit_of
from tidegate.errors import SourceError, TidegateError
from tidegate.performance.worth import row_worth
from tidegate.steps.adjust import Recent, learned_through, recent_of
from tidegate.steps.former import GONE, Target, former, subject, target
from tidegate.steps.stores import Stores
from tidegate.steps.switch import sound
from tidegate.training.thresholds import cuts_of
from tidegate.verdicts import Verdict
from tidegate.windows import Window


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
    package = to.package or sound(stores, model.name, to.version, to.record["digest"], fetch=False)
    wrong, reasons = _unfit(stores, model, to.version, package, window)
    if wrong:
        return Verdict("fail", (wrong,))
    thing, good = f"version {to.version}", bool(reasons)
    if not good:
        reasons = ["there is no batch that it could be tried on"]
    champion = _champion(stores, model)
    gain, recent = (
        (Gain(np.nan, np.nan, 0, "today's champion cannot be loaded"), None)
        if champion is None
        else (gain_of(stores, model, champion, to.version, package, window))
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


def _unfit(stores: Stores, model: Model, version: int, package: Loaded, window: Window) -> tuple[str, list[str]]:
    """Why a version cannot serve rows of today, empty if it can; and what it was tried on."""
    columns, spec, thing = stores.project.dataset(model.dataset).columns, package.spec, f"version {version}"
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
        bad = int((~np.isfinite(package.scores(rows))).sum())
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


def look_ahead(stores: Stores, model: Model, now: datetime) -> Verdict | None:
    """Check tonight the former champion that a rollback would go to, so that nobody has to wait for it then.

    The verdict is kept under the kind ``former`` and holds for that version, champion and newest batch
    (`tidegate.steps.former.checked_before`). None, and nothing is kept, without a former champion that is sound.
    """
    try:
        to = target(stores, model)
    except TidegateError:
        return None
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    verdict = still_fits(stores, model, to, calendar.of(now))
    about = subject(stores, model, to.record)
    if about is None:
        return None
    kept = Verdict(verdict.outcome, verdict.reasons, {**verdict.numbers, "about": about})
    stores.records.put_verdict(model.name, "former", about["window"], kept, now)
    return kept


__all__ = ["gain_of", "look_ahead", "rollback_gain", "still_fits"]
