"""What a drift report compares: each column in a form that can be drawn, with the limit it is held to.

A report looks at samples, so its reference is one too. It takes PSI over the reference's own deciles
or categories, and the share of rows without a value; a limit is the model's margin plus what sampling
explains. Alarms go by the nightly findings instead, which see every row and know the weekdays.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tidegate.config.dataset import ColumnType
from tidegate.config.model import Monitors
from tidegate.drift.distances import psi, psi_limit

Kind = Literal["number", "category", "state"]

SHOWN: Final = 30
"""Categories shown by name; a chart of thousands says nothing."""
LONGEST: Final = 60
"""Characters of a name that are shown."""
OTHER, UNSEEN = "(other)", "(not in the reference)"


@dataclass(frozen=True)
class Field:
    """One thing to compare: finite numbers with NaN, or categories with None; `limit` is what drift exceeds."""

    name: str
    kind: Kind
    reference: pd.Series[Any]
    current: pd.Series[Any]
    limit: float


@dataclass(frozen=True)
class Comparison:
    """The fields of a report, and what is not compared, with why."""

    fields: tuple[Field, ...]
    left_out: dict[str, str]


def comparison(
    columns: Iterable[tuple[str, ColumnType]],
    reference: pd.DataFrame,
    current: pd.DataFrame,
    limits: Monitors,
    *,
    partial: Collection[str] = (),
) -> Comparison:
    """Compare the named columns of two samples, each as its declared type says.

    Numbers and booleans are compared as they are, text by its length, categories by name, of which
    the reference's 30 most frequent are kept. Where a side has rows without a value, or with an
    infinite one, their share is a field of its own. A column that is absent counts as missing; one
    without a single usable value on a side is left out. In the columns of `partial` a missing value
    only means that it is not known yet.

    Examples
    --------
    >>> import pandas as pd
    >>> from tidegate.config.model import Monitors
    >>> year, night = pd.DataFrame({"delay": [1.0, 2.0, 3.0]}), pd.DataFrame({"delay": [None, None, float("inf")]})
    >>> made = comparison([("delay", "number")], year, night, Monitors())
    >>> [f.name for f in made.fields], made.left_out
    (['delay (without a value)'], {'delay': 'no usable value of it in the window'})
    """
    taken: set[str] = set()
    fields: list[Field] = []
    left_out: dict[str, str] = {}
    for column, kind in columns:
        name = _unlike(shown(column), taken)
        if kind == "timestamp":
            left_out[name] = "an instant, always later than the reference's"
            continue
        if kind == "text":
            left_out[name] = "text: only its length is compared"
        old, new = _values(reference, column, kind), _values(current, column, kind)
        if column not in partial and len(old) and len(new) and (old.isna().any() or new.isna().any()):
            # Three standard errors of a share, at its widest.
            margin = limits.missing_margin + 1.5 / math.sqrt(len(new))
            states = _states(reference, column, old), _states(current, column, new)
            fields.append(Field(_unlike(f"{name} (without a value)", taken), "state", states[0], states[1], margin))
        empty = [side for side, values in (("reference", old), ("window", new)) if values.isna().all()]
        if empty:
            left_out[name] = f"no usable value of it in the {' and the '.join(empty)}"
        else:
            fields.append(
                _field(_unlike(f"{name} (length)", taken) if kind == "text" else name, kind, old, new, limits)
            )
    return Comparison(tuple(fields), left_out)


def score(kind: Kind, reference: pd.Series[Any], current: pd.Series[Any]) -> float:
    """How far apart two sides without missing values are.

    Returns
    -------
    float
        PSI of numbers and categories, in [0, ∞); for states the largest change in a share, in [0, 1].
        NaN when a side is empty.

    Examples
    --------
    >>> import pandas as pd
    >>> score("state", pd.Series(["value"] * 4), pd.Series(["value", "missing"]))
    0.5

    References
    ----------
    `tidegate.drift.distances.psi`.
    """
    r, c = counts(kind, reference, current)
    if kind != "state":
        return psi(r, c)
    return float(np.abs(r / r.sum() - c / c.sum()).max()) if len(reference) and len(current) else math.nan


def counts(
    kind: Kind, reference: pd.Series[Any], current: pd.Series[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows of both sides over the same bins, empty bins left out: the reference's deciles, or the categories.

    Examples
    --------
    >>> import pandas as pd
    >>> counts("category", pd.Series(["a", "a", "b"]), pd.Series(["b"]))
    (array([2., 1.]), array([0., 1.]))
    """
    if kind == "number":
        edges = np.unique(np.quantile(reference, np.arange(1, 10) / 10)) if len(reference) else np.empty(0)
        pair = [np.bincount(np.searchsorted(edges, side), minlength=len(edges) + 1) for side in (reference, current)]
    else:
        tallies = [Counter(side.tolist()) for side in (reference, current)]
        names = sorted(set(tallies[0]) | set(tallies[1]))
        pair = [np.array([tally[n] for n in names]) for tally in tallies]
    used = (pair[0] + pair[1]) > 0
    return pair[0][used].astype(np.float64), pair[1][used].astype(np.float64)


