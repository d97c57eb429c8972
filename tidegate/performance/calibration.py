"""Calibration, from tallies: of a binary model; of blocks and classes, with a null that knows of day shocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from tidegate.performance.tally import Floats, Tally


@dataclass(frozen=True)
class Calibration:
    """Reliability of scores: mean score and rate of positives in each bin that has rows.

    ``predicted`` and ``observed`` are means over all rows. ``ece`` is the expected
    calibration error in [0, 1]; it is above zero for a perfect model too, so ``ece_null``
    (its mean for a perfect model on these rows) stands beside it.
    """

    predicted: float
    observed: float
    ece: float
    ece_null: float
    score: tuple[float, ...]
    rate: tuple[float, ...]
    rows: tuple[int, ...]


def calibration(tally: Tally, bins: int = 15) -> Calibration:
    """Expected calibration error over `bins` equal-width bins (Naeini et al. 2015).

    Everything is NaN without rows, and for a model that is not binary. Rows are taken as
    independent in ``ece_null``; day shocks push a sound model above it.
    """
    if not tally.n or len(tally.hist) != 1:
        return Calibration(math.nan, math.nan, math.nan, math.nan, (), (), ())
    negative, positive = tally.hist[0]
    every = negative + positive
    middle = (np.arange(len(every)) + 0.5) / len(every)
    at = np.minimum((middle * bins).astype(int), bins - 1)
    rows = np.bincount(at, every, bins)
    used = rows > 0
    n = rows[used].astype(np.float64)
    score = np.bincount(at, every * middle, bins)[used] / n
    rate = np.bincount(at, positive, bins)[used] / n
    return Calibration(
        tally.sums["predicted"] / tally.n,
        float(positive.sum() / n.sum()),
        float(n @ np.abs(score - rate) / n.sum()),
        float(_mean_deviation(n, score).sum() / n.sum()),
        tuple(score.tolist()),
        tuple(rate.tolist()),
        tuple(n.astype(int).tolist()),
    )


def _mean_deviation(n: Floats, p: Floats) -> Floats:
    """E|X − np| of binomial counts (de Moivre 1730; Diaconis & Zabell 1991).

    The folded normal overstates it twofold in a bin of a few unlikely rows.

    Examples
    --------
    >>> _mean_deviation(np.array([1.0, 2.0]), np.array([0.1, 0.5])).round(12).tolist()
    [0.18, 0.5]
    """
    above = np.floor(n * p) + 1
    out: Floats = 2 * above * (1 - p) * binom.pmf(above, n, p)
    return out


@dataclass(frozen=True, eq=False)
class Sums:
    """Rows, sums of scores and positives in each bin of each class, shape (classes, bins), all blocks together.

    ``crowd`` is the mean number of rows that share a block with a row of the same bin, shape (classes, bins).
    """

    rows: Floats
    scores: Floats
    positives: Floats
    crowd: Floats

    def ece(self) -> float:
        """Expected calibration error, the mean over classes; NaN without rows."""
        n = self.rows.sum(axis=1)
        return float((np.abs(self.scores - self.positives).sum(axis=1) / n).mean()) if n.all() else math.nan

    def null(self, alike: Floats) -> float:
        """The error of a perfect model on these rows; `alike` is the intraclass correlation of each class.

        The mean deviation of a binomial count, times the root of the design effect 1 + (rows together − 1)·ρ
        (Kish 1965) of the bin's rows of one block.
        """
        n = self.rows.sum(axis=1)
        if not n.all():
            return math.nan
        used = self.rows > 0
        p = np.divide(self.scores, self.rows, out=np.zeros_like(self.scores), where=used)
        apart = np.where(used, _mean_deviation(self.rows, p), 0.0)
        effect = np.sqrt(1 + np.maximum(self.crowd - 1, 0) * alike[:, None])
        return float(((apart * effect).sum(axis=1) / n).mean())

    def excess(self, alike: Floats) -> float:
        """The error beyond that of a perfect model."""
        return self.ece() - self.null(alike)


@dataclass(frozen=True, eq=False)
class Bins:
    """Rows, sums of scores and positives by block, class and bin, shape (blocks, classes, bins)."""

    rows: Floats
    scores: Floats
    positives: Floats

    @classmethod
    def joined(cls, blocks: Sequence[Bins]) -> Bins:
        """Blocks put one after the other."""
        return cls(*(np.concatenate([getattr(b, f) for b in blocks]) for f in ("rows", "scores", "positives")))

    @property
    def sums(self) -> Sums:
        """All blocks together."""
        return self._sums(self.rows.sum(axis=0), self.scores.sum(axis=0), self.positives.sum(axis=0), 0.0)

    def without(self, block: int) -> Sums:
        """All blocks but one."""
        rows, scores, positives = (
            x.sum(axis=0) - x[block] for x in (self.rows, self.scores, self.positives)
        )  # fmt: skip
        return self._sums(rows, scores, positives, self.rows[block] ** 2)

    def _sums(self, rows: Floats, scores: Floats, positives: Floats, left_out: Floats | float) -> Sums:
        square = (self.rows**2).sum(axis=0) - left_out
        return Sums(rows, scores, positives, np.divide(square, rows, out=np.ones_like(rows), where=rows > 0))

    def alike(self) -> Floats:
        """Intraclass correlation of outcomes beyond their scores within blocks, of each class, in [0, 1].

        From the design effect of the mean of outcome − score over blocks; 0 with fewer than two blocks.

        Examples
        --------
        >>> one = Bins(np.full((4, 1, 1), 50.0), np.full((4, 1, 1), 25.0), np.full((4, 1, 1), 25.0))
        >>> one.alike().tolist()
        [0.0]
        """
        rows, off = self.rows.sum(axis=2), (self.positives - self.scores).sum(axis=2)
        blocks = len(rows)
        if blocks < 2:
            return np.zeros(rows.shape[1])
        n = rows.sum(axis=0)
        mean = np.divide(off.sum(axis=0), n, out=np.zeros_like(n), where=n > 0)
        between = blocks / (blocks - 1) * ((off - rows * mean) ** 2).sum(axis=0)
        p = np.divide(self.scores, self.rows, out=np.zeros_like(self.scores), where=self.rows > 0)
        within = (self.rows * p * (1 - p)).sum(axis=(0, 2))
        effect = np.divide(between, within, out=np.ones_like(n), where=within > 0)
        crowd = np.divide((rows**2).sum(axis=0), n, out=np.ones_like(n), where=n > 0)
        out: Floats = np.clip(np.divide(effect - 1, crowd - 1, out=np.zeros_like(n), where=crowd > 1), 0.0, 1.0)
        return out


def binned(tally: Tally, bins: int = 15) -> Bins:
    """One block's rows in `bins` equal-width bins of each class against the rest; a binary model has one class."""
    negative, positive = tally.hist[:, 0].astype(np.float64), tally.hist[:, 1].astype(np.float64)
    fine = tally.hist.shape[2]
    middle = (np.arange(fine) + 0.5) / fine
    edges = np.searchsorted(np.minimum((middle * bins).astype(int), bins - 1), np.arange(bins))
    every = negative + positive
    return Bins(*(np.add.reduceat(x, edges, axis=1)[None] for x in (every, every * middle, positive)))
