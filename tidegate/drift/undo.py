"""A window as it would be had a column not drifted: its values carried back to the reference's distribution.

Each row keeps its rank, so what hangs together with the column still does: numbers go to the reference's
quantile of the same rank, categories that have too many rows give the surplus, drawn by lot, to those that
have too few, missing values beyond the reference's share get values drawn from it, and so does the surplus of a number
that has become a default. A turned code table is read back first. Without drift next to
nothing changes. This is optimal transport on the line (Villani, Topics in optimal transportation, 2003) and, for
categories, a coupling that moves the fewest rows.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidegate.drift.binning import Counts
from tidegate.profile.column import OTHER, ColumnProfile
from tidegate.profile.grid import value_of


def undone(column: pa.ChunkedArray, reference: ColumnProfile, rng: np.random.Generator) -> pa.ChunkedArray:
    """The column with the reference's distribution, same length and type.

    It is given back as it is where the reference has no usable value; so are times, and free text, of which the
    reference knows only the length.

    Examples
    --------
    >>> from tidegate.profile.column import number_column
    >>> from tidegate.profile.grid import Axis
    >>> reference = number_column(np.array([1.0, 2.0, 3.0, 4.0]), Axis("number"))
    >>> undone(pa.chunked_array([[30.0, 10.0, 40.0, 20.0]]), reference, np.random.default_rng(0)).to_pylist()
    [3.0, 1.0, 4.0, 2.0]
    """
    if not undoable(column, reference):
        return column
    if reference.axis.kind == "category":
        return _undone_categories(column, reference, rng)
    kind = column.type
    x = np.array(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    usable = np.isfinite(x)
    filled = _filled(~usable, reference, rng)
    values, share = _quantiles(reference)
    stuck = _stuck(x, usable, values, np.diff(share, prepend=0.0), rng)
    filled, usable = filled | stuck, usable & ~stuck
    u = np.empty(len(x))
    m = int(usable.sum())
    order = np.lexsort((rng.random(m), x[usable]))
    u[np.flatnonzero(usable)[order]] = (np.arange(m) + 0.5) / max(m, 1)
    u[filled] = rng.random(int(filled.sum()))
    there = usable | filled
    out = np.full(len(x), np.nan)
    out[there] = values[np.minimum(np.searchsorted(share, u[there]), len(values) - 1)]
    made = pa.array(out, from_pandas=True)
    if pa.types.is_boolean(kind):
        return pa.chunked_array([pc.greater(made, 0.5)])
    return pa.chunked_array([(pc.round(made) if pa.types.is_integer(kind) else made).cast(kind)])


def undoable(column: pa.ChunkedArray, reference: ColumnProfile) -> bool:
    """Whether `undone` changes anything: what is given back as it is says nothing of what a fault would cost."""
    if not len(column) or not reference.present or reference.axis.of == "length":
        return False
    if reference.axis.kind == "category":
        return any(n != OTHER for n in reference.names)
    return not pa.types.is_temporal(column.type)  # when rows came is not a thing to undo


def scrambled(column: pa.ChunkedArray, reference: ColumnProfile, rng: np.random.Generator) -> pa.ChunkedArray:
    """The column drawn anew from the reference, whatever it says: all that a row's own value told is gone.

    Only for categories that are `undoable`; OTHER is left out, missing values come as often as in the reference.

    Examples
    --------
    >>> from tidegate.profile.column import category_column
    >>> from tidegate.profile.grid import Axis
    >>> reference = category_column({"a": 3, "b": 1}, 0, Axis("category"), 10)
    >>> made = scrambled(pa.chunked_array([["c"] * 400]), reference, np.random.default_rng(0)).to_pylist()
    >>> sorted(set(made)), 280 < made.count("a") < 320
    (['a', 'b'], True)
    """
    counts = {str(n): c for n, c in reference.counts.items() if n != OTHER}
    names = [*counts, None]
    share = np.array([*counts.values(), reference.missing], dtype=np.float64)
    codes = rng.choice(len(names), len(column), p=share / share.sum())
    return pa.chunked_array([pa.array(names, pa.string()).take(pa.array(codes)).cast(column.type)])


def _filled(missing: NDArray[np.bool_], reference: ColumnProfile, rng: np.random.Generator) -> NDArray[np.bool_]:
    """The missing rows beyond the reference's share, by lot."""
    usual = round((reference.missing + reference.infinite) / reference.n * len(missing))
    at = np.flatnonzero(missing)
    out = np.zeros(len(missing), dtype=bool)
    out[rng.permutation(at)[: max(len(at) - usual, 0)]] = True
    return out


