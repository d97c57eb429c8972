"""Training-serving skew: what was answered, held against what the registered package says of the same rows.

Told apart: rows answered by other code, or otherwise in the same environment (code skew); otherwise in another
environment (environment skew); rows whose inputs are not those of the warehouse (input skew). What is none of these is
no skew, however other the rows are than those of the training: that is data drift.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.performance.service import NIGHTLY, share_above
from tidegate.verdicts import Outcome, Verdict

Floats = NDArray[np.float64]
Line = dict[str, Any]

SAME = 1e-9
"""Largest difference of two scores that are the same; relative where a score is above 1."""
CORRECTED = 0.01
"""Share of a column's values that may differ from the warehouse's: it is corrected now and then."""


@dataclass(frozen=True, eq=False)
class Replay:
    """Rows as they were answered, and as they score now.

    Parameters
    ----------
    served, again : ndarray, shape (n,) or (n, classes)
        Scores; NaN in `again` for rows that the package refuses now.
    code, environment : sequence of str, length n
        What they were answered by and in; empty where nobody said.
    own_code : sequence of str, length n
        The code of the package that they were answered by, as it is registered.
    here : str
        The environment of the replay.
    """

    served: Floats
    again: Floats
    code: Sequence[str]
    own_code: Sequence[str]
    environment: Sequence[str]
    here: str

    @property
    def apart(self) -> Floats:
        """Of each row the largest difference, relative above 1; infinite where either is no number."""
        if not len(self.served):
            return np.zeros(0)
        found = np.abs(self.served - self.again) / np.maximum(1, np.abs(self.again))
        found = np.where(np.isnan(found), np.inf, found)
        return found if found.ndim == 1 else np.asarray(found.max(axis=1))


def replay_lines(replay: Replay) -> list[Line]:
    """The lines on code and on environment; inconclusive without rows.

    Examples
    --------
    >>> one = Replay(np.array([0.2, 0.4]), np.array([0.2, 0.5]), ["c", "c"], ["c", "c"], ["old", "old"], "new")
    >>> [(line["what"], line["outcome"], line["rows"]) for line in replay_lines(one)]
    [('code', 'pass', 0), ('environment', 'fail', 1)]
    """
    n, apart = len(replay.served), replay.apart
    if not n:
        return [_line(what, "inconclusive", 0, 0, 0.0, "no rows to replay") for what in ("code", "environment")]
    other_code = np.array([bool(a) and a != b for a, b in zip(replay.code, replay.own_code, strict=True)])
    other_place = np.array([bool(e) and e != replay.here for e in replay.environment])
    differs = ~(apart <= SAME)
    by_code, by_place = other_code | (differs & ~other_place), differs & ~other_code & other_place
    largest = _largest(apart[by_code])
    many = f"{int(other_code.sum())} of {n} rows were answered by other code than the package's"
    said = many if other_code.any() else f"{int(by_code.sum())} of {n} rows scored otherwise, by up to {largest:.3g}"
    lines = [_line("code", "fail" if by_code.any() else "pass", int(by_code.sum()), n, largest, said)]
    largest = _largest(apart[by_place])
    places = ", ".join(sorted({e for e, o in zip(replay.environment, other_place, strict=True) if o}))
    said = f"{int(by_place.sum())} of {n} rows scored otherwise, by up to {largest:.3g}, in environment {places}"
    if not by_place.any():
        said = f"{int(other_place.sum())} rows were answered in environment {places}, and score alike in {replay.here}"
    lines.append(_line("environment", "fail" if by_place.any() else "pass", int(by_place.sum()), n, largest,
                       said if places else "the same environment"))  # fmt: skip
    return lines


def input_lines(compared: Mapping[str, tuple[int, int]]) -> list[Line]:
    """A line for each column: how many of the values compared are not the warehouse's.

    It fails where that share is surely above `CORRECTED`; inconclusive where nothing could be compared.

    Examples
    --------
    >>> [(line["column"], line["outcome"]) for line in input_lines({"x": (300, 0), "z": (300, 40), "w": (0, 0)})]
    [('x', 'pass'), ('z', 'fail'), ('w', 'inconclusive')]
    """
    out = []
    for column, (n, differ) in compared.items():
        low = share_above(differ, n, NIGHTLY)
        outcome: Outcome = "inconclusive" if not n else "fail" if low > CORRECTED else "pass"
        words = f"{differ} of {n} values of {column} are not the warehouse's"
        out.append(_line("input", outcome, differ, n, low, words) | {"column": column})
    return out


def judge_skew(lines: Sequence[Line], why: Sequence[str], drifted: Sequence[str]) -> Verdict:
    """Fail where code, environment or input is proven skewed; inconclusive where nothing could be replayed.

    Parameters
    ----------
    why : sequence of str
        Why rows could not be replayed.
    drifted : sequence of str
        Columns whose served values have drifted from the reference: no skew, but said where there is none.

    Examples
    --------
    >>> judge_skew([_line("code", "pass", 0, 9, 0.0, "")], [], ["temp"]).reasons
    ('no skew, but data drift: temp',)
    >>> judge_skew([], ["not replayable: column mail is pseudonymised"], []).outcome
    'inconclusive'
    """
    numbers = {"lines": list(lines), "drifted": list(drifted), "not_replayed": list(why)}
    failed = [f"{line['what']} skew: {line['words']}" for line in lines if line["outcome"] == "fail"]
    if failed:
        return Verdict("fail", tuple(failed), numbers)
    replayed = [line for line in lines if line["what"] != "input" and line["outcome"] == "pass"]
    if not replayed:
        return Verdict("inconclusive", tuple(why) or ("no rows to replay",), numbers)
    drift = (f"no skew, but data drift: {', '.join(drifted)}",) if drifted else ()
    return Verdict("pass", (*why, *drift), numbers)


def _largest(apart: Floats) -> float:
    return float(apart.max()) if len(apart) else 0.0


def _line(what: str, outcome: Outcome, rows: int, of: int, size: float, words: str) -> Line:
    return {"what": what, "outcome": outcome, "rows": rows, "of": of, "size": size, "words": words}


__all__ = ["CORRECTED", "SAME", "Line", "Replay", "input_lines", "judge_skew", "replay_lines"]
