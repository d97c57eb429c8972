"""Faults in the rows that a source gives: how each is drawn, and what it does to a night.

The index says which row is which: a row that comes twice has its label twice, one that does not come is missing from
it, and one that is new has a new one. So the cost of a fault can be told row by row.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tidegate.lab.plan import CODED, NUMERIC, Plan, draw, floats, like, moved, of_type, spreads

Types = Mapping[str, str]
Weights = Mapping[str, float] | None
Rng = np.random.Generator

RAMP = 14
"""Nights that a slow shift takes to its full size."""
SEGMENT = 0.03
"""Share of the rows that a shifted segment has, as near as the data allow."""


def one_number(frame: pd.DataFrame, columns: Types, label: str, weights: Weights, rng: Rng) -> Plan | None:
    names = draw(of_type(columns, frame, NUMERIC), weights, rng)
    return Plan(label, names[0], names, numbers=spreads(frame, names)) if names else None


def three_numbers(frame: pd.DataFrame, columns: Types, label: str, weights: Weights, rng: Rng) -> Plan | None:
    names = draw(of_type(columns, frame, NUMERIC), weights, rng, 3)
    signs = {f"sign {n}": float(rng.choice([-1.0, 1.0])) for n in names}
    return Plan(label, ", ".join(names), names, numbers=spreads(frame, names) | signs) if names else None


def idle_number(frame: pd.DataFrame, columns: Types, label: str, weights: Weights, rng: Rng) -> Plan | None:
    """The numeric column that the model heeds least; without importances the one least tied to the label."""
    names = of_type(columns, frame, NUMERIC)
    if not names:
        return None
    heed = weights or {n: _tie(frame, n, label) for n in names}
    order = sorted(names, key=lambda n: (heed.get(n, 0.0), n))
    name = order[int(rng.integers(0, max(len(order) // 4, 1)))]
    return Plan(label, name, (name,), numbers=spreads(frame, [name]))


def any_column(frame: pd.DataFrame, columns: Types, label: str, weights: Weights, rng: Rng) -> Plan | None:
    names = draw(of_type(columns, frame, (*NUMERIC, *CODED, "boolean")), weights, rng)
    return Plan(label, names[0], names) if names else None


def all_numbers(frame: pd.DataFrame, columns: Types, label: str, weights: Weights, rng: Rng) -> Plan | None:
    """Every numeric column, in the order in which they go stale, and the rows that they go stale with."""
    names = draw(of_type(columns, frame, NUMERIC), weights, rng, len(columns))
    return Plan(label, ", ".join(names[:3]), names, past=frame[list(names)]) if names else None


def one_code(frame: pd.DataFrame, columns: Types, label: str, weights: Weights, rng: Rng) -> Plan | None:
    names = draw(of_type(columns, frame, CODED), weights, rng)
    if not names:
        return None
    known = sorted(map(str, frame[names[0]].dropna().unique()))
    order = [known[i] for i in rng.permutation(len(known))]
    following = dict(zip(order, order[1:] + order[:1], strict=True))
    return Plan(label, names[0], names, codes=following, value=_new_code(known))


def a_default(frame: pd.DataFrame, columns: Types, label: str, weights: Weights, rng: Rng) -> Plan | None:
    names = draw(of_type(columns, frame, (*NUMERIC, *CODED)), weights, rng)
    if not names:
        return None
    value = 0 if columns[names[0]] in NUMERIC else str(frame[names[0]].mode().iloc[0])
    return Plan(label, f"{names[0]} = {value}", names, value=value)


def whole_rows(frame: pd.DataFrame, columns: Types, label: str, weights: Weights, rng: Rng) -> Plan | None:
    """By time where there is one: what comes twice or not at all is what came together."""
    times = [c for c, t in columns.items() if t == "timestamp" and c in frame.columns]
    return Plan(label, "rows", tuple(times[:1]), numbers={"from": float(rng.random())})


def a_segment(frame: pd.DataFrame, columns: Types, label: str, weights: Weights, rng: Rng) -> Plan | None:
    """A category of about 3 % of the rows, or a slice of a number; and the numbers that shift in it."""
    names = of_type(columns, frame, NUMERIC)
    if not names:
        return None
    shifted = draw(names, weights, rng, max(len(names) // 2, 1))
    spread = spreads(frame, shifted)
    near = [
        (c, str(v)) for c in of_type(columns, frame, CODED)
        for v, share in frame[c].value_counts(normalize=True).items() if SEGMENT / 2 <= share <= 2 * SEGMENT
    ]  # fmt: skip
    if near:
        column, value = near[int(rng.integers(0, len(near)))]
        return Plan(label, f"{column} = {value}", (column, *shifted), value=value, numbers=spread)
    column = draw(names, None, rng)[0]
    start = float(rng.uniform(0, 1 - SEGMENT))
    low, high = np.nanquantile(floats(frame[column]), [start, start + SEGMENT])
    ends = {"low": float(low), "high": float(high)}
    return Plan(label, f"{column} from {low:.4g} to {high:.4g}", (column, *shifted), numbers=spread | ends)


def scaled(frame: pd.DataFrame, plan: Plan, magnitude: float, night: int, rng: Rng) -> pd.DataFrame:
    name = plan.columns[0]
    return frame.assign(**{name: like(frame[name], floats(frame[name]) * magnitude)})


def emptied(frame: pd.DataFrame, plan: Plan, magnitude: float, night: int, rng: Rng) -> pd.DataFrame:
    name = plan.columns[0]
    return frame.assign(**{name: moved(frame[name], rng.random(len(frame)) < magnitude, None)})


def stale(frame: pd.DataFrame, plan: Plan, magnitude: float, night: int, rng: Rng) -> pd.DataFrame:
    """The first columns repeat one former night's rows, at the same place in the batch."""
    assert plan.past is not None
    if not len(plan.past) or not len(frame):
        return frame
    names = list(plan.columns[: max(round(magnitude * len(plan.columns)), 1)])
    at = np.arange(len(frame)) * len(plan.past) // len(frame)
    return frame.assign(**{n: like(frame[n], floats(plan.past[n])[at]) for n in names})


