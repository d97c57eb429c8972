"""The grid: which value falls into which bucket of a profile, frozen per dataset.

A number's bucket is the top 16 bits of ``float32((x - offset) / scale)``, re-ordered so
that buckets sort as values do. Buckets are fine near the offset and coarse far from it:
their width is between 1/256 and 1/128 of the distance from the offset, and within 2⁻²⁰ of
the scale all is one bucket. Without the offset, values far from zero would all share one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import UsageError
from tidegate.lineage.digest import json_digest

ENGINE = "tidegate-profile/1"
LARGEST = float(np.finfo(np.float32).max)
# Closer to the offset (in scales) is at the offset: rounding must not move an atom there.
SMALLEST = 2.0**-20
ColumnKind = Literal["number", "category"]


@dataclass(frozen=True, slots=True)
class Axis:
    """One column of a grid: its kind, and for numbers the offset and the scale (column's unit)."""

    kind: ColumnKind
    offset: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.offset) and 0 < self.scale < math.inf):
            raise UsageError(
                "axis",
                "a finite offset and a finite scale above 0",
                f"offset {self.offset}, scale {self.scale}",
                "fit it with axis_of",
            )


@dataclass(frozen=True)
class Grid:
    """The axes of every profiled column. Profiles of different grids refuse to merge.

    ``max_categories`` counts the OTHER bin, so it is at least 1.
    """

    axes: Mapping[str, Axis]
    max_categories: int = 1000

    def __post_init__(self) -> None:
        if self.max_categories < 1:
            raise UsageError("grid", "max_categories of at least 1", str(self.max_categories), "raise it")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the grid; the order of the axes does not matter."""
        return json_digest(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        axes = {name: asdict(axis) for name, axis in sorted(self.axes.items())}
        return {"engine": ENGINE, "max_categories": self.max_categories, "axes": axes}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Grid:
        """The grid that `as_dict` wrote; raises `UsageError` when another engine wrote it."""
        if body["engine"] != ENGINE:
            raise UsageError("grid", ENGINE, str(body["engine"]), "profile the windows again with this version")
        return cls({n: Axis(**a) for n, a in body["axes"].items()}, int(body["max_categories"]))


def axis_of(values: NDArray[np.float64]) -> Axis:
    """An axis fitted to a sample: the offset is its median, the scale a power of two near the
    middle half's width (with most rows at one value, the others' typical distance from it).

    Parameters
    ----------
    values : float array, shape (n,)
        In the column's unit. NaN and inf are left out; nothing left gives offset 0, scale 1.

    Examples
    --------
    >>> axis_of(np.array([10.0, 12.0, 14.0, np.nan]))
    Axis(kind='number', offset=12.0, scale=4.0)
    """
    x = values[np.isfinite(values)] + 0.0
    if not len(x):
        return Axis("number")
    # A value that occurs, never one between two: an atom at the median gets a bucket of its own.
    low, mid, high = np.quantile(x, [0.25, 0.5, 0.75], method="inverted_cdf")
    with np.errstate(over="ignore"):
        width = float(high - low)
        if not width:  # most rows at one value: one outlier among the rest must not set the scale
            away = np.abs(x[x != mid] - mid)
            width = float(np.quantile(away, 0.5, method="inverted_cdf")) if len(away) else 1.0
    exponent = min(max(round(math.log2(min(width, 1e300))), -1000), 1000)
    return Axis("number", float(mid), 2.0**exponent)


def bucket_of(values: NDArray[np.float64], axis: Axis) -> NDArray[np.int64]:
    """The buckets (0..65535, ordered as the values) of finite values, shape (n,) to (n,).

    Values within 2⁻²⁰ scales of the offset are at the offset, those farther than 3.4e38 scales
    share the outermost bucket.

    Examples
    --------
    >>> bucket_of(np.array([-1.0, -0.0, 0.0, 1.0]), Axis("number")).tolist()
    [16511, 32768, 32768, 49024]
    """
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.clip((values - axis.offset) / axis.scale, -LARGEST, LARGEST).astype(np.float32)
    scaled[np.abs(scaled) < SMALLEST] = 0.0  # -0.0 too
    bits = scaled.view(np.uint32) >> 16
    return np.where(bits & 0x8000, 0xFFFF - bits, bits | 0x8000).astype(np.int64)


def value_of(buckets: NDArray[np.int64], axis: Axis) -> NDArray[np.float64]:
    """The middle of each bucket, in the column's unit, shape (n,) to (n,).

    Examples
    --------
    >>> value_of(np.array([32768, 49024]), Axis("number", offset=10.0)).round(3).tolist()
    [10.0, 11.004]
    """
    b = buckets.astype(np.uint32)
    bits = np.where(b & 0x8000, b & 0x7FFF, 0xFFFF - b).astype(np.uint32)
    middle = ((bits << 16) | 0x8000).astype(np.uint32).view(np.float32).astype(np.float64)
    with np.errstate(over="ignore"):
        return np.asarray(middle * axis.scale + axis.offset, dtype=np.float64)
