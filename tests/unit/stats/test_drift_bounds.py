"""Bounds and margin tests: size at the margin from 200 to ten million rows, coverage, dependence."""

import json
import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import ndtr
from scipy.stats import norm
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from tidegate.drift.bounds import bounds, flat, laws_of, margin_tests, profile_bounds
from tidegate.drift.compare import column_drift
from tidegate.drift.distances import js, kl, psi
from tidegate.drift.sampling import Divergence, Gap, Transport
from tidegate.drift.shares import Share, ShareDifference
from tidegate.errors import UsageError
from tidegate.profile.column import ColumnProfile, number_column
from tidegate.profile.grid import Axis, Grid
from tidegate.profile.profile import grid_of, profile_of

TEN = np.full(10, 0.1)
WHOLE = 1e12
DIVERGENCES = {
    "psi": lambda p: psi(TEN * WHOLE, p * WHOLE),
    "kl": lambda p: kl(TEN * WHOLE, p * WHOLE),
    "js": lambda p: js(TEN * WHOLE, p * WHOLE),
}
SIZES = [(200, 200), (60_000, 1000), (10**7, 10**7)]
ALPHA, RUNS = 0.05, 500
# Five percent of the runs, and three standard errors.
AT_MOST = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)


def categories(counts, missing=0):
    names = tuple(f"k{i}" for i in range(len(counts)))
    rows = np.asarray(counts, dtype=np.int64)
    return ColumnProfile(Axis("category"), int(rows.sum()) + missing, missing, names=names, rows=rows)


def numbers(values, counts):
    """A column with these rows at these values, without making the rows."""
    base, kept, n = number_column(values, Axis("number")), counts > 0, int(counts.sum())
    assert len(base.buckets) == len(values)
    moments = {"total": float((values * counts).sum()), "squares": float((values**2 * counts).sum())}
    ends = {"low": values[kept][0], "high": values[kept][-1]}
    found = {"buckets": base.buckets[kept], "atoms": base.atoms[kept], "rows": counts[kept]}
    return replace(base, n=n, **moments, **ends, **found)


def tilted(distance, target):
    """Shares at exactly this distance from ten equal ones."""
    low, high = 0.0, 20.0
    for _ in range(80):
        middle = (low + high) / 2
        p = np.exp(middle * np.linspace(-1, 1, 10))
        p /= p.sum()
        low, high = (low, middle) if distance(p) > target else (middle, high)
    return p


@pytest.mark.parametrize(("n", "m"), SIZES)
@pytest.mark.parametrize(("name", "margin"), [("psi", 0.02), ("psi", 0.1), ("psi", 1.0), ("kl", 0.05), ("js", 0.1)])
def test_a_divergence_at_its_margin_fails_as_rarely_as_asked(name, margin, n, m):
    rng = np.random.default_rng(21)
    p = tilted(DIVERGENCES[name], margin)
    draws = zip(rng.multinomial(n, TEN, RUNS), rng.multinomial(m, p, RUNS), strict=True)
    laws = [laws_of(categories(r), categories(c))[name] for r, c in draws]
    assert np.mean([law.p_above(margin) <= ALPHA for law in laws]) <= AT_MOST
    inside = [law.interval(0.9).low <= margin <= law.interval(0.9).high for law in laws]
    assert np.mean(inside) >= 0.9 - 3 * math.sqrt(0.09 / RUNS)
    if n > 10**6:  # nor is it needlessly timid
        assert np.mean([law.p_above(margin) <= ALPHA for law in laws]) >= 0.02


AT = np.linspace(-5, 5, 81)
GROWING = np.unique(np.exp(np.linspace(-4, 5, 121)))


def shares(density):
    return density / density.sum()


ORDERED = {
    "none": (AT, shares(norm.pdf(AT)), shares(norm.pdf(AT))),
    "shift": (AT, shares(norm.pdf(AT)), shares(norm.pdf(AT, 0.5))),
    "spread": (AT, shares(norm.pdf(AT)), shares(norm.pdf(AT, 0, 1.5))),
    "skewed": (GROWING, shares(norm.pdf(np.log(GROWING), 0, 1.2)), shares(norm.pdf(np.log(GROWING), 0.3, 1.2))),
    "rare and far": (np.array([0.0, 1.0, 50.0]), np.array([0.6, 0.395, 0.005]), np.array([0.6, 0.385, 0.015])),
}