def remapped(frame: pd.DataFrame, plan: Plan, magnitude: float, night: int, rng: Rng) -> pd.DataFrame:
    """The first categories of the drawn order change their codes round, the rest keep theirs."""
    name, order = plan.columns[0], list(plan.codes)
    some = order[: max(round(magnitude * len(order)), 2)]
    codes = dict(zip(some, some[1:] + some[:1], strict=True))
    return frame.assign(**{name: frame[name].map(codes).where(frame[name].isin(some), frame[name])})


def strangers(frame: pd.DataFrame, plan: Plan, magnitude: float, night: int, rng: Rng) -> pd.DataFrame:
    name = plan.columns[0]
    mask = (rng.random(len(frame)) < magnitude) & frame[name].notna().to_numpy()
    return frame.assign(**{name: moved(frame[name], mask, plan.value)})


def defaulted(frame: pd.DataFrame, plan: Plan, magnitude: float, night: int, rng: Rng) -> pd.DataFrame:
    name = plan.columns[0]
    mask = rng.random(len(frame)) < magnitude
    if isinstance(plan.value, str):
        return frame.assign(**{name: moved(frame[name], mask, plan.value)})
    return frame.assign(**{name: like(frame[name], np.where(mask, plan.value, floats(frame[name])))})


def doubled(frame: pd.DataFrame, plan: Plan, magnitude: float, night: int, rng: Rng) -> pd.DataFrame:
    """A stretch of the batch is delivered once more."""
    n = round(magnitude * len(frame))
    start = int(plan.numbers["from"] * (len(frame) - n + 1))
    return pd.concat([frame, _in_time(frame, plan).iloc[start : start + n]])