STUCK = 0.15
"""Share of the rows beyond the reference's that one number must have to be taken for a default."""
FEW = 20
"""And so many rows at least."""
COARSE = 50
"""Different numbers of a reference below which many rows of one number are nothing odd: a small step moves them all."""


def _stuck(
    x: Counts, usable: NDArray[np.bool_], values: Counts, share: Counts, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Rows, by lot, of numbers that are far too many: what they said is lost, and the others' ranks are not theirs."""
    out = np.zeros(len(x), dtype=bool)
    if len(values) < COARSE:
        return out
    found, rows = np.unique(x[usable], return_counts=True)
    for value, count in zip(found.tolist(), rows.tolist(), strict=True):
        surplus = count - round(float(share[values == value].sum()) * int(usable.sum()))
        if surplus > max(STUCK * len(x), FEW):
            out[rng.permutation(np.flatnonzero(usable & (x == value)))[:surplus]] = True
    return out


def _quantiles(reference: ColumnProfile) -> tuple[Counts, Counts]:
    values = np.where(np.isnan(reference.atoms), value_of(reference.buckets, reference.axis), reference.atoms)
    return np.clip(values, reference.low, reference.high), np.cumsum(reference.rows) / reference.present


REMAPPED = 0.25
"""Share of the rows that must have another category than the reference's counts allow before a remap is looked for."""
LEFT = 0.15
"""And the most of that share that the best code table may leave unexplained: a turned one leaves noise."""


def _read_back(codes: NDArray[np.int64], wanted: Counts) -> NDArray[np.int64]:
    """The codes under the code table that fits the counts best, if it explains nearly all of a large change.

    Each category then stands for the one whose count it has: a table that was turned leaves its counts (an assignment
    problem: Kuhn 1955). Small changes are left to the fewest moves, which noise alone would not explain worse.
    """
    from scipy.optimize import linear_sum_assignment

    now = np.bincount(codes[codes >= 0], minlength=len(wanted)).astype(np.float64)
    if not now.sum() or not wanted.sum():
        return codes
    now, then = now / now.sum(), wanted / wanted.sum()
    if np.abs(now - then).sum() / 2 <= REMAPPED:
        return codes
    _, to = linear_sum_assignment(np.abs(now[:, None] - then[None, :]))
    if np.abs(now - then[to]).sum() > LEFT * np.abs(now - then).sum():
        return codes
    return np.where(codes >= 0, to[codes], codes)


def _undone_categories(column: pa.ChunkedArray, reference: ColumnProfile, rng: np.random.Generator) -> pa.ChunkedArray:
    kind = column.type
    coded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    names = coded.dictionary.to_pylist()
    there = (codes >= 0) | _filled(codes < 0, reference, rng)
    rows = reference.counts
    every = [*names, *(n for n in reference.names if n not in set(names))]
    codes = _read_back(codes, np.array([0 if n == OTHER else rows.get(n, 0) for n in every], dtype=np.float64))
    wanted = np.array([0 if n == OTHER else rows.get(n, 0) for n in every], dtype=np.float64)
    if not wanted.sum():
        return column
    exact = wanted / wanted.sum() * int(there.sum())
    target = np.floor(exact).astype(np.int64)
    target[np.argsort(target - exact, kind="stable")[: int(there.sum()) - int(target.sum())]] += 1
    now = np.bincount(codes[codes >= 0], minlength=len(every))
    free = there & (codes < 0)
    for k in np.flatnonzero(now > target):
        free[rng.permutation(np.flatnonzero(codes == k))[: now[k] - target[k]]] = True
    lacking = np.repeat(np.arange(len(every)), np.maximum(target - now, 0))
    codes[np.flatnonzero(free)] = rng.permutation(lacking)[: int(free.sum())]
    made = pa.DictionaryArray.from_arrays(pa.array(np.where(codes < 0, 0, codes), mask=codes < 0), pa.array(every))
    return pa.chunked_array([made.cast(pa.string()).cast(kind)])
