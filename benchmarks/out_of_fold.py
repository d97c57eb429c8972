"""Do out-of-fold scores flatter a candidate? Measured on the demo's real flights.

    OMP_NUM_THREADS=1 nice .venv/bin/python benchmarks/out_of_fold.py

needs `examples/flights/prepare.py var/flights` to have run; about five CPU minutes. Prints

1. for several training ends, the candidate's advantage over the champion on the gate's
   out-of-fold nights beside the advantage that the promoted mean then has on the next 28
   nights, in time order and with the days permuted within weekdays (nothing drifts, no
   neighbour leaks);
2. how often the gate passes a candidate that is no better: both learned from equally many
   days, drawn at random.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from examples.flights.model import build, features  # noqa: E402
from examples.flights.source import WEATHER, scheduled  # noqa: E402
from tidegate.config.project import load_project  # noqa: E402
from tidegate.config.home import Home  # noqa: E402
from tidegate.gate.judge import judge_candidate  # noqa: E402
from tidegate.performance.blocks import blocks_of, cut, paired_difference  # noqa: E402
from tidegate.performance.metrics import METRICS  # noqa: E402
from tidegate.performance.tally import Tally, tally_of  # noqa: E402
from tidegate.training.members import Trained, folds, train  # noqa: E402
from tidegate.training.scoring import design, score  # noqa: E402

PROJECT = load_project(Home.at(ROOT))
MODEL = PROJECT.model("flights")
COLUMNS = PROJECT.dataset("flights").columns
SPEC = {"kind": "binary", "features": {f: COLUMNS[f].type for f in MODEL.features}, "classes": [0, 1],
        "user": {"build": "examples", "features": "examples"}}  # fmt: skip
UNSEEN, AFTER = 45, 28


def flights() -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Designed features, labels, and the night (0..364) of every flight that has a label."""
    files = sorted((ROOT / "var/flights/days").glob("*.csv"))
    text = {"carrier": "string", "origin": "string", "dest": "string"}
    rows = pd.concat([pd.read_csv(f, dtype=text).assign(night=i) for i, f in enumerate(files)], ignore_index=True)
    rows["scheduled"] = scheduled(rows)
    weather = pd.read_csv(ROOT / "var/flights/weather.csv", usecols=["origin", "time_hour", *WEATHER])
    for frame in (rows, weather):
        frame["time_hour"] = pd.to_datetime(frame["time_hour"], utc=True)
    rows = rows.merge(weather.drop_duplicates(["origin", "time_hour"]), on=["origin", "time_hour"], how="left")
    rows = rows[rows["arr_delay"].notna()].reset_index(drop=True)
    table = pa.Table.from_pandas(rows[list(MODEL.features)].astype({c: "object" for c in text}), preserve_index=False)
    late = (rows["arr_delay"] > 15).to_numpy().astype(int)
    return design(table, SPEC, features), late, rows["night"].to_numpy()


X, Y, NIGHT = flights()


def fitted(at: np.ndarray, night: np.ndarray) -> Trained:
    fold = folds([f"{n:04}" for n in sorted(set(night[at].tolist()))], MODEL.gate.block_nights)
    of = np.array([fold[f"{n:04}"] for n in night[at]])
    return train(build, dict(MODEL.estimator.params), 7, X.iloc[at], Y[at], of, SPEC)


def tallies(at: np.ndarray, night: np.ndarray, scores: np.ndarray) -> dict[str, Tally]:
    nights = night[at]
    return {f"{n:04}": tally_of(MODEL, scores[nights == n], Y[at][nights == n], 0.2) for n in sorted(set(nights))}


def advantage(ours: dict[str, Tally], theirs: dict[str, Tally]) -> dict[str, tuple[float, float]]:
    blocks = cut(sorted(ours), MODEL.gate.block_nights)
    a, b = blocks_of(ours, blocks), blocks_of(theirs, blocks)
    both = {name: paired_difference(METRICS["binary"][name], a, b) for name in ("roc_auc", "log_loss")}
    return {name: (e.value, e.se) for name, e in both.items()}


