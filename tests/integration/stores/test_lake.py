import datetime as dt

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.adapters.lake import Lake
from tidegate.adapters.parquet import storable
from tidegate.errors import StoreError, UsageError
from tidegate.lineage.digest import table_digest

DAY, NEXT = "2013-03-01", "2013-03-02"
ROWS = pa.table({"n": [1, 2, None], "s": ["a", None, "c"]})


def delta(lake, table="batch", owner="flights"):
    return DeltaTable(str(lake.path(table, owner)))


def active(lake, window):
    uris = delta(lake).file_uris(file_pruning_predicate=f"window = '{window}'")
    return {f"window={window}/{uri.rpartition('/')[2]}" for uri in uris}


def test_what_was_put_is_read(lake, known_at):
    stored = lake.put("batch", "flights", DAY, ROWS, known_at)
    assert stored == lake.stored("batch", "flights", DAY)
    assert (stored.rows, stored.digest, stored.known_at) == (3, table_digest(ROWS), known_at)
    read = lake.read("batch", "flights")
    assert read.drop(["window"]).equals(ROWS)
    assert read["window"].to_pylist() == [DAY] * 3
    assert active(lake, DAY) == set(stored.files)


def test_an_unchanged_window_makes_no_commit(lake, known_at, tmp_path, control):
    first = lake.put("batch", "flights", DAY, ROWS, known_at)
    later = known_at + dt.timedelta(days=1)
    encoded = ROWS.set_column(1, "s", ROWS["s"].dictionary_encode())
    for again in (lake, Lake(tmp_path / "var", control, "default")):
        assert again.put("batch", "flights", DAY, encoded, later) == first
    assert delta(lake).version() == 1
    assert len(list(lake.path("batch", "flights").rglob("*.parquet"))) == 1


def test_a_restatement_replaces_and_as_of_answers_what_was_known(lake, known_at):
    later = known_at + dt.timedelta(days=1)
    old = lake.put("batch", "flights", DAY, ROWS, known_at)
    lake.put("batch", "flights", NEXT, ROWS, known_at)
    new = lake.put("batch", "flights", DAY, ROWS.slice(1), later)
    assert lake.read("batch", "flights", [DAY])["n"].to_pylist() == [2, None]
    assert lake.read("batch", "flights", [DAY], as_of=known_at)["n"].to_pylist() == [1, 2, None]
    assert lake.stored("batch", "flights", DAY, as_of=known_at) == old
    assert lake.stored("batch", "flights", DAY, as_of=known_at - dt.timedelta(seconds=1)) is None
    assert [r.window for r in lake.many("batch", "flights")] == [DAY, NEXT]
    assert active(lake, DAY) == set(new.files)
    back = lake.put("batch", "flights", DAY, ROWS, later)
    assert back.digest == old.digest
    assert lake.read("batch", "flights", [DAY])["n"].to_pylist() == [1, 2, None]


def test_wanted_windows_and_columns_come_in_order(lake, known_at):
    for day in (NEXT, DAY):
        lake.put("batch", "flights", day, ROWS.append_column("day", pa.array([day] * 3)), known_at)
    read = lake.read("batch", "flights", [NEXT, DAY, "2013-03-03"], columns=["s", "n"])
    assert read.column_names == ["s", "n", "window"]
    assert read["window"].to_pylist() == [DAY] * 3 + [NEXT] * 3
    assert lake.read("batch", "flights", columns=["window"]).column_names == ["window"]
    assert lake.read("batch", "flights", columns=["window"]).num_rows == 6
    assert lake.read("batch", "flights", columns=[]).num_rows == 6
    with pytest.raises(UsageError, match=r"columns among \['day', 'n', 's'\], found \['delay'\]"):
        lake.read("batch", "flights", columns=["n", "delay"])


def test_nothing_known_reads_as_no_rows(lake):
    assert lake.read("batch", "flights").column_names == ["window"]
    nothing = lake.read("batch", "flights", [DAY], columns=["n"])
    assert nothing.column_names == ["n", "window"]
    assert nothing.num_rows == 0
    assert lake.many("batch", "flights", []) == []


