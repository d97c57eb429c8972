"""From Arrow rows to scores: declared features, the user's `features`, the estimator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tidegate.errors import SourceError


def design(batch: pa.Table, spec: dict[str, Any], features: Callable[[pd.DataFrame], pd.DataFrame] | None) -> pd.DataFrame:
    """The estimator's input: declared features, categories as pandas categories, then the user's `features`.

    Raises
    ------
    SourceError
        If the user's function raises, or does not keep one row for each row.
    """
    frame = batch.select(list(spec["features"])).to_pandas()
    for name, kind in spec["features"].items():
        if kind in ("category", "boolean"):
            frame[name] = frame[name].astype("category" if kind == "category" else "float64")
        elif kind in ("integer", "number"):
            frame[name] = frame[name].astype("float64")
    if features is None:
        return frame
    try:
        made = features(frame)
    except Exception as fault:
        raise SourceError(f"user code {spec['user']['features']}", "a frame of features", f"{type(fault).__name__}: {fault}", "mend the user code") from fault
    if not isinstance(made, pd.DataFrame) or len(made) != len(frame):
        raise SourceError(f"user code {spec['user']['features']}", f"a DataFrame of {len(frame)} rows", f"{type(made).__name__} of {len(made)}", "keep one row for each row")
    return made


def score(estimator: Any, frame: pd.DataFrame, spec: dict[str, Any]) -> np.ndarray:
    """Scores of designed rows; an empty frame gives an empty array."""
    several = spec["kind"] == "multiclass"
    if not len(frame):
        return np.zeros((0, len(spec["classes"])) if several else 0)
    if spec["kind"] == "regression":
        return np.asarray(estimator.predict(frame), dtype=np.float64)
    p = np.asarray(estimator.predict_proba(frame), dtype=np.float64)
    order = [list(estimator.classes_).index(i) for i in range(len(spec["classes"]))]
    return p[:, order] if several else p[:, order[1]]
