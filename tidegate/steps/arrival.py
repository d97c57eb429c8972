"""Arrival: how many nights labels take, whether the declared delay is enough, whether labels are selective."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidegate.config.model import Model
from tidegate.performance.arrival import Arrival, Difference, arrival, differences, early_groups, score_bands
from tidegate.steps.labels import class_order, delay_nights
from tidegate.steps.stores import Stores
from tidegate.verdicts import Verdict

NIGHTS = 180
"""Newest nights that are looked at: how labels came long ago says little of how they come."""
PARTS = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Arrivals:
    """What is known of a model's labels as of one evening: the curve, and where labelled rows are unlike the rest.

    ``coverage``: shares that ever get a label, by group of rows. ``early``: labels that came early against those that
    came later, both on nights old enough that nothing more is to come.
    """

    as_of: str
    nights: int
    curve: Arrival
    verdict: Verdict
    coverage: tuple[Difference, ...] = ()
    early: tuple[Difference, ...] = field(default=())


def arrivals(stores: Stores, model: Model, as_of: str | None = None) -> Arrivals:
    """The label-arrival curve as of an evening (of the newest window, for None) and the verdict on it.

    The verdict fails where labels that count come after the declared delay, or labels are selective; it is
    inconclusive without labels or without a night that is old enough. Where labels have no arrival time of their own, a
    night's labels came when their file did; of a night that was stored in hindsight, on the night they were due.
    """
    rows = _rows(stores, model, as_of)
    if rows is None:
        return Arrivals(as_of or "", 0, Arrival((), (), ()), Verdict("inconclusive", ("no window is stored",)))
    table, evening = rows
    age, watched = table["age"].to_numpy(), table["watched"].to_numpy()
    curve = arrival(age, watched)
    nights, delay = len(np.unique(table["night"].to_numpy())), delay_nights(model)
    if not np.isfinite(age).any():
        why = f"no label has come in {nights} nights"
        return Arrivals(evening, nights, curve, Verdict("inconclusive", (why,), {"delay": delay, "nights": nights}))
    last = max(delay, curve.until(PARTS[-1]) or 0)
    old = table.filter(pa.array(watched >= last))
    coverage, early = _selective(model, old, curve) if old.num_rows else ([], [])
    verdict = _verdict(model, curve, last, len(np.unique(old["night"].to_numpy())), [*coverage, *early])
    return Arrivals(evening, nights, curve, verdict, tuple(coverage), tuple(early))


def _verdict(model: Model, curve: Arrival, last: int, old: int, found: list[Difference]) -> Verdict:
    delay, tolerated = delay_nights(model), model.monitors.missing_margin
    until = {f"{p:.0%}": curve.until(p) for p in PARTS}
    at = curve.at(delay)
    numbers: dict[str, Any] = {"delay": delay, "until": until, "by_delay": at, "ever": curve.ever, "old_nights": old,
                               "selective": [asdict(d) for d in found if d.proven]}  # fmt: skip
    if not old:
        why = f"no night is {last} nights old yet"
        return Verdict("inconclusive", (why,), numbers)
    reasons = []
    if at < (1 - tolerated) * curve.ever:
        reasons.append(
            f"the declared delay of {delay} nights is too short: {at / curve.ever:.1%} of the labels that come are "
            f"there by then, 99% by night {until['99%']}"
        )
    if at < model.label.min_coverage:
        reasons.append(f"{at:.1%} of rows have a label after {delay} nights, {model.label.min_coverage:.0%} are needed")
    reasons += [_told(d) for d in found if d.proven]
    if reasons:
        return Verdict("fail", tuple(reasons), numbers)
    fine = f"{at / curve.ever:.1%} of the labels that come are there after the declared {delay} nights, not selective"
    return Verdict("pass", (fine,), numbers)


def _told(d: Difference) -> str:
    e = d.estimate
    return (
        f"labels are selective: {d.what}: {d.inside:.3g} against {d.outside:.3g} (nightly {e.value:+.3g} ± {e.se:.2g})"
    )


def _selective(model: Model, old: pa.Table, curve: Arrival) -> tuple[list[Difference], list[Difference]]:
    """Coverage by group of rows, and early labels against late ones, on nights to which nothing more is to come."""
    age, label, night = (old[c].to_numpy() for c in ("age", "label", "night"))
    block, margins = model.gate.block_nights, model.monitors
    has = np.isfinite(age)
    coverage = differences(has.astype(np.float64), _groups(model, old), night, block, margins.missing_margin)
    ages = early_groups(age, curve)
    if model.kind == "regression":
        spread = float(np.std(label[has])) or 1.0
        kinds = {model.label.column: (label, margins.centre_margin * spread)}
    else:
        classes = class_order(model)
        shown = [len(classes) - 1] if model.kind == "binary" else range(len(classes))
        kinds = {f"share of {classes[c]}": (np.where(has, label == c, np.nan), margins.missing_margin) for c in shown}
    early = []
    for what, (value, margin) in kinds.items():
        for d in differences(value, ages, night, block, margin, len(kinds)):
            early.append(Difference(f"{what} among labels {d.what}", d.inside, d.outside, d.estimate, d.n, d.proven))
    return coverage, early


def _groups(model: Model, rows: pa.Table) -> dict[str, np.ndarray]:
    """Rows by score band, predicted class and segment; none for rows that were not scored."""
    out: dict[str, np.ndarray] = {}
    for name in ("score", "prediction") if model.kind != "regression" else ("prediction",):
        if name not in rows.column_names:
            continue
        values = rows[name].cast(pa.float64()).to_numpy()
        if name == "score" or model.kind == "regression":
            out |= {k.replace("score", name): m for k, m in score_bands(values).items()}
        else:
            classes = class_order(model)
            out |= {f"predicted {c}": values == i for i, c in enumerate(classes)}
    for name in (c for c in rows.column_names if c.startswith("segment_")):
        values = pc.fill_null(rows[name], "missing").to_numpy(zero_copy_only=False)
        common = [v for v in np.unique(values) if (values == v).mean() >= 0.01]
        out |= {f"{name.removeprefix('segment_')}={v}": values == v for v in common}
    return out


def _rows(stores: Stores, model: Model, as_of: str | None) -> tuple[pa.Table, str] | None:
    """Every row of the newest nights with the age of its label (NaN for none), for how long it was watched, and what
    it was scored; nights that were scored, or stored where none was."""
    kept = [s.window for s in stores.data.many("batches", model.dataset) if s.rows and s.window <= (as_of or "9")]
    if not kept:
        return None
    evening, kept = as_of or kept[-1], kept[-NIGHTS:]
    scored = [s.window for s in stores.lake.many("inferences", model.name, kept) if s.rows]
    table = (
        stores.lake.read("inferences", model.name, scored)
        if scored
        else stores.data.read("batches", model.dataset, kept, columns=["row_id"])
    )
    age, label = _ages(stores, model, scored or kept, evening)
    ids = table["row_id"].to_pylist()
    day = {w: date.fromisoformat(w).toordinal() for w in {*(scored or kept), evening}}
    night = np.array([day[w] for w in table["window"].to_pylist()], dtype=np.int64)
    columns = {
        "age": pa.array([age.get(r, np.nan) for r in ids], pa.float64()),
        "label": pa.array([label.get(r, np.nan) for r in ids], pa.float64()),
        "night": pa.array(night), "watched": pa.array((day[evening] - night).astype(np.float64)),
    }  # fmt: skip
    for name in table.column_names:
        if name in ("score", "prediction") or name.startswith("segment_"):
            columns[name] = table[name]
    return pa.table(columns), evening


def _ages(stores: Stores, model: Model, events: list[str], evening: str) -> tuple[dict[str, float], dict[str, float]]:
    """The age of each row's first label and its newest value, by row, as of an evening."""
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    stored = [s for s in stores.lake.many("labels", model.name) if s.rows and min(events) <= s.window <= evening]
    table = stores.lake.read("labels", model.name, [s.window for s in stored])
    if not table.num_rows:
        return {}, {}
    came = {s.window: s.window for s in stored}
    if not model.label.arrived_at:
        batches = {s.window: s.known_at for s in stores.data.many("batches", model.dataset, events)}
        for s in stored:
            due = calendar.window(s.window)
            event = calendar.shift(due, -delay_nights(model)).id
            # A night that was stored after its labels were due was stored in hindsight: nobody waited for them.
            if event in batches and batches[event] < calendar.shift(due, 1).end:
                # The evening on which it was there is that of the newest window that was over.
                came[s.window] = max(s.window, calendar.shift(calendar.of(s.known_at), -1).id)
    known = set(events)
    age: dict[str, float] = {}
    label: dict[str, float] = {}
    number = {w: date.fromisoformat(w).toordinal() for w in {*came.values(), *known}}
    order = table.sort_by([("window", "ascending")]).select(["row_id", "event_window", "label", "window"])
    for row, event, value, due in zip(*(c.to_pylist() for c in order.columns), strict=True):
        if event in known and came[due] <= evening:
            age.setdefault(row, float(number[came[due]] - number[event]))
            label[row] = value
    return age, label
