"""The serving plan: which version decides, which one is on trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["champion", "shadow", "canary"]


@dataclass(frozen=True, slots=True)
class ServingPlan:
    """One atomic record a model; `revision` grows by one with every change."""

    model: str
    revision: int = 0
    champion: int | None = None
    champion_digest: str | None = None
    challenger: int | None = None
    challenger_digest: str | None = None
    mode: Mode = "champion"
    weight: float = 0.0
