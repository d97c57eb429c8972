"""A small home, written anew for each test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tidegate.config.home import Home
from tidegate.config.project import Project

PLATFORM = "namespace: shop\n"
DATASET = """\
source: {files: "data/{date}.csv"}
event_time: sold_at
key: [order]
calendar: {time_zone: Europe/Berlin}
columns:
  order: {type: text, nullable: false}
  sold_at: {type: timestamp}
  price: {type: number, min: 0}
  shop: {type: category}
  returned: {type: boolean, known: later}
"""
MODEL = """\
dataset: sales
kind: binary
label:
  column: returned
  source: {files: "labels/{date}.csv"}
  delay: 14d
  classes: [true, false]
  positive: true
features: [price, shop]
"""


@pytest.fixture
def good_dataset() -> str:
    return DATASET


@pytest.fixture
def good_model() -> str:
    return MODEL


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Project]:
    """Writes the three files of a home, each replaceable, and gives its project."""

    def _write(*, platform: str = PLATFORM, dataset: str = DATASET, model: str = MODEL) -> Project:
        for folder in ("datasets", "models"):
            (tmp_path / "configs" / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "configs/tidegate.yaml").write_text(platform)
        (tmp_path / "configs/datasets/sales.yaml").write_text(dataset)
        (tmp_path / "configs/models/returns.yaml").write_text(model)
        return Project(Home.at(tmp_path))

    return _write
