"""Is the number of rows of a batch in its band?"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from tidegate.config.dataset import Quality
from tidegate.verdicts import Verdict


def judge_volume(
    rows: int, before: Sequence[int], quality: Quality, *, holiday: bool = False, expected_empty: bool = False
) -> Verdict:
    """Rows of a batch against the median of the same weekdays before.

    Parameters
    ----------
    rows : int
        Rows that arrived.
    before : sequence of int
        Rows of earlier accepted batches on the same weekday, newest last.
    quality : Quality
        The least rows, the band as multiples of the median, and how much history it takes.
    holiday : bool
        The band is not applied; no rows at all are still NO_DATA.
    expected_empty : bool
        No rows are as they should be.

    Returns
    -------
    Verdict
        Inconclusive while history is short. Numbers: `rows`, and with enough history
        `median`, `low`, `high` (rows, both inside the band).

    Examples
    --------
    >>> judge_volume(400, [1000, 980, 1010], Quality()).outcome
    'fail'
    >>> judge_volume(400, [1000], Quality()).outcome
    'inconclusive'
    """
    if expected_empty and rows == 0:
        return Verdict("pass", ("no rows, as the calendar expects",), {"rows": 0})
    if rows < quality.min_rows:
        reason = f"NO_DATA: expected at least {quality.min_rows} rows, found {rows}"
        return Verdict("fail", (reason,), {"rows": rows})
    past = list(before)[-quality.row_count_history :]
    if len(past) < quality.row_count_min_history:
        reason = f"row count: {len(past)} earlier same weekdays, {quality.row_count_min_history} needed"
        return Verdict("inconclusive", (reason,), {"rows": rows})
    median = statistics.median(past)
    low, high = (factor * median for factor in quality.row_count_band)
    numbers = {"rows": rows, "median": median, "low": low, "high": high}
    if holiday:
        return Verdict("pass", ("holiday: row count not judged",), numbers)
    if low <= rows <= high:
        return Verdict("pass", (), numbers)
    reason = f"row count: expected {low:.0f} to {high:.0f} (same weekday's median {median:.0f}), found {rows}"
    return Verdict("fail", (reason,), numbers)
