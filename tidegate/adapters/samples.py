"""Rows drawn at random from data files that need not fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from tidegate.adapters.datafiles import ParquetData, csv_blocks, data_files, is_csv
from tidegate.profile.arrow import array

Read = Callable[[np.ndarray], pa.Table]


def sample_files(names: Sequence[str | Path], columns: Sequence[str], rows: int, rng: np.random.Generator) -> pa.Table:
    """At most so many rows of Parquet or CSV files, folders, patterns or Delta tables, each as likely as any other.

    Every row draws a number, those with the lowest are kept: one pass, however many rows there are. In memory are
    the rows that are kept and one column of a row group (or one block of a CSV file). A column that
    a file does not have is missing in its rows.

    Raises
    ------
    SourceError
        A file cannot be read.
    UsageError
        There is no such file.
    """
    kept: list[pa.Table] = []
    lots = np.empty(0)
    limit = np.inf
    for path in data_files(names):
        for n, read in _blocks(path, columns):
            drawn = rng.random(n)
            mine = np.flatnonzero(drawn < limit)
            if kept and not len(mine):
                continue
            lots = np.concatenate((lots, drawn[mine]))
            kept = [*kept, read(mine)]
            if len(lots) > rows:
                best = np.sort(np.argpartition(lots, rows)[:rows])
                kept = [_joined(kept).take(array(best))]
                lots = lots[best]
                limit = float(lots.max())
    return _joined(kept)


def _joined(parts: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables(parts, promote_options="permissive")


def _blocks(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, Read]]:
    """A file's blocks: how many rows, and what reads some of them."""
    if is_csv(path):
        for table in csv_blocks(path):
            yield table.num_rows, _with(table, columns).take
        return
    data = ParquetData(path)
    try:
        if not data.rows:
            yield 0, _with(data.schema.empty_table(), columns).take
        here = [c for c in columns if c in data.schema.names]
        for group, n in enumerate(data.rows):

            def read(mine: np.ndarray, group: int = group) -> pa.Table:
                found = {c: data.read(group, [c])[c].take(array(mine)) for c in here}
                return pa.table({c: found[c] if c in found else pa.nulls(len(mine)) for c in columns})

            yield n, read
    finally:
        data.close()


def _with(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """These columns of a table, all missing where it has none."""
    nulls = pa.nulls(table.num_rows)
    return pa.table({c: table[c] if c in table.column_names else nulls for c in columns})
