"""A home whose model has a log: a dataset with every privacy rule, no training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tidegate.adapters.inferencelog import Answered, InferenceLog, new_ids
from tidegate.config.home import Home
from tidegate.config.serving import LogSettings
from tidegate.steps.stores import Stores, stores_of

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
FILES = {
    "configs/tidegate.yaml": "namespace: shop\n",
    "configs/datasets/visits.yaml": """\
source: {files: "visits/{date}.csv"}
event_time: at
key: [visit]
columns:
  visit: {type: integer, nullable: false}
  at: {type: timestamp, nullable: false, privacy: generalise, granularity: hour}
  channel: {type: category, values: [web, app, mail]}
  price: {type: number, privacy: round, granularity: 0.5}
  pages: {type: integer}
  mail: {type: text, privacy: pseudonym}
  name: {type: text, privacy: drop}
""",
    "configs/models/bought.yaml": """\
dataset: visits
kind: binary
label: {column: bought, classes: ["no", "yes"], positive: "yes", delay: 1d, source: {files: "orders/{date}.csv"}}
estimator: {build: "shop:build"}
features: [channel, price, pages, mail, name]
segments: [channel]
""",
}


def ns(at: datetime) -> int:
    return round((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 1000


class Shop:
    """The home, its stores, and a log whose clock stands where it is put."""

    def __init__(self, root: Path) -> None:
        for name, text in FILES.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        self.root, self.now = root, NOON
        self.stores: Stores = stores_of(Home.at(root))
        self.model = self.stores.project.model("bought")
        self.dataset = self.stores.project.dataset("visits")
        self.opened: list[InferenceLog] = []

    def log(self, writer: str = "w", **settings: Any) -> InferenceLog:
        made = InferenceLog(self.stores.home.state, "shop", self.dataset, self.model, LogSettings(**settings),
                            writer=writer, clock_ns=lambda: ns(self.now))  # fmt: skip
        self.opened.append(made)
        return made

    def row(self, i: int, **values: Any) -> tuple[Any, ...]:
        known = {"visit": i, "at": self.now, "channel": "web", "price": 20.3, "pages": 4, "mail": f"mail{i}@shop",
                 "name": f"Name {i}"} | values  # fmt: skip
        return tuple(known[c] for c in self.opened[-1].columns)

    def answer(self, log: InferenceLog, numbers: range, **values: Any) -> list[str]:
        """One request with a row a number; the ids of its rows."""
        ids = new_ids(len(numbers), ns(self.now))
        about = Answered(
            ns(self.now), 250_000, 3, "p" * 64, "c" * 12, "e" * 12, "champion", "gateway", "till", "t" * 32
        )
        n = len(numbers)
        rows = [self.row(i, **values) for i in numbers]
        assert log.append(about, rows, ids, [f"mine-{i}" for i in numbers], [0.25] * n, [0] * n, [0.75] * n)
        return ids


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    for log in made.opened:
        log.close()


@pytest.fixture
def nanoseconds() -> Callable[[datetime], int]:
    return ns
