"""When labels arrive, by age, and whether early ones are like the rest."""

import math

import numpy as np
import pytest

from tidegate.performance.arrival import Arrival, arrival, differences, early_groups, score_bands


def history(nights, rng, *, rows=80, late=0.3, negatives_later=False, asked=None):
    """Rows of nights whose labels come on the next night, a share of them `late`; watched until the last night."""
    night = np.repeat(np.arange(nights), rows)
    label = (rng.random(nights * rows) < 0.4).astype(float)
    slow = rng.random(len(label)) < (np.where(label == 0, late * 1.5, late * 0.2) if negatives_later else late)
    age = np.where(slow, rng.integers(2, 6, len(label)), 1).astype(float)
    watched = (nights - 1 if asked is None else asked) - night.astype(float)
    return night, label, np.where(age <= watched, age, np.nan), watched


def test_the_curve_is_right_although_the_newest_nights_were_watched_for_a_short_time_only():
    rng = np.random.default_rng(41)
    _, _, age, watched = history(20, rng, rows=400)
    found = arrival(age, watched)
    assert found.at(1) == pytest.approx(0.7, abs=0.02)
    assert found.at(3) == pytest.approx(0.7 + 0.3 * 2 / 4, abs=0.02)
    assert found.at(5) == 1.0
    assert [found.until(p) for p in (0.5, 0.9, 0.99)] == [1, 4, 5]
    naive = np.mean(age <= 3)
    assert naive < found.at(3) - 0.02, "what has not come yet is not missing"


def test_rows_that_never_get_a_label_leave_a_plateau():
    rng = np.random.default_rng(42)
    _, _, age, watched = history(60, rng, late=0.0)
    age[rng.random(len(age)) < 0.25] = np.nan
    found = arrival(age, watched)
    assert found.ever == pytest.approx(0.75, abs=0.03)
    assert found.until(0.99) == 1


def test_no_rows_and_no_labels():
    assert arrival(np.zeros(0), np.zeros(0)) == Arrival((), (), ())
    assert math.isnan(Arrival((), (), ()).at(3))
    none = arrival(np.full(4, np.nan), np.array([0.0, 1.0, 2.0, 2.0]))
    assert (none.ever, none.until(0.5), none.n) == (0.0, None, (4, 3, 2))


@pytest.mark.fault(16)
def test_thirty_percent_late_and_negatives_later_is_called_selective_and_plain_lateness_is_not():
    for selective in (False, True):
        rng = np.random.default_rng(43)
        night, label, age, watched = history(60, rng, negatives_later=selective)
        old = watched >= 5
        ages = early_groups(age[old], arrival(age, watched))
        found = differences(np.where(np.isfinite(age), label, np.nan)[old], ages, night[old], 3, 0.02)
        assert "by night 1" in ages
        assert any(d.proven for d in found) == selective
        if selective:
            worst = next(d for d in found if d.what == "by night 1")
            assert worst.inside > worst.outside + 0.1, "positives come early"


def test_nothing_is_called_where_nothing_differs_and_small_differences_never():
    called = 0
    for seed in range(40):
        rng = np.random.default_rng([44, seed])
        night = np.repeat(np.arange(30), 60)
        groups = {f"g{i}": rng.random(len(night)) < 0.3 for i in range(6)}
        value = (rng.random(len(night)) < 0.5 + 0.2 * rng.normal(size=30)[night]).astype(float)
        called += any(d.proven for d in differences(value, groups, night, 3, 0.02))
    assert called <= 4
    night = np.repeat(np.arange(90), 2000)
    value = (np.arange(len(night)) % 2 < 1).astype(float)
    tiny = {"a": np.arange(len(night)) % 4 < 2}
    value = np.where(tiny["a"], 0.51, 0.5) + 0 * value
    assert not any(d.proven for d in differences(value, tiny, night, 3, 0.02))
    assert any(d.proven for d in differences(value, tiny, night, 3, 0.002))


def test_groups_of_none_or_all_are_no_groups():
    night, value = np.arange(9), np.ones(9)
    assert differences(value, {"all": value > 0, "none": value < 0}, night, 3, 0.0) == []
    assert score_bands(np.full(5, 0.2)) == {}
    assert score_bands(np.full(5, np.nan)) == {}
    bands = score_bands(np.append(np.linspace(0, 1, 101), np.nan))
    assert np.sum(list(bands.values()), axis=0).tolist() == [1] * 101 + [0]
