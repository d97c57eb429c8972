"""Trains a candidate: several members, each blind to its share of the nights.

The history is cut into blocks of nights; member k never sees every K-th block. So every
night has scores from a member that did not see it (*out-of-fold*), on which the candidate
is gated and which become its reference, and no recent night is lost to a hold-out. What
is promoted is the mean of the very members that were gated: its log loss and Brier score
are at most the members' mean (Jensen), so the gate errs on the safe side.
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

MEMBERS = 3


@dataclass(frozen=True)
class Trained:
    """The fitted mean of the members, and out-of-fold scores of every training row."""

    estimator: Any
    scores: np.ndarray


def folds(nights: Sequence[str], block: int, members: int = MEMBERS) -> dict[str, int]:
    """The member that is blind to each night: blocks counted from the newest, in turn.

    Examples
    --------
    >>> folds(["a", "b", "c", "d"], 2, 2)
    {'a': 1, 'b': 1, 'c': 0, 'd': 0}
    """
    last = len(nights) - 1
    return {night: (last - i) // block % members for i, night in enumerate(nights)}


def train(build: Callable[[dict[str, Any]], Any], params: dict[str, Any], seed: int, frame: pd.DataFrame, target: NDArray[Any],
          fold: NDArray[np.int64], spec: dict[str, Any]) -> Trained:
    """Fit one member for each fold on the rows of the others.

    Parameters
    ----------
    frame : DataFrame, shape (n, features)
    target : ndarray, shape (n,)
        Class positions, or the regression target.
    fold : ndarray, shape (n,)
        The member that is blind to each row.

    Raises
    ------
    SourceError
        If the user's `build` or the fit raises, or a member would not see every class.
    """
    members, scores = [], np.zeros((len(target), len(spec["classes"])) if spec["kind"] == "multiclass" else len(target))
    for k in sorted(set(fold.tolist())):
        seen = fold != k
        if spec["kind"] != "regression" and len(np.unique(target[seen])) < len(spec["classes"]):
            raise SourceError("training set", f"rows of all {len(spec['classes'])} classes in every fold", f"{len(np.unique(target[seen]))} classes", "wait for more labelled nights")
        try:
            member = build({**params, "random_state": seed + k})
            member.fit(frame[seen], target[seen])
        except Exception as fault:
            raise SourceError(f"user code {spec['user']['build']}", "an estimator that fits", f"{type(fault).__name__}: {fault}", "mend the user code") from fault
        members.append(member)
        scores[~seen] = score(member, frame[~seen], spec)
    return Trained(mean_of(members, spec["kind"]), scores)


def mean_of(members: list[Any], kind: str) -> Any:
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
    mean.estimators_ = members
    return mean
