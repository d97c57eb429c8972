"""The grid: which value falls into which bucket of a profile, frozen per dataset.

A number's bucket is the top 16 bits of ``float32((x - offset) / scale)``, re-ordered so
that buckets sort as values do. Buckets are fine near the offset and coarse far from it:
their width is 1/128 of the distance from the offset. Without the offset, values far from
zero would all share one bucket.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tidegate.lineage.digest import json_digest

ENGINE = "tidegate-profile/1"
ColumnKind = Literal["number", "category"]


@dataclass(frozen=True, slots=True)
class Axis:
    """One column of a grid: its kind, and for numbers the offset and the scale (column's unit)."""

    kind: ColumnKind
    offset: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class Grid:
    """The axes of every profiled column. Profiles of different grids refuse to merge."""

    axes: Mapping[str, Axis]
    max_categories: int = 1000

    @property
    def digest(self) -> str:
        return json_digest(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        return {"engine": ENGINE, "max_categories": self.max_categories, "axes": {n: asdict(a) for n, a in sorted(self.axes.items())}}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Grid:
        return cls({n: Axis(**a) for n, a in body["axes"].items()}, int(body["max_categories"]))


def axis_of(values: NDArray[np.float64]) -> Axis:
    """An axis fitted to a sample (NaN and inf are left out; an empty sample gives 0 and 1).

    The offset is the median, the scale a power of two near the middle half's width.
    """
    x = values[np.isfinite(values)]
    if not len(x):
        return Axis("number")
    low, mid, high = np.quantile(x, [0.25, 0.5, 0.75])
    width = float(high - low) or float(np.ptp(x)) or 1.0
    return Axis("number", float(mid), float(2.0 ** np.round(np.log2(width))))


def bucket_of(values: NDArray[np.float64], axis: Axis) -> NDArray[np.int64]:
    """Bucket numbers (0..65535, ordered as the values) of finite values."""
    scaled = ((values - axis.offset) / axis.scale).astype(np.float32)
    bits = scaled.view(np.uint32) >> 16
    return np.where(bits & 0x8000, 0xFFFF - bits, bits | 0x8000).astype(np.int64)


def value_of(buckets: NDArray[np.int64], axis: Axis) -> NDArray[np.float64]:
    """The middle of each bucket, in the column's unit."""
    b = buckets.astype(np.uint32)
    bits = np.where(b & 0x8000, b & 0x7FFF, 0xFFFF - b).astype(np.uint32)
    middle = ((bits << 16) | 0x8000).astype(np.uint32).view(np.float32).astype(np.float64)
    return middle * axis.scale + axis.offset
