"""How a model was served: what requests came to, and whether that is proven worse than it should be.

A page is for what was declared: `max_error_share`, `max_p99`. That a night was slower than those before it is told too,
but wakes nobody, since no budget is behind it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from tidegate.performance.latency import Latencies
from tidegate.verdicts import Outcome, Verdict

LEAST = 20
"""Requests below which nothing is said."""
ALPHA = 1e-6
"""Chance that a minute at the limit is called above it. A year has half a million minutes: less than one false call,
for a service whose share lies at its limit all year."""
NIGHTLY = 1e-3
"""Chance that a night at the limit is called above it: once in three years."""
SLOWER = 1.25
"""A latency so many times that of the worst night before it is a regression."""
NIGHTS = 7
"""Nights before that are needed to know how much nights differ: the block is the night."""
ENOUGH = 200
"""Requests of a night that may be held against others: two beyond the 99th percentile."""
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, slots=True)
class Service:
    """One window's requests.

    Parameters
    ----------
    answered, failed, throttled, refused : float
        Requests answered; failed by the service's fault (5xx); turned away as too many (429); wrong by the caller's
        fault (other 4xx). Answered ones are estimates where only a sample is logged.
    rows : float
        Rows answered.
    busiest : float
        Requests that ended in the busiest minute.
    seconds : float
        Length of the window.
    latencies : Latencies
        Of answered requests that were logged.
    design_effect : mapping of str to float
        By quantile: how many requests tell as much as one alone, since slow ones come together.
    """

    answered: float
    failed: float
    throttled: float
    refused: float
    rows: float
    busiest: float
    seconds: float
    latencies: Latencies
    design_effect: Mapping[str, float] = field(default_factory=dict)

    @property
    def error_share(self) -> float:
        """Failed of those that were answered or should have been; NaN without any."""
        asked = self.answered + self.failed
        return self.failed / asked if asked else math.nan

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self) | {"latencies": self.latencies.as_dict()}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Service:
        """What `as_dict` gave."""
        return cls(**{**found, "latencies": Latencies.from_dict(found["latencies"])})


def share_above(count: float, n: float, alpha: float) -> float:
    """Lower bound of a share, exact for independent trials (Clopper & Pearson 1934).

    Parameters
    ----------
    count, n : float
        Successes among trials.
    alpha : float
        Chance that the bound is above the true share.

    Examples
    --------
    >>> round(share_above(10, 100, 0.025), 4), share_above(0, 100, 0.025), share_above(0, 0, 0.025)
    (0.049, 0.0, 0.0)
    """
    return 0.0 if count <= 0 else float(beta.ppf(alpha, count, max(n - count, 0) + 1))


def clustered(above: NDArray[np.bool_], block: NDArray[np.int64]) -> float:
    """Design effect of a share whose trials come in blocks: its variance over that of independent trials; at least 1.

    By linearisation (Cochran 1977, 3.12): sum of the squared residuals of the blocks' counts over n p (1 − p).

    Parameters
    ----------
    above, block : ndarray, shape (n,)
        What is counted, and the block of each trial. Without trials, or where all are alike, 1.

    Examples
    --------
    >>> block = np.repeat(np.arange(10), 100)
    >>> clustered(np.arange(1000) % 10 == 0, block), round(clustered(block == 3, block), 1)
    (1.0, 100.0)
    """
    n = len(above)
    share = float(above.mean()) if n else 0.0
    if not 0 < share < 1:
        return 1.0
    _, at = np.unique(block, return_inverse=True)
    residuals = np.bincount(at, weights=above - share)
    return max(1.0, float((residuals**2).sum()) / (n * share * (1 - share)))


def judge_service(
    tonight: Service, before: Mapping[str, Service], *, max_error_share: float, max_p99: float | None
) -> Verdict:
    """Whether a window's service was proven worse than declared, or slower than the windows before.

    Parameters
    ----------
    before : mapping of str to Service
        Recent windows that were not slow themselves, by window.
    max_p99 : float or None
        Seconds.

    Returns
    -------
    Verdict
        Fail where one of its ``lines`` fails; inconclusive below `LEAST` requests.

    Examples
    --------
    >>> fast = Latencies.of([0.002] * 1000)
    >>> bad = Service(1000, 90, 0, 0, 1000, 30, 86400, fast)
    >>> verdict = judge_service(bad, {}, max_error_share=0.02, max_p99=0.001)
    >>> verdict.outcome, [line["what"] for line in verdict.numbers["lines"] if line["outcome"] == "fail"]
    ('fail', ['errors', 'p99'])
    """
    asked = tonight.answered + tonight.failed
    lines = [_errors(tonight, max_error_share, NIGHTLY)]
    if max_p99 is not None:
        lines.append(_declared(tonight, max_p99))
    lines += [_slower(tonight, before, name) for name in ("p95", "p99")]
    numbers = {"lines": lines, "service": tonight.as_dict()}
    if asked < LEAST:
        return Verdict("inconclusive", (f"{asked:.0f} requests, {LEAST} needed",), numbers)
    failed = tuple(str(line["words"]) for line in lines if line["outcome"] == "fail")
    return Verdict("fail" if failed else "pass", failed, numbers)


Line = dict[str, Any]
Kind = Literal["declared", "before"]


def _line(what: str, kind: Kind, value: float, low: float, limit: float, outcome: Outcome, words: str) -> Line:
    return {"what": what, "against": kind, "value": value, "low": low, "limit": limit, "outcome": outcome,
            "words": words}  # fmt: skip


def _errors(seen: Service, limit: float, alpha: float) -> Line:
    asked = seen.answered + seen.failed
    low = share_above(seen.failed, asked, alpha)
    outcome: Outcome = "inconclusive" if asked < LEAST else "fail" if low > limit else "pass"
    words = f"{seen.failed:.0f} of {asked:.0f} requests failed by the service's fault, surely more than {limit:.2%}"
    return _line("errors", "declared", seen.error_share, low, limit, outcome, words)


def _declared(seen: Service, limit: float) -> Line:
    found = seen.latencies.quantile(0.99, confidence=1 - 2 * NIGHTLY, design_effect=seen.design_effect.get("p99", 1.0))
    outcome: Outcome = "inconclusive" if seen.latencies.n < LEAST else "fail" if found.low > limit else "pass"
    words = f"p99 {milliseconds(found.value)}, surely above the declared {milliseconds(limit)}"
    return _line("p99", "declared", found.value, found.low, limit, outcome, words)


def _slower(tonight: Service, before: Mapping[str, Service], name: str) -> Line:
    """Surely `SLOWER` times as slow as the slowest of the nights before, of which chance makes one in k + 1."""
    q = QUANTILES[name]
    found = tonight.latencies.quantile(q, design_effect=tonight.design_effect.get(name, 1.0))
    usual = [s.latencies.quantile(q).value for s in before.values() if s.latencies.n >= ENOUGH]
    if len(usual) < NIGHTS or tonight.latencies.n < ENOUGH:
        why = f"{len(usual)} nights before with {ENOUGH} requests or more, {NIGHTS} needed"
        return _line(name, "before", found.value, found.low, math.nan, "inconclusive", why)
    limit = SLOWER * max(usual)
    words = (
        f"{name} {milliseconds(found.value)}, surely above {SLOWER} times the slowest of {len(usual)} nights before, "
        f"{milliseconds(max(usual))}"
    )
    return _line(name, "before", found.value, found.low, limit, "fail" if found.low > limit else "pass", words)


@dataclass(frozen=True, slots=True)
class LastMinute:
    """What the gateway counted within the last minute or so.

    ``requests`` all of them, ``failed`` by the service's fault, ``throttled`` turned away as too many, ``p99`` in
    seconds (NaN where nothing was answered), ``seconds`` the time that was counted over, ``refused`` wrong by the
    caller's fault; ``slow`` answered ones that took longer than the declared `max_p99`, None where nobody counts them.
    """

    requests: int
    failed: int
    throttled: int = 0
    p99: float = math.nan
    seconds: float = 60.0
    refused: int = 0
    slow: int | None = None


def judge_minute(seen: LastMinute, *, max_error_share: float, max_p99: float | None) -> Sequence[Line]:
    """The lines of a minute that fail: proven above what was declared, on `LEAST` requests or more; often none.

    Examples
    --------
    >>> [line["what"] for line in judge_minute(LastMinute(40, 30), max_error_share=0.02, max_p99=None)]
    ['errors']
    >>> judge_minute(LastMinute(19, 19), max_error_share=0.02, max_p99=None)
    []
    >>> judge_minute(LastMinute(1000, 25), max_error_share=0.02, max_p99=None)
    []
    """
    # A caller's mistakes and those turned away are asked of nobody's code.
    answered = max(seen.requests - seen.failed - seen.throttled - seen.refused, 0)
    if answered + seen.failed < LEAST:
        return []
    service = Service(answered, seen.failed, seen.throttled, seen.refused, answered, 0, seen.seconds, Latencies())
    lines = [_errors(service, max_error_share, ALPHA)]
    if max_p99 is not None and seen.slow is not None and answered >= LEAST:
        low = share_above(seen.slow, answered, ALPHA)
        words = f"{seen.slow} of {answered} answers took longer than the declared p99, {milliseconds(max_p99)}"
        lines.append(_line("p99", "declared", seen.p99, math.nan, max_p99, "fail" if low > 0.01 else "pass", words))
    return [line for line in lines if line["outcome"] == "fail"]


def milliseconds(seconds: float) -> str:
    """A latency for people.

    Examples
    --------
    >>> milliseconds(0.00123), milliseconds(1.5)
    ('1.23 ms', '1,500 ms')
    """
    ms = seconds * 1000
    return f"{ms:,.0f} ms" if ms >= 100 else f"{ms:.3g} ms"


__all__ = [
    "ALPHA", "LEAST", "NIGHTS", "QUANTILES", "LastMinute", "Line", "Service", "clustered", "judge_minute",
    "judge_service", "milliseconds", "share_above",
]  # fmt: skip
