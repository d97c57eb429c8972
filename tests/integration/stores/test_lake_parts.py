"""Windows that grow by parts: each added once, whatever was cut off in between; a row found by a value."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from tidegate.adapters import lakeparts
from tidegate.adapters.control import open_control
from tidegate.adapters.lake import Lake
from tidegate.errors import IntegrityError, UsageError

DAY, NOW = "2013-03-01", datetime(2013, 3, 2, tzinfo=UTC)
A, B, C = ({"n": pa.array([i, i + 10])} for i in range(3))


@pytest.fixture
def growing(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "var", open_control(tmp_path / "var"), "default")


def add(lake: Lake, **parts: dict[str, pa.Array]) -> str:
    stored = lake.add("served", "m", DAY, {name: pa.table(data) for name, data in parts.items()}, NOW)
    assert stored
    return stored.digest


def rows(lake: Lake) -> list[int]:
    """As our reader and as any reader of Delta sees it: the same."""
    ours = sorted(lake.read("served", "m")["n"].to_pylist())
    theirs = DeltaTable(str(lake.path("served", "m"))).to_pyarrow_dataset().to_table()["n"].to_pylist()
    assert ours == sorted(theirs)
    stored = lake.stored("served", "m", DAY)
    assert stored
    assert stored.rows == len(ours)
    return ours


def test_a_part_is_added_once_and_the_order_within_a_call_does_not_matter(growing: Lake, tmp_path: Path) -> None:
    first = add(growing, a=A, b=B)
    assert add(growing, b=B, a=A) == first
    assert add(growing, a=C) == first  # the name decides
    assert rows(growing) == [0, 1, 10, 11]
    assert add(growing, c=C) != first
    assert rows(growing) == [0, 1, 2, 10, 11, 12]
    other = Lake(tmp_path / "other", open_control(tmp_path / "other"), "default")
    assert add(other, b=B, a=A) == first


def test_nothing_added_is_nothing_stored(growing: Lake) -> None:
    assert growing.add("served", "m", DAY, {"a": pa.table({"n": pa.array([], pa.int64())})}, NOW) is None
    with pytest.raises(UsageError, match="part"):
        growing.add("served", "m", DAY, {"../a": pa.table(A)}, NOW)


@pytest.mark.parametrize("before", [False, True])
def test_what_a_kill_left_in_delta_vanishes(growing: Lake, monkeypatch: pytest.MonkeyPatch, before: bool) -> None:
    if before:
        add(growing, a=A)
    with monkeypatch.context() as m:
        m.setattr(growing, "record", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            add(growing, b=B)
    add(growing, b=B, c=C)
    assert rows(growing) == sorted([*([0, 10] if before else []), 1, 11, 2, 12])


def test_two_that_add_at_once_both_land(growing: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    commit, done = growing._commit, []

    def other_first(*args):  # type: ignore[no-untyped-def]
        found = commit(*args)
        if not done:
            done.append(1)
            add(growing, b=B)
        return found

    monkeypatch.setattr(growing, "_commit", other_first)
    add(growing, a=A)
    assert rows(growing) == [0, 1, 10, 11]


def test_columns_may_join_and_older_parts_have_none_of_them(growing: Lake) -> None:
    add(growing, a=A)
    add(growing, b={"n": pa.array([5]), "late": pa.array(["x"])})
    assert growing.read("served", "m")["late"].to_pylist() == [None, None, "x"]


def test_a_value_is_found_in_the_files_that_may_have_it(growing: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {f"p{i}": pa.table({"id": [f"{i}{k}" for k in range(5)], "v": [i] * 5}) for i in range(4)}
    growing.add("served", "m", DAY, parts, NOW)
    read, looked = lakeparts.read_file, []
    monkeypatch.setattr(lakeparts, "read_file", lambda *a: looked.append(a[0].name) or read(*a))
    assert growing.find("served", "m", [DAY], "id", "23").to_pylist() == [{"id": "23", "v": 2, "window": DAY}]
    assert [name.split(".")[0] for name in looked] == ["p2"]
    assert not growing.find("served", "m", None, "id", "zz").num_rows
    assert not growing.find("served", "m", None, "nowhere", "zz").num_rows
    (file,) = growing.path("served", "m").rglob("p2.*.parquet")
    table = pq.read_table(file)
    pq.write_table(table, file)
    with pytest.raises(IntegrityError, match="SHA-256"):
        growing.find("served", "m", None, "id", "23")
