"""Robustness: does the candidate bear what can happen to its inputs?

The rows are answered again under disturbances. A rise of the loss is told as a share of what a constant prediction
loses, so that the limit means the same for a weak and for a nearly perfect model. Noise and missing cells happen: the
rise must be proven within `max_loss`. A column that is empty, a category that nobody has seen, a sensor at its end,
happen on a bad day: the model must answer, and lose at most five times as much, or no more than `max_loss` above
the constant. A candidate that is proven no worse than the champion under the same disturbance passes in any case.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.config.dataset import Dataset
from tidegate.config.model import Model
from tidegate.errors import SourceError
from tidegate.gate.borne import Trial, borne
from tidegate.gate.disturb import emptied, extreme, kinds, noisy, nullable, strange, thinned
from tidegate.gate.feasible import feasible_of
from tidegate.gate.flips import Score, nearest_flip
from tidegate.gate.fragile import fragile, largest_move
from tidegate.gate.line import Check, Line, verdict_of
from tidegate.gate.replayed import replayed
from tidegate.verdicts import Outcome

FEW = 600
"""Rows of the disturbances that are made column by column."""
FLIPS = 5
Floats = NDArray[np.float64]


def robustness(
    model: Model,
    dataset: Dataset,
    rows: pa.Table,
    label: NDArray[Any],
    night: NDArray[Any],
    score: Score,
    *,
    champion: Score | None,
    threshold: float,
    rng: np.random.Generator,
    others: Sequence[Line] = (),
) -> Check:
    """The check of robustness, with the lines of leakage and poisoning among `others`.

    Parameters
    ----------
    rows : Table of n rows
        Recent production rows, with the model's features; a random `gate.robustness.rows` of them are taken. Rows
        that the candidate was trained on would show it more brittle than it is.
    label : ndarray, shape (n,)
        Class positions, or the regression target; NaN where it is not known.
    night : ndarray of str, shape (n,)
        The window of each row.
    score, champion : callable
        Table to scores; a `SourceError` of the candidate's is a failed line.
    threshold : float
        The candidate's, for the decisions of a binary model.
    """
    settings = model.gate.robustness
    if not rows.num_rows:
        none = _line("recent rows", "inconclusive", math.nan, math.nan, "there are no recent rows to disturb", 0)
        return _check([none, *others], 0)
    take = np.sort(rng.permutation(rows.num_rows)[: settings.rows])
    take = rng.permutation(take)
    rows, label, night = rows.take(pa.array(take)), label[take].astype(np.float64), night[take].astype(str)
    lines = replayed(score, rows, model.kind, rng)
    if all(line.outcome == "pass" for line in lines):
        trial = Trial(model, rows, label, night, score, champion, _constant(model, label))
        lines += _likely(trial, dataset, rng) + _unlikely(trial.head(FEW), dataset, rng)
        lines += _decisions(trial.head(FEW), dataset, threshold, rng)
    return _check([*lines, *others], rows.num_rows)


def _check(lines: Sequence[Line], n: int) -> Check:
    return Check("robustness", verdict_of(lines), tuple(lines), n)


def _constant(model: Model, label: NDArray[Any]) -> float:
    """Mean loss of the best constant prediction; NaN without labels."""
    y = label[np.isfinite(label)]
    if not len(y):
        return math.nan
    if model.kind == "regression":
        return float(np.abs(y - np.median(y)).mean())
    shares = np.unique(y, return_counts=True)[1] / len(y)
    return float(-(shares * np.log(shares)).sum())


def _likely(trial: Trial, dataset: Dataset, rng: np.random.Generator) -> list[Line]:
    settings, columns, features = trial.model.gate.robustness, dataset.columns, trial.model.features
    lines = []
    if settings.noise and kinds(trial.rows, columns, features)[0]:
        made = noisy(trial.rows, columns, features, settings.noise, rng)
        lines.append(borne(trial, "noise", f"noise of {settings.noise:g} standard deviations", made))
    if settings.missing and nullable(trial.rows, columns, features):
        made = thinned(trial.rows, columns, features, settings.missing, rng)
        said = f"{settings.missing:.0%} of the cells that may be empty are"
        lines.append(borne(trial, "missing cells", said, made))
    return lines


def _unlikely(trial: Trial, dataset: Dataset, rng: np.random.Generator) -> list[Line]:
    settings, columns, features = trial.model.gate.robustness, dataset.columns, trial.model.features
    rows = trial.rows
    numbers, words = kinds(rows, columns, features)
    families: dict[str, list[Line]] = {"empty column": [], "unseen category": [], "extremes": []}
    for name in nullable(rows, columns, features):
        said = f"{name} is empty"
        families["empty column"].append(borne(trial, f"empty column [{name}]", said, emptied(rows, name), loose=True))
    for name in words:
        said = f"{name} is a category that nobody has seen"
        made = strange(rows, name)
        families["unseen category"].append(borne(trial, f"unseen category [{name}]", said, made, loose=True))
    share = settings.missing or 0.1
    hit = rng.random(rows.num_rows) < share
    for name in numbers:
        for side, end in ((-1, "least"), (1, "most")):
            everywhere = extreme(rows, columns, name, side, np.ones(rows.num_rows, dtype=bool))
            said = f"{name} is at its {end} in {share:.0%} of the rows"
            # The truth of a row that really were at its end is not known: its loss is judged for a faulty reading.
            made = extreme(rows, columns, name, side, hit)
            families["extremes"].append(
                borne(trial, f"extremes [{name}, {end}]", said, made, loose=True, also=[everywhere])
            )
    return [line for lines in families.values() for line in _worst(lines)]


def _worst(lines: Sequence[Line]) -> list[Line]:
    """Those that do not pass, or the one that came nearest to it."""
    open_ = [line for line in lines if line.outcome != "pass"]
    if open_ or not lines:
        return open_
    worst = max(lines, key=lambda line: line.observed)
    name = worst.name.split(" [", 1)[0]
    return [replace(worst, name=name, reason=f"{name}, {len(lines)} tried, the worst: {worst.reason}")]


def _decisions(trial: Trial, dataset: Dataset, threshold: float, rng: np.random.Generator) -> list[Line]:
    """Shown, never deciding: how many decisions hang on a small step says where scores lie, not whether they are good.

    A model that ranks better and answers in finer grades has more rows near its threshold than a blunt one.
    """
    step, features = trial.model.gate.robustness.noise, trial.model.features
    feasible = feasible_of(trial.rows, dataset.columns, features)
    n, binary = trial.rows.num_rows, trial.model.kind != "regression"
    if not feasible or not step:
        return []
    told = {"candidate": trial.score} | ({"champion": trial.champion} if trial.champion else {})
    found: dict[str, float] = {}
    for who, score in told.items():
        try:
            if binary:
                found[who] = float(fragile(score, trial.rows, feasible, step=step, threshold=threshold).mean())
            else:
                found[who] = float(largest_move(score, trial.rows, feasible, step=step).mean())
        except SourceError as fault:
            if who == "candidate":
                said = f"numbers moved by {step:g} standard deviations: no answer: {fault}"
                return [_line("small steps", "fail", math.nan, math.nan, said, n)]
    beside = f", the champion {_amount(found['champion'], binary)}" if "champion" in found else ""
    what = "of the decisions flip" if binary else "is the mean of the largest moves of a prediction"
    said = f"one number moved by {step:g} standard deviations: {_amount(found['candidate'], binary)} {what}{beside}"
    line = _line("small steps", "pass", found["candidate"], found.get("champion", math.nan), said, n)
    lines = [replace(line, role="shown")]
    if binary:
        flips = [
            nearest_flip(trial.score, trial.rows.slice(i, 1), feasible, rng=rng, threshold=threshold, most=2, tries=12,
                         immutable=trial.model.gate.immutable)
            for i in range(min(FLIPS, n))
        ]  # fmt: skip
        near = [f.distance for f in flips if f is not None]
        middle = float(np.median(near)) if near else math.nan
        said = f"the nearest flip: found for {len(near)} of {len(flips)} rows with two columns or fewer"
        said += f", the median {middle:.2f} standard deviations away" if near else ""
        lines.append(replace(_line("nearest flip", "pass", middle, math.nan, said, len(flips)), role="shown"))
    return lines


def _amount(value: float, share: bool) -> str:
    return f"{value:.1%}" if share else f"{value:.3g}"


def _line(name: str, outcome: Outcome, observed: float, limit: float, reason: str, n: int) -> Line:
    return Line(name, "robustness", outcome, observed, limit, reason, n=n)
