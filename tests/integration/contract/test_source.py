import sqlite3
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.adapters.source import files_of, read_file, read_window
from tidegate.config.dataset import Source
from tidegate.config.home import Home
from tidegate.errors import ConfigError, SourceError
from tidegate.windows import Calendar

WINDOW = Calendar("America/New_York").window("2013-01-05")
CSV = b'id,at,name\n1,2013-01-05T10:00:00Z,"a, ""b"""\n2,2013-01-05T11:00:00Z,\n003,NA,caf\xc3\xa9\n'
one_file = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def home(tmp_path):
    return Home.at(tmp_path)


def test_a_csv_file_comes_as_text(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf" + CSV.replace(b"\n", b"\r\n"))
    frame = read_file(path)
    assert frame.to_dict("list") == {
        "id": ["1", "2", "003"],
        "at": ["2013-01-05T10:00:00Z", "2013-01-05T11:00:00Z", None],
        "name": ['a, "b"', None, "café"],
    }


@pytest.mark.fault(12)
@pytest.mark.parametrize(("data", "columns"), [(b"", 0), (b"\n\n", 0), (b"a,b\n", 2)])
def test_an_empty_csv_file_is_an_empty_frame(tmp_path, data, columns):
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    assert read_file(path).shape == (0, columns)


@pytest.mark.fault(29)
@one_file
@given(st.integers(1, len(CSV) - 1))
def test_a_csv_file_cut_anywhere_is_refused_or_whole_rows(tmp_path, length):
    path = tmp_path / "a.csv"
    path.write_bytes(CSV)
    whole = read_file(path)
    path.write_bytes(CSV[:length])
    try:
        found = read_file(path)
    except SourceError:
        return
    # Between two rows nothing in the file tells: the row count does.
    assert CSV[length - 1 : length] == b"\n"
    pd.testing.assert_frame_equal(found, whole.head(len(found)))


@pytest.mark.fault(29)
@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"a,b\n1,2\n3\n", "1 cells in line 3 under 2 column names"),
        (b"a,b\n1,2,3\n", "3 cells in line 2 under 2 column names"),
        (b'a,b\n1,"2\n', "unexpected end of data"),
        (b"a,b\n1,2\x003\n", "NUL"),
        (b"\x89PNG\r\n\x1a\n\xff\n", "UnicodeDecodeError"),
        (b"a,b\n1,caf\xe9\n", "UnicodeDecodeError"),
        (b"a,b\n1,2", "cut off"),
    ],
)
def test_a_csv_file_that_is_none_is_refused(tmp_path, data, found):
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=found) as caught:
        read_file(path)
    assert "\n" not in str(caught.value)
    assert "a.csv" in str(caught.value)


def table():
    return pa.table(
        {
            "i": pa.array([1, None, 2**62 + 1], pa.int64()),
            "d": pa.array([Decimal("1.10"), None, Decimal("2.00")]),
            "t": pa.array([0, 1, None], pa.timestamp("us", "UTC")),
            "s": pa.array(["a", None, "b"]),
        }
    )


def test_a_parquet_file_keeps_every_value(tmp_path):
    path = tmp_path / "date=2013-01-05" / "a.parquet"
    path.parent.mkdir()
    pq.write_table(table(), path)
    frame = read_file(path)
    assert list(frame.columns) == ["i", "d", "t", "s"]
    assert frame["i"].tolist() == [1, None, 2**62 + 1]
    assert frame["d"].tolist() == [Decimal("1.10"), None, Decimal("2.00")]


def test_a_pandas_index_in_a_parquet_file_is_a_column(tmp_path):
    path = tmp_path / "a.parquet"
    pd.DataFrame({"id": [7, 8], "x": [1, 2]}).set_index("id").to_parquet(path)
    assert sorted(read_file(path).columns) == ["id", "x"]


