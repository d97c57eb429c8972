"""Past nights as series: what each night looked like against a reference that does not hold it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from tidegate.alarms.series import Series, drift_series, rows_series
from tidegate.profile.profile import Profile, merge_all

Floats = NDArray[np.float64]

BLOCK = 7
RECENT, WEEKDAYS = 7, 4
"""Windows that make the yardsticks `recent` and `weekday`."""
FEW = 3, 2
"""Windows that they need at least, of three times as many nights back."""


def yardsticks(night: str, profiles: Mapping[str, Profile]) -> dict[str, Profile]:
    """The merged profiles of the `recent` good windows before a night and of its same `weekday`s.

    A yardstick with too few windows is left out.
    """
    today = date.fromisoformat(night)
    out = {}
    for name, step, wanted, least in (("recent", 1, RECENT, FEW[0]), ("weekday", 7, WEEKDAYS, FEW[1])):
        back = [(today - timedelta(days=step * k)).isoformat() for k in range(wanted, 0, -1)]
        if len(found := [profiles[n] for n in back if n in profiles]) >= least:
            out[name] = merge_all(found)
    return out


def leave_block_out(profiles: Mapping[str, Profile], nights: int = BLOCK) -> dict[str, Profile]:
    """For each night the merged profile of all others but its block of neighbouring nights.

    Empty when there are fewer than two blocks.
    """
    order = sorted(profiles)
    blocks = [order[i : i + nights] for i in range(0, len(order), nights)]
    if len(blocks) < 2:
        return {}
    out: dict[str, Profile] = {}
    sums = [merge_all([profiles[n] for n in block]) for block in blocks]
    for k, block in enumerate(blocks):
        rest = merge_all([s for i, s in enumerate(sums) if i != k])
        out |= dict.fromkeys(block, rest)
    return out


def drift_history(
    monitor: str, profiles: Mapping[str, Profile], columns: Collection[str], *, yardstick: bool = False
) -> dict[str, dict[Series, float]]:
    """The values of each night against the others; with `yardstick` against recent windows and weekdays too."""
    out = {}
    for night, reference in leave_block_out(profiles).items():
        values = drift_series(monitor, reference, profiles[night], columns)
        for name, past in yardsticks(night, profiles).items() if yardstick else ():
            values |= drift_series(monitor, past, profiles[night], columns, name)
        out[night] = values
    return out


def later_history(
    monitor: str,
    reference: Profile,
    profiles: Mapping[str, Profile],
    nights: Collection[str],
    columns: Collection[str],
    *,
    yardstick: bool = False,
) -> dict[str, dict[Series, float]]:
    """The values of nights that the reference does not hold; `profiles` has the nights before them too."""
    out = {}
    for night in sorted(set(nights) & set(profiles)):
        values = drift_series(monitor, reference, profiles[night], columns)
        for name, past in yardsticks(night, profiles).items() if yardstick else ():
            values |= drift_series(monitor, past, profiles[night], columns, name)
        out[night] = values
    return out


def rows_history(rows: Mapping[str, int]) -> dict[str, dict[Series, float]]:
    """The row-count series of each night against the same weekdays before it."""
    out = {}
    for night in rows:
        today = date.fromisoformat(night)
        back = [(today - timedelta(days=7 * k)).isoformat() for k in range(WEEKDAYS, 0, -1)]
        out[night] = rows_series(rows[night], [rows[n] for n in back if n in rows])
    return out


def matrix(nights: Sequence[str], history: Mapping[str, Mapping[Series, float]]) -> tuple[list[Series], Floats]:
    """Every series that occurs, sorted, and the values of the nights, shape (nights, series); NaN where none."""
    series = sorted({s for values in history.values() for s in values})
    values = np.full((len(nights), len(series)), np.nan)
    for i, night in enumerate(nights):
        known = history.get(night, {})
        values[i] = [known.get(s, np.nan) for s in series]
    return series, values
