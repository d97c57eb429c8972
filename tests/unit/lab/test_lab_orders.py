"""Orders of nights, and lines that survive a kill."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from tidegate.alarms.calibration import Calibration
from tidegate.errors import StoreError
from tidegate.lab.rules.tidegate import LEAST, factors, judged
from tidegate.steps.labprofile import read_lines
from tidegate.steps.labtrial import sides

NIGHTS = tuple((date(2020, 1, 1) + timedelta(days=i)).isoformat() for i in range(362))


def order(side: int, k: int) -> tuple[dict[str, str], tuple[str, ...]]:
    return sides(NIGHTS, 182, side, np.random.default_rng(1), np.random.default_rng(k))


def test_the_nights_after_the_learned_ones_are_others_on_the_other_side() -> None:
    rests = []
    for side, k in ((0, 2), (1, 3), (0, 4)):
        put, learned = order(side, k)
        assert sorted(put.values()) == sorted(NIGHTS)
        assert all(date.fromisoformat(d).weekday() == date.fromisoformat(n).weekday() for d, n in put.items())
        rests.append({put[d] for d in NIGHTS if d not in set(learned)})
    assert not rests[0] & rests[1]
    assert rests[0] == rests[2]
    assert order(0, 2)[0] != order(0, 4)[0]


def test_a_torn_line_is_taken_away_and_a_cell_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "profile.jsonl"
    assert read_lines(path) == []
    cell = '{"kind": "cell", "fault": "x", "size": "large", "seed": 1, "harm": %d}\n'
    path.write_text(cell % 1 + cell % 2 + '{"kind": "ce')
    assert [line["harm"] for line in read_lines(path)] == [1]
    assert path.read_text() == cell % 1 + cell % 2
    path.write_text("[]\nnonsense\n")
    with pytest.raises(StoreError, match="delete the file"):
        read_lines(path)


def test_tidegate_s_number_is_the_factor_on_its_limits_that_still_pages() -> None:
    """One unsigned series with limits 4 and 20: two nights at 8 page up to twice the limit."""
    from tidegate.alarms.calibration import GRADUAL, SUDDEN
    from tidegate.alarms.series import Series

    limits = Calibration(
        1.0, 200, 200, (Series("feature", "km", "shape"),), (None,), np.zeros((7, 1)), 4.0, 20.0, (0.1, 0.5),
        np.zeros((4, len(SUDDEN))), np.zeros((4, len(GRADUAL))),
    )  # fmt: skip
    once, twice, slow = np.zeros((9, 1)), np.zeros((9, 1)), np.full((40, 1), 1.5)
    once[-1], twice[-2:] = 8.0, 8.0
    assert factors(limits, once)[0].tolist() == [3.5 / 20]
    assert factors(limits, twice)[0].tolist() == [2.0]
    assert factors(limits, slow)[0].tolist() == [2.0]
    assert judged(np.array([2.0]), np.array([0]), lambda _: True, lambda _: False, 12) == 0.0
    assert judged(np.array([LEAST / 2]), np.array([0]), lambda _: True, lambda _: True, 12) == 0.0
    asked: list[int] = []
    judged(np.array([3.0, 2.0, 1.0]), np.arange(3), lambda _: True, lambda s: bool(asked.append(s)), 2)
    assert asked == [0, 1]