@pytest.mark.parametrize(("n", "m"), SIZES)
@pytest.mark.parametrize("change", ORDERED)
def test_ks_and_w1_at_their_margin_fail_as_rarely_as_asked(change, n, m):
    rng, runs = np.random.default_rng(22), 200
    at_most = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / runs)
    values, q, p = ORDERED[change]
    gap = np.abs(np.cumsum(q) - np.cumsum(p))
    sigma = math.sqrt(float((q * values**2).sum() - (q * values).sum() ** 2))
    margins = {"ks": gap.max(), "w1_sigma": float((gap[:-1] * np.diff(values)).sum()) / sigma}
    above, inside = dict.fromkeys(margins, 0), dict.fromkeys(margins, 0)
    for r, c in zip(rng.multinomial(n, q, runs), rng.multinomial(m, p, runs), strict=True):
        laws = laws_of(numbers(values, r), numbers(values, c))
        for name, margin in margins.items():
            above[name] += laws[name].p_above(margin) <= ALPHA
            band = laws[name].interval(0.9)
            inside[name] += band.low <= margin + 1e-12 and margin <= band.high + 1e-12
    assert all(count / runs <= at_most for count in above.values())
    assert all(count / runs >= 0.9 - 3 * math.sqrt(0.09 / runs) for count in inside.values())


@pytest.mark.parametrize("base", [0.0005, 0.02, 0.3])
@pytest.mark.parametrize("margin", [0.005, 0.05])
def test_shares_at_their_margin_fail_as_rarely_as_asked(base, margin):
    rng = np.random.default_rng(23)
    r, c = rng.binomial(60_000, base, RUNS) / 60_000, rng.binomial(1000, base + margin, RUNS) / 1000
    laws = [ShareDifference(a, 60_000, b, 1000) for a, b in zip(r, c, strict=True)]
    assert np.mean([law.p_above(margin) <= ALPHA for law in laws]) <= AT_MOST
    assert np.mean([law.interval(0.9).low <= margin <= law.interval(0.9).high for law in laws]) >= 0.86
    unseen = [Share(x, 1000) for x in rng.binomial(1000, margin, RUNS) / 1000]
    assert np.mean([law.p_above(margin) <= ALPHA for law in unseen]) <= AT_MOST
    assert np.mean([law.p_below(margin) <= ALPHA for law in unseen]) <= AT_MOST


def test_ten_million_rows_do_not_make_a_trifle_matter():
    rng = np.random.default_rng(24)
    r, c = (rng.multinomial(10**7, shares(norm.pdf(AT, d))) for d in (0, 0.003))
    laws = laws_of(numbers(AT, r), numbers(AT, c))
    assert laws["ks"].p_above(0.0) < 0.001  # "is it zero?" says drift
    tests = margin_tests(numbers(AT, r), numbers(AT, c), {"ks": 0.02, "w1_sigma": 0.02, "psi": 0.001})
    assert [t.outcome for t in tests] == ["pass"] * 3


def test_a_few_rows_do_not_tell_and_a_great_shift_is_told():
    rng = np.random.default_rng(25)
    reference = number_column(rng.normal(size=20_000), Axis("number"))
    margins = {"psi": 0.1, "ks": 0.1, "w1_sigma": 0.2, "missing": 0.05}
    few, shifted = (number_column(x, Axis("number")) for x in (rng.normal(size=25), rng.normal(1, 1, 1000)))
    assert {t.outcome for t in margin_tests(reference, few, margins)} == {"inconclusive"}
    assert [t.outcome for t in margin_tests(reference, shifted, margins)] == ["fail", "fail", "fail", "pass"]


def test_missing_rows_are_tested_in_both_directions():
    reference = categories([6000], missing=4000)
    outcomes = [
        margin_tests(reference, categories([600 - d], missing=400 + d), {"missing": 0.05})[0].outcome
        for d in (-200, -60, 0, 60, 200)
    ]
    assert outcomes == ["fail", "inconclusive", "pass", "inconclusive", "fail"]


