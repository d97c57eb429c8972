"""Two small homes from scikit-learn's own data, and one Prefect server a session.

`tastings` is multiclass (wine), its labels arrive one to three days later, the third class
last, and its instruments change on one night. `patients` is a regression (diabetes) with a
fixed delay, whose champions a person approves.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

FIRST = date(2024, 1, 1)
ROWS = 36

os.environ.update(
    DO_NOT_TRACK="true",
    MLFLOW_DISABLE_TELEMETRY="true",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    GX_ANALYTICS_ENABLED="false",
    # As the command sets them: what it prints is its own.
    PREFECT_LOGGING_LEVEL="CRITICAL",
    PREFECT_SERVER_LOGGING_LEVEL="CRITICAL",
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="180",
)

PLATFORM = """\
namespace: lab
defaults:
  # A dozen tiny nights: with the usual error of a year nothing could ever be proven of them, nor any segment be known.
  gate: {block_nights: 1, min_blocks: 5, error_per_year: 0.49, alpha: 0.2, looks: 1, ece_margin: 0.3,
         min_segment_rows: 60}
  retrain: {first_nights: 6, decay_nights: 8, decay_alpha: 0.45, cooldown: 4d, growth: 9.0, max_per_year: 2}
"""
TASTINGS = """\
source: {files: "wine/{date}.csv"}
event_time: tasted_at
key: [tasting]
columns:
  tasting: {type: integer, nullable: false}
  tasted_at: {type: timestamp, nullable: false}
  cellar: {type: category, nullable: false, values: [north, south]}
  alcohol: {type: number, min: 5, max: 20, unit: percent}
  flavanoids: {type: number, min: 0, max: 10}
  color: {type: number, min: 0, max: 20}
  hue: {type: number, min: 0, max: 3}
  proline: {type: number, min: 0, max: 3000, unit: mg/l}
  price: {type: number, required: false, known: later}
"""
CULTIVARS = """\
dataset: tastings
owner: cellar
kind: multiclass
label:
  column: cultivar
  source: {python: "winery:verdicts"}
  arrived_at: told_at
  delay: 3d
  classes: [first, second, third]
estimator:
  build: winery:build
  features: winery:features
  params: {n_estimators: 12, min_samples_leaf: 3}
  seed: 3
features: [cellar, alcohol, flavanoids, color, hue, proline]
segments: [cellar]
metric: {primary: log_loss, must_hold: {brier: 0.05}}
kpi: {unit: EUR, correct: 1, wrong: -4}
# Wine is told apart by its chemistry: that is no leak.
gate: {robustness: {strong: [flavanoids, proline, color]}}
promotion: automatic
"""
WINERY = """\
from pathlib import Path

import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier


def build(params):
    return ExtraTreesClassifier(**params)


def features(frame):
    return frame.assign(cellar=(frame["cellar"] == "north").astype(float), depth=frame["color"] * frame["hue"])


def verdicts(window, files):
    # Everything that is known by now and later: whoever asks has to look at `told_at`.
    return pd.read_csv(Path(__file__).parent / "verdicts.csv")
"""
PATIENTS = """\
source: {files: "diabetes/{date}.parquet"}
event_time: seen_at
key: [patient]
quality: {max_quarantined_share: 0.1}
columns:
  patient: {type: integer, nullable: false}
  seen_at: {type: timestamp, nullable: false}
  sex: {type: category, values: [f, m]}
  age: {type: number, min: 0, max: 120, unit: year}
  bmi: {type: number, min: 10, max: 60, max_missing: 0.2, unit: kg/m2}
  bp: {type: number, min: 40, max: 200, unit: mmHg}
  s5: {type: number, min: 2, max: 8}
"""
PROGRESSION = """\
dataset: patients
owner: clinic
kind: regression
label: {column: progression, source: {files: "progression/{date}.csv"}, delay: 2d}
estimator: {build: "clinic:build", features: "clinic:features", params: {alpha: 1.0}, seed: 5}
features: [sex, age, bmi, bp, s5]
segments: [sex]
metric: {primary: mae, must_hold: {rmse: 2.0}}
kpi: {unit: points, per_unit_error: -1}
# When the disease goes faster, who learns it has to forget how slow it was.
gate: {robustness: {anchor_margin: 1.0}}
retrain: {policy: never}
"""
CLINIC = """\
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def build(params):
    ridge = Ridge(alpha=params["alpha"], random_state=params["random_state"])
    return make_pipeline(SimpleImputer(), StandardScaler(), ridge)


