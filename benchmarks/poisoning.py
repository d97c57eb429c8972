"""The gate's guard against poisoned labels on real flights: what it blocks, and how often it blocks a clean candidate.

    python benchmarks/poisoning.py [--seeds 10] [--blind] [--flights var/flights] [--quick]

For each period a champion is trained on its first 40 nights, with out-of-fold scores as its reference, a candidate on
all 65, on two thirds of the rows. Labels of one group are flipped in the candidate's training, wholly or for a share
of its rows, on all nights or on the 25 new ones only, or made up on the new ones; the guard sees the champion's reference with its clean labels.
Models are trained anew in every case; the curve below the whole is of the first two seeds. Seeds resample the rows of
the same six periods: cases are not independent, and the bounds (Clopper-Pearson, 95 %) take them as if they were.
`--blind` gives the guard the candidate's out-of-fold scores in place of those of rows that it learned from.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import beta
from sklearn.ensemble import HistGradientBoostingClassifier

from tidegate.config.model import Model
from tidegate.gate.poisoning import Labelled, poisoning

PERIODS = ("2013-01-05", "2013-02-20", "2013-04-10", "2013-06-01", "2013-07-25", "2013-10-01")
GROUPS = (("carrier", "US"), ("carrier", "9E"), ("carrier", "MQ"), ("dest", "ATL"), ("dest", "ORD"), ("dest", "LAX"))
SHARES = (1.0, 0.5, 0.2, 0.05)
OLD, NEW, FOLDS, BLOCK = 40, 25, 4, 3
FEATURES = ["carrier", "origin", "dest", "departs", "weekday", "distance", "temp", "humid", "wind_speed", "visib"]
MODEL = Model.model_validate({
    "name": "m", "dataset": "d", "kind": "binary", "features": FEATURES, "estimator": {"build": "shop:build"},
    "segments": ["origin"], "label": {"column": "late", "classes": [0, 1], "positive": 1,
                                      "source": {"files": "{date}.csv"}},
})  # fmt: skip


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seeds", type=int, default=10)
    asked.add_argument("--flights", type=Path, default=Path("var/flights"))
    asked.add_argument("--blind", action="store_true", help="out-of-fold scores of the candidate")
    asked.add_argument("--quick", action="store_true", help="one period, one seed")
    given = asked.parse_args()
    began, found = time.process_time(), defaultdict(list)
    for turn, start in enumerate(PERIODS[:1] if given.quick else PERIODS):
        whole = read(given.flights, start)
        for seed in range(1 if given.quick else given.seeds):
            for key, blocked in one(whole, turn, seed, blind=given.blind):
                found[key].append(blocked)
    for (where, share), hits in sorted(found.items(), key=lambda item: (item[0][0], -item[0][1])):
        n, k = len(hits), sum(hits)
        low, high = beta.ppf(0.05, k, n - k + 1) if k else 0.0, beta.ppf(0.95, k + 1, n - k) if k < n else 1.0
        print(f"{where:<28} {share:>5.0%} flipped   blocked {k:>3} of {n:>3}   at least {low:.0%}, at most {high:.0%}")
    print(f"{time.process_time() - began:.0f} CPU s")


def one(whole: pd.DataFrame, turn: int, seed: int, *, blind: bool):
    """What the guard says of one sample of rows: a clean candidate, and each poisoned one."""
    rng = np.random.default_rng(seed)
    rows = whole[rng.random(len(whole)) < 2 / 3].reset_index(drop=True)
    night = rows["night"].to_numpy()
    number = np.unique(night, return_inverse=True)[1]
    old = number < OLD
    y = rows["late"].to_numpy().astype(int)
    x = rows[FEATURES]
    theirs = out_of_fold(x[old], y[old], number[old], seed)
    champion = fitted(x[old], y[old], seed)
    recent = champion.predict_proba(x[~old])[:, 1]
    groups = {c: rows[c].astype(str).to_numpy() for c in ("carrier", "origin", "dest")}

    def blocked(poisoned: np.ndarray) -> bool:
        """By the anchor, or by recent labels that contradict the champion."""
        if blind:
            ours = out_of_fold(x, poisoned, number, seed + 1)[old]
        else:
            ours = fitted(x, poisoned, seed + 1).predict_proba(x[old])[:, 1]
        lines = poisoning(
            MODEL,
            Labelled(y[old], night[old], theirs, ours, {c: g[old] for c, g in groups.items()}),
            Labelled(poisoned[~old], night[~old], recent, None, {c: g[~old] for c, g in groups.items()}),
        )
        return any(line.outcome == "fail" for line in lines)

    yield ("a clean candidate", 0.0), blocked(y)
    # A group in turn, so that each is met in three periods; the curve below the whole with the first seeds only.
    column, name = GROUPS[(turn + 2 * seed) % len(GROUPS)]
    at = groups[column] == name
    yield (f"{column} all late, new nights", 1.0), blocked(np.where(at & ~old, 1, y))
    yield (f"{column} at random, new nights", 1.0), blocked(np.where(at & ~old, rng.integers(0, 2, len(y)), y))
    for share in SHARES if seed < 2 else SHARES[:1]:
        for nights, where in (("every night", at), ("new nights", at & ~old)):
            hit = where & (rng.random(len(y)) < share)
            yield (f"{column} flipped, {nights}", share), blocked(np.where(hit, 1 - y, y))


def out_of_fold(x: pd.DataFrame, y: np.ndarray, number: np.ndarray, seed: int) -> np.ndarray:
    out, fold = np.zeros(len(y)), number // BLOCK % FOLDS
    for k in range(FOLDS):
        held = fold == k
        out[held] = fitted(x[~held], y[~held], seed).predict_proba(x[held])[:, 1]
    return out


def fitted(x: pd.DataFrame, y: np.ndarray, seed: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        categorical_features="from_dtype", max_iter=50, learning_rate=0.1, max_leaf_nodes=15, min_samples_leaf=40,
        early_stopping=False, random_state=seed,
    ).fit(x, y)  # fmt: skip


def read(folder: Path, start: str) -> pd.DataFrame:
    """Labelled flights of the nights of a period, with the weather at their origin."""
    days = [d.strftime("%Y-%m-%d") for d in pd.date_range(start, periods=OLD + NEW)]
    parts = [pd.read_csv(folder / "days" / f"{d}.csv").assign(night=d) for d in days]
    flights = pd.concat(parts).dropna(subset=["arr_delay"])
    weather = pd.read_csv(folder / "weather.csv").drop_duplicates(["origin", "time_hour"])
    flights = flights.merge(weather[["origin", "time_hour", "temp", "humid", "wind_speed", "visib"]],
                            on=["origin", "time_hour"], how="left")  # fmt: skip
    flights["late"] = flights["arr_delay"] > 15
    flights["departs"] = flights["sched_dep_time"] // 100 * 60 + flights["sched_dep_time"] % 100
    flights["weekday"] = pd.to_datetime(flights["night"]).dt.dayofweek
    return flights.assign(**{c: flights[c].astype("category") for c in ("carrier", "origin", "dest")})


if __name__ == "__main__":
    main()
