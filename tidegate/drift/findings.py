"""Drift as findings: is a distance above what matters plus what sampling explains?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tidegate.config.model import Monitors
from tidegate.drift.compare import Drift
from tidegate.verdicts import Finding, Outcome


def findings_of(window: str, monitor: str, drifts: Sequence[Drift], limits: Monitors) -> list[Finding]:
    """Findings on distribution (PSI), missing share, unseen categories and infinite values of each column.

    A distance fails above its margin plus what sampling explains, so that large windows do not
    fail on trifles nor small ones on noise. KL, JS, KS and W1/σ are recorded in the reason.
    Without rows on either side a finding is inconclusive.
    """
    out = []
    for d in drifts:
        noise = 0.0 if math.isnan(d.psi_limit) else d.psi_limit
        shape = "" if math.isnan(d.ks) else f", KS {d.ks:.3f}, W1 {d.w1_sigma:.2f}σ"
        checks = [
            ("psi", d.psi, limits.psi_margin + noise, f"KL {d.kl:.3f}, JS {d.js:.3f}{shape}"),
            # Three standard errors of a share, at its widest.
            (
                "missing",
                d.missing,
                limits.missing_margin + 1.5 / math.sqrt(max(d.n, 1)),
                f"missing share {d.missing:+.1%}",
            ),
        ]
        if d.unseen > 0:
            checks.append(("unseen", d.unseen, limits.unseen_margin, f"{d.unseen:.1%} of rows in unseen categories"))
        if d.infinite:
            checks.append(("infinite", float(d.infinite), 0.0, f"{d.infinite} infinite values"))
        out += [_finding(window, monitor, d, *check) for check in checks]
    return out


def _finding(window: str, monitor: str, d: Drift, statistic: str, value: float, limit: float, reason: str) -> Finding:
    known = d.n > 0 and d.n_reference > 0 and not math.isnan(value)
    outcome: Outcome = "inconclusive" if not known else "fail" if abs(value) > limit else "pass"
    return Finding(window, monitor, d.column, statistic, value, limit, outcome, d.n, float(d.n), reason)
