"""The lab's faults: twelve that do harm when they are large, three that look odd and do none.

Each works on any dataset, on columns of the declared types, and leaves a night as an upstream would: whole numbers
stay whole, new codes look like the old ones. Three magnitudes of each go from hardly harmful to disastrous; how
harmful one really is, is measured in what comes true and never taken from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from tidegate.errors import UsageError
from tidegate.lab import onlabels, onrows
from tidegate.lab.plan import Plan

Planner = Callable[
    [pd.DataFrame, Mapping[str, str], str, Mapping[str, float] | None, np.random.Generator], "Plan | None"
]
Change = Callable[[pd.DataFrame, Plan, float, int, np.random.Generator], pd.DataFrame]

SIZES = ("small", "middle", "large")


@dataclass(frozen=True)
class LabFault:
    """One kind of fault.

    ``of``: whether it touches the rows as the source gives them, or what comes true (then only the label changes).
    ``magnitudes``: small, middle and large, in the unit that ``unit`` says. ``slow``: it takes `onrows.RAMP` nights
    to its full size. ``benign``: a page for it is unwanted, unless it turns out to do harm.
    """

    name: str
    of: Literal["rows", "labels"]
    magnitudes: tuple[float, float, float]
    unit: str
    planner: Planner
    change: Change
    slow: bool = False
    benign: bool = False

    def plan(
        self,
        frame: pd.DataFrame,
        columns: Mapping[str, str],
        label: str,
        rng: np.random.Generator,
        importance: Mapping[str, float] | None = None,
    ) -> Plan | None:
        """What one seed is about; None where the data have nothing that it could touch.

        Parameters
        ----------
        frame : DataFrame
            Rows of the night before the onset, or of some nights; what goes stale goes back to them.
        columns : mapping of str to str
            Declared type of each column that may be touched: the features. Times only order the rows.
        label : str
            Name of the column of `frame` with what came true, NaN where that is not known.
        importance : mapping of str to float, optional
            How much the model heeds each column, ≥ 0: harmful kinds are drawn by it, and the benign shift goes
            to a column that is heeded least.

        Examples
        --------
        >>> rows = pd.DataFrame({"km": [1, 2, 3, 4], "late": [0.0, 1.0, 1.0, 0.0]})
        >>> fault = fault_named("unit_change")
        >>> plan = fault.plan(rows, {"km": "integer"}, "late", np.random.default_rng(1))
        >>> fault.apply(rows, plan, 100.0, 0, np.random.default_rng(2))["km"].tolist()
        [100, 200, 300, 400]
        """
        return self.planner(frame, columns, label, importance, rng) if len(frame) else None

    def apply(
        self, frame: pd.DataFrame, plan: Plan, magnitude: float, night: int, rng: np.random.Generator
    ) -> pd.DataFrame:
        """One night's rows as the fault leaves them; the frame itself is not changed.

        Parameters
        ----------
        frame : DataFrame
            The night's rows, with a unique index of whole numbers and the plan's columns; no rows stay no rows.
        magnitude : float
            In the fault's unit, see `unit`.
        night : int
            Nights since the onset, 0 on the first; only slow faults care.

        Returns
        -------
        DataFrame
            The index tells the rows apart: one twice came twice, one that is missing did not come, a new one is new.
        """
        return self.change(frame, plan, magnitude, night, rng) if len(frame) else frame


FAULTS: tuple[LabFault, ...] = (
    LabFault("unit_change", "rows", (1.094, 1.609, 100.0), "factor on a number (metres and yards, miles and "
             "kilometres, metres and centimetres)", onrows.one_number, onrows.scaled),
    LabFault("null_burst", "rows", (0.05, 0.3, 0.9), "share of a column that is missing",
             onrows.any_column, onrows.emptied),
    LabFault("stale_feature", "rows", (0.1, 0.4, 1.0), "share of the numeric columns that repeat a former night",
             onrows.all_numbers, onrows.stale),
    LabFault("category_remap", "rows", (0.1, 0.4, 1.0), "share of the categories that change their codes round",
             onrows.one_code, onrows.remapped),
    LabFault("new_category", "rows", (0.05, 0.3, 0.9), "share of the rows with a code never seen",
             onrows.one_code, onrows.strangers),
    LabFault("duplicated_rows", "rows", (0.05, 0.3, 1.0), "share of the rows that come twice",
             onrows.whole_rows, onrows.doubled),
    LabFault("partial_batch", "rows", (0.1, 0.4, 0.8), "share of the rows, the latest, that do not come",
             onrows.whole_rows, onrows.cut),
    LabFault("label_flip", "labels", (0.02, 0.1, 0.4), "share of the labels that are another",
             onlabels.the_label, onlabels.flipped),
    LabFault("slow_covariate_shift", "rows", (0.5, 1.5, 4.0), "standard deviations that three numbers have moved "
             "after 14 nights", onrows.three_numbers, onrows.drifted, slow=True),
    LabFault("sudden_concept_shift", "labels", (0.1, 0.4, 1.0), "share of the labels that half of the rows, by a "
             "column, exchange with the other half", onlabels.a_region, onlabels.exchanged),
    LabFault("shifted_segment", "rows", (0.5, 2.0, 6.0), "standard deviations that half of the numbers move by in a "
             "segment of 3 %", onrows.a_segment, onrows.in_segment),
    LabFault("upstream_default", "rows", (0.05, 0.3, 0.95), "share of a column that is a default: 0, or the commonest "
             "code", onrows.a_default, onrows.defaulted),
    LabFault("benign_idle_column", "rows", (0.5, 2.0, 5.0), "standard deviations that a number moves which the model "
             "hardly heeds", onrows.idle_number, onrows.offset, benign=True),
    LabFault("benign_mix", "rows", (0.1, 0.2, 0.33), "share that does not come of the rows with a number's lowest "
             "value; of those with its highest all come", onrows.one_number, onrows.thinned, benign=True),
    LabFault("benign_more_rows", "rows", (1.1, 1.25, 1.45), "times the usual rows, of the same mix",
             onrows.whole_rows, onrows.crowded, benign=True),
)  # fmt: skip
"""Every kind, the twelve of the issue first."""


def fault_named(name: str) -> LabFault:
    """The kind of that name; raises `UsageError` for another."""
    found = {f.name: f for f in FAULTS}
    if name not in found:
        raise UsageError("fault", f"one of {', '.join(found)}", repr(name), "correct the name")
    return found[name]
