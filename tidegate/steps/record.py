"""The record of a training: windows and their digests, configuration, code, libraries."""

from __future__ import annotations

import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

from tidegate import __version__
from tidegate.adapters.packages import requirements
from tidegate.config.model import Model
from tidegate.lineage.digest import file_digest, json_digest
from tidegate.steps.stores import Stores
from tidegate.windows import Window


def record_of(stores: Stores, model: Model, nights: list[str], window: Window, now: datetime) -> dict[str, Any]:
    """What a training on these nights, as known on the evening of `window`, is made from."""
    dataset = stores.project.dataset(model.dataset)
    lock = stores.home.root / "requirements.lock"
    labels = {s.window: s.digest for s in stores.lake.many("labels", model.name) if s.window <= window.id}
    return {
        "trained": nights,
        "as_of": window.id,
        "trained_at": now.isoformat(),
        "batches": {s.window: s.digest for s in stores.data.many("batches", model.dataset, nights)},
        "labels": labels,
        "config": {
            "model": json_digest(model.model_dump(mode="json")),
            "dataset": json_digest(dataset.model_dump(mode="json")),
        },
        "code": {"tidegate": __version__, "revision": _revision(stores.home.root)},
        "libraries": requirements(),
        "lock": file_digest(lock) if lock.is_file() else None,
    }


def _revision(root: Path) -> str | None:
    try:
        command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
