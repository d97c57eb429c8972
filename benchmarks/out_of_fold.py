"""Do out-of-fold scores flatter a candidate? Measured on the demo's real flights.

    OMP_NUM_THREADS=1 nice .venv/bin/python benchmarks/out_of_fold.py

needs `examples/flights/prepare.py var/flights` to have run; about seven CPU minutes. Prints

1. for several training ends, the candidate's out-of-fold advantage over the champion on the
   nights that it did not see (against the champion's mean, and like for like against single
   members, as the gate has it) beside the advantage that the promoted mean then has on the
   next 28 nights, in time order and with the days permuted within weekdays (nothing drifts,
   no neighbour leaks);
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
from tidegate.config.home import Home  # noqa: E402
from tidegate.config.project import load_project  # noqa: E402
from tidegate.gate.judged import Judged  # noqa: E402
from tidegate.gate.performance import performance  # noqa: E402
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
    table = pa.Table.from_pandas(rows[list(MODEL.features)].astype(dict.fromkeys(text, "object")), preserve_index=False)
    late = (rows["arr_delay"] > 15).to_numpy().astype(int)
    return design(table, SPEC, features), late, rows["night"].to_numpy()


X, Y, NIGHT = flights()


def fitted(at: np.ndarray, night: np.ndarray) -> Trained:
    fold = folds([f"{n:04}" for n in sorted(set(night[at].tolist()))], MODEL.gate.block_nights)
    of = np.array([fold[f"{n:04}"] for n in night[at]])
    return train(build, dict(MODEL.estimator.params), 7, X.iloc[at], Y[at], of, SPEC)


def tallies(at: np.ndarray, night: np.ndarray, scores: np.ndarray) -> dict[str, Tally]:
    nights = night[at]
    return {
        f"{n:04}": tally_of(MODEL, scores[nights == n], Y[at][nights == n], 0.2) for n in sorted(set(nights.tolist()))
    }


def advantage(ours: dict[str, Tally], theirs: dict[str, Tally]) -> dict[str, tuple[float, float]]:
    blocks = cut(sorted(ours), MODEL.gate.block_nights)
    a, b = blocks_of(ours, blocks), blocks_of(theirs, blocks)
    both = {name: paired_difference(METRICS["binary"][name], a, b) for name in ("roc_auc", "log_loss")}
    return {name: (e.value, e.se) for name, e in both.items()}


def by_member(champion: Trained, at: np.ndarray, fold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The champion's scores: its mean, and like for like, of one member a fold."""
    each = np.stack([score(member, X.iloc[at], SPEC) for member in champion.estimator.estimators_])
    return each.mean(axis=0), each[fold, np.arange(len(at))]


def through_time(name: str, night: np.ndarray, ends: list[int]) -> None:
    print(f"\n{name}: candidate − champion, ROC AUC (higher is better) and log loss (lower), with jackknife errors")
    print(
        "through | one member to the mean, last 45 | one member to one, last 45      | realised by the means, next 28"
    )
    gaps = []
    for end in ends:
        old, new = (np.flatnonzero(night <= n) for n in (end - UNSEEN, end))
        champion, candidate = fitted(old, night), fitted(new, night)
        unseen = np.flatnonzero((night > end - UNSEEN) & (night <= end))
        after = np.flatnonzero((night > end) & (night <= end + AFTER))
        mine = tallies(unseen, night, candidate.scores[night[new] > end - UNSEEN])
        theirs = by_member(champion, unseen, (end - night[unseen]) // MODEL.gate.block_nights % 3)
        found = [advantage(mine, tallies(unseen, night, other)) for other in theirs]
        both = [tallies(after, night, score(t.estimator, X.iloc[after], SPEC)) for t in (candidate, champion)]
        found.append(advantage(*both))
        gaps.append([f[m][0] - found[2][m][0] for f in found[:2] for m in ("roc_auc", "log_loss")])
        print(
            f"{end:7} | " + " | ".join(" ".join(f"{v:+.4f}±{se:.4f}" for v, se in f.values()) for f in found),
            flush=True,
        )
    mean, error = np.mean(gaps, axis=0), np.std(gaps, axis=0, ddof=1) / np.sqrt(len(gaps))
    cells = [f"{m:+.4f}±{e:.4f}" for m, e in zip(mean, error, strict=True)]
    print(f"mean optimism, AUC and log loss: to the mean {cells[0]}, {cells[1]}; one to one {cells[2]}, {cells[3]}")


def gate_level(rng: np.random.Generator, nights: int, rounds: int) -> None:
    """Every set of days as champion against every other as candidate."""
    outcomes: dict[str, list[tuple[str, bool, bool, float]]] = {"mean of members": [], "one member": []}
    for _ in range(rounds):
        order = rng.permutation(364)
        sets = [order[i : i + nights] for i in range(0, 364 - nights + 1, nights)]
        rank = np.full(365, -1)
        rank[order] = np.arange(364)
        night = rank[NIGHT]
        ats = [np.flatnonzero(np.isin(NIGHT, s)) for s in sets]
        models = [fitted(at, night) for at in ats]
        for i, champion in enumerate(models):
            for j, at in enumerate(ats):
                if i == j:
                    continue
                fold = (night[at].max() - night[at]) // MODEL.gate.block_nights % 3
                for kind, scores in zip(outcomes, by_member(champion, at, fold), strict=True):
                    cuts = np.full(len(at), 0.2)
                    names = np.char.zfill(night[at].astype(str), 4)
                    rows = Judged(names, Y[at], models[j].scores, scores, cuts, cuts)
                    result = performance(MODEL, rows, look=MODEL.gate.looks, spent=[], window="2013-12-31")
                    found = {line.name: line for line in result.lines if line.role == "better"}
                    proven = [found[m].outcome == "pass" for m in ("roc_auc", "kpi")]
                    outcomes[kind].append((result.verdict.outcome, *proven, found["roc_auc"].observed))
    print(f"\nEqually trained on {nights} random nights each, {len(outcomes['one member'])} pairs:")
    for kind, found in outcomes.items():
        verdicts = [f[0] for f in found]
        rates = f"passes {verdicts.count('pass') / len(found):.1%}, fails {verdicts.count('fail') / len(found):.1%}"
        proven = f"primary proven {np.mean([f[1] for f in found]):.1%}, KPI {np.mean([f[2] for f in found]):.1%}"
        print(
            f"one member to the champion's {kind}: {rates}, {proven}, mean gain {np.mean([f[3] for f in found]):+.4f}"
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
