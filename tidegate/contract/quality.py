"""Is a batch fit to land? Everything found about its rows and itself, in one verdict."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa

from tidegate.config.dataset import Dataset
from tidegate.contract.admit import Admission, row_text
from tidegate.verdicts import Verdict

QUARANTINE = pa.schema([("row_id", pa.string()), ("row", pa.string()), ("reasons", pa.string())])
_MOST_REASONS = 10


class Judgement(Protocol):
    """What the quality suite found: reasons by position in the source frame, and to block."""

    @property
    def rows(self) -> Mapping[int, Sequence[str]]: ...
    @property
    def breaks(self) -> Sequence[str]: ...


def judge_batch(
    frame: pd.DataFrame,
    admission: Admission,
    judged: Judgement | None,
    volume: Verdict,
    dataset: Dataset,
    released: Mapping[str, Any] | None = None,
) -> tuple[Verdict, pa.Table, pa.Table]:
    """Merge what was found, apply a person's releases, and part good rows from bad.

    The batch is blocked when its row count fails, a column is missing, a critical expectation
    fails, or the quarantined share is above `quality.max_quarantined_share`. A row count
    without enough history does not block; its reason is passed on.

    Parameters
    ----------
    frame : pandas.DataFrame, shape (n, any)
        The rows as the source gave them.
    admission : Admission
        What `admit` made of `frame`.
    judged : Judgement or None
        What the quality suite found in the admitted rows; None if it was not asked.
    volume : Verdict
        Of the row count.
    dataset : Dataset
        Only its `quality` is used.
    released : mapping, optional
        `rows`: row ids that a person lets through although an expectation failed;
        `batch`: true if a person lets the batch through. What has the wrong type, no key, a
        time outside the window or a rival with the same key stays refused, and so does a
        batch without a required column: a release cannot make them readable.

    Returns
    -------
    verdict : Verdict
        Numbers: `rows`, `quarantined`, `released`, `share` (0 to 1; 0 without rows),
        `reasons` (rows by reason), `volume`.
    good : pyarrow.Table
        `row_id` and the declared columns, sorted: the same bytes for any order of arrival.
        To be landed only if the verdict passed.
    bad : pyarrow.Table
        For the quarantine: `row_id` (a digest of the row where its key cannot be read),
        `row` (JSON, as it came) and `reasons`, sorted.

    Examples
    --------
    >>> from tidegate.contract.admit import admit
    >>> from tidegate.windows import Calendar
    >>> dataset = Dataset.model_validate({
    ...     "name": "d", "source": {"files": "{date}.csv"}, "event_time": "at", "key": ["id"],
    ...     "columns": {"id": {"type": "integer"}, "at": {"type": "timestamp"}}})
    >>> frame = pd.DataFrame({"id": ["1", "x"], "at": ["2013-01-01T10:00:00Z"] * 2})
    >>> admission = admit(frame, dataset, Calendar().window("2013-01-01"))
    >>> verdict, good, bad = judge_batch(frame, admission, None, Verdict("pass"), dataset)
    >>> verdict.reasons[0]
    'quarantined: expected at most 5 % of rows, found 50 % (1 of 2)'
    >>> good.num_rows, bad["reasons"].to_pylist()
    (1, ["id: expected integer, found 'x'"])
    """
    released = released or {}
    reasons = {position: list(found) for position, found in admission.reasons.items()}
    positions = admission.rows["position"].to_pylist()
    ids = {**admission.ids, **dict(zip(positions, admission.rows["row_id"].to_pylist(), strict=True))}
    free = set(released.get("rows", ()))
    let_through = 0
    for position, found in judged.rows.items() if judged else ():
        if ids[position] in free:
            let_through += 1
        else:
            reasons.setdefault(position, []).extend(found)
    keep = pa.array([position not in reasons for position in positions], pa.bool_())
    good = admission.rows.filter(keep).drop_columns(["position"])

    rows, quarantined = len(frame), len(reasons)
    share = quarantined / rows if rows else 0.0
    causes = list(volume.reasons) if volume.outcome == "fail" else []
    causes += [*admission.breaks, *(judged.breaks if judged else ())]
    if share > dataset.quality.max_quarantined_share:
        limit, found_share = _percent(dataset.quality.max_quarantined_share), _percent(share)
        causes.append(f"quarantined: expected at most {limit} of rows, found {found_share} ({quarantined} of {rows})")
    counts = _counts(reasons)
    details = [f"{reason}, {n} of {rows} rows fail" for reason, n in counts.items()][:_MOST_REASONS]
    if len(counts) > _MOST_REASONS:
        details.append(f"and {len(counts) - _MOST_REASONS} reasons more")
    forgiven = bool(causes) and bool(released.get("batch")) and not admission.breaks
    notes = () if volume.outcome == "fail" else volume.reasons
    verdict = Verdict(
        "fail" if causes and not forgiven else "pass",
        (*(("released by a person",) if forgiven else ()), *causes, *notes, *details),
        {
            "rows": rows,
            "quarantined": quarantined,
            "released": let_through,
            "share": share,
            "reasons": counts,
            "volume": dict(volume.numbers),
        },
    )
    return verdict, good, _quarantine(frame, reasons, ids)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _counts(reasons: Mapping[int, Sequence[str]]) -> dict[str, int]:
    """Rows by reason, most frequent first; what was found in a row is no part of the reason."""
    kinds = Counter(kind for found in reasons.values() for kind in {text.split(", found ")[0] for text in found})
    return dict(sorted(kinds.items(), key=lambda item: (-item[1], item[0])))


def _quarantine(frame: pd.DataFrame, reasons: Mapping[int, Sequence[str]], ids: Mapping[int, str]) -> pa.Table:
    rows = []
    for position, found in reasons.items():
        text = row_text(frame, position)
        row_id = ids.get(position) or hashlib.sha256(text.encode()).hexdigest()[:32]
        rows.append({"row_id": row_id, "row": text, "reasons": "; ".join(dict.fromkeys(found))})
    return pa.Table.from_pylist(sorted(rows, key=lambda r: (r["row_id"], r["row"], r["reasons"])), schema=QUARANTINE)
