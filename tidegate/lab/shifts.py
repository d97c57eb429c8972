"""Large shifts for measuring whether anybody would be told: each changes one thing of a night's rows, for good."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Change = Callable[[pa.Table, np.random.Generator], pa.Table]


@dataclass(frozen=True)
class Shift:
    """What is done to the rows of each night, or with ``labels`` to what comes true."""

    name: str
    column: str
    apply: Change
    labels: bool = False


def shifts(features: dict[str, str], label: str) -> list[Shift]:
    """Every large shift that the features' types allow, and a sudden change of the concept.

    Parameters
    ----------
    features : dict of str to str
        Type by column, as the dataset declares it; times are left alone.
    label : str
        Name of the label column of the shifted tables.
    """
    out = []
    for name, kind in features.items():
        if kind in ("integer", "number"):
            out += [
                Shift("unit × 10", name, _numbers(name, lambda x, _: x * 10)),
                Shift("offset 3σ", name, _numbers(name, lambda x, _: x + 3 * _spread(x))),
                Shift("default 0", name, _numbers(name, lambda x, rng: np.where(rng.random(len(x)) < 0.9, 0.0, x))),
            ]
        if kind == "category":
            out += [Shift("remapped", name, _remapped(name)), Shift("new category", name, _strangers(name))]
        if kind != "timestamp":
            out.append(Shift("80 % missing", name, _missing(name)))
    out.append(Shift("labels turned", label, _turned(label), labels=True))
    return out


def _spread(x: np.ndarray) -> float:
    known = x[np.isfinite(x)]
    return float(known.std()) if len(known) else 0.0


def _set(table: pa.Table, column: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index(column), column, values.cast(table[column].type))


def _numbers(column: str, change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Change:
    def apply(table: pa.Table, rng: np.random.Generator) -> pa.Table:
        x = np.array(table[column].cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
        made = pa.array(change(x, rng), from_pandas=True)
        return _set(table, column, pc.round(made) if pa.types.is_integer(table[column].type) else made)

    return apply


def _missing(column: str) -> Change:
    def apply(table: pa.Table, rng: np.random.Generator) -> pa.Table:
        kept = pa.array(rng.random(table.num_rows) >= 0.8)
        return _set(table, column, pc.if_else(kept, table[column], pa.scalar(None, table[column].type)))

    return apply


def _remapped(column: str) -> Change:
    """Each category becomes the next in the alphabet: a changed code table."""

    def apply(table: pa.Table, rng: np.random.Generator) -> pa.Table:
        coded = table[column].cast(pa.string()).combine_chunks().dictionary_encode()
        names = coded.dictionary.to_pylist()
        order = sorted(names)
        following = dict(zip(order, order[1:] + order[:1], strict=True))
        other = pa.DictionaryArray.from_arrays(coded.indices, pa.array([following[n] for n in names], pa.string()))
        return _set(table, column, other.cast(pa.string()))

    return apply


def _strangers(column: str) -> Change:
    def apply(table: pa.Table, rng: np.random.Generator) -> pa.Table:
        new = pa.array(rng.random(table.num_rows) < 0.6)
        return _set(table, column, pc.if_else(new, "ZZ-new", table[column].cast(pa.string())))

    return apply


def _turned(column: str) -> Change:
    """Labels in reverse order of size: what was likely becomes unlikely."""

    def apply(table: pa.Table, rng: np.random.Generator) -> pa.Table:
        y = np.asarray(table[column].to_numpy(), dtype=np.float64)
        return _set(table, column, pa.array(y.max() + y.min() - y)) if len(y) else table

    return apply