def through_time(name: str, night: np.ndarray, ends: list[int]) -> None:
    print(f"\n{name}: candidate − champion, ROC AUC (higher is better) and log loss (lower), with jackknife errors")
    print("trained through night | out of fold, last 45       | realised, next 28           | difference AUC")
    gaps = []
    for end in ends:
        old, new = (np.flatnonzero(night <= n) for n in (end - UNSEEN, end))
        champion, candidate = fitted(old, night), fitted(new, night)
        unseen = np.flatnonzero((night > end - UNSEEN) & (night <= end))
        after = np.flatnonzero((night > end) & (night <= end + AFTER))
        mine = candidate.scores[night[new] > end - UNSEEN]
        before = advantage(
            tallies(unseen, night, mine), tallies(unseen, night, score(champion.estimator, X.iloc[unseen], SPEC))
        )
        then = advantage(
            *(tallies(after, night, score(t.estimator, X.iloc[after], SPEC)) for t in (candidate, champion))
        )
        gaps.append([before[m][0] - then[m][0] for m in ("roc_auc", "log_loss")])
        cells = [
            f"{d['roc_auc'][0]:+.4f}±{d['roc_auc'][1]:.4f} {d['log_loss'][0]:+.4f}±{d['log_loss'][1]:.4f}"
            for d in (before, then)
        ]
        print(f"{end:21} | {cells[0]} | {cells[1]} | {gaps[-1][0]:+.4f}", flush=True)
    mean, error = np.mean(gaps, axis=0), np.std(gaps, axis=0, ddof=1) / np.sqrt(len(gaps))
    print(f"mean optimism: AUC {mean[0]:+.4f}±{error[0]:.4f}, log loss {mean[1]:+.4f}±{error[1]:.4f}")


def gate_level(rng: np.random.Generator, nights: int, rounds: int) -> None:
    """Every set of days as champion against every other as candidate."""
    outcomes = {"mean of members": [], "one member": []}
    for _ in range(rounds):
        order = rng.permutation(364)
        sets = [order[i : i + nights] for i in range(0, 364 - nights + 1, nights)]
        rank = np.full(365, -1)
        rank[order] = np.arange(364)
        night = rank[NIGHT]
        ats = [np.flatnonzero(np.isin(NIGHT, s)) for s in sets]
        models = [fitted(at, night) for at in ats]
        own = [tallies(at, night, m.scores) for at, m in zip(ats, models, strict=True)]
        for i, champion in enumerate(models):
            for j, at in enumerate(ats):
                if i == j:
                    continue
                each = [score(member, X.iloc[at], SPEC) for member in champion.estimator.estimators_]
                for kind, scores in (("mean of members", np.mean(each, axis=0)), ("one member", each[0])):
                    other = tallies(at, night, scores)
                    blocks = cut(sorted(other), MODEL.gate.block_nights)
                    result = judge_candidate(MODEL, blocks_of(own[j], blocks), blocks_of(other, blocks))
                    lead = next(c for c in result.checks if c.name == "roc_auc")
                    kpi = next(c for c in result.checks if c.name == "kpi")
                    outcomes[kind].append(
                        (result.verdict.outcome, lead.outcome == "pass", kpi.outcome == "pass", lead.gain)
                    )
    for kind, found in outcomes.items():
        passed, auc, kpi = (np.mean([o[k] == w for o in found]) for k, w in ((0, "pass"), (1, True), (2, True)))
        print(
            f"{nights} nights each, champion {kind}: {len(found)} pairs, gate passes {passed:.1%}, primary proven {auc:.1%},"
            f" KPI proven {kpi:.1%}, fails {np.mean([o[0] == 'fail' for o in found]):.1%}, mean gain {np.mean([o[3] for o in found]):+.4f}",
            flush=True,
        )


def permuted(rng: np.random.Generator) -> np.ndarray:
    """The nights of the rows after the days of each weekday changed places."""
    to = np.arange(365)
    for weekday in range(7):
        days = np.arange(weekday, 365, 7)
        to[days] = rng.permutation(days)
    return to[NIGHT]


if __name__ == "__main__":
    through_time("As it happened", NIGHT, [104, 150, 196, 242, 288, 334])
    through_time("Days permuted within weekdays", permuted(np.random.default_rng(1)), [104, 196, 288])
    gate_level(np.random.default_rng(2), 30, 2)
