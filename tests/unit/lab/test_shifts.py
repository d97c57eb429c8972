"""Each large shift changes the one thing that its name says, and no type."""

import numpy as np
import pyarrow as pa
import pytest

from tidegate.lab.shifts import shifts

N = 5000
KINDS = {"price": "number", "pages": "integer", "channel": "category", "member": "boolean", "at": "timestamp"}
TYPES = {"price": pa.float64(), "pages": pa.int32(), "channel": pa.string(), "member": pa.bool_(),
         "at": pa.timestamp("us"), "y": pa.int64()}  # fmt: skip


def night():
    rng = np.random.default_rng(1)
    rows = {
        "price": rng.normal(20, 5, N),
        "pages": rng.poisson(4, N),
        "channel": rng.choice(["app", "mail", "web"], N),
        "member": rng.random(N) < 0.3,
        "at": rng.integers(0, 10**9, N),
        "y": (rng.random(N) < 0.2).astype(int),
    }
    return pa.table({n: pa.array(v).cast(TYPES[n]) for n, v in rows.items()})


ALL = {(s.name, s.column): s for s in shifts(KINDS, "y")}
NIGHT = night()


def after(name, column, table=NIGHT):
    return ALL[name, column].apply(table, np.random.default_rng(2))


def test_what_there_is_for_each_type():
    assert sorted(ALL) == sorted([
        *((n, c) for n in ("unit × 10", "offset 3σ", "default 0") for c in ("price", "pages")),
        *((n, "channel") for n in ("remapped", "new category")),
        *(("80 % missing", c) for c in ("price", "pages", "channel", "member")),
        ("labels turned", "y"),
    ])  # fmt: skip
    assert [s.labels for s in ALL.values()].count(True) == 1


@pytest.mark.parametrize(("key", "rows"), [(k, r) for k, s in ALL.items() for r in ("all", "none", "nulls")
                                           if not (s.labels and r == "nulls")])  # fmt: skip
def test_one_column_changes_and_no_type(key, rows):
    table = NIGHT.slice(0, 0) if rows == "none" else NIGHT
    if rows == "nulls":
        at = table.column_names.index(key[1])
        table = table.set_column(at, key[1], pa.nulls(N, TYPES[key[1]]))
    found = after(*key, table)
    assert found.schema == table.schema
    assert found.num_rows == table.num_rows
    assert found.drop_columns(key[1]).equals(table.drop_columns(key[1]))
    if rows == "all":
        assert not found[key[1]].equals(table[key[1]])
    elif key[0] not in ("new category", "default 0"):
        assert found[key[1]].null_count == table[key[1]].null_count


@pytest.mark.parametrize("column", ["price", "pages"])
def test_numbers(column):
    x = NIGHT[column].to_numpy().astype(float)
    assert after("unit × 10", column)[column].to_pylist() == pytest.approx((x * 10).tolist())
    moved = after("offset 3σ", column)[column].to_numpy() - x
    assert moved == pytest.approx(np.full(N, 3 * x.std()), abs=0.5 if column == "pages" else 1e-9)
    zero = after("default 0", column)[column].to_numpy() == 0
    assert zero.mean() == pytest.approx(0.9 + 0.1 * (x == 0).mean(), abs=0.02)


def test_nulls_stay_nulls_under_a_change_of_unit():
    table = pa.table({"price": [1.0, None, 3.0], "pages": pa.array([1, None, 3], pa.int32())})
    for column in ("price", "pages"):
        assert after("unit × 10", column, table)[column].to_pylist() == [10, None, 30]
        assert after("offset 3σ", column, table)[column].null_count == 1


def test_missing():
    for column in ("price", "channel", "member"):
        assert after("80 % missing", column)[column].null_count / N == pytest.approx(0.8, abs=0.02)


def test_categories():
    was = np.array(NIGHT["channel"].to_pylist())
    codes = {"app": "mail", "mail": "web", "web": "app"}
    assert after("remapped", "channel")["channel"].to_pylist() == [codes[v] for v in was]
    new = np.array(after("new category", "channel")["channel"].to_pylist())
    assert (new == "ZZ-new").mean() == pytest.approx(0.6, abs=0.025)
    assert (new[new != "ZZ-new"] == was[new != "ZZ-new"]).all()


def test_labels_are_turned_end_for_end():
    assert after("labels turned", "y")["y"].to_pylist() == [1 - y for y in NIGHT["y"].to_pylist()]
    delays = pa.table({"y": [5.0, 7.0, 15.0]})
    assert np.diff(after("labels turned", "y", delays)["y"].to_pylist()).tolist() == [-2.0, -8.0]
