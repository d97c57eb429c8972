"""How often do the gate and the decay rule cry wolf when days have shocks of their own?

    OMP_NUM_THREADS=1 nice .venv/bin/python benchmarks/gate_size.py

about four CPU minutes. Prints

1. the rate at which one of two equal models is proven better, by blocks of three days and
   level, with day shocks that give log loss the design effect of real flights (about 21);
2. the rate of false decay over a year of nightly looks at a model that does not decay.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from tidegate.config.model import Model
from tidegate.decision.reasons import judge_decay
from tidegate.gate.checks import gain_of, superior
from tidegate.performance.blocks import blocks_of, cut
from tidegate.performance.metrics import roc_auc
from tidegate.performance.tally import Tally, tally_of

MODEL = Model.model_validate(
    {
        "name": "simulated",
        "dataset": "simulated",
        "kind": "binary",
        "label": {"column": "y", "source": {"files": "none"}, "classes": [0, 1], "positive": 1},
        "features": ["x"],
    }
)
DAYS, ROWS, SHOCK = 3, 300, 0.66
KEPT = (0.0, 0.3)
LEVELS = (0.1 / 3, 0.05, 0.1)


def shocks(rng: np.random.Generator, days: int, columns: int, kept: float) -> np.ndarray:
    """Standard normal, a row a day, each keeping `kept` of the day before."""
    out = rng.standard_normal((days, columns))
    for d in range(1, days):
        out[d] = kept * out[d - 1] + np.sqrt(1 - kept**2) * out[d]
    return out


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def two_equal_models(
    rng: np.random.Generator, blocks: int, kept: float
) -> tuple[list[Tally], list[Tally], float, float]:
    """Blocks of both, and the row-level z and design effect of their difference in log loss.

    Each model errs on a feature of its own, whose effect changes sign from day to day; the
    two features are exchangeable, so neither model is better.
    """
    days = blocks * DAYS
    x = rng.standard_normal((3, days, ROWS))
    base = -1.2 + x[0]
    shock = shocks(rng, days, 3, kept)[..., None]
    p = sigmoid(base + 0.5 * shock[:, 0] + SHOCK * (shock[:, 1] * x[1] + shock[:, 2] * x[2]))
    y = (rng.random((days, ROWS)) < p).astype(int)
    scores = [sigmoid(base + 0.3 * x[i]) for i in (1, 2)]
    tallies = [
        [tally_of(MODEL, s[b : b + DAYS].ravel(), y[b : b + DAYS].ravel()) for b in range(0, days, DAYS)]
        for s in scores
    ]
    loss = [-np.log(np.where(y == 1, s, 1 - s)) for s in scores]
    row = (loss[1] - loss[0]).ravel()
    z = float(row.mean() / (row.std() / np.sqrt(row.size)))
    gain = gain_of("binary", "log_loss", *tallies)
    return *tallies, z, row.size * gain.se**2 / row.var()


def gate_size(rng: np.random.Generator, rounds: int, kept: float) -> None:
    print(f"\nTwo equal models, {rounds} rounds, both directions counted; a day keeps {kept} of the last one's shock")
    print("blocks | level | log loss | ROC AUC | rows as if independent, log loss (design effect)")
    for blocks in (6, 10, 19):
        hits = {(m, a): 0 for m in ("log_loss", "roc_auc", "rows") for a in LEVELS}
        effects = []
        for _ in range(rounds):
            ours, theirs, z, effect = two_equal_models(rng, blocks, kept)
            effects.append(effect)
            gains = {m: gain_of("binary", m, ours, theirs) for m in ("log_loss", "roc_auc")}
            for alpha in LEVELS:
                for metric, gain in gains.items():
                    # Proven worse is proven better the other way round.
                    hits[metric, alpha] += superior(metric, gain, alpha, block=DAYS).outcome != "inconclusive"
                hits["rows", alpha] += abs(z) > norm.ppf(1 - alpha)
        for alpha in LEVELS:
            rates = [hits[m, alpha] / (2 * rounds) for m in ("log_loss", "roc_auc", "rows")]
            cells = " | ".join(f"{r:.3f}" for r in rates)
            print(f"{blocks:6} | {alpha:.3f} | {cells}   ({np.median(effects):.0f})", flush=True)


def false_decay(rng: np.random.Generator, years: int, reference: int = 60, looks: int = 306, rows: int = 900) -> None:
    """A fixed model on stationary days; signal and base rate shift from day to day."""
    fired, unmargined, spread = 0, 0, []
    for _ in range(years):
        nights = {}
        shock = shocks(rng, reference + looks, 2, KEPT[-1])
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
    print(
        f"\nNo decay, {years} years of {looks} nights, nightly AUC spread {np.mean(spread):.3f} (flights .06 to .09):"
    )
    print(
        f"years with false decay {fired / years:.3f}; by the bound alone, without the margin, {unmargined / years:.3f}"
    )


if __name__ == "__main__":
    for kept in KEPT:
        gate_size(np.random.default_rng(1), 1500, kept)
    false_decay(np.random.default_rng(2), 100)
