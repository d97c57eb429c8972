"""All members of a tree ensemble as one Treelite model, asked for one row without NumPy's or pandas' overhead.

Treelite (GTIL) answers with every tree's leaf; sums, link and mean are taken here. That is faster than its own sums:
28 against 68 microseconds a row for 5 x 120 trees of 31 leaves, and lets members with different numbers of trees in.
"""

from __future__ import annotations

import ctypes
import math
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.adapters.treecategories import HIST, Codes, UnsuitedError, coded

Floats = NDArray[np.float64]
Row = Sequence[Any]

NARROW = tuple(
    f"{kind}{what}"
    for kind in ("RandomForest", "ExtraTrees", "GradientBoosting")
    for what in ("Classifier", "Regressor")
)
"""Estimators that see their input as float32."""
NAN = math.nan
CHUNK = 1 << 19
"""Leaves that are held at once when many rows are scored."""


def members_of(estimator: Any) -> list[Any]:
    """The members whose mean an estimator is; itself, where it is no mean.

    Raises
    ------
    UnsuitedError
        If it is not made of scikit-learn's own tree ensembles of one class, equally weighted.
    """
    name = type(estimator).__name__
    members = [estimator]
    if name in ("VotingClassifier", "VotingRegressor") and type(estimator).__module__.startswith("sklearn."):
        if estimator.weights is not None or getattr(estimator, "voting", "soft") != "soft":
            raise UnsuitedError("its members vote with weights, or hard")
        members = list(estimator.estimators_)
    kinds = {type(m) for m in members}
    if len(kinds) != 1:
        raise UnsuitedError("its members are of several classes")
    kind = kinds.pop()
    if kind.__name__ not in (*HIST, *NARROW) or not kind.__module__.startswith("sklearn.ensemble."):
        raise UnsuitedError(f"its estimator is a {kind.__name__}, which Treelite does not read")
    return members