def test_dependent_rows_need_their_design_effect():
    """Nights whose share moves as a whole: rows taken as independent claim too much."""
    rng, runs = np.random.default_rng(26), 400
    spread = rng.beta(0.3 * 99, 0.7 * 99, (runs, 61))  # intraclass correlation .01
    rows = rng.binomial(1000, spread)
    effect = 1 + 999 * 0.01
    far = {1.0: 0, effect: 0}
    for night in rows:
        r, c = int(night[:60].sum()), int(night[60])
        reference, current = categories([r, 60_000 - r]), categories([c, 1000 - c])
        for design in far:
            far[design] += laws_of(reference, current, design_effect=design)["psi"].p_above(0.0) <= ALPHA
    assert far[1.0] / runs > 0.4
    assert far[effect] / runs <= 0.09


@pytest.mark.parametrize("name", ["psi", "kl", "js", "ks", "w1_sigma", "missing", "unseen"])
def test_an_effect_of_the_design_widens_every_interval(name):
    rng = np.random.default_rng(27)
    if name == "unseen":
        r, c = categories([500, 500, 0]), replace(categories([50, 40, 10]), names=("k0", "k1", "new"))
        r = replace(r, names=("k0", "k1"), rows=np.array([500, 500]))
    else:
        x, y = rng.normal(size=3000), rng.normal(0.3, 1, 400)
        y[:40] = np.nan
        r, c = (number_column(v, Axis("number")) for v in (x, y))
    one, four = (bounds(r, c, design_effect=d)[name] for d in (1.0, 4.0))
    assert four.low <= one.low <= one.high <= four.high
    assert four.high - four.low > 1.3 * (one.high - one.low)


def test_shares_agree_with_statsmodels():
    low, high = proportion_confint(20, 1000, 0.05, "beta")
    assert Share(0.02, 1000).interval(0.95).low == pytest.approx(low, rel=1e-9)
    assert Share(0.02, 1000).interval(0.95).high == pytest.approx(high, rel=1e-9)
    newcombe = confint_proportions_2indep(140, 1000, 6000, 60_000, method="newcomb")
    ours = ShareDifference(0.1, 60_000, 0.14, 1000).interval(0.95)
    assert (ours.low, ours.high) == pytest.approx(newcombe, abs=0.0015)
    assert ours.high - ours.low >= newcombe[1] - newcombe[0]


@pytest.mark.parametrize(
    "law",
    [
        Divergence(0.08, 10, 0.0011, 1.0, 0.0002),
        Divergence(0.08, 2, 1e-6, 2.0, 1e-7),
        Divergence(0.01, 10, 0.0011, 8 * math.log(2), 0.0, root=True),
        Gap(0.08, 0.0011),
        Transport(0.4, 0.05, 0.03, 999.0),
        Share(0.08, 1000.0),
        ShareDifference(0.1, 6000.0, 0.18, 1000.0),
    ],
    ids=lambda law: type(law).__name__,
)
@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.2])
def test_p_values_and_intervals_say_the_same(law, alpha):
    """The lower bound is the margin that would just be rejected."""
    level = alpha if not isinstance(law, ShareDifference) else 2 * alpha  # both directions
    # The band of KS holds on both sides at once.
    low = law.interval(1 - (alpha if isinstance(law, Gap) else 2 * alpha)).low
    assert law.p_above(low * 0.99) <= level * 1.0001
    assert law.p_above(low * 1.01) >= level * 0.9999
    assert law.p_above(0.0) <= law.p_above(0.02) <= law.p_above(law.value)
    assert law.p_below(law.value * 2) <= law.p_below(law.value * 1.2) <= law.p_below(law.value * 0.5)


def test_the_large_and_the_small_noncentral_laws_meet():
    at, just = (Divergence(x, 10, 1.0, 1.0, 0.0) for x in (100_010.0, 99_990.0))
    width = just.interval(0.99).high - just.interval(0.99).low
    assert at.interval(0.99).low - 20 == pytest.approx(just.interval(0.99).low, abs=0.005 * width)
    assert at.interval(0.99).high - 20 == pytest.approx(just.interval(0.99).high, abs=0.005 * width)
    assert at.p_below(99_220.0) == pytest.approx(just.p_below(99_200.0), abs=2e-3)


