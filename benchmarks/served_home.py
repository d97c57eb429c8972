"""A home with two champions to be served: the flights as they are, with their pandas features, and without any.

`python benchmarks/served_home.py FOLDER`: ten weeks of flights, taken in and learned from; a minute or two.
"""

from __future__ import annotations

import shutil
import sys
from datetime import date, timedelta
from pathlib import Path

import yaml

from tidegate.clock import evening_of
from tidegate.config.home import Home
from tidegate.steps.candidate import look_at, train_and_register
from tidegate.steps.ingest import ingest
from tidegate.steps.labels import collect_labels
from tidegate.steps.promote import promote
from tidegate.steps.stores import Stores, open_stores

ROOT = Path(__file__).resolve().parents[1]
FIRST, NIGHTS = date(2013, 1, 1), 70
MODELS = ("flights", "plain")


def prepare(folder: Path) -> Home:
    """The home below `folder`, made unless it is there."""
    home = Home.at(folder)
    if (folder / "ready").exists():
        return home
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "configs", folder / "configs")
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "var").mkdir()
    (folder / "var" / "flights").symlink_to(ROOT / "var" / "flights")
    for name in ("datasets/flights.yaml", "models/flights.yaml"):
        path = folder / "configs" / name
        found = yaml.safe_load(path.read_text())
        if name.startswith("models"):
            own = {k: v for k, v in found["estimator"].items() if k != "features"}
            features = [f for f in found["features"] if f != "scheduled"]
            plain = found | {"name": "plain", "estimator": own, "features": features}
            plain["gate"] = {k: v for k, v in found["gate"].items() if k != "baseline"}
            (folder / "configs" / "models" / "plain.yaml").write_text(yaml.safe_dump(plain, sort_keys=False))
    stores = open_stores(home)
    for name in MODELS:
        champion(stores, name)
    (folder / "ready").touch()
    return home


def champion(stores: Stores, name: str) -> int:
    """Take in the nights, train, gate, promote; the version."""
    model = stores.project.model(name)
    dataset = stores.project.dataset(model.dataset)
    calendar = stores.project.calendar(dataset)
    for i in range(NIGHTS):
        window = calendar.window((FIRST + timedelta(days=i)).isoformat())
        ingest(stores, dataset, window, evening_of(window))
        collect_labels(stores, model, window, evening_of(window))
    now = evening_of(window)
    version = train_and_register(stores, model, window, now, reason="benchmark")
    verdict = look_at(stores, model, version, window, now)
    if not verdict.passed:
        sys.exit(f"{name}: {verdict.outcome}: {'; '.join(verdict.reasons)}")
    promote(stores, model, version, window, now, why={"reason": "benchmark"}, by="benchmark")
    return version


if __name__ == "__main__":
    prepare(Path(sys.argv[1]).resolve())
