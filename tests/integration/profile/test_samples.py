"""Rows drawn from files: as many as asked for, each as likely, whatever the format."""

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from tidegate.adapters import datafiles
from tidegate.adapters.samples import sample_files
from tidegate.errors import UsageError


def drawn(path, rows, seed, columns=("x",)):
    return sample_files([path], columns, rows, np.random.default_rng(seed))


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The same thousand rows twice: in row groups of 70, and in a CSV file of many blocks."""
    table = pa.table({"x": np.arange(1000), "y": np.char.add("n", (np.arange(1000) % 7).astype(str))})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=70)
    pacsv.write_csv(table, tmp_path / "a.csv")
    monkeypatch.setattr(datafiles, "CSV_BLOCK", 600)
    return {"parquet": tmp_path / "a.parquet", "csv": tmp_path / "a.csv"}


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_rows_stay_whole_and_none_is_drawn_twice(files, kind):
    found = drawn(files[kind], 120, 3, ("y", "x"))
    x = found["x"].to_numpy()
    assert found.column_names == ["y", "x"]
    assert len(set(x.tolist())) == found.num_rows == 120
    assert found["y"].to_pylist() == [f"n{i % 7}" for i in x]
    assert found.equals(drawn(files[kind], 120, 3, ("y", "x")))


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_every_row_is_as_likely(files, kind):
    times = np.bincount(np.concatenate([drawn(files[kind], 100, s)["x"].to_numpy() for s in range(60)]), minlength=1000)
    blocks = times.reshape(10, 100).sum(axis=1)
    # 600 of a block are expected, give or take 23.
    assert abs(blocks - 600).max() < 95


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_all_rows_where_there_are_no_more(files, kind):
    for rows in (1000, 5000):
        assert drawn(files[kind], rows, 1)["x"].to_pylist() == list(range(1000))


def test_no_rows_keep_their_types(tmp_path):
    pq.write_table(pa.table({"x": pa.array([], pa.int64())}), tmp_path / "e.parquet")
    found = drawn(tmp_path / "e.parquet", 10, 1)
    assert (found.num_rows, found.schema.field("x").type) == (0, pa.int64())


def test_categories_of_different_files_are_put_together(tmp_path):
    for name in "ab":
        one = pa.table({"x": pa.array([name] * 30).dictionary_encode()})
        pq.write_table(one, tmp_path / f"{name}.parquet", row_group_size=9)
    found = drawn(tmp_path, 50, 1)["x"].cast(pa.string()).to_pylist()
    assert len(found) == 50
    assert set(found) == {"a", "b"}


def test_no_such_file_is_said(tmp_path):
    with pytest.raises(UsageError, match="nothing"):
        drawn(tmp_path / "none.parquet", 1, 1)