class TreeliteModel:
    """Members' raw scores, by Treelite. Safe to call from several threads."""

    def __init__(self, members: Sequence[Any], columns: Sequence[str], kinds: Sequence[str]) -> None:
        """Import the members; raises `UnsuitedError`, or whatever Treelite raises of an estimator it cannot read."""
        import treelite

        for member in members:
            if list(getattr(member, "feature_names_in_", ())) != list(columns):
                raise UnsuitedError("it was fitted on other columns than the contract's")
        plain, self._codes = coded(members, kinds)
        self._words = tuple((c.at, c.code) for c in self._codes if c.words)
        self._numbers = tuple((c.at, c.code) for c in self._codes if not c.words)
        self.narrow = type(members[0]).__name__ in NARROW
        self.width = len(columns)
        models = [treelite.sklearn.import_model(m) for m in plain]
        heads = [m.get_header_accessor() for m in models]
        head = heads[0]
        self.link = str(head.get_field("postprocessor"))
        self.averages = bool(head.get_field("average_tree_output")[0])
        leaf = int(np.prod(head.get_field("leaf_vector_shape")))
        self.outputs = max(leaf, int(head.get_field("num_class")[0]))
        for model, one in zip(models, heads, strict=True):
            _check(model, one, self.outputs, leaf, self.link)
        self.base: Floats = np.stack([np.resize(h.get_field("base_scores"), self.outputs) for h in heads])
        # Of each member: where its trees begin, and how many rounds (or trees that are averaged) it has.
        self.trees = [m.num_tree for m in models]
        self.rounds = [n * leaf // self.outputs for n in self.trees]
        self.members, self._alike = len(models), len(set(self.rounds)) == 1
        self._averaged = np.array(self.rounds, dtype=np.float64)[:, None]
        self._leaves = sum(self.trees) * leaf
        self._model = treelite.Model.concatenate(models)
        # Standard sizes ('='): only they refuse what is beyond float32.
        self._pack = struct.Struct(f"={self.width}{'f' if self.narrow else 'd'}").pack_into
        self._call = _Call(self._model, self.width, (sum(self.trees), leaf))
        self._room = _Room(self)

    def numbers(self, row: Row) -> list[float]:
        """A row's values as the trees take them: categories by number, NaN for what is missing or unknown."""
        values = list(row)
        for at, codes in self._words:
            values[at] = codes.get(values[at], NAN)
        for at, codes in self._numbers:
            value = values[at]
            values[at] = NAN if value is None else codes.get(float(value), NAN)
        if None in values:
            values = [NAN if v is None else v for v in values]
        return values

    def sums(self, rows: Sequence[Sequence[float]]) -> Floats:
        """Sums over each member's trees, shape (n, members, outputs), of rows of `numbers`.

        Raises
        ------
        OverflowError
            If a value is beyond float32 in an estimator that sees float32.
        """
        if len(rows) == 1:
            room: _Room = self._room
            self._pack(room.values.data, 0, *rows[0])
            if self.narrow:
                room.wide[:] = room.values
            self._call.into(room.args)
            return self._summed(room.leaves)
        step = max(1, CHUNK // self._leaves)
        return np.concatenate([self._many(rows[i : i + step]) for i in range(0, len(rows), step)])

    def _many(self, rows: Sequence[Sequence[float]]) -> Floats:
        room = _arrays(self, len(rows))
        size = room.values.itemsize * self.width
        for i, row in enumerate(rows):
            self._pack(room.values.data, i * size, *row)
        if self.narrow:
            room.wide[:] = room.values
        self._call.into(room.args)
        return self._summed(room.leaves)

    def _summed(self, leaves: Floats) -> Floats:
        n = len(leaves)
        if not self._alike:
            ends = np.cumsum([0, *(r * self.outputs for r in self.rounds)])
            parts = [leaves[:, a:b].reshape(n, -1, self.outputs) for a, b in pairwise(ends)]
            out = np.stack([np.add.reduce(p, axis=1) for p in parts], axis=1)
        elif self.outputs == 1:
            # An axis less: half the time of the other.
            out = np.add.reduce(leaves.reshape(n, self.members, -1), axis=2)[:, :, None]
        else:
            out = np.add.reduce(leaves.reshape(n, self.members, -1, self.outputs), axis=2)
        return out / self._averaged if self.averages else out

    def thresholds(self, trees: int = 64) -> dict[int, Floats]:
        """Distinct thresholds by column, of `trees` trees evenly over the ensemble."""
        found: dict[int, set[float]] = {}
        for i in np.unique(np.linspace(0, sum(self.trees) - 1, trees).astype(int)).tolist():
            tree = self._model.get_tree_accessor(i)
            # 1 is a split by a number.
            numeric = tree.get_field("node_type") == 1
            for at, value in zip(tree.get_field("split_index")[numeric], tree.get_field("threshold")[numeric],
                                 strict=True):  # fmt: skip
                found.setdefault(int(at), set()).add(float(value))
        return {at: np.array(sorted(values)) for at, values in found.items()}

    def categories(self) -> dict[int, list[Any]]:
        """Every category that a member has seen, by column."""
        return {c.at: [k for k in c.code if not isinstance(k, tuple)] for c in self._codes}


def _check(model: Any, head: Any, outputs: int, leaf: int, link: str) -> None:
    classes = head.get_field("class_id")
    in_turn = leaf > 1 or (classes == np.arange(model.num_tree) % outputs).all()
    if not in_turn or head.get_field("num_target")[0] != 1 or str(head.get_field("postprocessor")) != link:
        raise UnsuitedError("its trees are laid out in another way")
    if model.input_type != "float64" or model.output_type != "float64":
        raise UnsuitedError(f"its trees take {model.input_type}")


@dataclass(frozen=True, eq=False)
class _Arrays:
    """Room for some rows: as they are packed, as Treelite reads them, and every tree's answer."""

    values: NDArray[Any]
    wide: Floats
    leaves: Floats
    args: tuple[Any, ...]


def _arrays(model: TreeliteModel, rows: int) -> _Arrays:
    wide = np.zeros((rows, model.width))
    values = np.zeros((rows, model.width), dtype=np.float32) if model.narrow else wide
    leaves = np.zeros((rows, model._leaves))
    return _Arrays(values, wide, leaves, model._call.args(wide, leaves))


class _Room(threading.local):
    """Room for one row, of each thread's own."""

    def __init__(self, model: TreeliteModel) -> None:
        made = _arrays(model, 1)
        self.values, self.wide, self.leaves, self.args = made.values, made.wide, made.leaves, made.args


class _Call:
    """Treelite's C function with what never changes kept ready: its own wrapper takes as long as the trees."""

    def __init__(self, model: Any, width: int, shape: tuple[int, int]) -> None:
        from treelite.core import _LIB
        from treelite.gtil.gtil import GTILConfig, _predict_impl

        self._config = GTILConfig(nthread=1, predict_type="score_per_tree")
        # What it writes must be as long as what we have for it.
        found = _predict_impl(model, np.zeros((2, width)), config=self._config).shape
        if found != (2, *shape) or model.num_feature != width:
            raise UnsuitedError(f"Treelite answers {found} and not {(2, *shape)}")
        self._model, self._function = model, _LIB.TreeliteGTILPredict

    def args(self, values: Floats, leaves: Floats) -> tuple[Any, ...]:
        pointer = ctypes.c_void_p
        return (
            self._model.handle,
            values.ctypes.data_as(pointer),
            ctypes.c_char_p(b"float64"),
            ctypes.c_uint64(len(values)),
            leaves.ctypes.data_as(pointer),
            self._config.handle,
        )

    def into(self, args: tuple[Any, ...]) -> None:
        if self._function(*args):
            raise UnsuitedError("Treelite failed")


__all__ = ["Codes", "TreeliteModel", "UnsuitedError", "members_of"]
