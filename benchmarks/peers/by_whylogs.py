"""whylogs: both files logged into profiles, then its drift scores at its own thresholds.

It tells DRIFT, POSSIBLE_DRIFT and NO_DRIFT; only DRIFT counts as a verdict here.
"""

from __future__ import annotations

import warnings
from argparse import Namespace

from answer import Verdicts, answer

warnings.filterwarnings("ignore")


def imports() -> None:
    import pandas  # noqa: F401
    import whylogs  # noqa: F401
    from whylogs.viz.drift import column_drift_algorithms  # noqa: F401


def judge(asked: Namespace) -> Verdicts:
    import pandas as pd
    import whylogs as why
    from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

    reference, current = (why.log(pd.read_parquet(path)).profile().view() for path in (asked.reference, asked.current))
    scores = calculate_drift_scores(current, reference, with_thresholds=True)
    return {name: "no score" if score is None else score["drift_category"] == "DRIFT" for name, score in scores.items()}


answer(imports, judge)
