"""Scores of single rows at a price a server can pay: through Treelite where that is proven equal, else the package.

A package of scikit-learn's tree ensembles over numbers, truth values and categories is read into Treelite when it is
prepared, and compared with the package itself on its probe rows and on edge rows (`scorerproof`). What differs by
more than `SAME` anywhere, or cannot be read, is scored by the package, and `Prepared.why` says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.adapters.packages import Loaded
from tidegate.adapters.proofs import Proof, Proofs
from tidegate.adapters.treelitemodel import TreeliteModel, UnsuitedError, members_of
from tidegate.config.dataset import Dataset
from tidegate.contract.conform import ARROW
from tidegate.errors import SourceError
from tidegate.training.recalibration import EPS, apply_map
from tidegate.training.scoring import design

Floats = NDArray[np.float64]

FAST = ("number", "integer", "boolean", "category")


class Prepared:
    """A package that is ready to score rows of Python values; safe to call from several threads."""

    def __init__(self, package: Loaded, dataset: Dataset) -> None:
        self.package = package
        self.columns: tuple[str, ...] = tuple(package.spec["features"])
        self.why = ""
        self.apart = 0.0
        """Largest difference between the two ways on the rows of the proof, relative above 1."""
        kinds = package.spec["features"]
        known = {n: dataset.columns[n].type if n in dataset.columns else kinds[n] for n in self.columns}
        self._types = [ARROW[known[n]] for n in self.columns]
        self.designed: tuple[str, ...] = ()
        """The columns that the user's own function makes of a row, where there is one."""
        self._trees: TreeliteModel | None = None
        self._finish: Callable[[Floats], Floats] = np.asarray
        self._refuses_missing = False
        self._made_kinds: list[str] = []

    @property
    def fast(self) -> bool:
        """Whether rows go through Treelite; with a function of the user's own, after that."""
        return self._trees is not None

    @property
    def light(self) -> bool:
        """Whether a row takes microseconds: through Treelite, and without pandas."""
        return self.fast and not self.designed

    def scores(self, rows: Sequence[Sequence[Any]]) -> Floats:
        """Scores of rows, each with its values in the order of `columns`, in the contract's types; None is missing.

        Returns
        -------
        ndarray
            Shape (n,), for multiclass (n, classes); equal to `Loaded.scores` of the same rows.

        Raises
        ------
        SourceError
            If the package refuses the rows.
        """
        trees = self._trees
        if trees is None or not len(rows):
            return self.by_package(rows)
        try:
            made = self._made(rows) if self.designed else rows
            numbers = [trees.numbers(row) for row in made]
            if self._refuses_missing and any(map(math.isnan, chain.from_iterable(numbers))):
                return self.by_package(rows)
            out = self._finish(trees.sums(numbers))
        except (OverflowError, UnsuitedError):
            return self.by_package(rows)
        finite = math.isfinite(out[0]) if out.size == 1 else np.isfinite(out).all()
        # The package's own words, where it refuses them.
        return out if finite else self.by_package(rows)

    def _made(self, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        """Rows as the user's function gives them to the estimator."""
        frame = design(self.table(rows), self.package.spec, self.package.features)
        if tuple(frame.columns) != self.designed or kinds_of(frame) != self._made_kinds:
            raise UnsuitedError("its function made other columns of these rows than of the probe's")
        return list(zip(*(column.tolist() for _, column in frame.items()), strict=True))

    def by_package(self, rows: Sequence[Sequence[Any]]) -> Floats:
        """The same by the package itself."""
        return self.package.scores(self.table(rows))

    def table(self, rows: Sequence[Sequence[Any]]) -> pa.Table:
        """Rows as the package takes them."""
        columns = zip(*rows, strict=True) if len(rows) else ((),) * len(self.columns)
        made = [pa.array(v, kind, from_pandas=True) for v, kind in zip(columns, self._types, strict=True)]
        return pa.table(made, names=list(self.columns))


def prepare(package: Loaded, dataset: Dataset, proofs: Proofs | None = None) -> Prepared:
    """Read a package into Treelite where it is proven to score the same; else say why not, and score by the package.

    Costs a second or two for 600 trees. Nothing that Treelite raises comes out of here.

    Parameters
    ----------
    proofs : Proofs, optional
        Where proofs are kept. What was proven before is only looked at again on the probe rows.
    """
    from tidegate.adapters.scorerproof import proven, repeated

    made = Prepared(package, dataset)
    known = proofs.get(package.digest, dataset) if proofs else None
    made.why = _unsuited(package, dataset) or (known.why if known else "")
    if made.why:
        return made
    kinds = [package.spec["features"][n] for n in made.columns]
    try:
        members = members_of(package.estimator)
        _check_classes(members, package.spec)
        if package.features is not None:
            frame = design(package.reference("probe").select(list(made.columns)), package.spec, package.features)
            made.designed, made._made_kinds = tuple(map(str, frame.columns)), kinds_of(frame)
            kinds = made._made_kinds
        trees = TreeliteModel(members, made.designed or made.columns, kinds)
        made._finish = _finisher(trees, package.spec)
        made._refuses_missing = _refuses(made, dataset)
        made._trees = trees
        if known is not None and repeated(made):
            made.apart = known.apart
            return made
        made.apart, made.why = proven(made, trees, dataset)
        if proofs is not None:
            proofs.keep(package.digest, dataset, Proof(made.apart, made.why))
    # Treelite, or an estimator that another version of scikit-learn made, may raise anything.
    except Exception as fault:
        said = " ".join(str(fault).split())[:300] or "no message"
        made.why = said if isinstance(fault, UnsuitedError) else f"Treelite: {type(fault).__name__}: {said}"
    if made.why:
        made._trees = None
    return made


def _unsuited(package: Loaded, dataset: Dataset) -> str:
    if package.features is not None:
        return ""
    for name, kind in package.spec["features"].items():
        if kind not in FAST:
            return f"feature {name} is a {kind}"
        found = dataset.columns[name].type if name in dataset.columns else kind
        if (found == "category") != (kind == "category") or found not in FAST:
            return f"feature {name} was a {kind} in its training and is a {found}"
    return ""


def kinds_of(frame: pd.DataFrame) -> list[str]:
    """What the estimator sees in each column: numbers, truth values or categories.

    Raises
    ------
    UnsuitedError
        If it is anything else.
    """
    out = []
    for name, dtype in frame.dtypes.items():
        if isinstance(dtype, pd.CategoricalDtype):
            out.append("category")
        elif isinstance(dtype, np.dtype) and dtype.kind in "iufb":
            out.append("number")
        else:
            raise UnsuitedError(f"feature {name} is a {dtype}")
    return out


def _check_classes(members: Sequence[Any], spec: dict[str, Any]) -> None:
    if spec["kind"] != "regression":
        wanted = list(range(len(spec["classes"])))
        if any(list(m.classes_) != wanted for m in members):
            raise UnsuitedError("its classes are in another order")


def _refuses(made: Prepared, dataset: Dataset) -> bool:
    """Whether the package refuses rows with missing values, as some estimators do."""
    try:
        made.by_package([(None,) * len(made.columns)])
    except SourceError:
        return True
    return False


def _finisher(trees: TreeliteModel, spec: dict[str, Any]) -> Callable[[Floats], Floats]:
    """From the members' sums (n, members, outputs) to scores: link, mean, calibration map."""
    from scipy.special import expit, softmax

    base, members, kind = trees.base, trees.members, spec["kind"]
    found = spec.get("calibration")
    links: dict[str, Callable[[Floats], Floats] | None] = {
        "sigmoid": expit,
        "softmax": lambda raw: softmax(raw, axis=2),
        "exponential": np.exp,
        "identity": None,
        "identity_multiclass": None,
    }
    link = links[trees.link]
    outputs = {"binary": (1, 2), "regression": (1,), "multiclass": (len(spec["classes"]),)}[kind]
    if trees.outputs not in outputs:
        raise UnsuitedError(f"its trees have {trees.outputs} outputs")

    def finish(sums: Floats) -> Floats:
        raw = sums + base
        if link is not None:
            raw = link(raw)
        out = np.add.reduce(raw, axis=1) / members
        if kind != "multiclass":
            out = out[:, -1]
        return out if not found else _mapped(kind, found, out)

    return finish


def _mapped(kind: str, found: dict[str, Any], scores: Floats) -> Floats:
    """`apply_map`, whose arrays cost as much as the trees when there is one row."""
    if kind != "binary" or len(scores) > 1:
        return apply_map(kind, found, scores)
    p = float(scores[0])
    if not math.isfinite(p):
        return scores
    low, high = min(max(1 - p, EPS), 1 - EPS), min(max(p, EPS), 1 - EPS)
    z = found["slope"] * (math.log(high) - math.log(low)) + found["offset"]
    return np.array([1 / (1 + math.exp(-z)) if z > 0 else math.exp(z) / (1 + math.exp(z))])


__all__ = ["Prepared", "prepare"]
