"""Data files as the user names them: files, folders, patterns, Delta tables; Parquet and CSV."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlparse

import pyarrow as pa
import pyarrow.parquet as pq

from tidegate.errors import SourceError, UsageError

PARQUET = (".parquet", ".pq")
CSV = (".csv", ".csv.gz", ".tsv")
CSV_BLOCK = 16 << 20


def data_files(names: Sequence[str | Path]) -> list[Path]:
    """The files behind paths, folders (their Parquet and CSV files, at any depth), patterns and
    Delta tables, in the order given and sorted within each.

    Raises
    ------
    UsageError
        A name matches nothing, or nothing was named.
    """
    found: list[Path] = []
    for name in names:
        here = _behind(name)
        if not here:
            expected = "a Parquet or CSV file, a folder of them, or a Delta table"
            raise UsageError(str(name), expected, "nothing", "check the path")
        found += here
    if not found:
        raise UsageError("data", "at least one file", "none", "name a Parquet file")
    return list(dict.fromkeys(found))


def _behind(name: str | Path) -> list[Path]:
    path = Path(name)
    if (path / "_delta_log").is_dir():
        return _delta(path)
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.is_file() and is_data(p) and p.name[0] not in "._")
    if path.exists():
        return [path]
    return sorted(p for p in map(Path, glob.glob(str(name), recursive=True)) if p.is_file())


def is_data(path: Path) -> bool:
    return path.name.endswith(PARQUET + CSV)


def is_csv(path: Path) -> bool:
    return path.name.endswith(CSV)


def _delta(path: Path) -> list[Path]:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        table = DeltaTable(path)
        if "deletionVectors" in (table.protocol().reader_features or []):
            raise UsageError(str(path), "a Delta table without deletion vectors", "some", "compact it first")
        return sorted(Path(unquote(urlparse(uri).path)) if "://" in uri else Path(uri) for uri in table.file_uris())
    except DeltaError as fault:
        raise SourceError(str(path), "a readable Delta table", str(fault), "check its _delta_log") from None


class ParquetData:
    """One Parquet file, read a row group and a few columns at a time."""

    def __init__(self, path: Path, texts: Sequence[str] = ()) -> None:
        self.path = path
        with reading(path):
            self._file = pq.ParquetFile(path, read_dictionary=list(texts))
        self.schema: pa.Schema = self._file.schema_arrow
        meta = self._file.metadata
        self.rows = [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]

    def read(self, group: int, columns: Sequence[str]) -> pa.Table:
        with reading(self.path):
            # Threads are the caller's: here they would only add memory.
            return self._file.read_row_group(group, columns=list(columns), use_threads=False)

    def close(self) -> None:
        self._file.close()


def csv_blocks(path: Path) -> Iterator[pa.Table]:
    """A CSV file in blocks of 16 MB; types are told by the first one. Never none: an empty table has the names."""
    from pyarrow import csv

    delimiter = "\t" if path.name.endswith(".tsv") else ","
    with reading(path):
        reader = csv.open_csv(
            path, csv.ReadOptions(block_size=CSV_BLOCK, use_threads=False), csv.ParseOptions(delimiter=delimiter)
        )
        yield reader.schema.empty_table()
        for batch in reader:
            yield pa.Table.from_batches([batch])


class reading:  # noqa: N801
    """A file that cannot be read is one line, not a traceback."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, fault: BaseException | None, _trace: object) -> None:
        if isinstance(fault, pa.ArrowException | OSError | UnicodeDecodeError):
            raise SourceError(str(self.path), "a readable Parquet or CSV file", str(fault), "check the file") from None
