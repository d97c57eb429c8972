import pytest

from tidegate.config.dataset import Quality
from tidegate.contract.volume import judge_volume


@pytest.mark.parametrize(("rows", "outcome"), [(49, "fail"), (50, "pass"), (150, "pass"), (151, "fail")])
def test_the_band_includes_its_ends(rows, outcome):
    assert judge_volume(rows, [90, 100, 110], Quality()).outcome == outcome


def test_only_the_newest_weekdays_count():
    quality = Quality(row_count_history=3)
    assert judge_volume(1000, [10] * 20 + [1000] * 3, quality).outcome == "pass"


def test_too_little_history_is_not_a_pass():
    verdict = judge_volume(100, [100, 100], Quality())
    assert verdict.outcome == "inconclusive"
    assert not verdict.passed


@pytest.mark.fault(12)
def test_no_rows_are_no_data_also_on_a_holiday():
    for kwargs in ({}, {"holiday": True}):
        assert judge_volume(0, [100] * 8, Quality(), **kwargs).reasons[0].startswith("NO_DATA")
    assert judge_volume(0, [100] * 8, Quality(), expected_empty=True).passed
    assert not judge_volume(3, [100] * 8, Quality(), expected_empty=True).passed


def test_a_holiday_may_be_thin_or_full():
    assert judge_volume(10, [100] * 8, Quality(), holiday=True).passed
