"""Direct loss estimation: what error a regression is expected to make on each row, learned from held-out errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tidegate.performance.tally import Floats

FEW = 20
"""Fewest rows of a leaf: an error is noisy, and the mean of a few rows is noise too."""
ROUNDS = 60
CATEGORIES = 200
"""More values than this are taken as numbers in their order; the trees bin at most 255."""


@dataclass(frozen=True, eq=False)
class ErrorModel:
    """Two models of a row's error, from its features `names` and its prediction; `categories` the values they know."""

    absolute: Any
    squared: Any
    categories: dict[str, list[str]]
    names: tuple[str, ...]

    def of(self, frame: pd.DataFrame, predictions: Floats) -> tuple[Floats, Floats]:
        """Expected absolute and squared error of each row, both shape (n,) and at least 0; no rows give none.

        The square is never below that of the absolute error: no distribution of errors has less.
        """
        if not len(frame):
            return np.zeros(0), np.zeros(0)
        x = _numbers(frame, predictions, self.categories, self.names)
        absolute = np.clip(self.absolute.predict(x), 0.0, None)
        return absolute, np.maximum(self.squared.predict(x), absolute**2)


def fit_errors(frame: pd.DataFrame, predictions: Floats, labels: Floats, seed: int = 0) -> ErrorModel:
    """Learn the errors of held-out predictions.

    Parameters
    ----------
    frame : DataFrame, shape (n, features)
        As the estimator sees it. Numbers, booleans, categories and texts are used; times and the rest are left out.
    predictions, labels : ndarray, shape (n,)
        Predictions of rows that the model did not learn from, and the target's values.
    seed : int
        Of the trees.

    Returns
    -------
    ErrorModel
        With fewer than twice `FEW` rows, or where nothing tells rows apart, it expects the mean error of every row.

    References
    ----------
    NannyML, Direct Loss Estimation. The trees are scikit-learn's histogram gradient boosting.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    categories = {
        str(c): sorted(frame[c].dropna().astype(str).unique().tolist()) for c in frame.columns if _textual(frame[c])
    }
    names = tuple(str(c) for c in frame.columns if _textual(frame[c]) or _numeric(frame[c]))
    x, error = _numbers(frame, predictions, categories, names), np.abs(predictions - labels)
    coded = [0 < len(categories.get(n, ())) <= CATEGORIES for n in names]

    def fitted(target: Floats) -> Any:
        trees = HistGradientBoostingRegressor(
            max_iter=ROUNDS, learning_rate=0.1, max_leaf_nodes=15, min_samples_leaf=FEW, l2_regularization=1.0,
            early_stopping=False, categorical_features=[*coded, False], random_state=seed,
        )  # fmt: skip
        return trees.fit(x, target)

    return ErrorModel(fitted(error), fitted(error**2), categories, names)


def crossfit_errors(
    frame: pd.DataFrame, predictions: Floats, labels: Floats, fold: NDArray[np.int64], seed: int = 0
) -> tuple[Floats, Floats]:
    """Expected errors of each row from models that did not see its fold, both shape (n,); NaN with one fold only."""
    absolute, squared = np.full(len(labels), np.nan), np.full(len(labels), np.nan)
    parts = np.unique(fold)
    for k in parts if len(parts) > 1 else ():
        mine = fold == k
        model = fit_errors(frame[~mine], predictions[~mine], labels[~mine], seed)
        absolute[mine], squared[mine] = model.of(frame[mine], predictions[mine])
    return absolute, squared


def _numbers(frame: pd.DataFrame, predictions: Floats, categories: dict[str, list[str]], names: tuple[str, ...]) -> Any:
    """The rows as numbers, the prediction last; values that were not there at the fit are missing."""
    columns = [_column(frame[name], categories.get(name)) for name in names]
    return np.column_stack([*columns, np.asarray(predictions, dtype=np.float64)])


def _column(values: pd.Series, known: list[str] | None) -> Floats:
    if known is not None:
        codes = pd.Categorical(values.astype("object").map(str, na_action="ignore"), categories=known).codes
        return np.where(codes < 0, np.nan, codes.astype(np.float64))
    found = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(found), found, np.nan)


def _textual(values: pd.Series) -> bool:
    return isinstance(values.dtype, pd.CategoricalDtype) or pd.api.types.is_string_dtype(values.dtype)


def _numeric(values: pd.Series) -> bool:
    # When a row came is left out: trees would carry the noise of the newest nights on for ever.
    return bool(pd.api.types.is_numeric_dtype(values.dtype))
