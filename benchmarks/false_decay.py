"""How often does the decay rule cry wolf when days have shocks of their own?

    OMP_NUM_THREADS=1 nice .venv/bin/python benchmarks/false_decay.py

about two CPU minutes. Prints the rate of false decay over a year of nightly looks at a model that does not decay.
"""

from __future__ import annotations

import numpy as np

from tidegate.config.model import Model
from tidegate.decision.reasons import judge_decay
from tidegate.performance.blocks import blocks_of, cut
from tidegate.performance.metrics import roc_auc
from tidegate.performance.tally import tally_of

MODEL = Model.model_validate(
    {
        "name": "simulated",
        "dataset": "simulated",
        "kind": "binary",
        "label": {"column": "y", "source": {"files": "none"}, "classes": [0, 1], "positive": 1},
        "features": ["x"],
    }
)
DAYS, KEPT = 3, 0.3


def shocks(rng: np.random.Generator, days: int, columns: int, kept: float) -> np.ndarray:
    """Standard normal, a row a day, each keeping `kept` of the day before."""
    out = rng.standard_normal((days, columns))
    for d in range(1, days):
        out[d] = kept * out[d - 1] + np.sqrt(1 - kept**2) * out[d]
    return out


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def false_decay(rng: np.random.Generator, years: int, reference: int = 60, looks: int = 306, rows: int = 900) -> None:
    """A fixed model on stationary days; signal and base rate shift from day to day."""
    fired, unmargined, spread = 0, 0, []
    for _ in range(years):
        nights = {}
        shock = shocks(rng, reference + looks, 2, KEPT)
        for d, (signal, base) in enumerate(shock):
            x = rng.standard_normal(rows)
            y = rng.random(rows) < sigmoid(-1.2 + 0.7 * base + 0.8 * (1 + 0.45 * signal) * x)
            nights[f"{d:04}"] = tally_of(MODEL, sigmoid(-1.2 + 0.8 * x), y.astype(int))
        spread.append(np.std([roc_auc(t) for t in nights.values()]))
        names = sorted(nights)
        before = blocks_of(nights, cut(names[:reference], DAYS))
        verdicts = []
        for night in range(reference + MODEL.retrain.decay_nights, reference + looks + 1):
            recent = names[night - MODEL.retrain.decay_nights : night]
            verdicts.append(judge_decay(MODEL, before, blocks_of(nights, cut(recent, DAYS))))
        fired += any(v.outcome == "fail" for v in verdicts)
        unmargined += any(v.numbers["upper"] < 0 for v in verdicts)
    print(f"No decay, {years} years of {looks} nights, nightly AUC spread {np.mean(spread):.3f} (flights .06 to .09):")
    print(
        f"years with false decay {fired / years:.3f}; by the bound alone, without the margin, {unmargined / years:.3f}"
    )


if __name__ == "__main__":
    false_decay(np.random.default_rng(2), 100)
