"""Counting many numbers fast: one pass, no sort, no new array per row."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegate.profile.grid import CODES, LOWEST, MIDDLE, SHIFT, Axis, bucket_of

STEP = 32_768
"""Rows worked on at a time, so that the scratch arrays stay in the processor's cache."""
BLOCK = 8 * STEP
FARTHEST = 1e150
HEAVY = 0.0005
"""Only a bucket with more than this share of the rows is examined for being an atom."""
PROBE = 16_384
"""Rows of a strided sample in which the candidates for atoms are found."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Counted:
    """One unit of numbers: rows by bucket, atoms, moments about the axis' offset, range."""

    buckets: Ints
    rows: Ints
    atoms: Floats
    total: float
    squares: float
    low: float
    high: float
    infinite: int = 0


class Kernel:
    """Scratch arrays for `count`; one for each thread."""

    def __init__(self) -> None:
        self._away = np.empty(STEP)
        self._near = np.empty(STEP, dtype=np.float32)
        self._code = np.empty(STEP, dtype=np.int32)
        self._sign = np.empty(STEP, dtype=np.int32)
        self._index = np.empty(BLOCK, dtype=np.intp)

    def count(self, x: Floats, axis: Axis) -> Counted:
        """The finite values of shape (n,) by bucket, in one pass; NaN are the rows not counted.

        Sums are taken in the order of the rows. An atom is told only of a bucket that holds more
        than .05 % of the rows; every other bucket is NaN, as if it held several values.
        """
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            counts = np.zeros(CODES * len(axis.parts), dtype=np.int64)
            total, squares, low, high, infinite = 0.0, 0.0, math.inf, -math.inf, 0
            for start in range(0, len(x), BLOCK):
                block = x[start : start + BLOCK]
                least, most = float(block.min()), float(block.max())
                if not (math.isfinite(least) and math.isfinite(most)):
                    infinite += int(np.count_nonzero(np.isinf(block)))
                    block = block[np.isfinite(block)]
                    if not len(block):
                        continue
                    least, most = float(block.min()), float(block.max())
                low, high = min(low, least), max(high, most)
                sums = self._block(block, axis, least, most, counts)
                total, squares = total + sums[0], squares + sums[1]
            if low <= high and max(high - axis.offset, axis.offset - low) > FARTHEST:
                away = np.clip(x[np.isfinite(x)] - axis.offset, -FARTHEST, FARTHEST)
                total, squares = float(away.sum()), float((away * away).sum())
            buckets = np.flatnonzero(counts)
            rows = counts[buckets]
            atoms = self._atoms(x, axis, buckets, rows)
            return Counted(buckets, rows, atoms, total, squares, low + 0.0, high + 0.0, infinite)

    def _block(self, block: Floats, axis: Axis, least: float, most: float, counts: Ints) -> tuple[float, float]:
        """Adds the block's rows to the counts; returns its two sums."""
        # Buckets sort as values do, so only those between the extremes need room.
        first, last = bucket_of(np.array([least, most]), axis).tolist()
        index = self._index[: len(block)]
        total = squares = 0.0
        for i in range(0, len(block), STEP):
            part = block[i : i + STEP]
            away = np.subtract(part, axis.offset, out=self._away[: len(part)])
            total += float(away.sum())
            squares += float(np.einsum("i,i->", away, away))
            self._codes(part, axis, first, index[i : i + STEP], shifted=True)
        counts[first : last + 1] += np.bincount(index, minlength=last - first + 1)
        return total, squares

    def _codes(self, part: Floats, axis: Axis, first: int, out: NDArray[np.intp], *, shifted: bool = False) -> None:
        """`bucket_of` minus `first`, without a new array; `shifted`: ``part - offset`` is in the scratch already."""
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
            if not shifted:
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
        np.add(code, MIDDLE - first, out=out)
        if axis.cells:
            out += CODES * cell

    def _atoms(self, x: Floats, axis: Axis, buckets: Ints, rows: Ints) -> Floats:
        """The value of each heavy bucket that holds only one, else NaN."""
        atoms = np.full(len(buckets), np.nan)
        heavy = np.flatnonzero(rows > HEAVY * len(x))
        if not len(heavy):
            return atoms
        probe = x[:: max(len(x) // PROBE, 1)]
        probe = probe[np.isfinite(probe)] + 0.0
        found = np.searchsorted(buckets[heavy], bucket_of(probe, axis))
        found = np.minimum(found, len(heavy) - 1)
        in_heavy = buckets[heavy][found] == bucket_of(probe, axis)
        found, probe = found[in_heavy], probe[in_heavy]
        value = np.full(len(heavy), np.nan)
        value[found] = probe
        value[found[value[found] != probe]] = np.nan  # two values already in the sample
        kept = np.flatnonzero(np.isfinite(value))
        if not len(kept):
            return atoms
        # Only the rows themselves can prove that a bucket holds nothing else.
        slot = np.zeros(CODES * len(axis.parts), dtype=np.intp)
        slot[buckets[heavy[kept]]] = 1 + np.arange(len(kept))
        expected = np.concatenate(([np.nan], value[kept]))
        same = np.zeros(len(kept) + 1, dtype=np.int64)
        for start in range(0, len(x), STEP):
            part = x[start : start + STEP]
            index = self._index[: len(part)]
            self._codes(part, axis, 0, index)
            found = slot.take(index)
            same += np.bincount(found[expected.take(found) == part], minlength=len(same))
        proven = same[1:] == rows[heavy[kept]]
        atoms[heavy[kept[proven]]] = value[kept[proven]]
        return atoms