@pytest.mark.parametrize("empty", [ROWS.slice(0, 0), pa.table({}), pa.table({"x": pa.nulls(0)})])
@pytest.mark.parametrize("before", [True, False])
def test_an_empty_window_is_stored_as_such(lake, known_at, empty, before):
    if before:
        lake.put("batch", "flights", DAY, ROWS, known_at)
    stored = lake.put("batch", "flights", DAY, empty, known_at)
    assert stored.rows == 0
    assert lake.put("batch", "flights", DAY, empty, known_at) == stored
    read = lake.read("batch", "flights", [DAY])
    assert read.num_rows == 0
    if empty.num_columns == 2:
        assert read.schema.names == ["n", "s", "window"]
    if before:
        assert active(lake, DAY) == set(stored.files)
    lake.put("batch", "flights", DAY, ROWS, known_at)
    assert lake.read("batch", "flights", [DAY]).num_rows == 3


def test_a_column_added_later_is_null_before(lake, known_at):
    moments = pa.array([dt.datetime(2013, 3, 1)] * 3, pa.timestamp("us"))
    lake.put("batch", "flights", DAY, ROWS, known_at)
    wider = ROWS.append_column("x", pa.array([1.5, 2.5, None])).append_column("local", moments)
    lake.put("batch", "flights", NEXT, wider, known_at)
    assert lake.read("batch", "flights")["x"].to_pylist() == [None] * 3 + [1.5, 2.5, None]
    assert lake.read("batch", "flights", columns=["x"])["x"].type == pa.float64()
    assert [f.name for f in delta(lake).schema().fields] == ["n", "s", "window", "x", "local"]
    # A column that is gone again is null, and the old window is as it was.
    lake.put("batch", "flights", "2013-03-03", ROWS, known_at)
    assert lake.read("batch", "flights", ["2013-03-03", NEXT])["x"].null_count == 4
    assert lake.read("batch", "flights", [DAY]).drop(["window"]).equals(ROWS)
    # The Delta table can be read by others as it is.
    assert delta(lake).to_pyarrow_dataset().to_table(columns=["x"]).num_rows == 9


def test_a_column_of_nulls_waits_for_its_type(lake, known_at):
    unknown = pa.table({"n": [1, 2], "x": pa.nulls(2)})
    first = lake.put("batch", "flights", DAY, unknown, known_at)
    assert lake.read("batch", "flights", columns=["x", "n"])["x"].to_pylist() == [None, None]
    assert lake.read("batch", "flights").column_names == ["n", "x", "window"]
    lake.put("batch", "flights", NEXT, pa.table({"n": [3], "x": [0.5]}), known_at)
    assert lake.read("batch", "flights")["x"].to_pylist() == [None, None, 0.5]
    assert lake.put("batch", "flights", DAY, unknown, known_at) == first  # its digest is still the same
    lake.put("batch", "flights", "2013-03-03", unknown, known_at)
    assert lake.read("batch", "flights", ["2013-03-03"])["x"].type == pa.float64()
    with pytest.raises(UsageError, match="a column that has a type"):
        lake.put("batch", "flights", DAY, unknown.select(["x"]), known_at)


def test_a_column_keeps_its_type_without_loss_or_is_refused(lake, known_at):
    lake.put("batch", "flights", DAY, pa.table({"n": [1, 2], "x": [0.5, 1.5]}), known_at)
    whole = pa.table({"n": [1.0, None], "x": [1, 2]})
    stored = lake.put("batch", "flights", NEXT, whole, known_at)
    read = lake.read("batch", "flights", [NEXT])
    assert (read["n"].type, read["x"].type) == (pa.int64(), pa.float64())
    assert read["n"].to_pylist() == [1, None]
    assert lake.put("batch", "flights", NEXT, whole, known_at) == stored
    for bad in ({"n": [1.5]}, {"n": ["1"]}, {"x": [2**53 + 1]}, {"n": [float("nan")]}, {"x": [True]}):
        with pytest.raises(StoreError, match="as before"):
            lake.put("batch", "flights", NEXT, pa.table(bad), known_at)
    assert lake.stored("batch", "flights", NEXT) == stored