def shown(name: object) -> str:
    """A name from outside as it may stand in a page: one line, no markup, at most 60 characters.

    Examples
    --------
    >>> shown("<script>alert(1)</script>")
    '‹script›alert(1)‹/script›'
    """
    text = " ".join("".join(c if c.isprintable() else " " for c in str(name)).split())
    text = text.translate({ord("<"): "‹", ord(">"): "›"})
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _field(name: str, kind: ColumnType, reference: pd.Series[Any], current: pd.Series[Any], limits: Monitors) -> Field:
    numeric = kind in ("integer", "number", "text")
    of: Kind = "number" if numeric else "category"
    if not numeric:
        reference, current = _pooled(reference, current)
    r, c = counts(of, reference.dropna(), current.dropna())
    noise = psi_limit(len(r), r.sum(), c.sum(), limits.confidence)
    return Field(name, of, reference, current, limits.psi_margin + (0.0 if math.isnan(noise) else noise))


def _values(frame: pd.DataFrame, column: str, kind: ColumnType) -> pd.Series[Any]:
    """The usable values of a column: finite floats with NaN, or texts with None."""
    if column not in frame:
        return pd.Series([None] * len(frame), dtype=object)
    raw = frame[column].reset_index(drop=True)
    if kind == "text":
        return raw.astype(object).map(lambda v: float(len(str(v))), na_action="ignore").astype("float64")
    if kind in ("integer", "number"):
        return pd.to_numeric(raw, errors="coerce").astype("float64").replace([np.inf, -np.inf], np.nan)
    return raw.astype(object).map(str, na_action="ignore")


def _states(frame: pd.DataFrame, column: str, values: pd.Series[Any]) -> pd.Series[Any]:
    states = pd.Series(np.where(values.isna(), "missing", "value"), dtype=object)
    if column in frame and pd.api.types.is_float_dtype(frame[column]):
        states[np.isinf(frame[column].to_numpy(dtype=float))] = "infinite"
    return states


def _pooled(reference: pd.Series[Any], current: pd.Series[Any]) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """Both sides with at most `SHOWN` categories by name, and two for the others."""
    known = sorted(Counter(reference.dropna()).items(), key=lambda item: (-item[1], item[0]))
    taken = {OTHER, UNSEEN}
    names = {value: OTHER if i >= SHOWN else _unlike(shown(value), taken) for i, (value, _) in enumerate(known)}
    return tuple(side.map(lambda v: names.get(v, UNSEEN), na_action="ignore") for side in (reference, current))  # type: ignore[return-value]


def _unlike(name: str, taken: set[str]) -> str:
    """The name, with a number where it is taken already."""
    free, i = name, 2
    while free in taken:
        free, i = f"{name} ({i})", i + 1
    taken.add(free)
    return free
