"""The rows that a gate judges on: labelled, unseen by both models, scored by both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tidegate.config.model import Model
from tidegate.performance.blocks import blocks_of, cut
from tidegate.performance.tally import Tally, tally_of

Side = Literal["ours", "theirs"]


@dataclass(frozen=True, eq=False)
class Judged:
    """Rows with labels that neither side trained on; ``theirs`` is the champion, or a first model's baseline.

    Parameters
    ----------
    night : ndarray of str, shape (n,)
        The window of each row.
    label : ndarray, shape (n,)
        Class positions, or the regression target.
    ours, theirs : ndarray
        Scores, shape (n,), for multiclass (n, classes).
    our_cut, their_cut : ndarray, shape (n,)
        Binary: the threshold in force for each row, chosen on other rows; else ignored.
    groups : mapping of str to ndarray of str, shape (n,)
        Values of the segment and protected columns, ``missing`` for nulls.
    row_id : ndarray of str, shape (n,)
    """

    night: NDArray[Any]
    label: NDArray[Any]
    ours: NDArray[np.float64]
    theirs: NDArray[np.float64]
    our_cut: NDArray[np.float64]
    their_cut: NDArray[np.float64]
    groups: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    row_id: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.label)

    def where(self, keep: NDArray[np.bool_]) -> Judged:
        """The rows that `keep` (shape (n,)) picks."""
        return Judged(
            self.night[keep], self.label[keep], self.ours[keep], self.theirs[keep], self.our_cut[keep],
            self.their_cut[keep], {k: v[keep] for k, v in self.groups.items()},
            None if self.row_id is None else self.row_id[keep],
        )  # fmt: skip

    def nights(self) -> list[str]:
        """The windows, in order."""
        return sorted(set(self.night.tolist()))

    def tallies(self, model: Model, side: Side) -> dict[str, Tally]:
        """A tally a night of one side."""
        scores, cuts = (self.ours, self.our_cut) if side == "ours" else (self.theirs, self.their_cut)
        order = np.argsort(self.night, kind="stable")
        names, starts = np.unique(self.night[order], return_index=True)
        parts = np.split(order, starts[1:])
        return {
            str(n): tally_of(model, scores[at], self.label[at], cuts[at]) for n, at in zip(names, parts, strict=True)
        }

    def blocks(self, model: Model, side: Side, nights: Sequence[str] | None = None) -> list[Tally]:
        """A tally a block of nights, in order; blocks without rows are left out.

        `nights` are the windows that are cut into blocks (by default those with rows), so that a segment is cut as
        the whole is.
        """
        return blocks_of(self.tallies(model, side), cut(nights or self.nights(), model.gate.block_nights))
