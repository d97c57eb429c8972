import numpy as np
import pytest

from tidegate.alarms.pages import cumulative, directed, gradual_pages, lasting, sudden_pages

NAN = np.nan


def track(*scores):
    return np.array(scores, dtype=float)[None, :, None]


def test_a_signed_series_alarms_either_way_an_unsigned_one_only_when_it_rises():
    z = np.array([[[1.0, -3.0]]])
    assert directed(z, np.array([False, True]))[0, 0].tolist() == [1.0, -3.0, 3.0]


def test_what_lasts_was_reached_tonight_and_on_another_recent_night():
    held = lasting(track(5, 0, 4, 0, 0, 0, 6), nights=2, within=3)[0, :, 0]
    assert held[2] == 4
    assert held[6] == 0  # the other nights within reach had 0
    assert lasting(track(5, 0, 0), nights=1)[0, :, 0].tolist() == [5, 0, 0]


def test_a_night_without_information_neither_lasts_nor_adds():
    assert lasting(track(5, NAN, NAN, 5), 2, 3)[0, 3, 0] == -99
    assert cumulative(track(2, NAN, 2))[0, :, 0].tolist() == [1.5, 1.5, 3.0]


def test_one_outlier_alone_is_not_a_trend():
    assert cumulative(track(1e9))[0, 0, 0] == 3.5


def test_nobody_is_paged_again_while_it_is_quiet_time():
    highest = np.array([[9.0] * 10])
    assert sudden_pages(highest, [5.0, 10.0], quiet=4).tolist() == [[2], [0]]


def test_gradual_pages_are_those_of_sums_that_start_again():
    z = np.random.default_rng(0).normal(0.3, 1, (4, 200, 3))
    for h in range(4):
        c, last, expected = np.zeros(3), -99, 0
        for t in range(200):
            c = np.maximum(0, c + np.clip(z[h, t], -4, 4) - 0.5)
            if (c > 6.0).any() and t - last > 5:
                expected, last = expected + 1, t
            c[c > 6.0] = 0
        assert gradual_pages(z[h : h + 1], [6.0], quiet=5)[0, 0] == expected


@pytest.mark.parametrize(("h", "arl"), [(4.0, 335.4), (5.0, 930.9)])
def test_the_run_length_of_one_sum_is_the_published_one(h, arl):
    # Page's one-sided CUSUM with k = 0.5; the cap at 4 changes next to nothing for N(0, 1).
    z = np.random.default_rng(3).standard_normal((3000, 1500, 1)).astype(np.float32)
    first = (cumulative(z)[..., 0] > h).argmax(axis=1)
    crossed = (cumulative(z)[..., 0] > h).any(axis=1)
    months = np.where(crossed, first + 1, 1500).sum()
    assert months / crossed.sum() == pytest.approx(arl, rel=0.07)
