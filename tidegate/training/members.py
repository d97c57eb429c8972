"""Trains a candidate: several members, each blind to its share of the nights.

The nights that the champion has not seen are cut into blocks; member k never sees every
K-th of them. So each of these nights has scores from a member that did not see it
(*out-of-fold*), on which the candidate is gated and which become its reference, and no
recent night is lost to a hold-out. What is promoted is the mean of the very members that
were gated: its log loss and Brier score are at most the members' mean (Jensen), so the gate
errs on the safe side. How far, and whether neighbouring nights leak into a held-out block,
`benchmarks/out_of_fold.py` measures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tidegate.errors import SourceError
from tidegate.training.scoring import score

MEMBERS = 5
SEEN = -1


@dataclass(frozen=True)
class Trained:
    """The fitted mean of the members, and out-of-fold scores of every training row."""

    estimator: Any
    scores: NDArray[np.float64]


def folds(nights: Sequence[str], block: int, members: int = MEMBERS, *, held: int | None = None) -> dict[str, int]:
    """The member that is blind to each night: blocks counted from the newest, in turn.

    Only the newest `held` nights (all, if None) are hidden from a member; every member sees
    the older ones, whose fold is `SEEN`.

    Examples
    --------
    >>> folds(["a", "b", "c", "d"], 2, 2)
    {'a': 1, 'b': 1, 'c': 0, 'd': 0}
    >>> folds(["a", "b", "c", "d"], 1, 2, held=3)
    {'a': -1, 'b': 0, 'c': 1, 'd': 0}
    """
    age = {night: len(nights) - 1 - i for i, night in enumerate(nights)}
    return {n: a // block % members if held is None or a < held else SEEN for n, a in age.items()}


def train(
    build: Callable[[dict[str, Any]], Any],
    params: dict[str, Any],
    seed: int,
    frame: pd.DataFrame,
    target: NDArray[Any],
    fold: NDArray[np.int64],
    spec: dict[str, Any],
) -> Trained:
    """Fit one member for each fold on the rows of the others.

    Parameters
    ----------
    frame : DataFrame, shape (n, features)
    target : ndarray, shape (n,)
        Class positions, or the regression target.
    fold : ndarray, shape (n,)
        The member that is blind to each row, `SEEN` for rows that all members see; these
        have no out-of-fold score, but NaN.

    Raises
    ------
    SourceError
        If there is one fold only, the user's `build` or the fit raises, or a member would
        not see every class.
    """
    blind = sorted(set(fold.tolist()) - {SEEN})
    if len(blind) < 2:
        raise SourceError(
            "training set", "nights in two blocks or more", f"{len(blind)}", "wait for more labelled nights"
        )
    shape = (len(target), len(spec["classes"])) if spec["kind"] == "multiclass" else (len(target),)
    members, scores = [], np.full(shape, np.nan)
    for k in blind:
        seen = fold != k
        _check_classes(target[seen], spec)
        member = fitted(build, {**params, "random_state": (seed + k) % 2**32}, frame[seen], target[seen], spec)
        members.append(member)
        scores[~seen] = score(member, frame[~seen], spec)
    return Trained(mean_of(members, spec["kind"]), scores)


def _check_classes(target: NDArray[Any], spec: dict[str, Any]) -> None:
    if spec["kind"] == "regression":
        return
    found, classes = len(np.unique(target)), len(spec["classes"])
    if found < classes:
        wanted = f"rows of all {classes} classes in every fold"
        raise SourceError("training set", wanted, f"{found} classes", "wait for more labelled nights")


def fitted(
    build: Callable[[dict[str, Any]], Any],
    params: dict[str, Any],
    frame: pd.DataFrame,
    target: NDArray[Any],
    spec: dict[str, Any],
) -> Any:
    """One estimator, fitted; the user's `build` and fit raise nothing but `SourceError`."""
    try:
        member = build(params)
        member.fit(frame, target)
    except Exception as fault:
        found = f"{type(fault).__name__}: {fault}"
        code = f"user code {spec['user']['build']}"
        raise SourceError(code, "an estimator that fits", found, "mend the user code") from fault
    return member


def mean_of(members: Sequence[Any], kind: str) -> Any:
    """scikit-learn's soft vote (or mean) over estimators that are already fitted."""
    from sklearn.ensemble import VotingClassifier, VotingRegressor
    from sklearn.preprocessing import LabelEncoder

    named = [(f"member{i}", m) for i, m in enumerate(members)]
    if kind == "regression":
        mean = VotingRegressor(named)
    else:
        mean = VotingClassifier(named, voting="soft")
        mean.le_ = LabelEncoder().fit(members[0].classes_)
        mean.classes_ = mean.le_.classes_
    mean.estimators_ = list(members)
    return mean
