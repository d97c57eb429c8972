"""The rules of the trade, on numbers worked out otherwise."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from scipy.spatial import distance
from scipy.stats import wasserstein_distance

from tidegate.errors import UsageError
from tidegate.lab.rules import COMPARATORS, Evidently, column_of, merged
from tidegate.lab.rules.base import jensen_shannon
from tidegate.lab.rules.psi import AnyPsi
from tidegate.lab.rules.threesigma import ThreeSigma, distance_from

RNG = np.random.default_rng(5)
NIGHTS = [RNG.normal(50, 10, 300) for _ in range(8)]
CODES = [RNG.choice(["a", "b", "c"], 300, p=[0.6, 0.3, 0.1]) for _ in range(8)]


def column(values, kind="number"):
    return column_of(pa.chunked_array([pa.array(values)]), kind)


def test_evidently_judges_numbers_by_wasserstein_and_codes_by_jensen_shannon() -> None:
    night = RNG.normal(55, 10, 200)
    whole = np.concatenate(NIGHTS)
    told = Evidently().fit([column(n) for n in NIGHTS])(column(night))
    assert told * 0.1 == pytest.approx(wasserstein_distance(whole, night) / whole.std(), abs=1e-12)
    codes = RNG.choice(["a", "b", "d"], 200)
    told = Evidently().fit([column(n, "category") for n in CODES])(column(codes, "category"))
    every = ["a", "b", "c", "d"]
    p, q = ([(np.asarray(x) == k).mean() for k in every] for x in (np.concatenate(CODES), codes))
    assert told * 0.1 == pytest.approx(distance.jensenshannon(p, q), abs=1e-12)


def test_evidently_s_night_is_the_share_of_columns_and_few_rows_are_refused() -> None:
    assert Evidently().night([1.0, 0.99, 3.0, math.nan]) == pytest.approx(2 / 3)
    assert math.isnan(Evidently().night([math.nan]))
    with pytest.raises(UsageError, match="1000"):
        Evidently().fit([column([1.0, 2.0])])


def test_three_sigma_is_the_distance_from_the_mean_of_reference_nights() -> None:
    usual = distance_from(merged([column(n) for n in NIGHTS]))
    seen = np.array([usual(column(n)) for n in NIGHTS])
    night = column(RNG.normal(70, 10, 200))
    told = ThreeSigma().fit([column(n) for n in NIGHTS])(night)
    assert told == pytest.approx((usual(night) - seen.mean()) / seen.std())
    assert told > 3
    edges = np.histogram_bin_edges(np.concatenate(NIGHTS), bins="doane")
    p, q = (np.histogram(x, edges)[0] / len(x) for x in (np.concatenate(NIGHTS), night.raw))
    left = 1 - q.sum()
    assert usual(night) == pytest.approx(distance.jensenshannon([*p, 0.0], [*q, left], base=2))


def test_psi_over_deciles_with_a_bin_for_missing_values() -> None:
    fit = AnyPsi().fit([column(np.arange(1000.0))])
    assert fit(column(np.arange(1000.0))) == pytest.approx(0.0, abs=1e-9)
    assert fit(column([*np.arange(500.0), *[None] * 500])) > 1
    codes = AnyPsi().fit([column(n, "category") for n in CODES])
    assert codes(column(["zz"] * 300, "category")) > codes(column(CODES[0], "category"))


@pytest.mark.parametrize("rule", COMPARATORS, ids=lambda r: r.name)
@pytest.mark.parametrize("night", [[], [None], [math.nan, math.inf], [1.0], [7.0] * 50])
def test_no_night_breaks_a_rule(rule, night) -> None:
    value = rule.fit([column(n) for n in NIGHTS])(column(pa.array(night, pa.float64())))
    assert math.isnan(value) or value >= 0
    assert math.isnan(rule.night([]))


@pytest.mark.parametrize("rule", COMPARATORS, ids=lambda r: r.name)
def test_a_reference_without_values_or_of_one_value_says_nothing_or_much(rule) -> None:
    empty = rule.fit([column(pa.array([None] * 600, pa.float64())) for _ in range(2)])
    assert math.isnan(empty(column([1.0, 2.0]))) or rule.name == "psi"  # missing is a bin of PSI
    constant = rule.fit([column([3.0] * 600) for _ in range(2)])
    assert constant(column([3.0] * 40)) == pytest.approx(0.0, abs=1e-9)
    assert constant(column([9.0] * 40)) > 1


def test_jensen_shannon_is_scipy_s() -> None:
    p, q = RNG.random(9), RNG.random(9)
    assert jensen_shannon(p, q, 2.0) == pytest.approx(distance.jensenshannon(p, q, 2))
