"""Drift as findings: is a distance above what matters plus what sampling explains?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tidegate.config.model import Monitors
from tidegate.drift.compare import Drift
from tidegate.verdicts import Finding


def findings_of(window: str, monitor: str, drifts: Sequence[Drift], limits: Monitors) -> list[Finding]:
    """Findings on distribution (PSI), missing share and unseen categories of each column.

    A distance fails above its margin plus the sampling limit, so that large windows do not
    fail on trifles nor small ones on noise. KL, JS, KS and W1/σ are recorded in the reason.
    """
    out = []
    for d in drifts:
        known = d.n > 0 and d.n_reference > 0 and not math.isnan(d.psi)
        detail = f"KL {d.kl:.3f}, JS {d.js:.3f}" + (
            "" if math.isnan(d.ks) else f", KS {d.ks:.3f}, W1 {d.w1_sigma:.2f}σ"
        )
        out.append(
            _finding(
                window,
                monitor,
                d,
                "psi",
                d.psi,
                limits.psi_margin + (0 if math.isnan(d.psi_limit) else d.psi_limit),
                known,
                detail,
            )
        )
        share = math.sqrt(0.25 / max(d.n, 1)) * 3
        out.append(
            _finding(
                window,
                monitor,
                d,
                "missing",
                d.missing,
                limits.missing_margin + share,
                known,
                f"missing share changed by {d.missing:+.1%}",
            )
        )
        if d.unseen or d.infinite:
            out.append(
                _finding(
                    window,
                    monitor,
                    d,
                    "unseen",
                    d.unseen,
                    limits.unseen_margin,
                    known,
                    f"{d.unseen:.1%} in categories never seen in training",
                )
            )
    return out


def _finding(
    window: str, monitor: str, d: Drift, statistic: str, value: float, limit: float, known: bool, detail: str
) -> Finding:
    outcome = "inconclusive" if not known else "fail" if abs(value) > limit else "pass"
    return Finding(window, monitor, d.column, statistic, value, limit, outcome, d.n, float(d.n), detail)  # type: ignore[arg-type]
