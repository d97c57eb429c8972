"""Each distance with its bounds: what the rows at hand allow to say about the distance behind them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tidegate.drift.binning import FEWEST
from tidegate.drift.distances import divergences
from tidegate.drift.pair import Pair, pair_of
from tidegate.drift.sampling import Divergence, Gap, Interval, Law, Transport
from tidegate.drift.shares import Share, ShareDifference
from tidegate.errors import UsageError
from tidegate.profile.column import ColumnProfile, resolution
from tidegate.profile.profile import Profile
from tidegate.verdicts import Outcome

__all__ = ["Interval", "MarginTest", "bounds", "flat", "laws_of", "margin_tests", "profile_bounds"]

# Standard deviations from the mean whose fourth power is still a number.
FARTHEST = 1e75
BOUNDED = ("psi", "kl", "js", "ks", "w1_sigma", "missing", "unseen")


@dataclass(frozen=True, slots=True)
class MarginTest:
    """Is the distance above the margin? ``fail``: yes. ``pass``: no. Else the rows do not tell.

    ``low`` and ``high`` are bounds at confidence 1 − 2·alpha, so that one side errs in alpha of cases.
    """

    statistic: str
    value: float
    margin: float
    low: float
    high: float
    p: float
    outcome: Outcome


def bounds(
    reference: ColumnProfile, current: ColumnProfile, *, confidence: float = 0.95, design_effect: float = 1.0
) -> dict[str, Interval]:
    """An interval around each distance of `Drift` that holds the true one with this probability.

    "True" is the distance of the two populations on the reference's bins, with half a row in each
    bin (`psi`); for KS and W1 that of the populations themselves. Each interval holds on its own;
    for all of several columns at once ask for a higher confidence.

    Parameters
    ----------
    reference, current : ColumnProfile
        On one axis.
    confidence : float, in (0, 1)
        Of each interval, two-sided.
    design_effect : float, ≥ 1
        Rows of one night are dependent: n such rows tell as much as n / design_effect independent
        ones (Kish 1965). 1 claims that rows are independent; on real nights that is too short,
        often by far.

    Returns
    -------
    dict of Interval by statistic
        psi (no unit), kl (nats), js and ks (0 to 1), w1_sigma (reference standard deviations),
        missing (signed change of a share), unseen (share of the window's rows). NaN wherever the
        distance is NaN, for a PSI over a single bin, and without rows: never 0. With fewer than
        five rows a bin PSI, KL and JS have no upper bound (inf), with one row W1 has none.

    Raises
    ------
    UsageError
        Confidence or design effect out of range, or different axes.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from tidegate.profile.profile import grid_of, profile_of
    >>> year, night = pa.table({"carrier": ["AA", "UA"] * 500}), pa.table({"carrier": ["AA"] * 60 + ["UA"] * 40})
    >>> [r, c] = [profile_of(t, grid_of(year)).columns["carrier"] for t in (year, night)]
    >>> {name: (round(b.low, 3), round(b.high, 3)) for name, b in bounds(r, c).items()}["psi"]
    (0.0, 0.164)
    """
    if not 0 < confidence < 1:
        raise UsageError("confidence", "a number between 0 and 1", str(confidence), "for example 0.95")
    laws = laws_of(reference, current, design_effect=design_effect)
    return {name: law.interval(confidence) for name, law in laws.items()}


def profile_bounds(
    reference: Profile, current: Profile, *, confidence: float = 0.95, design_effect: float = 1.0
) -> dict[str, dict[str, Interval]]:
    """`bounds` of every column of the grid, in its order; raises `UsageError` if the grids differ."""
    if reference.grid.digest != current.grid.digest:
        ours, theirs = reference.grid.digest[:12], current.grid.digest[:12]
        raise UsageError("bounds", f"grid {ours}", f"grid {theirs}", "profile both on one grid")
    return {
        name: bounds(reference.columns[name], current.columns[name], confidence=confidence, design_effect=design_effect)
        for name in reference.grid.axes
    }


def flat(intervals: Mapping[str, Interval]) -> dict[str, float | None]:
    """Bounds as ``psi_low``, ``psi_high``, …; what is not a finite number is None, as JSON has it.

    Examples
    --------
    >>> flat({"ks": Interval(0.1, 0.2), "w1_sigma": Interval(0.0, math.inf)})
    {'ks_low': 0.1, 'ks_high': 0.2, 'w1_sigma_low': 0.0, 'w1_sigma_high': None}
    """
    ends = {f"{name}_{end}": getattr(i, end) for name, i in intervals.items() for end in ("low", "high")}
    return {name: value if math.isfinite(value) else None for name, value in ends.items()}


def margin_tests(
    reference: ColumnProfile,
    current: ColumnProfile,
    margins: Mapping[str, float],
    *,
    alpha: float = 0.01,
    design_effect: float = 1.0,
) -> list[MarginTest]:
    """For each margin: is the true distance above it? (``missing``: in either direction.)

    A distance at its margin fails in at most `alpha` of windows, at 200 rows as at 10⁷; what is
    smaller fails less often. Never "is it zero": with enough rows it never is. A false ``pass`` is
    as rare, except that below some 1,000 rows the divergences, which smoothing pulls down, give
    .06 instead of .05 of false passes up to a PSI of .5, and .10 at a PSI of 2 (simulated).

    Parameters
    ----------
    margins : dict of float by statistic
        The largest distance that does not matter, each ≥ 0, in the statistic's unit.
    alpha : float, in (0, ½)
        The probability of each of the two errors, per test.

    Raises
    ------
    UsageError
        An unknown statistic, a negative margin, or alpha or the design effect out of range.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from tidegate.profile.profile import grid_of, profile_of
    >>> year, night = pa.table({"carrier": ["AA", "UA"] * 5000}), pa.table({"carrier": ["AA"] * 600 + ["UA"] * 400})
    >>> [r, c] = [profile_of(t, grid_of(year)).columns["carrier"] for t in (year, night)]
    >>> [t.outcome for m in (0.005, 0.04, 0.2) for t in margin_tests(r, c, {"psi": m})]
    ['fail', 'inconclusive', 'pass']
    """
    if not 0 < alpha < 0.5:
        raise UsageError("alpha", "a number between 0 and 0.5", str(alpha), "for example 0.01")
    for name, margin in margins.items():
        if name not in BOUNDED or not margin >= 0:
            raise UsageError(f"margin of {name}", f"a number ≥ 0 for one of {', '.join(BOUNDED)}", str(margin))
    laws = laws_of(reference, current, design_effect=design_effect)
    return [_margin_test(name, laws[name], margin, alpha) for name, margin in margins.items()]


def _margin_test(name: str, law: Law, margin: float, alpha: float) -> MarginTest:
    band, p = law.interval(1 - 2 * alpha), law.p_above(margin)
    outcome: Outcome = "fail" if p <= alpha else "pass" if law.p_below(margin) <= alpha else "inconclusive"
    return MarginTest(name, law.value, margin, band.low, band.high, p, outcome)


def laws_of(reference: ColumnProfile, current: ColumnProfile, *, design_effect: float = 1.0) -> dict[str, Law]:
    """The law of each distance of a column, for intervals and p-values at any level."""
    if not 1 <= design_effect < math.inf:
        raise UsageError("design effect", "a finite number of at least 1", str(design_effect), "1 claims independence")
    pair = pair_of("", reference, current)
    n, m = reference.n / design_effect, current.n / design_effect
    judged = pair.judged
    share = [c.missing / c.n if judged else math.nan for c in (reference, current)]
    return {
        **_divergence_laws(pair, n, m),
        **_order_laws(pair, design_effect),
        "missing": ShareDifference(share[0], n, share[1], m),
        "unseen": Share(pair.unseen / current.n if judged else math.nan, m),
    }


def _divergence_laws(pair: Pair, n: float, m: float) -> dict[str, Law]:
    if not pair.judged:
        return dict.fromkeys(("psi", "kl", "js"), Divergence(math.nan, 0, math.nan, 1.0, math.nan))
    bins, scale = len(pair.ref), 1 / n + 1 / m
    sparse = min(n, m) < FEWEST * bins
    [[psi], [kl], [js]] = divergences(pair.ref, pair.cur, np.zeros(1, dtype=np.int64))
    q, p = ((side + 0.5) / (side.sum() + 0.5 * bins) for side in (pair.ref, pair.cur))
    ratio, middle, bit = np.log(p / q), (p + q) / 2, 2 * math.log(2)
    # The derivatives by q and by p of Σ(p−q)ln(p/q), Σq ln(q/p) and of the JS divergence in bits.
    slopes = {
        "psi": (-ratio - p / q, ratio - q / p),
        "kl": (-ratio, -q / p),
        "js": (np.log(q / middle) / bit, np.log(p / middle) / bit),
    }
    variance = {name: _variance(by_q, q) / n + _variance(by_p, p) / m for name, (by_q, by_p) in slopes.items()}
    return {
        "psi": Divergence(float(psi), bins, scale, 1.0, variance["psi"], sparse=sparse),
        "kl": Divergence(float(kl), bins, scale, 2.0, variance["kl"], sparse=sparse),
        "js": Divergence(float(js) ** 2, bins, scale, 8 * math.log(2), variance["js"], root=True, sparse=sparse),
    }


def _variance(x: np.ndarray, weight: np.ndarray) -> float:
    return float(np.sum(weight * x**2) - np.sum(weight * x) ** 2)


@np.errstate(over="ignore", invalid="ignore")  # as in `placed`: too far for a float is inf
def _order_laws(pair: Pair, design_effect: float) -> dict[str, Law]:
    unknown: dict[str, Law] = {
        "ks": Gap(math.nan, math.nan),
        "w1_sigma": Transport(math.nan, math.nan, math.nan, math.nan),
    }
    if not pair.ordered:
        return unknown
    n, m = (c.present / design_effect for c in (pair.reference, pair.current))
    F, G = np.cumsum(pair.r) / pair.r.sum(), np.cumsum(pair.c) / pair.c.sum()
    ks = Gap(float(np.abs(F - G).max()), 1 / n + 1 / m, resolution(pair.reference))
    sigma = pair.reference.std
    if not sigma > 0:
        return {"ks": ks, "w1_sigma": unknown["w1_sigma"]}
    width = np.diff(pair.values) / sigma
    F, G = F[:-1], G[:-1]
    value = float(np.sum(np.abs(F - G) * width))
    spread = np.sqrt(np.maximum(F * (1 - F) / n + G * (1 - G) / m, 0.0))
    # The yardstick is an estimate as well; its error may go along with the distance's, so they add up.
    away = np.clip((pair.values - pair.reference.mean) / sigma, -FARTHEST, FARTHEST)
    fourth = float(np.sum(away**4 * (pair.r / pair.r.sum())))
    error = math.hypot(math.sqrt(1 / n), pair.current.std / sigma / math.sqrt(m))
    error += value * math.sqrt(max(fourth - 1, 0.0) / (4 * n))
    bias = math.sqrt(2 / math.pi) * float(np.sum(spread * width))
    if math.isnan(error):  # a window whose spread no float holds leaves W1 unbounded, as one of a single row does
        return {"ks": ks, "w1_sigma": Transport(value, 0.0, 0.0, 0.0)}
    return {"ks": ks, "w1_sigma": Transport(value, bias, error, min(n, m) - 1)}
