"""What one seed of a lab fault is about: drawn once, applied on every night from the onset on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NUMERIC = ("integer", "number")
CODED = ("category",)
CLASSES = 20
"""Distinct labels up to which they are classes, above which they are amounts."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What a fault touches, drawn from rows before its onset.

    ``columns``: the columns, the first ones first where only some are touched. ``codes``: old to new category.
    ``value``: a new code or a default. ``past``: a former night's rows, for what goes stale. ``numbers``: the centre
    and spread of each numeric column, a segment's ends, whatever else a kind needs. ``words``: a line for people.
    """

    label: str
    words: str
    columns: tuple[str, ...] = ()
    codes: Mapping[str, str] = field(default_factory=dict)
    value: Any = None
    past: pd.DataFrame | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)
    classes: tuple[float, ...] = ()


def floats(values: pd.Series) -> Floats:
    """A numeric column as floats, NaN where missing."""
    return np.asarray(pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan))


def like(values: pd.Series, new: Floats) -> pd.Series:
    """New numbers in the dtype of the old ones: whole numbers are rounded, and stay whole with a gap, too."""
    kind = values.dtype
    if pd.api.types.is_float_dtype(kind):
        return pd.Series(new, index=values.index).astype(kind)
    whole = pd.Series(np.round(new), index=values.index).astype("Int64")
    if pd.api.types.is_integer_dtype(kind):
        return whole if whole.isna().any() else whole.astype(kind)
    # A column of Python numbers in an object array: whole ones came as whole ones.
    ints = all(isinstance(v, (int, np.integer)) for v in values.dropna().head(50))
    return (whole if ints else pd.Series(new, index=values.index)).astype(kind)


def moved(values: pd.Series, mask: NDArray[np.bool_], other: Any) -> pd.Series:
    """The column with `other` (a value, or a column of the same length) in the masked rows."""
    out = values.astype("Int64") if other is None and pd.api.types.is_integer_dtype(values.dtype) else values.copy()
    if other is None and pd.api.types.is_bool_dtype(values.dtype):
        out = values.astype("object")
    chosen = other[mask] if isinstance(other, np.ndarray) else other
    out = out.mask(mask) if other is None else out
    if other is not None:
        out.loc[mask] = chosen
    return out


def of_type(columns: Mapping[str, str], frame: pd.DataFrame, types: Sequence[str]) -> list[str]:
    """The columns of some declared types that vary in the frame: what is constant cannot show a fault."""
    return [c for c, t in columns.items() if t in types and c in frame.columns and frame[c].nunique(dropna=True) > 1]


def draw(
    names: Sequence[str], importance: Mapping[str, float] | None, rng: np.random.Generator, many: int = 1
) -> tuple[str, ...]:
    """Columns without replacement: at random, or where their importance is known as often as that asks for.

    A tenth of the draws goes by chance alone, so that no column is left out for good.
    """
    if not names:
        return ()
    weights = np.array([max((importance or {}).get(n, 0.0), 0.0) for n in names])
    even = np.full(len(names), 1 / len(names))
    share = even if weights.sum() <= 0 else 0.9 * weights / weights.sum() + 0.1 * even
    many = min(many, len(names))
    return tuple(names[i] for i in rng.choice(len(names), many, replace=False, p=share))


def spreads(frame: pd.DataFrame, columns: Sequence[str]) -> dict[str, float]:
    """The standard deviation of each numeric column; 0 where nothing is known."""
    return {c: float(np.nan_to_num(np.nanstd(floats(frame[c])))) if len(frame) else 0.0 for c in columns}
