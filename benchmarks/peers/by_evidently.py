"""Evidently's drift preset at its defaults, or with one method for all columns (`--method psi`).

A column that it cannot take makes it raise for all, so such columns are left out by name: those
without values, and with PSI those with infinite values.
"""

from __future__ import annotations

import warnings
from argparse import Namespace

from answer import Verdicts, answer

warnings.filterwarnings("ignore")


def imports() -> None:
    import evidently.presets  # noqa: F401
    import pandas  # noqa: F401


def judge(asked: Namespace) -> Verdicts:
    import numpy as np
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    reference, current = pd.read_parquet(asked.reference), pd.read_parquet(asked.current)
    if asked.sample:
        reference, current = (x.sample(min(asked.sample, len(x)), random_state=1) for x in (reference, current))
    filled = reference.notna().any() & current.notna().any()
    out: dict[str, bool | str] = dict.fromkeys(filled.index[~filled], "no values: it raises for all columns")
    able = filled.index[filled]
    if asked.method == "psi":
        endless = [c for c in able if reference[c].dtype.kind == "f" and np.isinf(reference[c]).any()]
        out |= dict.fromkeys(endless, "infinite values: it raises for all columns")
        able = able.drop(endless)
    numbers = [c for c in able if reference[c].dtype.kind == "f"]
    text = [c for c in able if c not in numbers]
    told = DataDefinition(numerical_columns=numbers, categorical_columns=text)
    preset = DataDriftPreset() if asked.method == "default" else DataDriftPreset(method=asked.method)
    sides = [Dataset.from_pandas(x[numbers + text], data_definition=told) for x in (current, reference)]
    for test in Report([preset], include_tests=True).run(*sides).dict()["tests"]:
        if test["id"] == "drift":
            out[test["metric_config"]["params"]["column"]] = test["status"].name == "FAIL"
    return out


answer(imports, judge)
