"""The evidence of a gate: what was logged of a look at a version, read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidegate.adapters.registry import Registry
from tidegate.config.model import Model
from tidegate.errors import UsageError
from tidegate.steps.stores import Stores


@dataclass(frozen=True)
class Evidence:
    """One look at a version: the document, and the files of the readable page and the model card."""

    version: int
    look: int
    document: dict[str, Any]
    page: Path | None
    card: Path | None


def evidence_of(stores: Stores, model: Model, version: int | None = None, look: int | None = None) -> Evidence:
    """The evidence of a version's look; by default of the newest look at the newest version that had one.

    Raises
    ------
    UsageError
        If there is no such version or look, or its evidence is not in the registry.
    """
    known = [v for v in stores.records.versions(model.name) if v["body"]["looks"]]
    found = next((v for v in reversed(known) if version in (None, v["version"])), None)
    thing, do = f"evidence of {model.name}", f"look at tidegate lineage {model.name}"
    if found is None:
        have = ", ".join(str(v["version"]) for v in known) or "none yet"
        raise UsageError(thing, f"a version that the gate looked at: {have}", str(version or "none"), do)
    looks = len(found["body"]["looks"])
    which = looks if look is None else look
    if not 1 <= which <= looks:
        raise UsageError(f"{thing} version {found['version']}", f"a look from 1 to {looks}", str(which), do)
    registry, run = Registry(stores.home.state), found["body"]["run_id"]
    file = registry.evidence(run, f"gate_{which}.json")
    if file is None:
        do = "restore the registry, or gate the version again"
        raise UsageError(f"{thing} version {found['version']}", f"gate_{which}.json in the registry", "none", do)
    page, card = registry.evidence(run, f"gate_{which}.html"), registry.evidence(run, "model_card.md")
    return Evidence(found["version"], which, json.loads(file.read_text()), page, card)
