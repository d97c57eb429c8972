"""A year in which nothing drifts: the flights' days permuted within weekdays, replayed.

    make permuted SEEDS="1 2"

No retrain may be started for decay there; more data remains a reason of its own. Builds a
home below var/permuted/SEED, replays Tidegate's policy in it, prints what was started and
why, and exits 1 if any retrain was for decay.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
ZONE = "America/New_York"


def permutation(seed: int) -> dict[str, str]:
    """New date of each date of 2013: one of the same weekday. The last day, without weather, stays."""
    days = pd.date_range("2013-01-01", "2013-12-30")
    rng = np.random.default_rng(seed)
    moved: dict[str, str] = {"2013-12-31": "2013-12-31"}
    for weekday in range(7):
        same = days[days.dayofweek == weekday].strftime("%Y-%m-%d")
        moved |= dict(zip(same, rng.permutation(same), strict=True))
    return moved


def moved_hours(hours: pd.Series, moved: dict[str, str]) -> pd.Series:
    """UTC hours at the same local time of the date that their date moved to."""
    local = pd.to_datetime(hours, utc=True).dt.tz_convert(ZONE)
    day = local.dt.strftime("%Y-%m-%d").map(lambda d: moved.get(d, d))
    naive = pd.to_datetime(day) + pd.to_timedelta(local.dt.hour, unit="h")
    there = naive.dt.tz_localize(ZONE, ambiguous=np.ones(len(naive), dtype=bool), nonexistent="shift_forward")
    return there.dt.tz_convert("UTC").dt.strftime("%Y-%m-%dT%H:%M:%SZ")


def build_home(seed: int) -> Path:
    """A home of its own with the permuted year as its raw files."""
    home = ROOT / "var" / "permuted" / str(seed)
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(ROOT / "configs", home / "configs")
    shutil.copytree(ROOT / "examples", home / "examples")
    original, target = ROOT / "var" / "flights", home / "var" / "flights"
    (target / "days").mkdir(parents=True)
    moved = permutation(seed)
    for old, new in moved.items():
        day = pd.read_csv(original / "days" / f"{old}.csv", dtype=str, keep_default_na=False)
        date = pd.Timestamp(new)
        day = day.assign(year=date.year, month=date.month, day=date.day, time_hour=moved_hours(day["time_hour"], moved))
        day.to_csv(target / "days" / f"{new}.csv", index=False)
    weather = pd.read_csv(original / "weather.csv", dtype=str, keep_default_na=False)
    weather.assign(time_hour=moved_hours(weather["time_hour"], moved)).to_csv(target / "weather.csv", index=False)
    return home


def run(seed: int) -> list[dict[str, str]]:
    """The retrains of one permuted year."""
    home = build_home(seed)
    command = [sys.executable, "-m", "tidegate.cli.main", "--home", str(home), "replay", "flights", "--json"]
    dates = ["--from", "2013-03-01", "--to", "2013-12-30", "--history", "2013-01-01"]
    done = subprocess.run([*command, *dates], stdout=subprocess.PIPE, text=True, check=True)
    summary = json.loads(done.stdout)
    events = [e for e in summary["events"]["tidegate"] if e["reason"] != "first_model"]
    for e in events:
        print(f"seed {seed}: {e['window']} retrain for {e['reason']}, {e['status']}")
    told = f"{summary['pages']['tidegate']} pages, {summary['tickets']['tidegate']} tickets"
    decays = sum(e["reason"] == "decay" for e in events)
    print(f"seed {seed}: {len(events)} retrains, {decays} for decay, {told}, {len(summary['blocked'])} windows blocked")
    return events


if __name__ == "__main__":
    found = [e for seed in map(int, sys.argv[1:] or ["1"]) for e in run(seed)]
    sys.exit(any(e["reason"] == "decay" for e in found))
