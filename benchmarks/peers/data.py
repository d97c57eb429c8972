"""A reference and a current Parquet file of 25 columns, 8 of which drifted.

    python benchmarks/peers/data.py FOLDER ROWS [SEED]

Twenty columns are numbers, five are text, and many are adversarial: all null, constant, mostly
NaN, infinite values, far from zero, two modes 1,370 apart, mostly zeros, heavy tails, and one
text column with as many distinct values as rows (a million at most, the same ones on both
sides). The files are as pyarrow writes them, in row groups of 131,072.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP = 131_072
MOST_DISTINCT = 1_000_000
# What changes in the current file, and how. All other columns are drawn again unchanged.
SHIFTED = {
    "mean": "the mean moves by .5 σ",
    "spread": "the standard deviation grows by half",
    "offset": "N(1e6, 10) moves to N(1e6 + 5, 10)",
    "two_modes": "of two modes 1,370 apart, the one with 30 % of the rows moves by 1 of its σ",
    "zeros": "from 80 % zeros to 50 %",
    "holes": "from 2 % missing to 30 %",
    "shares": "fifty categories: their shares change",
    "newcomer": "5 categories: a sixth takes 10 % of the rows",
}


def columns(rows: int, rng: np.random.Generator, *, drifted: bool) -> dict[str, pa.Array]:
    """The 25 columns, by name, each of shape (rows,)."""
    d = float(drifted)
    normal = rng.standard_normal
    second = rng.random(rows) < 0.3
    out: dict[str, np.ndarray] = {
        "mean": normal(rows) + 0.5 * d,
        "spread": 20 + 3 * normal(rows) * (1 + 0.5 * d),
        "offset": 1e6 + 10 * normal(rows) + 5 * d,
        "two_modes": normal(rows) + np.where(second, 1370 + d, 0),
        "zeros": np.where(rng.random(rows) < 0.8 - 0.3 * d, 0.0, rng.exponential(2.0, rows)),
        "holes": _nan(normal(rows), rng.random(rows) < 0.02 + 0.28 * d),
        "normal": normal(rows),
        "large": 5e4 + 1e4 * normal(rows),
        "small": 1e-6 * normal(rows),
        "uniform": rng.random(rows),
        "lognormal": rng.lognormal(1.0, 1.0, rows),
        "exponential": rng.exponential(30.0, rows),
        "pareto": rng.pareto(1.5, rows) + 1,
        "student": rng.standard_t(3, rows),
        "counts": rng.poisson(3.0, rows).astype(np.float64),
        "cents": np.round(rng.gamma(2.0, 20.0, rows), 2),
        "nan_heavy": _nan(normal(rows), rng.random(rows) < 0.95),
        "infinite": np.where(rng.random(rows) < 0.001, np.inf, normal(rows)),
        "constant": np.full(rows, 7.5),
        "all_null": np.full(rows, np.nan),
    }
    numbers = {k: pa.array(v, from_pandas=k in ("holes", "all_null")) for k, v in out.items()}
    distinct = min(rows, MOST_DISTINCT)
    return numbers | {
        "shares": _text("c", rng.choice(50, rows, p=_shares(50, 0.5 + d))),
        "newcomer": _text("k", np.where(rng.random(rows) < 0.1 * d, 5, rng.choice(5, rows))),
        "towns": _text("town ", rng.choice(2000, rows, p=_shares(2000, 1.0))),
        "nullable": _text("v", rng.choice(10, rows), missing=rng.random(rows) < 0.3),
        "identity": _text("id-", rng.permutation(np.arange(rows) % distinct)),
    }


def _nan(values: np.ndarray, missing: np.ndarray) -> np.ndarray:
    return np.where(missing, np.nan, values)


def _shares(categories: int, exponent: float) -> np.ndarray:
    weights = 1 / np.arange(1, categories + 1) ** exponent
    return weights / weights.sum()


def _text(prefix: str, codes: np.ndarray, missing: np.ndarray | None = None) -> pa.Array:
    names = pa.array([f"{prefix}{i:07d}" for i in range(int(codes.max()) + 1)])
    return names.take(pa.array(codes, mask=missing))


def write(folder: Path, rows: int, seed: int) -> list[Path]:
    """Write reference.parquet and current.parquet into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    out = []
    for side, name in enumerate(("reference", "current")):
        rng = np.random.default_rng([seed, rows, side])
        path = folder / f"{name}.parquet"
        pq.write_table(pa.table(columns(rows, rng, drifted=bool(side))), path, row_group_size=ROW_GROUP)
        out.append(path)
    return out


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
