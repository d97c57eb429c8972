import pytest

from tidegate.config.gating import Gate
from tidegate.errors import UsageError
from tidegate.gate.error import exhausted, look_part, share, spent_in_year

GATE = Gate()


def test_looks_share_an_attempt_and_later_ones_get_more():
    for looks in (1, 3, 12):
        parts = [look_part(looks, k) for k in range(1, looks + 1)]
        assert sum(parts) == pytest.approx(1)
        assert parts == sorted(parts)


def test_all_attempts_of_a_year_spend_what_was_declared_and_no_more():
    spent, errors = [], []
    for attempt in range(8):
        for look in (1, 2, 3):
            day = f"2013-{attempt + 1:02}-{10 * look - 9:02}"
            error = share(GATE, 6, look, spent_in_year(spent, day))
            spent.append((day, error))
            errors.append(error)
    assert sum(errors) == pytest.approx(GATE.error_per_year)
    assert min(errors[:18]) > 0
    assert errors[18:] == [0.0] * 6


def test_the_rest_of_a_year_is_all_that_a_look_may_spend():
    assert share(GATE, 6, 3, 0.049) == pytest.approx(0.001)
    assert share(GATE, 6, 3, 0.06) == 0
    assert share(GATE, 0, 1, 0) == share(GATE, 1, 1, 0) == pytest.approx(0.05 / 6)


def test_what_was_spent_comes_back_after_a_year():
    spent = [("2013-01-05", 0.03), ("2013-01-05", 0.01), ("2013-06-01", 0.01)]
    assert spent_in_year(spent, "2014-01-04") == pytest.approx(0.05)
    assert spent_in_year(spent, "2014-01-05") == pytest.approx(0.01)
    assert spent_in_year(spent, "2013-03-01") == pytest.approx(0.05)  # an evening of the past spends of the same year
    assert spent_in_year([], "2013-03-01") == 0
    assert exhausted(GATE, spent, "2013-07-01").endswith("0.04 comes back on 2014-01-05")


@pytest.mark.parametrize("look", [0, 4])
def test_there_are_only_so_many_looks(look):
    with pytest.raises(UsageError, match="1 to 3"):
        share(GATE, 6, look, 0)
