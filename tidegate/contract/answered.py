"""Rows and answers that somebody else gives to be logged: held against the contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tidegate.config.base import did_you_mean
from tidegate.config.dataset import Dataset
from tidegate.config.model import Model
from tidegate.contract.conform import ARROW, conform
from tidegate.errors import UsageError


def contract_rows(
    rows: Sequence[dict[str, Any]] | pa.Table | pd.DataFrame, dataset: Dataset, needed: Sequence[str],
    columns: Sequence[str],
) -> list[tuple[Any, ...]]:  # fmt: skip
    """Rows as tuples of `columns`, in the contract's types; a column that is not `needed` may be missing.

    Raises
    ------
    UsageError
        If a needed column is missing, or a value has not the contract's type.

    Examples
    --------
    >>> dataset = Dataset.model_validate({
    ...     "name": "d", "source": {"files": "{date}.csv"}, "event_time": "at", "key": ["id"],
    ...     "columns": {"id": {"type": "integer"}, "at": {"type": "timestamp"}, "x": {"type": "number"}}})
    >>> contract_rows([{"x": 1, "id": 7, "more": "z"}], dataset, ["x"], ("x", "id", "at"))
    [(1.0, 7, None)]
    """
    if isinstance(rows, pa.Table):
        frame = rows.to_pandas(types_mapper=_exact, date_as_object=False)
    elif isinstance(rows, pd.DataFrame):
        frame = rows.reset_index(drop=True)
    else:
        names = dict.fromkeys(name for row in rows for name in row)
        frame = pd.DataFrame({name: pd.Series([r.get(name) for r in rows], dtype="object") for name in names})
    if not len(frame):
        return []
    lists = []
    for name in columns:
        rule = dataset.columns[name]
        if name not in frame.columns:
            if name in needed:
                spare = [str(c) for c in frame.columns]
                raise UsageError("rows to log", f"the feature {name}", "none", did_you_mean(name, spare, "add it"))
            lists.append([None] * len(frame))
            continue
        if (frame.columns == name).sum() > 1:
            raise UsageError("rows to log", f"one column {name}", "several of that name", "rename the others")
        values, wrong = conform(frame[name], rule)
        if not rule.nullable and name in needed:
            wrong |= values.isna().to_numpy()
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            found = repr(frame[name].iloc[at])[:40] if rule.privacy == "keep" else "another value"
            raise UsageError(f"row {at} to log, column {name}", rule.type, found, "mend the row; nothing was logged")
        lists.append(pa.array(values, ARROW[rule.type], from_pandas=True).to_pylist())
    return list(zip(*lists, strict=True))


def _exact(kind: pa.DataType) -> pd.ArrowDtype | None:
    """Integers and truth values stay what they are beside nulls."""
    exact = pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    return pd.ArrowDtype(kind) if exact else None


def answers(model: Model, scores: Any, predictions: Any, n: int) -> tuple[list[Any], list[Any], list[float | None]]:
    """Scores, decisions and confidence of n answers, as the log has them.

    Decisions are positions of classes (a binary model's positive class is 1), or numbers. Confidence is the
    probability of the likelier class; a regression has none.

    Raises
    ------
    UsageError
        For another number of answers, scores that are not finite or not probabilities, or unknown classes.
    """
    try:
        values = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError):
        raise UsageError("scores to log", "numbers", type(scores).__name__) from None
    classes = sorted(model.label.classes or (), key=lambda c: model.kind == "binary" and c == model.label.positive)
    shape = (n, len(classes)) if model.kind == "multiclass" else (n,)
    if values.shape != shape and not (n == 0 and not values.size):
        raise UsageError("scores to log", f"the shape {shape}", str(values.shape), "give a score for each row")
    chances = model.kind != "regression"
    if not np.isfinite(values).all() or (chances and values.size and (values.min() < 0 or values.max() > 1)):
        raise UsageError("scores to log", "probabilities" if chances else "finite numbers", "others", "mend them")
    if not n:
        return [], [], []
    sure: list[float | None] = [None] * n
    if chances:
        sure = (values.max(axis=1) if values.ndim == 2 else np.maximum(values, 1 - values)).tolist()
    if predictions is None:
        none: list[Any] = [None] * n
        guess = {"regression": values.tolist, "multiclass": lambda: values.argmax(axis=1).tolist()}.get(model.kind)
        return values.tolist(), guess() if guess else none, sure
    given = np.asarray(predictions, dtype=object).ravel().tolist()
    if len(given) != n:
        raise UsageError("predictions to log", f"one a row, {n}", str(len(given)))
    if not chances:
        return values.tolist(), [float(v) for v in given], sure
    at = {str(c): i for i, c in enumerate(classes)}
    if strange := [v for v in given if str(v) not in at]:
        raise UsageError("predictions to log", f"one of {classes}", repr(strange[0])[:40], "give the label's values")
    return values.tolist(), [at[str(v)] for v in given], sure


__all__ = ["answers", "contract_rows"]
