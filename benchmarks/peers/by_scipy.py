"""scipy as one would write it: two-sample KS on numbers, χ² on categories, p below .05.

Missing values are dropped, which scipy leaves to its caller.
"""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from answer import Verdicts, answer

P = 0.05


def imports() -> None:
    import pyarrow.parquet  # noqa: F401
    import scipy.stats  # noqa: F401


def judge(asked: Namespace) -> Verdicts:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out: dict[str, bool | str] = {}
    for field in pq.read_schema(asked.reference):
        sides = [pq.read_table(p, columns=[field.name])[field.name] for p in (asked.reference, asked.current)]
        out[field.name] = _numbers(*sides) if pa.types.is_floating(field.type) else _categories(*sides)
    return out


def _numbers(reference: Any, current: Any) -> bool | str:
    import numpy as np
    from scipy import stats

    x, y = (side.to_numpy() for side in (reference, current))
    x, y = x[~np.isnan(x)], y[~np.isnan(y)]
    return bool(stats.ks_2samp(x, y).pvalue < P) if len(x) and len(y) else "no values: ks_2samp raises"


def _categories(reference: Any, current: Any) -> bool:
    import numpy as np
    import pyarrow as pa
    from scipy import stats

    counts = [side.drop_null().value_counts() for side in (reference, current)]
    r, c = (pa.table({"value": n.field(0), name: n.field(1)}) for n, name in zip(counts, "rc", strict=True))
    both = r.join(c, "value", join_type="full outer")
    return bool(stats.chi2_contingency(np.array([both[side].fill_null(0).to_numpy() for side in "rc"])).pvalue < P)


answer(imports, judge)
