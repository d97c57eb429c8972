"""What a night ran under: configuration, code, model. Kept by window, so that an incident can say what changed."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from tidegate import __version__
from tidegate.config.dataset import Dataset
from tidegate.config.model import Model
from tidegate.steps.stores import Stores
from tidegate.verdicts import Verdict
from tidegate.windows import Window

KIND = "surroundings"
"""The verdict's kind; it judges nothing, and always passes."""


def note_surroundings(stores: Stores, model: Model, window: Window, now: datetime) -> None:
    """Keep the digests of a night's settings and code, and the champion; the same again changes nothing."""
    dataset = stores.project.dataset(model.dataset)
    plan = stores.plans.get(model.name)
    seen: dict[str, Any] = {
        "config": {
            f"configs/models/{model.name}.yaml": _settings(model),
            f"configs/datasets/{dataset.name}.yaml": _settings(dataset),
        },
        "code": {"tidegate": __version__} | _code(stores.home.root, model, dataset),
        "model": {"champion": f"version {plan.champion}" if plan.champion else "none",
                  "mode": plan.mode},
    }  # fmt: skip
    stores.records.put_verdict(model.name, KIND, window.id, Verdict("pass", numbers=seen), now)


def _settings(settings: Model | Dataset) -> str:
    """The digest of what is in force: inherited values count, the order of keys does not."""
    text = json.dumps(settings.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _code(root: Path, model: Model, dataset: Dataset) -> dict[str, str]:
    """The digest of each file below the home that the user's functions are in."""
    named = (model.estimator.build, model.estimator.features, model.label.source.python, dataset.source.python)
    out = {}
    for path in sorted({p.partition(":")[0] for p in named if p}):
        file = root.joinpath(*path.split(".")).with_suffix(".py")
        if file.is_file():
            status = file.stat()
            out[file.relative_to(root).as_posix()] = _digest(file, status.st_mtime_ns, status.st_size)
    return out


@lru_cache(maxsize=256)
def _digest(file: Path, _changed: int, _size: int) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


__all__ = ["KIND", "note_surroundings"]