def features(frame):
    return frame.assign(sex=(frame["sex"] == "f").astype(float))
"""


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def nights(count: int, first: date = FIRST) -> list[date]:
    return [first + timedelta(days=i) for i in range(count)]


def moments(day: date, count: int, rng: np.random.Generator) -> list[datetime]:
    seconds = np.sort(rng.integers(0, 86_400, count))
    return [datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=int(s)) for s in seconds]


def write_wine(root: Path, count: int, change: int, first: date = FIRST) -> Path:
    """A home with `count` nights of tastings; from night `change` on the instruments read otherwise."""
    from sklearn.datasets import load_wine

    write(root, {"configs/tidegate.yaml": PLATFORM, "configs/datasets/tastings.yaml": TASTINGS,
                 "configs/models/cultivars.yaml": CULTIVARS, "winery.py": WINERY})  # fmt: skip
    (root / "wine").mkdir()
    rng, wine = np.random.default_rng(11), load_wine(as_frame=True)
    table = wine.frame.rename(columns={"color_intensity": "color"})
    told = []
    for i, day in enumerate(nights(count, first)):
        # The class balance changes with the instruments.
        weight = np.array([1.0, 1.0, 1.0] if i < change else [1.0, 2.0, 0.5])[table["target"]]
        at = rng.choice(len(table), ROWS, p=weight / weight.sum())
        rows = table.iloc[at][["alcohol", "flavanoids", "color", "hue", "proline"]].reset_index(drop=True)
        rows = (rows * rng.normal(1, 0.15, rows.shape)).clip(lower=0.01).round(4)
        if i >= change:
            rows["proline"] = (2000 - rows["proline"]).clip(lower=1)
            rows["flavanoids"] = (6 - rows["flavanoids"]).clip(lower=0.01)
        rows.insert(0, "tasting", np.arange(ROWS) + 1000 * (i + 1))
        rows.insert(1, "tasted_at", [t.isoformat() for t in moments(day, ROWS, rng)])
        rows.insert(2, "cellar", rng.choice(["north", "south"], ROWS))
        rows.to_csv(root / "wine" / f"{day}.csv", index=False)
        target = table["target"].to_numpy()[at]
        # 30 % late, and of those the third class latest of all.
        late = np.where(rng.random(ROWS) < 0.3, np.where(target == 2, 3, 2), 1)
        hour = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        told.append(pd.DataFrame({
            "tasting": rows["tasting"], "tasted_at": rows["tasted_at"],
            "cultivar": np.array(["first", "second", "third"])[target],
            "told_at": [(hour + timedelta(days=int(d))).isoformat() for d in late],
        }))  # fmt: skip
    pd.concat(told).to_csv(root / "verdicts.csv", index=False)
    return root


def write_diabetes(root: Path, count: int, change: int, first: date = FIRST) -> Path:
    """A home with `count` nights of patients; from night `change` on the disease goes faster."""
    from sklearn.datasets import load_diabetes

    write(root, {"configs/tidegate.yaml": PLATFORM, "configs/datasets/patients.yaml": PATIENTS,
                 "configs/models/progression.yaml": PROGRESSION, "clinic.py": CLINIC})  # fmt: skip
    for folder in ("diabetes", "progression"):
        (root / folder).mkdir()
    rng, table = np.random.default_rng(13), load_diabetes(as_frame=True, scaled=False).frame
    for i, day in enumerate(nights(count, first)):
        rows = table.iloc[rng.choice(len(table), ROWS)].reset_index(drop=True)
        when = moments(day, ROWS, rng)
        frame = rows[["age", "bmi", "bp", "s5"]].astype(float)
        frame["sex"] = np.where(rows["sex"] == 1, "f", "m")
        frame.insert(0, "patient", np.arange(ROWS) + 1000 * (i + 1))
        frame.insert(1, "seen_at", pd.to_datetime(when, utc=True))
        frame.to_parquet(root / "diabetes" / f"{day}.parquet", index=False)
        target = rows["target"] + rng.normal(0, 5, ROWS) + (120 if i >= change else 0)
        later = {"patient": frame["patient"], "seen_at": [t.isoformat() for t in when], "progression": target.round(2)}
        pd.DataFrame(later).to_csv(root / "progression" / f"{day}.csv", index=False)
    return root


@pytest.fixture(scope="session")
def make_wine():
    return write_wine


@pytest.fixture(scope="session")
def make_diabetes():
    return write_diabetes


@pytest.fixture(scope="session")
def prefect():
    """An embedded Prefect server with a database of its own."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield
