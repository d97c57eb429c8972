"""The stored findings of past nights, as scores."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tidegate.alarms.calibration import Calibration
from tidegate.alarms.evidence import LOOK_BACK, Floats
from tidegate.alarms.series import Series
from tidegate.config.model import Model
from tidegate.steps.stores import Stores
from tidegate.verdicts import Finding
from tidegate.windows import Window

FINDINGS = pa.schema(
    [
        ("monitor", pa.string()),
        ("subject", pa.string()),
        ("statistic", pa.string()),
        ("against", pa.string()),
        ("value", pa.float64()),
        ("z", pa.float64()),
        ("limit", pa.float64()),
        ("total", pa.float64()),
        ("total_limit", pa.float64()),
        ("outcome", pa.string()),
        ("n", pa.int64()),
        ("n_eff", pa.float64()),
        ("detectors", pa.int64()),
        ("material", pa.bool_()),
        ("reason", pa.string()),
    ]
)
KEYS = ["window", "detectors", "monitor", "subject", "statistic", "against", "z"]

# What a night's findings say never changes under one digest; a replay asks for the same nights again and again.
_known: dict[tuple[str, str, str, str], dict[int, dict[Series, float]]] = {}


def past_scores(
    stores: Stores, model: Model, limits: Calibration, number: int, window: Window
) -> tuple[list[str], Floats]:
    """The nights before that one set of limits has scored, at most `LOOK_BACK`, and their scores.

    Returns
    -------
    list of str, float array
        Window ids, oldest first, and standard scores of shape (nights, series); NaN where a night has none.
    """
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    back = [calendar.shift(window, -k).id for k in range(LOOK_BACK - 1, 0, -1)]
    known = scores_of_nights(stores, model, back)
    nights = [n for n in back if number in known.get(n, {})]
    rows = [[known[n][number].get(s, np.nan) for s in limits.series] for n in nights]
    return nights, np.array(rows, dtype=np.float64).reshape(len(nights), len(limits.series))


def scores_of_nights(stores: Stores, model: Model, nights: list[str]) -> dict[str, dict[int, dict[Series, float]]]:
    """The stored standard scores by night, set of limits and series."""
    stored = {s.window: s for s in stores.lake.many("findings", model.name, nights) if s.rows}
    keys = {n: (str(stores.home.state), model.name, n, s.digest) for n, s in stored.items()}
    wanted = [n for n, key in keys.items() if key not in _known]
    if wanted:
        for night in wanted:
            _known[keys[night]] = {}
        table = stores.lake.read("findings", model.name, wanted)
        # Findings from before limits were calibrated have no scores.
        for row in table.select(KEYS).to_pylist() if set(KEYS) <= set(table.column_names) else ():
            series = Series(row["monitor"], row["subject"], row["statistic"], row["against"])
            _known[keys[row["window"]]].setdefault(row["detectors"], {})[series] = row["z"]
    found = {n: _known[key] for n, key in keys.items()}
    while len(_known) > max(2 * LOOK_BACK, len(nights)):
        del _known[next(iter(_known))]
    return found


def findings_of(stores: Stores, model: Model, window: str) -> list[Finding]:
    """The stored findings of a window."""
    table = stores.lake.read("findings", model.name, [window])
    return [Finding(**r) for r in table.to_pylist()] if table.num_rows else []
