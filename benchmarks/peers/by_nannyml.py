"""NannyML's univariate drift calculator at its defaults: Jensen-Shannon, ten chunks a side.

It alerts chunk by chunk: a column drifted when at least half of the current file's chunks alert.
One column with an infinite value makes it raise for all, so such columns are left out by name.
"""

from __future__ import annotations

import logging
import warnings
from argparse import Namespace

from answer import Verdicts, answer

warnings.filterwarnings("ignore")
logging.disable(logging.ERROR)


def imports() -> None:
    import nannyml  # noqa: F401
    import pandas  # noqa: F401


def judge(asked: Namespace) -> Verdicts:
    import nannyml as nml
    import numpy as np
    import pandas as pd

    reference, current = pd.read_parquet(asked.reference), pd.read_parquet(asked.current)
    numbers = reference.select_dtypes("number")
    out: dict[str, bool | str] = {
        name: "infinite values: it raises for all columns" for name in numbers if np.isinf(numbers[name]).any()
    }
    able = [name for name in reference.columns if name not in out]
    found = nml.UnivariateDriftCalculator(column_names=able).fit(reference).calculate(current)
    frame = found.filter(period="analysis").to_df()
    for name in able:
        chunks = frame[name, "jensen_shannon"]
        out[name] = bool(chunks["alert"].mean() >= 0.5) if chunks["value"].notna().any() else "no value"
    return out


answer(imports, judge)
