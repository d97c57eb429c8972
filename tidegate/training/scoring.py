"""From Arrow rows to scores: declared features, the user's `features`, the estimator, its calibration map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.errors import SourceError
from tidegate.training.recalibration import apply_map


def design(
    batch: pa.Table, spec: dict[str, Any], features: Callable[[pd.DataFrame], pd.DataFrame] | None
) -> pd.DataFrame:
    """The estimator's input: declared features, categories as pandas categories, then the user's `features`.

    Raises
    ------
    SourceError
        If the user's function raises, or does not keep each row in its place.
    """
    # Made at once: a frame whose columns are changed one by one costs a single row several milliseconds.
    frame = pd.DataFrame({name: _column(batch[name], kind) for name, kind in spec["features"].items()}, copy=False)
    if features is None:
        return frame
    code, index = f"user code {spec['user']['features']}", frame.index
    try:
        made = features(frame)
    except Exception as fault:
        raise SourceError(
            code, "a frame of features", f"{type(fault).__name__}: {fault}", "mend the user code"
        ) from fault
    if not isinstance(made, pd.DataFrame) or len(made) != len(index):
        found = f"{type(made).__name__} of {len(made) if hasattr(made, '__len__') else 'no'} rows"
        raise SourceError(code, f"a DataFrame of {len(index)} rows", found, "keep one row for each row")
    if not made.index.equals(index):
        # Sorted rows would be given one another's labels and scores.
        raise SourceError(code, "rows in the order they came in", "another order", "keep the frame's index")
    return made


def _column(values: pa.ChunkedArray, kind: str) -> Any:
    if kind == "category":
        return pd.Categorical(values.to_pandas())
    if kind in ("boolean", "integer", "number"):
        return values.cast(pa.float64(), safe=False).to_numpy()
    return values.to_pandas()


def score(estimator: Any, frame: pd.DataFrame, spec: dict[str, Any]) -> NDArray[np.float64]:
    """Scores of designed rows, through ``spec["calibration"]`` where there is one; an empty frame gives an empty array.

    Returns
    -------
    ndarray
        Shape (n,) probability of the positive class (binary) or prediction (regression),
        (n, classes) probabilities for multiclass, classes in the order of ``spec["classes"]``.

    Raises
    ------
    SourceError
        If the estimator raises, does not know every class, or gives a score that is not finite.
    """
    classes = len(spec["classes"])
    several = spec["kind"] == "multiclass"
    if not len(frame):
        return np.zeros((0, classes) if several else 0)
    code = f"the estimator of {spec['user']['build']}"
    try:
        if spec["kind"] == "regression":
            out = np.asarray(estimator.predict(frame), dtype=np.float64)
        else:
            p = np.asarray(estimator.predict_proba(frame), dtype=np.float64)
            out = p[:, [list(estimator.classes_).index(c) for c in range(classes)]]
    except Exception as fault:
        found = f"{type(fault).__name__}: {fault}"
        raise SourceError(code, "scores of every class", found, "mend the user code") from fault
    out = out if several or spec["kind"] == "regression" else out[:, 1]
    if out.shape[0] != len(frame) or not np.isfinite(out).all():
        found = f"{out.shape[0]} scores, {int((~np.isfinite(out)).sum())} not finite"
        raise SourceError(code, f"{len(frame)} finite scores", found, "mend the user code")
    found_map = spec.get("calibration")
    return apply_map(spec["kind"], found_map, out) if found_map else out
