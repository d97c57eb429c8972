"""The gate's screen for leaks: planted leaks that it finds, honest strong features that it lets pass.

    python benchmarks/leaks.py [--seeds 200] [--rows 3000]

Rows come in nights with a shock each (of the flights' size: a standard deviation of .45 in log odds). Every seed has a
base rate of its own of .1 to .5. Prints the share of seeds in which each feature is suspected.
"""

from __future__ import annotations

import argparse

import numpy as np
import pyarrow as pa
from scipy.stats import norm

from tidegate.config.dataset import Column, Dataset, Source
from tidegate.config.gating import Robustness
from tidegate.gate.leakage import leakage

SHOCK = 0.45
LEAKS = ("noisy copy", "category", "category on 20 %", "missing", "missing on half", "delayed copy", "copy on 10 %",
         "copy on 30 %", "rounded score", "noisy copy on 30 %")  # fmt: skip


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seeds", type=int, default=200)
    asked.add_argument("--rows", type=int, default=3000)
    given = asked.parse_args()
    counts: dict[str, int] = {}
    for seed in range(given.seeds):
        for name, hit in one(seed, given.rows).items():
            counts[name] = counts.get(name, 0) + hit
    for name, hits in counts.items():
        kind = "leak  " if name in LEAKS else "honest"
        print(f"{kind}  {name:<22} suspected {hits:>4} of {given.seeds}  {hits / given.seeds:.1%}")


def one(seed: int, n: int) -> dict[str, bool]:
    """Which features of one history are suspected."""
    rng = np.random.default_rng(seed)
    night = np.repeat([f"{i:03d}" for i in range(30)], n // 30)
    n = len(night)
    base = float(rng.choice([0.1, 0.24, 0.5]))
    shock = rng.normal(0, SHOCK, 30)[np.repeat(np.arange(30), n // 30)]
    y = (rng.random(n) < 1 / (1 + np.exp(-np.log(base / (1 - base)) - shock))).astype(int)
    features = {**leaks(y, night, rng), **honest(y, rng)}
    columns = {
        name: Column(type="category" if pa.types.is_string(x.type) else "number") for name, x in features.items()
    }
    dataset = Dataset(
        name="d", source=Source(files="{date}.csv"), event_time="at", key=("at",),
        columns={"at": Column(type="timestamp"), **columns},
    )  # fmt: skip
    lines, _ = leakage(dataset, list(features), "y", "binary", pa.table(features), y, night, Robustness())
    failed = {line.name for line in lines if line.outcome == "fail"}
    return {name: name in failed for name in features}


def leaks(y: np.ndarray, night: np.ndarray, rng: np.random.Generator) -> dict[str, pa.Array]:
    n = len(y)
    noise = rng.normal(0, 1, n)
    words = np.where(y == 1, rng.choice(["refund", "claim"], n), rng.choice(["shop", "web", "phone"], n))
    some, dull = rng.random(n) < 0.2, rng.choice(["a", "b", "c"], n)
    return {
        "noisy copy": pa.array(y + 0.25 * noise),
        "category": pa.array(words.tolist()),
        "category on 20 %": pa.array(np.where(some, words, dull).tolist()),
        "missing": pa.array(noise, mask=y == 1),
        "missing on half": pa.array(noise, mask=(y == 1) & (rng.random(n) < 0.5)),
        "delayed copy": pa.array(y.astype(float), mask=night >= "018"),
        "copy on 10 %": pa.array(np.where(rng.random(n) < 0.1, y, 0.5 + noise)),
        "copy on 30 %": pa.array(np.where(rng.random(n) < 0.3, y, 0.5 + noise)),
        "noisy copy on 30 %": pa.array(np.where(rng.random(n) < 0.3, y + 0.01 * noise, 0.5 + noise)),
        # A score made after the event, on a scale of its own that is not in order.
        "rounded score": pa.array(((y * 7 + rng.integers(0, 5, n)) * 5 % 13).astype(float)),
    }


def honest(y: np.ndarray, rng: np.random.Generator) -> dict[str, pa.Array]:
    n, out = len(y), {}
    for area in (0.85, 0.90, 0.93):
        apart = np.sqrt(2) * norm.ppf(area)
        out[f"normal {area}"] = pa.array(y * apart + rng.normal(0, 1, n))
        out[f"lognormal {area}"] = pa.array(np.exp(1.5 * (y * apart + rng.normal(0, 1, n))))
    score = y * np.sqrt(2) * norm.ppf(0.9) + rng.normal(0, 1, n)
    out["score of 1 to 10"] = pa.array(np.clip(np.rint(4 + 1.5 * score), 1, 10))
    out["u-shaped"] = pa.array(np.where(y == 1, 2.2, 0.7) * rng.normal(0, 1, n))
    out["missing at random"] = pa.array(score, mask=rng.random(n) < 0.4)
    out["often missing for one"] = pa.array(rng.normal(0, 1, n), mask=rng.random(n) < np.where(y == 1, 0.6, 0.1))
    rates = np.array([[0.3, 0.2, 0.2, 0.15, 0.1, 0.05], [0.04, 0.06, 0.15, 0.25, 0.25, 0.25]])
    out["category" + " of six"] = pa.array([str(rng.choice(6, p=rates[v])) for v in y])
    out["exponential"] = pa.array(rng.exponential(np.where(y == 1, 6.0, 1.0)))
    return out


if __name__ == "__main__":
    main()
