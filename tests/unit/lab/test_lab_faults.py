"""Injected faults do to a raw file what their names say, and nothing else."""

import io
from datetime import date

import pandas as pd
import pytest

from tidegate.errors import ConfigError, UsageError
from tidegate.lab.faults import DropColumn, Scale, Truncate, apply, describe, read_faults

RAW = b"id,distance,note\n1,100,a\n2,,b\n3,250,c\n"
DAY = date(2013, 5, 15)


def rows(raw):
    return pd.read_csv(io.BytesIO(raw), dtype=str, keep_default_na=False)


def test_truncate_cuts_bytes_in_the_middle_of_a_row():
    cut = apply(Truncate(fault="truncate", window=DAY, keep=0.5), RAW)
    assert cut == RAW[: len(RAW) // 2]
    assert not cut.endswith(b"\n")


def test_scale_changes_one_column_and_leaves_missing_values_missing():
    found = rows(apply(Scale(fault="scale", window=DAY, column="distance", factor=100), RAW))
    assert found["distance"].tolist() == ["10000", "", "25000"]
    assert found.drop(columns="distance").equals(rows(RAW).drop(columns="distance"))


def test_drop_column_leaves_the_others():
    found = rows(apply(DropColumn(fault="drop_column", window=DAY, column="note"), RAW))
    assert found.equals(rows(RAW)[["id", "distance"]])


@pytest.mark.parametrize("kind", [Scale, DropColumn])
def test_a_column_that_is_not_there_is_named(kind):
    name = {Scale: "scale", DropColumn: "drop_column"}[kind]
    with pytest.raises(UsageError, match="'speed'"):
        apply(kind(fault=name, window=DAY, column="speed"), RAW)


def test_the_file_of_faults_is_strict(tmp_path):
    path = tmp_path / "faults.yaml"
    path.write_text("faults:\n  - {fault: scale, window: 2013-05-15, column: distance}\n")
    (fault,) = read_faults(path)
    assert describe(fault) == "distance × 100"
    path.write_text("faults:\n  - {fault: explode, window: 2013-05-15}\n")
    with pytest.raises(ConfigError, match="faults"):
        read_faults(path)