def test_the_interval_holds_what_the_grid_hides():
    x = np.random.default_rng(28).normal(1e6, 10, 5000)
    blind = Axis("number")  # without the offset all rows share a bucket
    both = [number_column(v, blind) for v in (x, x + 5)]
    assert column_drift("x", *both).ks == pytest.approx(0.0, abs=0.01)
    assert bounds(*both)["ks"].high >= 2 * ndtr(0.25) - 1


def test_flat_bounds_are_json():
    column = number_column(np.array([1.0, 2.0, 3.0]), Axis("number"))
    body = flat(bounds(column, number_column(np.array([1.0]), Axis("number"))))
    assert json.loads(json.dumps(body, allow_nan=False)) == body
    assert set(body) >= {"psi_low", "psi_high", "w1_sigma_high", "unseen_low"}
    assert body["w1_sigma_high"] is None


def test_all_columns_at_once_on_one_grid():
    table = pa.table({"b": [1.0, 2.0] * 50, "a": ["x", "y"] * 50})
    profile = profile_of(table, grid_of(table))
    found = profile_bounds(profile, profile, confidence=0.9)
    assert list(found) == ["b", "a"]
    assert found["a"] == bounds(profile.columns["a"], profile.columns["a"], confidence=0.9)
    other = profile_of(table, Grid({"b": Axis("number", 9.0), "a": Axis("category")}))
    with pytest.raises(UsageError, match="one grid"):
        profile_bounds(profile, other)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda c: bounds(c, c, confidence=1.0), "confidence"),
        (lambda c: bounds(c, c, design_effect=0.5), "design effect"),
        (lambda c: bounds(c, c, design_effect=math.nan), "design effect"),
        (lambda c: margin_tests(c, c, {"psi": 0.1}, alpha=0.5), "alpha"),
        (lambda c: margin_tests(c, c, {"psi": -0.1}), "margin of psi"),
        (lambda c: margin_tests(c, c, {"psi": math.nan}), "margin of psi"),
        (lambda c: margin_tests(c, c, {"infinite": 0.1}), "margin of infinite"),
    ],
)
def test_settings_without_sense_are_refused(call, word):
    with pytest.raises(UsageError, match=word):
        call(categories([5, 5]))


def test_the_unit_of_w1_is_an_estimate_too():
    """With ten million rows and a long tail the standard deviation is what is not known."""
    rng, runs = np.random.default_rng(29), 800
    values, q, p = ORDERED["skewed"]
    gap = np.abs(np.cumsum(q) - np.cumsum(p))
    true = float((gap[:-1] * np.diff(values)).sum() / math.sqrt((q * values**2).sum() - (q * values).sum() ** 2))
    draws = zip(rng.multinomial(10**7, q, runs), rng.multinomial(10**7, p, runs), strict=True)
    bands = [bounds(numbers(values, r), numbers(values, c), confidence=0.9)["w1_sigma"] for r, c in draws]
    assert np.mean([b.low <= true <= b.high for b in bands]) >= 0.9 - 3 * math.sqrt(0.09 / runs)


def test_far_from_zero_a_divergence_varies_more_than_the_noncentral_law_has_it():
    rng, runs = np.random.default_rng(30), 500
    q, p = np.array([0.999, 0.001]), np.array([0.5, 0.5])
    for name, distance in {"psi": psi, "kl": kl}.items():
        true = distance(p * WHOLE, q * WHOLE)
        draws = zip(rng.multinomial(20_000, p, runs), rng.multinomial(20_000, q, runs), strict=True)
        bands = [bounds(categories(r), categories(c), confidence=0.9)[name] for r, c in draws]
        assert np.mean([b.low <= true <= b.high for b in bands]) >= 0.9 - 3 * math.sqrt(0.09 / runs)


def test_both_sides_of_a_share_are_estimates():
    ours, newcombe = (
        ShareDifference(0.1, 1000, 0.14, 1000).interval(0.95),
        confint_proportions_2indep(140, 1000, 100, 1000, method="newcomb"),
    )
    assert (ours.low, ours.high) == pytest.approx(newcombe, abs=0.002)
