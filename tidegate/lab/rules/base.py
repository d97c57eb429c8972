"""What a rule sees of a night: each column's values with their counts; and what it says: one number a night."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Measure = Callable[["Column"], float]


@dataclass(frozen=True, eq=False)
class Column:
    """A column of a night or of more: its different values in order, the rows of each, and the rows without one.

    ``values`` are floats or, with ``coded``, text; ±inf counts as missing.
    """

    values: NDArray[Any]
    counts: NDArray[np.int64]
    missing: int
    coded: bool

    @property
    def present(self) -> int:
        return int(self.counts.sum())

    @property
    def raw(self) -> NDArray[Any]:
        """The values, each as often as it came, in order."""
        return np.asarray(np.repeat(self.values, self.counts))

    def on(self, values: NDArray[Any]) -> Floats:
        """The rows of each of some values, in their order; those of others are left out."""
        if not len(self.values):
            return np.zeros(len(values))
        at = np.minimum(np.searchsorted(self.values, values), len(self.values) - 1)
        return np.asarray(np.where(self.values[at] == values, self.counts[at], 0), dtype=np.float64)


class Rule(Protocol):
    """A rule of the trade, as one number a night that its threshold is held against.

    ``threshold``: the published one; ``reached``: a number that is equal to it alarms, too. ``features_only``: the
    rule is about features, and is not shown the model's own column or the label.
    """

    name: str
    title: str
    source: str
    threshold: float
    reached: bool
    features_only: bool

    def fit(self, nights: Sequence[Column]) -> Measure:
        """What tells a column's value on a night, from its reference nights; NaN where a night has nothing to tell."""
        ...

    def night(self, values: Sequence[float]) -> float:
        """The night's number from its columns' values; NaN where none has any."""
        ...


def column_of(values: pa.ChunkedArray, kind: str) -> Column:
    """A column by its declared type: numbers as they are, everything else by its text.

    Examples
    --------
    >>> c = column_of(pa.chunked_array([[2.0, 1.0, None, 2.0]]), "number")
    >>> c.values.tolist(), c.counts.tolist(), c.missing
    ([1.0, 2.0], [1, 2], 1)
    """
    if kind in ("integer", "number"):
        x = np.asarray(values.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
        known = x[np.isfinite(x)]
        found, counts = np.unique(known, return_counts=True)
        return Column(found, counts.astype(np.int64), len(x) - len(known), False)
    known = pc.value_counts(values.cast(pa.string()).drop_null())
    names = np.array(known.field("values").to_pylist(), dtype=object)
    order = np.argsort(names) if len(names) else np.zeros(0, dtype=np.int64)
    counts = known.field("counts").to_numpy()[order].astype(np.int64)
    return Column(names[order], counts, values.null_count, True)


def merged(columns: Sequence[Column]) -> Column:
    """Several nights as one."""
    every = np.concatenate([c.values for c in columns])
    values, at = np.unique(every, return_inverse=True)
    counts = np.bincount(at, np.concatenate([c.counts for c in columns]), minlength=len(values))
    missing = sum(c.missing for c in columns)
    return Column(values, counts.astype(np.int64), missing, columns[0].coded)


def jensen_shannon(p: Floats, q: Floats, base: float = np.e) -> float:
    """The Jensen-Shannon distance of two lots of shares, each made to sum to one; NaN where one is empty.

    As `scipy.spatial.distance.jensenshannon` has it, which the rules' authors use.
    """
    if not (p.sum() > 0 and q.sum() > 0):
        return float("nan")
    p, q = p / p.sum(), q / q.sum()
    m = (p + q) / 2

    def half(x: Floats) -> float:
        some = x > 0
        return float((x[some] * np.log(x[some] / m[some])).sum())

    return float(np.sqrt(max((half(p) + half(q)) / 2, 0.0) / np.log(base)))