def test_types_that_delta_lacks_are_widened_or_refused(lake, known_at):
    ns = pa.array([1_000, None], pa.timestamp("ns", "America/New_York"))
    odd = pa.table({
        "u8": pa.array([255, None], pa.uint8()),
        "u32": pa.array([2**32 - 1, None], pa.uint32()),
        "f16": pa.array([0.5, None], pa.float16()),
        "ns": ns,
        "big": pa.array(["a", None], pa.large_string()),
        "kinds": pa.array([["a"], None], pa.large_list(pa.dictionary(pa.int8(), pa.string()))),
        "money": pa.array([None, None], pa.decimal128(9, 2)),
        "empty": pa.array([[], None], pa.list_(pa.null())),
    })  # fmt: skip
    stored = lake.put("batch", "flights", DAY, odd, known_at)
    read = lake.read("batch", "flights").drop(["window"])
    assert table_digest(read) == stored.digest == table_digest(storable(odd, ""))
    assert read["u32"].to_pylist() == [2**32 - 1, None]
    assert read["ns"].cast(pa.int64()).to_pylist() == [1, None]
    for column in ([dt.time(1)], [dt.timedelta(1)], pa.array([2**63], pa.uint64()), pa.array([1], pa.timestamp("ns"))):
        with pytest.raises(UsageError, match="column x of table batch of flights"):
            lake.put("batch", "flights", DAY, pa.table({"x": column}), known_at)
    with pytest.raises(UsageError, match="window"):
        lake.put("batch", "flights", DAY, pa.table({"window": [1]}), known_at)
    with pytest.raises(UsageError, match="unlike column names"):
        lake.put("batch", "flights", DAY, pa.Table.from_arrays([pa.array([1])] * 2, ["x", "x"]), known_at)


def test_namespaces_share_nothing(lake, tmp_path, control, known_at):
    other = Lake(tmp_path / "var", control, "other")
    lake.put("batch", "flights", DAY, ROWS, known_at)
    other.put("batch", "flights", DAY, ROWS.slice(1), known_at)
    assert lake.read("batch", "flights").num_rows == 3
    assert other.read("batch", "flights").num_rows == 2
    assert len(active(lake, DAY)) == 1


@pytest.mark.fault(33)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.one_of(st.text(), st.sampled_from(["..", "a/b", "/etc", "a\n", "", "A", "a" * 65, "a.b", "é", "١", "x\0"])))
def test_odd_names_never_become_paths(lake, known_at, tmp_path, name):
    inside = lake.folder / "lake" / "default"
    for table, owner, window in ((name, "flights", DAY), ("batch", name, DAY), ("batch", "flights", name)):
        try:
            lake.path(table, owner).relative_to(inside)
            fine = window == DAY
        except UsageError:
            fine = False
        if not fine:
            for act in (
                lambda t=table, o=owner, w=window: lake.put(t, o, w, ROWS, known_at),
                lambda t=table, o=owner, w=window: lake.read(t, o, [w]),
                lambda t=table, o=owner, w=window: lake.stored(t, o, w),
            ):
                with pytest.raises(UsageError):
                    act()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["var"]
    assert not inside.exists()


@pytest.mark.parametrize(
    "window", ["2013-3-1", "2013-02-30", "20130301", "2013-W09-5", "2013-03-01\n", "２０１３-03-01"]
)
def test_a_window_is_a_date(lake, known_at, window):
    with pytest.raises(UsageError, match="YYYY-MM-DD"):
        lake.put("batch", "flights", window, ROWS, known_at)


def test_a_naive_moment_is_refused(lake, known_at):
    with pytest.raises(UsageError, match="timezone-aware"):
        lake.put("batch", "flights", DAY, ROWS, known_at.replace(tzinfo=None))
    assert not lake.path("batch", "flights").exists()
