"""Direct loss estimation: errors that depend on features are told apart, whatever the columns are."""

import numpy as np
import pandas as pd
import pytest

from tidegate.performance.errormodel import FEW, crossfit_errors, fit_errors


def houses(n, seed, *, old=0.3):
    """Predictions that are three times as far off for old houses; `old` is their share."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "area": rng.normal(100, 20, n),
        "age": pd.Categorical(np.where(rng.random(n) < old, "old", "new")),
        "town": rng.choice(["a", "b", "c"], n),
        "sold": pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC"),
        "garden": rng.random(n) < 0.5,
        "rooms": [[1]] * n,
    })  # fmt: skip
    prediction = 2 * frame["area"].to_numpy()
    label = prediction + rng.normal(0, 10, n) * np.where(frame["age"] == "old", 3.0, 1.0)
    return frame, prediction, label


def test_a_shift_towards_hard_rows_raises_the_expected_error_as_it_raises_the_error():
    model = fit_errors(*houses(3000, 1))
    for old in (0.1, 0.3, 0.8):
        frame, prediction, label = houses(3000, 2, old=old)
        absolute, squared = model.of(frame, prediction)
        error = np.abs(prediction - label)
        assert absolute.mean() == pytest.approx(error.mean(), rel=0.08)
        assert np.sqrt(squared.mean()) == pytest.approx(np.sqrt((error**2).mean()), rel=0.08)


def test_held_out_errors_are_not_flattered():
    frame, prediction, label = houses(1200, 3)
    fold = np.arange(1200) // 240
    absolute, squared = crossfit_errors(frame, prediction, label, fold)
    assert absolute.mean() == pytest.approx(np.abs(prediction - label).mean(), rel=0.05)
    assert (squared >= absolute**2).all()
    again, _ = crossfit_errors(frame, prediction, label, fold)
    assert again.tolist() == absolute.tolist()


def test_what_was_not_there_at_the_fit_is_missing_and_few_rows_expect_the_mean():
    frame, prediction, label = houses(400, 4)
    strange = frame.assign(town="z", area=np.where(np.arange(400) % 2, np.inf, np.nan))
    assert np.isfinite(fit_errors(frame, prediction, label).of(strange, prediction)[0]).all()
    few = fit_errors(frame[:FEW], prediction[:FEW], label[:FEW])
    mean = np.abs(prediction - label)[:FEW].mean()
    assert few.of(frame, prediction)[0] == pytest.approx(np.full(400, mean))
    assert [len(e) for e in few.of(frame[:0], prediction[:0])] == [0, 0]


def test_one_fold_has_nothing_to_be_held_out_from():
    absolute, _ = crossfit_errors(*houses(100, 5), np.zeros(100, int))
    assert np.isnan(absolute).all()
