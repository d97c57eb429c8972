"""What the gate's statistics are worth when days have shocks of their own: its errors and its power.

    OMP_NUM_THREADS=1 nice .venv/bin/python benchmarks/gate_figures.py [--quick]

about six CPU minutes, a tenth of that with `--quick`; seeds 1 to 5. Two models err each on a feature of its own, whose
effect changes from day to day, so that a paired difference of log loss has the design effect of real flights (14 to
21); a day keeps none or .3 of the last one's shock. A hold-out has 300 rows a night and is looked at after 30, 45 and
60 nights (10, 15 and 20 blocks). Prints

1. how often a line of one of two equal models is proven better, against its level, with 6, 10 and 20 blocks;
2. (b) how often a year of six attempts with equal candidates, three looks each, finds any of them better;
3. (a) how often a candidate exactly at the margin of a guardrail holds it on any look of an attempt;
4. (c) how often a candidate that is better by a known amount passes within 60 nights, and at the nights asked for;
5. (d) how often segments check and calibration check stop a candidate whose training labels were flipped in a
   segment, by the segment's size and the share flipped, and how often they stop a clean one.

A round works on blocks of metrics, through the functions of the gate; the last section runs whole rounds through
`performance` and compares verdicts.
"""

from __future__ import annotations

import argparse
import gc
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from tidegate.config.model import Model
from tidegate.gate.calibrated import calibrated
from tidegate.gate.checks import holds, superior
from tidegate.gate.error import look_part, share, spent_in_year
from tidegate.gate.judged import Judged
from tidegate.gate.performance import LOG_LOSS_MARGIN, performance
from tidegate.gate.power import more_nights
from tidegate.gate.segments import segments
from tidegate.performance.blocks import Estimate, weighted, widened

MODEL = Model.model_validate(
    {
        "name": "simulated",
        "dataset": "simulated",
        "kind": "binary",
        "label": {"column": "y", "source": {"files": "none"}, "classes": [0, 1], "positive": 1},
        "features": ["x"],
        "segments": ["where"],
        "kpi": {"false_negative": -20, "false_positive": -5},
    }
)
GATE, BLOCK, ROWS, NIGHTS, LOOKS = MODEL.gate, MODEL.gate.block_nights, 300, 60, (30, 45, 60)
SHOCK, SIGNAL, CUT, ATTEMPTS = 0.66, 0.3, 0.2, 6
KEPT = (0.0, 0.3)
SIGN = {"roc_auc": 1, "kpi": 1, "log_loss": -1, "brier": -1}


def shocks(rng: np.random.Generator, days: int, columns: int, kept: float) -> np.ndarray:
    """Standard normal, a row a day, each keeping `kept` of the day before."""
    out = rng.standard_normal((days, columns))
    for d in range(1, days):
        out[d] = kept * out[d - 1] + np.sqrt(1 - kept**2) * out[d]
    return out


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


@dataclass(frozen=True)
class Rows:
    """Labels and the scores of candidate and champion, shape (nights, rows), and the chance of a positive."""

    y: np.ndarray
    scores: tuple[np.ndarray, np.ndarray]
    p: np.ndarray

    @classmethod
    def drawn(cls, rng: np.random.Generator, nights: int, kept: float, lead: float = 0.0) -> Rows:
        """`lead` is what the candidate's feature is really worth, in log odds; the champion's is worth 0."""
        x = rng.standard_normal((3, nights, ROWS))
        base, shock = -1.2 + x[0], shocks(rng, nights, 3, kept)[..., None]
        p = sigmoid(base + 0.5 * shock[:, 0] + (lead + SHOCK * shock[:, 1]) * x[1] + SHOCK * shock[:, 2] * x[2])
        y = rng.random((nights, ROWS)) < p
        return cls(y, (sigmoid(base + SIGNAL * x[1]), sigmoid(base + SIGNAL * x[2])), p)

    def judged(self, groups: dict[str, np.ndarray] | None = None) -> Judged:
        n = self.y.size
        days = np.datetime64("2013-01-01") + np.arange(len(self.y))
        cuts = np.full(n, CUT)
        return Judged(
            np.repeat(days.astype(str), ROWS), self.y.ravel().astype(np.int64), self.scores[0].ravel(),
            self.scores[1].ravel(), cuts, cuts, groups or {},
        )  # fmt: skip


