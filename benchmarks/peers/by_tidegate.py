"""Tidegate: a profile of each file on a grid fitted to the reference, and distances beyond the default margins."""

from __future__ import annotations

import math
from argparse import Namespace
from pathlib import Path

from answer import Verdicts, answer


def imports() -> None:
    import pyarrow.parquet  # noqa: F401

    import tidegate.adapters.profiling
    import tidegate.config.model
    import tidegate.drift.compare  # noqa: F401


def judge(asked: Namespace) -> Verdicts:
    from tidegate.adapters.profiling import profile_files
    from tidegate.config.model import Monitors
    from tidegate.drift.compare import compare

    limits = Monitors()
    reference = profile_files([Path(asked.reference)])
    current = profile_files([Path(asked.current)], like=reference.grid)
    # What matters, plus what sampling explains: for a share three standard errors at its widest.
    return {
        d.column: d.psi > limits.psi_margin + (0.0 if math.isnan(d.psi_limit) else d.psi_limit)
        or abs(d.missing) > limits.missing_margin + 1.5 / math.sqrt(max(d.n, 1))
        or d.unseen > limits.unseen_margin
        for d in compare(reference, current, confidence=float(limits.confidence))
    }


answer(imports, judge)
