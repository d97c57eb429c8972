"""The anchor: labels kept from before, in the champion's package, on which a candidate's labels are checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.adapters.packages import Loaded
from tidegate.config.model import Model
from tidegate.steps.score import scores_of
from tidegate.steps.stores import Stores

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Anchor:
    """Rows of the champion's reference, with the labels and out-of-fold scores of its own training."""

    rows: pa.Table
    label: Floats
    scores: Floats
    night: NDArray[np.str_]


def anchor_of(stores: Stores, model: Model, champion: Loaded) -> Anchor:
    """The champion's reference with its feature rows; a row that is in no batch any more is left out.

    Labels come from the package, whose digest is checked: a label that was changed since, in the source or in
    the lake, is not believed here.
    """
    outcomes = champion.reference("outcomes")
    rows = stores.data.read("batches", model.dataset, sorted(set(outcomes["event_window"].to_pylist())))
    at = {row: i for i, row in enumerate(outcomes["row_id"].to_pylist())}
    where = np.array([at.get(r, -1) for r in rows["row_id"].to_pylist()], dtype=np.int64)
    kept, of = rows.filter(pa.array(where >= 0)), where[where >= 0]
    night = kept["window"].to_numpy(zero_copy_only=False)
    return Anchor(kept, outcomes["label"].to_numpy()[of], scores_of(outcomes)[of], night)
