import datetime as dt
import decimal
import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import UsageError
from tidegate.lineage.digest import file_digest, folder_digest, json_digest, plain, table_digest

UTC = dt.UTC
MOMENTS = st.datetimes(dt.datetime(1970, 1, 2), dt.datetime(2100, 1, 1), timezones=st.just(UTC))
VALUES = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint8(): st.integers(0, 255),
    pa.float64(): st.floats(),
    pa.float32(): st.floats(width=32),
    pa.float16(): st.floats(width=16),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(max_size=4),
    pa.large_string(): st.text(max_size=4),
    pa.binary(): st.binary(max_size=4),
    pa.binary(2): st.binary(min_size=2, max_size=2),
    pa.date32(): st.dates(),
    pa.timestamp("us", "America/New_York"): MOMENTS,
    pa.time64("us"): st.times(),
    pa.time32("s"): st.times().map(lambda t: t.replace(microsecond=0)),
    pa.duration("us"): st.timedeltas(dt.timedelta(-1000), dt.timedelta(1000)),
    pa.decimal128(9, 2): st.decimals(-9999, 9999, places=2),
    pa.list_(pa.int64()): st.lists(st.one_of(st.none(), st.integers(0, 9)), max_size=3),
    pa.list_(pa.list_(pa.string())): st.lists(st.lists(st.text(max_size=2), max_size=2), max_size=2),
    pa.list_(pa.int8(), 2): st.lists(st.integers(0, 9), min_size=2, max_size=2),
    pa.struct([("a", pa.int64()), ("b", pa.string())]): st.fixed_dictionaries(
        {"a": st.one_of(st.none(), st.integers(0, 9)), "b": st.text(max_size=2)}
    ),
    pa.map_(pa.string(), pa.int64()): st.dictionaries(st.text(max_size=2), st.integers(0, 9), max_size=2).map(
        lambda d: list(d.items())
    ),
}


@st.composite
def arrays(draw):
    kind = draw(st.sampled_from(list(VALUES)))
    return pa.array(draw(st.lists(st.one_of(st.none(), VALUES[kind]), max_size=8)), kind)


@given(arrays(), st.integers(0, 8), st.integers(0, 3))
def test_layout_does_not_matter(array, cut, ahead):
    whole = pa.table({"x": array})
    cut = min(cut, len(array))
    chunked = pa.table({"x": pa.chunked_array([array[:cut], array[cut:], array[:0]], array.type)})
    inside = pa.concat_arrays([pa.nulls(ahead, array.type), array, pa.nulls(1, array.type)])
    sliced = pa.table({"x": inside.slice(ahead, len(array))})
    assert table_digest(chunked) == table_digest(whole) == table_digest(sliced)


@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=8))
def test_dictionary_encoding_does_not_matter(values):
    array = pa.array(values, pa.string())
    shuffled = pa.DictionaryArray.from_arrays(
        pa.array([None if v is None else sorted({*values} - {None}).index(v) for v in values], pa.int8()),
        pa.array(sorted({*values} - {None}), pa.string()),
    )
    assert table_digest(pa.table({"x": shuffled})) == table_digest(pa.table({"x": array}))
    nested = pa.array([values], pa.list_(pa.dictionary(pa.int8(), pa.string())))
    assert table_digest(pa.table({"x": nested})) == table_digest(
        pa.table({"x": pa.array([values], pa.list_(pa.string()))})
    )


@given(arrays(), arrays())
def test_digests_agree_exactly_when_the_values_do(one, other):
    def value(a):
        return str(a.type), [repr(v) for v in a.to_pylist()]

    same = table_digest(pa.table({"x": one})) == table_digest(pa.table({"x": other}))
    assert same == (value(one) == value(other))


def masked(values, kind):
    valid = pa.py_buffer(bytes([0b101]))
    return pa.Array.from_buffers(kind, 3, [valid, pa.py_buffer(np.array(values).tobytes())])


