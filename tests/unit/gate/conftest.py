"""Judged rows of models that know the truth up to noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tidegate.gate.judged import Judged

NIGHTS, ROWS = 24, 84


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


@pytest.fixture(scope="session")
def judged() -> Callable[..., Judged]:
    """Makes binary rows; a side is its noise, and optionally the shift of its log odds."""

    def make(
        ours: tuple[float, ...] = (0.3,),
        theirs: tuple[float, ...] = (0.5,),
        *,
        nights: int = NIGHTS,
        rows: int = ROWS,
        seed: int = 8,
        groups: dict[str, Any] | None = None,
    ) -> Judged:
        rng = np.random.default_rng(seed)
        truth = rng.normal(-1 + 0.3 * rng.standard_normal((nights, 1)), 1.2, (nights, rows))
        label = (rng.random((nights, rows)) < sigmoid(truth)).astype(np.int64).ravel()

        def scores(noise: float, shift: float = 0.0) -> np.ndarray:
            return sigmoid(truth + shift + noise * rng.standard_normal((nights, rows))).ravel()

        night = np.repeat([str(np.datetime64("2013-01-01") + i) for i in range(nights)], rows)
        cut = np.full(nights * rows, 0.2)
        return Judged(night, label, scores(*ours), scores(*theirs), cut, cut, groups or {})

    return make
