"""The platform file, `configs/tidegate.yaml`."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tidegate.config.base import Duration, Name, Settings
from datetime import timedelta


class Platform(Settings):
    """What holds for every model of a home."""

    namespace: Name = "default"
    state: str = Field("var", description="Folder of all state, relative to the home.")
    lease: Duration = Field(timedelta(minutes=15), description="How long a lease lives without renewal.")
    defaults: dict[str, Any] = Field(
        default_factory=dict, description="Defaults that every model file inherits, key by key."
    )