@pytest.mark.fault(29)
@one_file
@given(st.data())
def test_no_bit_flip_in_a_checksummed_parquet_page_is_silent(tmp_path, data):
    path = tmp_path / "a.parquet"
    rng = np.random.default_rng(0)
    whole = pa.table({"x": rng.normal(size=200), "s": rng.choice(list("abc"), 200)})
    pq.write_table(whole, path, write_page_checksum=True)
    bytes_ = bytearray(path.read_bytes())
    column = data.draw(st.sampled_from([0, 1]))
    meta = pq.ParquetFile(path).metadata.row_group(0).column(column)
    start = meta.dictionary_page_offset or meta.data_page_offset
    at = data.draw(st.integers(start, start + meta.total_compressed_size - 1))
    bytes_[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(bytes_)
    try:
        frame = read_file(path)
    except SourceError:
        return
    # Statistics in a page's header carry no values.
    assert frame.equals(whole.to_pandas())


@pytest.mark.fault(29)
@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_a_cut_parquet_file_is_refused(tmp_path, keep):
    path = tmp_path / "a.parquet"
    pq.write_table(table(), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(SourceError, match="whole Parquet file"):
        read_file(path)


def test_other_kinds_of_files_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"\.csv or \.parquet"):
        read_file(tmp_path / "a.xlsx")


def test_an_absent_file_names_the_window(home):
    with pytest.raises(SourceError, match=r"2013-01-05\.csv of window 2013-01-05: expected a file, found no such file"):
        read_window(Source(files="raw/{date}.csv"), WINDOW, home)


def test_an_injected_copy_stands_in(home):
    source = Source(files="raw/{date}.csv")
    for folder, text in ((home.root, "a\n1\n"), (home.shared / "injected", "a\n2\n")):
        path = folder / "raw" / "2013-01-05.csv"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        assert read_window(source, WINDOW, home)["a"].tolist() == [text[2]]
    assert files_of(source, WINDOW, home) == [path]


@pytest.fixture
def database(home):
    path = home.root / "data.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table trips (id integer, at text, km real)")
        rows = [
            (1, "2013-01-05 04:59:59", 1.5),
            (2**60 + 1, "2013-01-05 05:00:00", 2.5),
            (None, "2013-01-06 04:59:59.9", 3),
            (4, "2013-01-06 05:00:00", 4),
        ]
        connection.executemany("insert into trips values (?, ?, ?)", rows)
    connection.close()
    return path


SQL = "select id, replace(at, ' ', 'T') || 'Z' as at, km from trips where at >= :start and at < :end"


def test_sql_reads_a_window_and_changes_nothing(home, database):
    frame = read_window(Source(sql=SQL, url="sqlite:///data.db"), WINDOW, home)
    assert frame["id"].tolist() == [2**60 + 1, None]
    assert frame["km"].tolist() == [2.5, 3.0]
    assert frame["at"].tolist() == ["2013-01-05T05:00:00Z", "2013-01-06T04:59:59.9Z"]


def test_sql_without_rows_has_columns_and_may_ignore_the_window(home, database):
    frame = read_window(Source(sql="select id, km from trips where 0", url="sqlite:///data.db"), WINDOW, home)
    assert list(frame.columns) == ["id", "km"]
    assert len(frame) == 0


@pytest.mark.parametrize("sql", ["select nothing from trips", "selekt 1", "delete from trips"])
def test_sql_that_gives_no_rows_is_a_source_fault(home, database, sql):
    with pytest.raises(SourceError, match="source query"):
        read_window(Source(sql=sql, url="sqlite:///data.db"), WINDOW, home)
    with sqlite3.connect(database) as connection:
        assert connection.execute("select count(*) from trips").fetchone() == (4,)
    connection.close()


def test_a_database_that_is_not_there_is_not_made(home):
    with pytest.raises(SourceError, match="no such file"):
        read_window(Source(sql=SQL, url="sqlite:///none.db"), WINDOW, home)
    assert list(home.root.iterdir()) == []


def test_a_password_in_a_broken_address_is_not_shown(home):
    with pytest.raises(ConfigError) as caught:
        read_window(Source(sql=SQL, url="postgres//me:secret@host"), WINDOW, home)
    assert "secret" not in str(caught.value)


def test_user_code_gets_the_window_and_the_files(home):
    (home.root / "code.py").write_text(
        "import pandas as pd\n"
        "def rows(window, files):\n"
        "    return pd.DataFrame({'w': [window.id], 'f': [files[0].name]})\n"
    )
    (home.root / "2013-01-05.csv").write_text("a\n1\n")
    before = list(sys.path)
    frame = read_window(Source(files="{date}.csv", python="code:rows"), WINDOW, home)
    assert frame.to_dict("list") == {"w": ["2013-01-05"], "f": ["2013-01-05.csv"]}
    assert sys.path == before
    assert not (home.root / "__pycache__").exists()


def test_user_code_that_returns_no_frame_is_named(home):
    (home.root / "mine.py").write_text("def rows(window, files):\n    return [1]\n")
    with pytest.raises(SourceError, match="user code mine:rows: expected a pandas DataFrame, found list"):
        read_window(Source(python="mine:rows"), WINDOW, home)
