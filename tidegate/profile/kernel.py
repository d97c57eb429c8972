"""Counting many numbers fast: one pass, no sort, nothing allocated per row."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegate.profile.grid import CODES, LOWEST, MIDDLE, SHIFT, Axis

STEP = 32_768
"""Rows worked on at a time, so that the scratch arrays stay in the processor's cache."""
BLOCK = 8 * STEP
FARTHEST = 1e150
HEAVY = 0.0005
"""Only a bucket with more than this share of the rows is examined for being an atom."""
PROBE = 16_384
"""Rows of a strided sample in which the candidates for atoms are found."""


@dataclass(frozen=True)
class Counted:
    """What one pass over finite numbers gives: sparse buckets, rows, atoms, moments, range."""

    buckets: NDArray[np.int64]
    rows: NDArray[np.int64]
    atoms: NDArray[np.float64]
    total: float
    squares: float
    low: float
    high: float


class Kernel:
    """Scratch arrays for `count`; one for each thread."""

    def __init__(self) -> None:
        self._away = np.empty(STEP)
        self._near = np.empty(STEP, dtype=np.float32)
        self._code = np.empty(STEP, dtype=np.int32)
        self._sign = np.empty(STEP, dtype=np.int32)
        self._index = np.empty(BLOCK, dtype=np.intp)

    def count(self, x: NDArray[np.float64], axis: Axis) -> Counted:
        """The buckets of finite values, shape (n,), n ≥ 1, in one pass.

        Sums are taken in the order of the rows. An atom is told only of a bucket that holds more
        than .05 % of the rows; every other bucket is NaN, as if it held several values.
        """
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return self._count(x, axis)

    def _count(self, x: NDArray[np.float64], axis: Axis) -> Counted:
        size = CODES * len(axis.parts)
        counts = np.zeros(size, dtype=np.int64)
        total, squares, low, high = 0.0, 0.0, math.inf, -math.inf
        for start in range(0, len(x), BLOCK):
            block = x[start : start + BLOCK]
            index = self._index[: len(block)]
            for i in range(0, len(block), STEP):
                part = block[i : i + STEP]
                low, high = min(low, float(part.min())), max(high, float(part.max()))
                away = np.subtract(part, axis.offset, out=self._away[: len(part)])
                total += float(away.sum())
                squares += float(np.einsum("i,i->", away, away))
                self._codes(part, axis, index[i : i + STEP])
            counts += np.bincount(index, minlength=size)
        if not (math.isfinite(total) and math.isfinite(squares)) or max(abs(low), abs(high)) > FARTHEST:
            clipped = np.clip(x - axis.offset, -FARTHEST, FARTHEST)
            total, squares = float(clipped.sum()), float((clipped * clipped).sum())
        buckets = np.flatnonzero(counts)
        rows = counts[buckets]
        return Counted(buckets, rows, self._atoms(x, axis, buckets, rows), total, squares, low + 0.0, high + 0.0)

    def _codes(self, part: NDArray[np.float64], axis: Axis, out: NDArray[np.intp]) -> None:
        """`bucket_of`, without a new array."""
        n = len(part)
        away, near, code, sign = self._away[:n], self._near[:n], self._code[:n], self._sign[:n]
        if axis.cells:
            cell = np.zeros(n, dtype=np.intp)
            for cut in axis.cuts:
                cell += part >= cut
            offsets, scales = np.array(axis.cells).T
            np.subtract(part, offsets.take(cell), out=away)
            np.multiply(away, (1 / scales).take(cell), out=near, casting="same_kind")
        else:
            np.subtract(part, axis.offset, out=away)
            np.multiply(away, 1 / axis.scale, out=near, casting="same_kind")
        bits = near.view(np.int32)
        np.right_shift(bits, 31, out=sign)
        np.bitwise_and(bits, 0x7FFFFFFF, out=code)
        np.right_shift(code, SHIFT, out=code)
        np.subtract(code, LOWEST, out=code)
        np.maximum(code, 0, out=code)
        np.minimum(code, MIDDLE - 1, out=code)
        np.bitwise_xor(code, sign, out=code)
        np.subtract(code, sign, out=code)
        np.add(code, MIDDLE, out=out)
        if axis.cells:
            out += CODES * cell

    def _atoms(
        self, x: NDArray[np.float64], axis: Axis, buckets: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """The value of each heavy bucket that holds only one, else NaN."""
        atoms = np.full(len(buckets), np.nan)
        heavy = np.flatnonzero(rows > HEAVY * len(x))
        if not len(heavy):
            return atoms
        atom = np.full(CODES * len(axis.parts), np.nan)
        probe = x[:: max(len(x) // PROBE, 1)]
        for start in range(0, len(probe), STEP):
            part = probe[start : start + STEP]
            index = self._index[: len(part)]
            self._codes(part, axis, index)
            atom[index] = part + 0.0
        light = np.ones(len(atom), dtype=bool)
        light[buckets[heavy]] = False
        atom[light] = np.nan
        same = np.zeros(len(atom), dtype=np.int64)
        for start in range(0, len(x), STEP):
            part = x[start : start + STEP]
            index = self._index[: len(part)]
            self._codes(part, axis, index)
            same += np.bincount(index[atom.take(index) == part], minlength=len(atom))
        whole = same[buckets[heavy]] == rows[heavy]
        atoms[heavy[whole]] = atom[buckets[heavy[whole]]]
        return atoms
