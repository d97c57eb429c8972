"""Known faults, injected into copies of raw files before ingest sees them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import Field

from tidegate.config.base import Settings
from tidegate.config.check import parse
from tidegate.config.values import ColumnName, Day
from tidegate.config.yamlfile import read_yaml
from tidegate.errors import UsageError


class Truncate(Settings):
    """The file ends early, in the middle of a row."""

    fault: Literal["truncate"]
    window: Day
    keep: float = Field(0.4, gt=0, lt=1, description="Share of the bytes that arrived.")


class Scale(Settings):
    """A column arrives in another unit."""

    fault: Literal["scale"]
    window: Day
    column: ColumnName
    factor: float = 100.0


class DropColumn(Settings):
    """A column does not arrive."""

    fault: Literal["drop_column"]
    window: Day
    column: ColumnName


Fault = Annotated[Truncate | Scale | DropColumn, Field(discriminator="fault")]


class FaultPlan(Settings):
    """The faults of a replay, in any order; at most one a window."""

    faults: tuple[Fault, ...] = ()


def read_faults(path: Path) -> tuple[Truncate | Scale | DropColumn, ...]:
    """The faults in a YAML file; raises `ConfigError` on anything unknown."""
    return parse(FaultPlan, read_yaml(path), path.name).faults


def apply(fault: Truncate | Scale | DropColumn, raw: bytes) -> bytes:
    """The CSV bytes as the fault leaves them.

    Raises
    ------
    UsageError
        If the file has no such column.
    """
    if isinstance(fault, Truncate):
        return raw[: int(len(raw) * fault.keep)]
    frame = pd.read_csv(io.BytesIO(raw), dtype=str, keep_default_na=False)
    if fault.column not in frame.columns:
        raise UsageError(
            f"fault on {fault.window}",
            f"a column among {list(frame.columns)}",
            repr(fault.column),
            "correct the fault file",
        )
    if isinstance(fault, DropColumn):
        frame = frame.drop(columns=[fault.column])
    else:
        numbers = pd.to_numeric(frame[fault.column]) * fault.factor
        whole = (numbers.dropna() % 1 == 0).all()
        frame[fault.column] = numbers.map(lambda v: "" if pd.isna(v) else str(int(v)) if whole else repr(float(v)))
    return frame.to_csv(index=False).encode()


def describe(fault: Truncate | Scale | DropColumn) -> str:
    """One line for people."""
    if isinstance(fault, Truncate):
        return f"file truncated to {fault.keep:.0%}"
    if isinstance(fault, Scale):
        return f"{fault.column} × {fault.factor:g}"
    return f"column {fault.column} missing"
