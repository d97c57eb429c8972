"""Faults in what comes true: labels that are wrong, and a world that has changed while the rows look the same."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tidegate.lab.plan import CLASSES, CODED, NUMERIC, Floats, Plan, draw, floats, like, of_type

Types = Mapping[str, str]
Weights = Mapping[str, float] | None
Rng = np.random.Generator


def the_label(frame: pd.DataFrame, columns: Types, label: str, weights: Weights, rng: Rng) -> Plan | None:
    y = _known(frame, label)
    return Plan(label, label, (label,), classes=_classes(y)) if len(np.unique(y)) > 1 else None


def a_region(frame: pd.DataFrame, columns: Types, label: str, weights: Weights, rng: Rng) -> Plan | None:
    """Half of the rows, by a column: those in which something else comes true from now on."""
    names = draw(of_type(columns, frame, (*NUMERIC, *CODED)), weights, rng)
    y = _known(frame, label)
    if not names or len(np.unique(y)) < 2:
        return None
    name = names[0]
    if columns[name] in NUMERIC:
        middle = float(np.nanmedian(floats(frame[name])))
        return Plan(label, f"{name} ≥ {middle:.4g}", names, numbers={"from": middle}, classes=_classes(y))
    known = sorted(map(str, frame[name].dropna().unique()))
    half = [known[i] for i in rng.permutation(len(known))[: max(len(known) // 2, 1)]]
    return Plan(label, f"{name} among {half[:3]}", names, codes=dict.fromkeys(half, ""), classes=_classes(y))


def flipped(frame: pd.DataFrame, plan: Plan, magnitude: float, night: int, rng: Rng) -> pd.DataFrame:
    """Known labels become another class, or in a regression another row's amount."""
    y = floats(frame[plan.label])
    hit = np.flatnonzero((rng.random(len(y)) < magnitude) & np.isfinite(y))
    out = y.copy()
    if plan.classes:
        codes = np.searchsorted(np.array(plan.classes), y[hit])
        step = rng.integers(1, len(plan.classes), len(hit))
        out[hit] = np.array(plan.classes)[(codes + step) % len(plan.classes)]
    else:
        out[hit] = y[rng.permutation(hit)]
    return frame.assign(**{plan.label: like(frame[plan.label], out)})


def exchanged(frame: pd.DataFrame, plan: Plan, magnitude: float, night: int, rng: Rng) -> pd.DataFrame:
    """Rows of the region and rows outside exchange what comes true: P(y) and P(x) stay, P(y | x) does not."""
    y = floats(frame[plan.label])
    name = plan.columns[0]
    if plan.codes:
        inside = frame[name].astype("object").isin(list(plan.codes)).to_numpy(dtype=bool)
    else:
        inside = floats(frame[name]) >= plan.numbers["from"]
    known = np.isfinite(y)
    a, b = (rng.permutation(np.flatnonzero(known & side)) for side in (inside, ~inside))
    n = round(magnitude * min(len(a), len(b)))
    out = y.copy()
    out[a[:n]], out[b[:n]] = y[b[:n]], y[a[:n]]
    return frame.assign(**{plan.label: like(frame[plan.label], out)})


def _known(frame: pd.DataFrame, label: str) -> Floats:
    y = floats(frame[label]) if label in frame.columns else np.zeros(0)
    return np.asarray(y[np.isfinite(y)])


def _classes(y: Floats) -> tuple[float, ...]:
    found = np.unique(y)
    whole = bool((found == np.floor(found)).all())
    return tuple(found.tolist()) if whole and len(found) <= CLASSES else ()
