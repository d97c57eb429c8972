"""Recent rows as they are: answered at all, and the same in a batch, alone, and in another order."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from tidegate.errors import SourceError
from tidegate.gate.flips import Score
from tidegate.gate.line import Line

SAME = 1e-9
ALONE = 40
"""Rows that are answered one by one."""


def replayed(score: Score, rows: pa.Table, kind: str, rng: np.random.Generator) -> list[Line]:
    """One line of role ``robustness``: it fails where a row has no proper answer, or one that hangs on other rows.

    Scores of classes must be in [0, 1]; two answers to a row may differ by 1e-9 (of a regression, of their size).

    Examples
    --------
    >>> rows = pa.table({"x": [1.0, 2.0, 3.0]})
    >>> def ranks(t):
    ...     return t["x"].to_numpy() / t["x"].to_numpy().max()
    >>> replayed(ranks, rows, "binary", np.random.default_rng(0))[0].outcome
    'fail'
    """
    n = rows.num_rows
    try:
        whole = np.asarray(score(rows), dtype=np.float64)
        if len(whole) != n or not np.isfinite(whole).all():
            return [_line("fail", math.nan, f"{len(whole)} answers to {n} rows, not all finite", n)]
        if kind != "regression" and (whole.min() < 0 or whole.max() > 1):
            said = f"probabilities from {whole.min():.3g} to {whole.max():.3g}"
            return [_line("fail", math.nan, said, n)]
        order = rng.permutation(n)
        mixed = np.asarray(score(rows.take(pa.array(order))), dtype=np.float64)
        some = order[: min(ALONE, n)]
        single = np.concatenate([np.asarray(score(rows.slice(int(i), 1)), dtype=np.float64) for i in some])
    except SourceError as fault:
        return [_line("fail", math.nan, f"the recent rows as they are: no answer: {fault}", n)]
    size = np.maximum(1.0, np.abs(whole)) if kind == "regression" else np.ones_like(whole)
    apart = np.abs(mixed - whole[order]) / size[order]
    lone = np.abs(single - whole[some]) / size[some]
    most = float(max(apart.max(), lone.max()))
    if not most <= SAME:
        how = "alone" if lone.max() >= apart.max() else "in another order"
        return [_line("fail", most, f"the same rows {how} are answered otherwise, by up to {most:.3g}", n)]
    said = f"{n} recent rows are answered alike in a batch, in another order and, {len(some)} of them, alone"
    return [_line("pass", most, said, n)]


def _line(outcome: str, observed: float, reason: str, n: int) -> Line:
    return Line("replay", "robustness", outcome, observed, SAME, reason, n=n)  # type: ignore[arg-type]
