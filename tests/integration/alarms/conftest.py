"""A shop: fifty quiet nights, a champion that learned from forty-five, and what then happens to the data."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

FIRST = date(2024, 1, 1)
ROWS = 120
FILES = {
    "configs/tidegate.yaml": "namespace: lab\non_call: {shopkeepers: {budget: 1.0}}\n",
    "configs/datasets/visits.yaml": """\
source: {files: "visits/{date}.csv"}
owner: shopkeepers
event_time: at
key: [visit]
quality: {max_quarantined_share: 0.2}
columns:
  visit: {type: integer, nullable: false}
  at: {type: timestamp, nullable: false}
  channel: {type: category}
  price: {type: number, max_missing: 1.0}
  pages: {type: number, max_missing: 1.0}
""",
    "configs/models/bought.yaml": """\
dataset: visits
owner: shopkeepers
kind: binary
label: {column: bought, classes: [0, 1], positive: 1, delay: 1d, source: {files: "orders/{date}.csv"}}
estimator: {build: "shop:build", features: "shop:features", params: {}, seed: 2}
features: [channel, price, pages]
segments: [channel]
kpi: {unit: EUR, true_positive: 1, false_positive: -1, false_negative: -1}
# Nearly all that is known of a visit is its price: prices at their end cost what knowing them is worth.
gate: {block_nights: 2, min_blocks: 6, robustness: {max_loss: 0.4}}
retrain: {policy: evidence, first_nights: 45, growth: 9, max_per_year: 2}
alarms: {group: shopkeepers}
promotion: automatic
""",
    "shop.py": """\
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline


def build(params):
    return make_pipeline(SimpleImputer(), LogisticRegression(random_state=params["random_state"]))


def features(frame):
    return frame.assign(channel=(frame["channel"] == "web").astype(float))
""",
}


def day_of(i: int) -> str:
    return (FIRST + timedelta(days=i)).isoformat()


def write_night(root: Path, i: int, change=None) -> None:
    """One night's visits, changed if asked for, and its orders."""
    rng = np.random.default_rng([7, i])
    midnight = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) + timedelta(days=i)
    price = rng.normal(20 + rng.normal(0, 0.7), 5, ROWS)
    frame = pd.DataFrame({
        "visit": np.arange(ROWS) + 1000 * i,
        "at": [(midnight + timedelta(seconds=int(s))).isoformat() for s in np.sort(rng.integers(0, 86_000, ROWS))],
        "channel": rng.choice(["web", "app", "mail"], ROWS, p=[0.6, 0.3, 0.1]),
        "price": price.round(2),
        "pages": rng.poisson(4, ROWS),
    })  # fmt: skip
    bought = rng.random(ROWS) < 1 / (1 + np.exp(0.6 * (price - 20) - 0.2 * (frame["pages"] - 4)))
    orders = frame[["visit", "at"]].assign(bought=bought.astype(int))
    if change is not None:
        frame = change(frame, rng)
    for folder, table in (("visits", frame), ("orders", orders)):
        (root / folder).mkdir(exist_ok=True)
        table.to_csv(root / folder / f"{day_of(i)}.csv", index=False)


@pytest.fixture(scope="session")
def shop_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("shop")
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for i in range(50):
        write_night(root, i)
    return root


@pytest.fixture(scope="session")
def quiet_shop(shop_root, loop_of):
    """The champion was promoted on night 46."""
    loop = loop_of(shop_root, "bought")
    for i in range(50):
        loop.night(i)
    return loop


@pytest.fixture
def shop(quiet_shop, tmp_path, loop_of):
    """A copy of the quiet shop, free to be changed."""
    import shutil

    root = tmp_path / "shop"
    shutil.copytree(quiet_shop.root, root)
    return loop_of(root, "bought")


@pytest.fixture(scope="session")
def open_shop():
    """Writes one more night's files: `open_shop(root, night, change)`."""
    return write_night
