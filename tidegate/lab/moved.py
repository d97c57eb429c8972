"""A history in which nothing drifts: nights dealt out anew among the dates of their weekday."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

import numpy as np
import pandas as pd

from tidegate.alarms.aa import permuted


def dealt(dates: Sequence[str], special: Collection[str], rng: np.random.Generator) -> dict[str, str]:
    """For each date the date whose rows are put there: another of the same weekday, in random order.

    Days drift, seasons and trends are gone; what hangs on the weekday and what rows of one night share stays (the
    exchangeability of an A/A trial, see `tidegate.alarms.aa`). `special` dates, such as holidays, keep their own rows:
    what is expected of them hangs on the date.

    Parameters
    ----------
    dates : sequence of str
        ISO dates, in order; none gives none.

    Examples
    --------
    >>> dates = ["2013-01-01", "2013-01-02", "2013-01-08", "2013-01-15"]
    >>> found = dealt(dates, {"2013-01-01"}, np.random.default_rng(1))
    >>> found["2013-01-01"], found["2013-01-02"], sorted(found) == sorted(found.values())
    ('2013-01-01', '2013-01-02', True)
    """
    free = [d for d in dates if d not in special]
    found = permuted(free, [date.fromisoformat(d).weekday() for d in free], rng)
    return {d: found.get(d, d) for d in dates}


def moved(frame: pd.DataFrame, times: Sequence[str], zone: str, old: str, new: str) -> pd.DataFrame:
    """Rows of one date at the same local times of another; a time that the other date skips moves to the gap's end.

    Parameters
    ----------
    frame : DataFrame
        `times` are columns of instants with a time zone, missing ones stay missing.
    old, new : str
        ISO dates.

    Examples
    --------
    >>> rows = pd.DataFrame({"at": pd.to_datetime(["2013-03-03T07:30:00Z"])})
    >>> moved(rows, ["at"], "America/New_York", "2013-03-03", "2013-03-10")["at"].iloc[0].isoformat()
    '2013-03-10T07:00:00+00:00'
    """
    days = date.fromisoformat(new) - date.fromisoformat(old)
    if not days or not len(frame):
        return frame
    out = {}
    for name in times:
        local = frame[name].dt.tz_convert(zone).dt.tz_localize(None) + days
        first = np.ones(len(local), dtype=bool)
        there = local.dt.tz_localize(zone, ambiguous=first, nonexistent="shift_forward")
        out[name] = there.dt.tz_convert("UTC").astype(frame[name].dtype)
    return frame.assign(**out)
