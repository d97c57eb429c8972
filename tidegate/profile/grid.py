"""The grid: which value falls into which bucket of a profile, frozen per dataset.

A number is measured from its cell's offset in units of its cell's scale; its bucket is the sign,
the power of two and the first 10 bits of that distance, re-ordered so that buckets sort as values
do. Buckets are fine near the offset and coarse far from it: their width is at most 1/1024 of the
distance from the offset. Closer than 2⁻²⁴ scales is at the offset, farther than 2⁴⁰ is all one
bucket. An axis has one cell, or several where the data have a second mode far from the first
(`tidegate.profile.fit`): bucket = 131,072 · cell + code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import UsageError
from tidegate.lineage.digest import json_digest

ENGINE = "tidegate-profile/2"
MAX_CELLS = 8
CODES = 131_072
MIDDLE = 65_536
"""The code of the offset itself; codes run from 1 to 131,071."""
MANTISSA = 10
SHIFT = 23 - MANTISSA
LOWEST = (127 - 24) << MANTISSA
"""The float32 bits, shifted, of 2⁻²⁴."""
SMALLEST_SCALE = 2.0**-1020
"""Its inverse is still finite."""
ColumnKind = Literal["number", "category"]


@dataclass(frozen=True, slots=True)
class Axis:
    """One column of a grid.

    Numbers have an ``offset`` and a ``scale`` (column's unit), and if they need several cells the
    ascending ``cuts`` between them and the (offset, scale) of each in ``cells``. ``of`` is what is
    counted: the value, or the length of a text (in characters), of which ``distinct`` different
    ones were in the sample that fitted the grid.
    """

    kind: ColumnKind
    offset: float = 0.0
    scale: float = 1.0
    cuts: tuple[float, ...] = ()
    cells: tuple[tuple[float, float], ...] = ()
    of: Literal["value", "length"] = "value"
    distinct: int = 0

    def __post_init__(self) -> None:
        for offset, scale in ((self.offset, self.scale), *self.cells):
            if not (math.isfinite(offset) and SMALLEST_SCALE <= scale < math.inf):
                raise UsageError(
                    "axis",
                    "a finite offset and a finite scale above 0",
                    f"offset {offset}, scale {scale}",
                    "fit it with axis_of",
                )
        ordered = all(a < b for a, b in pairwise(self.cuts))
        if len(self.cells) != (len(self.cuts) + 1 if self.cuts else 0) or len(self.cells) > MAX_CELLS or not ordered:
            raise UsageError(
                "axis",
                f"at most {MAX_CELLS} cells with ascending cuts between them",
                f"{len(self.cells)} cells and cuts {self.cuts}",
                "fit it with axis_of",
            )

    @property
    def parts(self) -> tuple[tuple[float, float], ...]:
        """(offset, scale) of every cell, at least one."""
        return self.cells or ((self.offset, self.scale),)


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
        if body.get("engine") != ENGINE:
            raise UsageError("grid", ENGINE, str(body.get("engine")), "profile the windows again with this version")
        return cls({name: _axis(axis) for name, axis in body["axes"].items()}, int(body["max_categories"]))


def _axis(body: Mapping[str, Any]) -> Axis:
    cells = tuple((float(offset), float(scale)) for offset, scale in body["cells"])
    return Axis(**{**body, "cuts": tuple(map(float, body["cuts"])), "cells": cells})


def bucket_of(values: NDArray[np.float64], axis: Axis) -> NDArray[np.int64]:
    """The buckets, ordered as the values, of finite values, shape (n,) to (n,).

    Examples
    --------
    >>> bucket_of(np.array([-1.0, -0.0, 0.0, 1.0]), Axis("number")).tolist()
    [40960, 65536, 65536, 90112]
    """
    cell: Any = np.searchsorted(axis.cuts, values, side="right") if axis.cuts else 0
    offsets, scales = np.array(axis.parts).T
    with np.errstate(over="ignore", under="ignore"):
        bits = ((values - offsets[cell]) * (1 / scales)[cell]).astype(np.float32).view(np.int32)
    sign = bits >> 31
    code = np.clip(((bits & 0x7FFFFFFF) >> SHIFT) - LOWEST, 0, MIDDLE - 1)
    return np.asarray(((code ^ sign) - sign + MIDDLE) + CODES * cell, dtype=np.int64)


def value_of(buckets: NDArray[np.int64], axis: Axis) -> NDArray[np.float64]:
    """The middle of each bucket, in the column's unit, shape (n,) to (n,), never beyond its cell.

    Examples
    --------
    >>> value_of(np.array([65536, 90112]), Axis("number", offset=10.0)).round(4).tolist()
    [10.0, 11.0005]
    """
    cell = buckets // CODES
    away = buckets % CODES - MIDDLE
    bits = ((np.abs(away) + LOWEST) << SHIFT | 1 << (SHIFT - 1)).astype(np.int32)
    middle = np.where(away == 0, 0.0, np.sign(away) * bits.view(np.float32).astype(np.float64))
    offsets, scales = np.array(axis.parts).T
    edges = np.array([-math.inf, *axis.cuts, math.inf])
    with np.errstate(over="ignore"):
        return np.asarray(np.clip(middle * scales[cell] + offsets[cell], edges[cell], edges[cell + 1]))
