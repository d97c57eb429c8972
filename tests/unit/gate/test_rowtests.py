import csv
import math
from pathlib import Path

import numpy as np
import pytest

from tidegate.gate.rowtests import delong, mcnemar, non_inferiority_rows


@pytest.fixture(scope="module")
def asah():
    # 113 patients with subarachnoid haemorrhage (Turck et al. 2010), as pROC has them: poor outcome, WFNS, S100B.
    with (Path(__file__).parent / "asah.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [np.array([float(r[c]) for r in rows]) for c in ("poor", "wfns", "s100b")]


def test_delong_has_the_numbers_of_proc(asah):
    poor, wfns, s100b = asah
    found = delong(wfns, s100b, poor.astype(int))
    assert len(poor) == 113
    assert found.areas == pytest.approx((0.8236789, 0.7313686), abs=5e-8)
    assert found.variances == pytest.approx((0.00146991470882363, 0.00266868245717244), rel=1e-12)
    assert found.covariance == pytest.approx(0.00119615567376754, rel=1e-12)
    assert found.z == pytest.approx(2.20898, abs=5e-6)
    assert found.p == pytest.approx(0.0271758, abs=5e-8)


def test_delong_of_the_same_scores_and_of_one_class_has_no_p(asah):
    poor, wfns, _ = asah
    same = delong(wfns, wfns, poor.astype(int))
    assert same.areas[0] == pytest.approx(0.8236789, abs=5e-8)
    assert math.isnan(same.p)
    assert math.isnan(delong(wfns, wfns, np.zeros(113, int)).areas[0])


def test_mcnemar_has_the_golden_numbers():
    assert mcnemar(25, 15, exact=False) == (pytest.approx(2.025), pytest.approx(0.15473, abs=5e-6))
    assert mcnemar(25, 15, exact=True)[1] == pytest.approx(0.15386, abs=5e-6)
    assert mcnemar(25, 15) == mcnemar(25, 15, exact=False)
    assert mcnemar(9, 2)[1] == pytest.approx(2 * 67 / 2**11)  # few: the binomial, by hand (1 + 11 + 55)
    assert math.isnan(mcnemar(0, 0)[1])


def test_rows_for_non_inferiority_are_the_golden_number():
    assert non_inferiority_rows(0.01, 0.05) == 3925
    assert non_inferiority_rows(0.01, 0.05, power=0.9) > 3925