def cut(frame: pd.DataFrame, plan: Plan, magnitude: float, night: int, rng: Rng) -> pd.DataFrame:
    """The latest rows of the night do not come."""
    kept = _in_time(frame, plan).iloc[: max(round((1 - magnitude) * len(frame)), 1)].index
    return frame.loc[frame.index.isin(kept)]


def drifted(frame: pd.DataFrame, plan: Plan, magnitude: float, night: int, rng: Rng) -> pd.DataFrame:
    ramp = min((night + 1) / RAMP, 1.0)
    by = {n: plan.numbers[f"sign {n}"] * magnitude * ramp * plan.numbers[n] for n in plan.columns}
    return frame.assign(**{n: like(frame[n], floats(frame[n]) + step) for n, step in by.items()})


def offset(frame: pd.DataFrame, plan: Plan, magnitude: float, night: int, rng: Rng) -> pd.DataFrame:
    name = plan.columns[0]
    return frame.assign(**{name: like(frame[name], floats(frame[name]) + magnitude * plan.numbers[name])})


def in_segment(frame: pd.DataFrame, plan: Plan, magnitude: float, night: int, rng: Rng) -> pd.DataFrame:
    column, *shifted = plan.columns
    if plan.value is not None:
        mask = (frame[column].astype("object") == plan.value).to_numpy(dtype=bool)
    else:
        x = floats(frame[column])
        mask = (x >= plan.numbers["low"]) & (x <= plan.numbers["high"])
    by = {n: np.where(mask, floats(frame[n]) + magnitude * plan.numbers[n], floats(frame[n])) for n in shifted}
    return frame.assign(**{n: like(frame[n], x) for n, x in by.items()})


def thinned(frame: pd.DataFrame, plan: Plan, magnitude: float, night: int, rng: Rng) -> pd.DataFrame:
    """Rows with low values of a column come less often; what is true of a row stays true of it.

    No more than a sixth of the rows is lost, so that it is a matter of the mix and not of the count.
    """
    x = floats(frame[plan.columns[0]])
    rank = pd.Series(x).rank(pct=True, na_option="top").to_numpy()
    lost = magnitude * np.where(np.isnan(rank), 0.0, 1 - rank)
    kept = rng.random(len(frame)) >= lost
    return frame.loc[kept] if kept.any() else frame


def crowded(frame: pd.DataFrame, plan: Plan, magnitude: float, night: int, rng: Rng) -> pd.DataFrame:
    """More rows of the same mix: others like those that came, some seconds apart, with indices of their own."""
    more = round((magnitude - 1) * len(frame))
    extra = frame.iloc[rng.integers(0, max(len(frame), 1), more)] if len(frame) else frame
    for name in plan.columns:
        seconds = pd.to_timedelta(rng.integers(1, 60, len(extra)), unit="s")
        extra = extra.assign(**{name: extra[name].dt.floor("min") + seconds})
    start = int(frame.index.max()) + 1 if len(frame) else 0
    return pd.concat([frame, extra.set_axis(range(start, start + len(extra)))])


def _in_time(frame: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    return frame.sort_values(plan.columns[0], kind="stable") if plan.columns else frame


def _new_code(known: list[str]) -> str:
    """A code of the known ones' form that is not among them: letters become Z, then Y …, figures 9, then 8 …."""
    form = known[0]
    for k in range(10):
        big = {True: chr(ord("Z") - k), False: chr(ord("z") - k)}
        new = "".join(big[c.isupper()] if c.isalpha() else str(9 - k) if c.isdigit() else c for c in form)
        if new not in known and new != form:
            return new
    return form + form


def _tie(frame: pd.DataFrame, name: str, label: str) -> float:
    """|Spearman's correlation| of a column with the label; 0 where it is not known."""
    if label not in frame.columns:
        return 0.0
    found = pd.Series(floats(frame[name])).rank().corr(pd.Series(floats(frame[label])).rank())
    return abs(float(found)) if np.isfinite(found) else 0.0