def test_bytes_under_nulls_do_not_matter():
    one, other = masked([1, 7, 3], pa.int64()), masked([1, 9, 3], pa.int64())
    assert table_digest(pa.table({"x": one})) == table_digest(pa.table({"x": other}))
    parents = [pa.StructArray.from_arrays([pa.array(v)], ["a"], mask=pa.array([False, True])) for v in ([1, 2], [1, 3])]
    assert table_digest(pa.table({"x": parents[0]})) == table_digest(pa.table({"x": parents[1]}))
    hidden = [
        pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), pa.array(v), mask=pa.array([False, True]))
        for v in ([1, 2], [1, 3])
    ]
    assert table_digest(pa.table({"x": hidden[0]})) == table_digest(pa.table({"x": hidden[1]}))


def test_nan_payloads_do_not_matter_but_zero_signs_and_nulls_do():
    strange = np.array(struct.unpack("<2d", struct.pack("<2Q", 0x7FF8000000000001, 0xFFF8000000000000)))
    nan = table_digest(pa.table({"x": pa.array([np.nan, np.nan], from_pandas=False)}))
    assert table_digest(pa.table({"x": pa.array(strange, from_pandas=False)})) == nan
    assert table_digest(pa.table({"x": pa.array([None, None], pa.float64())})) != nan
    assert table_digest(pa.table({"x": [0.0]})) != table_digest(pa.table({"x": [-0.0]}))


@pytest.mark.parametrize(
    "other",
    [
        {"y": [1, 2]},
        {"x": [2, 1]},
        {"x": [1, 2], "y": [1, 2]},
        {"x": pa.array([1, 2], pa.int32())},
        {"x": [1, 2, 2]},
        {"x": [1, None]},
        {},
    ],
)
def test_names_order_types_and_values_matter(other):
    assert table_digest(pa.table({"x": [1, 2]})) != table_digest(pa.table(other))


def test_columns_cannot_run_into_one_another():
    assert table_digest(pa.table({"a": ["x", "yz"]})) != table_digest(pa.table({"a": ["xy", "z"]}))
    assert table_digest(pa.table({"a\0int64": [1]})) != table_digest(pa.table({"a": [1]}))
    assert table_digest(pa.table({"x": [[1], [2, 3]]})) != table_digest(pa.table({"x": [[1, 2], [3]]}))


def test_empty_and_null_tables_have_digests():
    empty = pa.table({"x": pa.array([], pa.int64())})
    assert table_digest(empty) == table_digest(pa.table({"x": pa.chunked_array([], pa.int64())}))
    assert (
        len(
            {table_digest(t) for t in (empty, pa.table({}), pa.table({"x": pa.nulls(0)}), pa.table({"x": pa.nulls(2)}))}
        )
        == 4
    )


def test_metadata_does_not_matter():
    table = pa.table({"x": [1]})
    assert table_digest(table.replace_schema_metadata({"a": "b"})) == table_digest(table)


def test_a_type_without_a_digest_is_named():
    months = pa.array([pa.MonthDayNano([1, 2, 3])])
    with pytest.raises(UsageError, match=r"column x.*month_day_nano"):
        table_digest(pa.table({"x": months}))


def test_plain_values_and_json_digests():
    value = {"n": np.int64(3), "f": np.float32(0.5), "b": np.bool_(True), "a": np.arange(2), "s": {"b", "a"}}
    assert plain(value) == {"n": 3, "f": 0.5, "b": True, "a": [0, 1], "s": ["a", "b"]}
    assert plain([dt.date(2013, 1, 2), decimal.Decimal("1.50")]) == ["2013-01-02", "1.50"]
    assert json_digest({"a": 1, "b": 2}) == json_digest({"b": 2, "a": 1}) != json_digest({"a": 1, "b": 3})
    with pytest.raises(UsageError, match="found object"):
        json_digest({"x": object()})


def test_folder_digest_sees_names_and_bytes_but_no_caches(tmp_path):
    (tmp_path / "a").write_text("1")
    first = folder_digest(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("x")
    assert folder_digest(tmp_path) == first
    (tmp_path / "my__pycache__").mkdir()
    (tmp_path / "my__pycache__" / "hidden.py").write_text("x")
    second = folder_digest(tmp_path)
    assert second != first
    assert folder_digest(tmp_path, skip=["my__pycache__/hidden.py"]) == first
    (tmp_path / "a").write_text("2")
    assert folder_digest(tmp_path) not in (first, second)
    assert file_digest(tmp_path / "a") == "d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35"