def areas(scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    """ROC AUC of each row of scores, shape (k,); the scores have no ties."""
    y = np.take_along_axis(y, scores.argsort(axis=1), axis=1)
    positive = y.sum(axis=1)
    ranks = (y * np.arange(1, y.shape[1] + 1)).sum(axis=1)
    return (ranks - positive * (positive + 1) / 2) / (positive * (y.shape[1] - positive))


def means(scores: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Nightly means of the other metrics."""
    costs = np.where(scores >= CUT, -5.0 * ~y, -20.0 * y)
    return {
        "log_loss": -np.log(np.where(y, scores, 1 - scores)).mean(axis=1),
        "brier": ((scores - y) ** 2).mean(axis=1),
        "kpi": costs.mean(axis=1),
    }


Gains = dict[str, tuple[np.ndarray, np.ndarray]]


def gains(rows: Rows) -> Gains:
    """Gains of the candidate: of each block, and of each night; positive is better."""
    blocked = rows.y.reshape(-1, BLOCK * ROWS)
    block = [areas(s.reshape(blocked.shape), blocked) for s in rows.scores]
    night = [areas(s, rows.y) for s in rows.scores]
    out = {"roc_auc": (block[0] - block[1], night[0] - night[1])}
    ours, theirs = (means(s, rows.y) for s in rows.scores)
    for name in ours:
        nightly = SIGN[name] * (ours[name] - theirs[name])
        out[name] = (nightly.reshape(-1, BLOCK).mean(axis=1), nightly)
    return out


def estimate(gain: tuple[np.ndarray, np.ndarray], nights: int, *, plain: bool = False) -> Estimate:
    """Of the last `nights` nights; `plain` without widening."""
    blocks = nights // BLOCK
    found = weighted(gain[0][-blocks:], np.full(blocks, BLOCK * ROWS))
    return found if plain else widened(found, gain[1][-nights:], BLOCK)


def rate(hits: int, rounds: int) -> str:
    """Per cent, with a standard error."""
    p = hits / rounds
    return f"{100 * p:.2f} ± {100 * np.sqrt(max(p, 1 / rounds) * (1 - p) / rounds):.2f} %"


def levels_and_years(rng: np.random.Generator, years: int, kept: float) -> None:
    levels = (0.0007, 0.0014, 0.0042, 0.0167, 0.05)
    limits = {(b, a): student.isf(a, b - 1) for b in (6, 10, 20) for a in levels}
    found = {(m, b, a, plain): 0 for m in SIGN for b in (6, 10, 20) for a in levels for plain in (True, False)}
    wrong, effects = {"primary": 0, "primary or KPI": 0}, []
    for _ in range(years):
        hit = set()
        # A year of nights of which six stretches of 60 are looked at: they do not overlap, their looks do.
        for attempt in range(ATTEMPTS):
            rows = Rows.drawn(rng, NIGHTS, kept)
            gain = gains(rows)
            loss = np.log(np.where(rows.y, rows.scores[0], 1 - rows.scores[0]))
            loss -= np.log(np.where(rows.y, rows.scores[1], 1 - rows.scores[1]))
            effects.append(loss.size * estimate(gain["log_loss"], NIGHTS, plain=True).se ** 2 / loss.var())
            for metric in SIGN:
                for blocks in (6, 10, 20):
                    for plain in (True, False):
                        e = estimate(gain[metric], blocks * BLOCK, plain=plain)
                        for a in levels:
                            # Proven worse is proven better the other way round.
                            found[metric, blocks, a, plain] += abs(e.value) > limits[blocks, a] * e.se
            hit |= better_looks(gain, attempt)
        for what in wrong:
            wrong[what] += what in hit
    n = 2 * years * ATTEMPTS
    print(f"\n1. Equal models, {n // 2:,} pairs, both directions; a day keeps {kept}; design effect of log loss "
          f"{np.median(effects):.0f}. Rate over level, without and with widening:")  # fmt: skip
    print("metric, blocks | " + " | ".join(f"{a:.4f}" for a in levels))
    for metric in ("log_loss", "roc_auc", "kpi"):
        for blocks in (6, 10, 20):
            cells = [
                " ".join(f"{found[metric, blocks, a, plain] / n / a:.2f}" for plain in (True, False)) for a in levels
            ]
            print(f"{metric}, {blocks} | " + " | ".join(cells))
    print(f"2. (b) false \"better\" in a year of {ATTEMPTS} attempts, error {GATE.error_per_year:g}: "
          + ", ".join(f"{what} {rate(hits, years)}" for what, hits in wrong.items()), flush=True)  # fmt: skip


def better_looks(gain: Gains, attempt: int) -> set[str]:
    """Whether any look of the attempt proves the candidate better, with and without a KPI beside the primary."""
    out, spent = set(), []
    for look, nights in enumerate(LOOKS, 1):
        day = str(np.datetime64("2013-01-01") + 60 * attempt + nights)
        error = share(GATE, ATTEMPTS, look, spent_in_year(spent, day))
        spent.append((day, error))
        e, k = estimate(gain["roc_auc"], nights), estimate(gain["kpi"], nights)
        if superior("roc_auc", e, error, block=BLOCK).outcome == "pass":
            out.add("primary")
        if any(superior("m", each, error / 2, block=BLOCK).outcome == "pass" for each in (e, k)):
            out.add("primary or KPI")
    return out


def at_the_margin(rng: np.random.Generator, rounds: int, kept: float) -> None:
    lead = lead_for(lambda g: g["log_loss"], -LOG_LOSS_MARGIN)
    held = looks = 0
    for _ in range(rounds):
        gain = gains(Rows.drawn(rng, NIGHTS, kept, lead))
        any_look = False
        for look, nights in enumerate(LOOKS, 1):
            alpha = GATE.alpha * look_part(GATE.looks, look)
            line = holds("m", estimate(gain["log_loss"], nights), alpha, block=BLOCK, margin=LOG_LOSS_MARGIN)
            any_look |= line.outcome == "pass"
            looks += line.outcome == "pass"
        held += any_look
    print(f"3. (a) log loss truly {LOG_LOSS_MARGIN:g} worse, a day keeps {kept}: held on any of {len(LOOKS)} looks "
          f"{rate(held, rounds)}", flush=True)  # fmt: skip


def truth(lead: float, kept: float = 0.0) -> dict[str, float]:
    """The mean gains of a candidate with this lead, over many nights, from the chances instead of labels."""
    rng, out = np.random.default_rng(9), []
    for _ in range(40):
        rows = Rows.drawn(rng, NIGHTS, kept, lead)
        gain = {"roc_auc": float(np.mean(gains(rows)["roc_auc"][0]))}
        loss = [-(rows.p * np.log(s) + (1 - rows.p) * np.log1p(-s)).mean() for s in rows.scores]
        out.append(gain | {"log_loss": loss[1] - loss[0]})
    return {m: float(np.mean([o[m] for o in out])) for m in out[0]}


def lead_for(of, wanted: float) -> float:
    """The lead with a true gain of `wanted`, by the secant."""
    a, b = (-0.1, -0.2) if wanted < 0 else (0.1, 0.2)
    base = of(truth(0.0))
    fa, fb = of(truth(a)) - base - wanted, of(truth(b)) - base - wanted
    for _ in range(4):
        if abs(fb) < 1e-5:
            break
        a, b, fa = b, b - fb * (b - a) / (fb - fa), fb
        fb = of(truth(b)) - base - wanted
    return b


def useful(rng: np.random.Generator, rounds: int, kept: float, amounts: tuple[float, ...]) -> None:
    print(f"4. (c) a better candidate, a day keeps {kept}, promoted within 60 nights:")
    print("gain in ROC AUC | primary alone | primary or KPI | nights asked for (median) | promoted at those nights")
    for amount in amounts:
        lead = lead_for(lambda g: g["roc_auc"], amount)
        passed, asked, ses = {False: 0, True: 0}, [], []
        for _ in range(rounds):
            gain = gains(Rows.drawn(rng, NIGHTS, kept, lead))
            for kpi in passed:
                passed[kpi] += any(promoted(gain, look, nights, kpi) for look, nights in enumerate(LOOKS, 1))
            e = estimate(gain["roc_auc"], LOOKS[0])
            last = share(GATE, ATTEMPTS, GATE.looks, 0.0)
            asked.append(LOOKS[0] + more_nights(amount, e.se, e.blocks, last, BLOCK))
            ses.append(estimate(gain["roc_auc"], NIGHTS).se)
        nights = int(np.median(asked)) // BLOCK * BLOCK
        at = sum(promoted(gains(Rows.drawn(rng, nights, kept, lead)), GATE.looks, nights, False) for _ in range(rounds))
        print(f"{amount:.3f} | {rate(passed[False], rounds)} | {rate(passed[True], rounds)} | {nights} "
              f"({np.percentile(asked, 10):.0f} to {np.percentile(asked, 90):.0f}) | {rate(at, rounds)} "
              f"| error at 60 nights {np.median(ses):.4f}", flush=True)  # fmt: skip


def promoted(gain: Gains, look: int, nights: int, kpi: bool) -> bool:
    """Whether this look proves it better, and both default guardrails to hold."""
    error, alpha = share(GATE, ATTEMPTS, look, 0.0), GATE.alpha * look_part(GATE.looks, look)
    counts = ("roc_auc", "kpi") if kpi else ("roc_auc",)
    better = any(
        superior(m, estimate(gain[m], nights), error / len(counts), block=BLOCK).outcome == "pass" for m in counts
    )
    margins = {"log_loss": LOG_LOSS_MARGIN, "brier": GATE.brier_margin}
    return better and all(
        holds(m, estimate(gain[m], nights), alpha, block=BLOCK, margin=most).outcome == "pass"
        for m, most in margins.items()
    )


def flipped(rng: np.random.Generator, rounds: int, kept: float) -> None:
    """Segments of which a share of the training labels was flipped: the scores of a model that believed them."""
    sizes, parts = (0.01, 0.02, 0.03, 0.05, 0.06, 0.08, 0.10), (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
    stopped = {(size, part): 0 for size in sizes for part in parts}
    clean = {"segments": 0, "calibration": 0}
    for _ in range(rounds):
        rows = Rows.drawn(rng, NIGHTS, kept)
        where = rng.random(rows.y.shape)
        even = np.floor(where * 5).astype(int).astype(str)
        looks = [last_nights(rows, rows.scores[0], even, nights) for nights in LOOKS]
        checks = {
            "segments": [segments(MODEL, judged, look=k).verdict.outcome for k, judged in enumerate(looks, 1)],
            "calibration": [calibrated(MODEL, judged, look=k).verdict.outcome for k, judged in enumerate(looks, 1)],
        }
        clean["segments"] += "fail" in checks["segments"] or checks["segments"][-1] != "pass"
        # Its Brier score may stay unproven with sixty nights; that is a matter of power.
        clean["calibration"] += "fail" in checks["calibration"]
        for size in sizes:
            groups = np.where(where < size, "poisoned", np.floor(where * 4).astype(int).astype(str))
            for part in parts:
                ours = rows.scores[0]
                bad = np.where(where < size, ours * (1 - part) + (1 - ours) * part, ours)
                verdict = "inconclusive"
                for look, nights in enumerate(LOOKS, 1):
                    judged = last_nights(rows, bad, groups, nights)
                    verdict = segments(MODEL, judged, look=look).verdict.outcome
                    if verdict != "inconclusive":
                        break
                # One look that lets it pass is enough for a promotion.
                stopped[size, part] += verdict != "pass"
    print(f"5. (d) {rounds} rounds, a day keeps {kept}. Clean candidates stopped on any look: "
          + ", ".join(f"{what} {rate(hits, rounds)}" for what, hits in clean.items()))  # fmt: skip
    print("segment's size, rows of it at 30 nights | stopped by segments, %, by share of its labels flipped: "
          + " | ".join(f"{p:.0%}" for p in parts))  # fmt: skip
    for size in sizes:
        cells = " | ".join(f"{100 * stopped[size, part] / rounds:.0f}" for part in parts)
        print(f"{size:.0%}, {size * LOOKS[0] * ROWS:.0f} | {cells}", flush=True)


def last_nights(rows: Rows, ours: np.ndarray, groups: np.ndarray, nights: int) -> Judged:
    some = Rows(rows.y[-nights:], (ours[-nights:], rows.scores[1][-nights:]), rows.p[-nights:])
    return some.judged({"where": groups[-nights:].ravel()})


def whole_rounds(rng: np.random.Generator, rounds: int) -> None:
    """The same verdicts through `performance` itself."""
    agree = 0
    for r in range(rounds):
        rows = Rows.drawn(rng, NIGHTS, 0.3, 0.4 * (r % 2))
        check = performance(MODEL, rows.judged(), look=3, spent=[], window="2013-12-31")
        proven = {line.name: line.outcome == "pass" for line in check.lines if line.role in ("better", "guardrail")}
        mine = promoted(gains(rows), 3, NIGHTS, True)
        agree += ((proven["roc_auc"] or proven["kpi"]) and proven["log_loss"] and proven["brier"]) == mine
    print(f"\nWhole rounds through `performance`: {agree} of {rounds} agree with the rounds above")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rounds")
    of = 10 if parser.parse_args().quick else 1
    # Holm's method in statsmodels collects garbage at each call; what is loaded by now never is any.
    gc.freeze()
    for kept in KEPT:
        levels_and_years(np.random.default_rng(1), 1000 // of, kept)
        at_the_margin(np.random.default_rng(2), 2000 // of, kept)
        useful(np.random.default_rng(3), 400 // of, kept, (0.02, 0.03, 0.04, 0.05))
    flipped(np.random.default_rng(4), 100 // of, KEPT[-1])
    whole_rounds(np.random.default_rng(5), 20)
