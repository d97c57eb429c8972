"""The platform file, `configs/tidegate.yaml`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import Field

from tidegate.config.base import Settings
from tidegate.config.values import Duration, Name, RelativePath


class Platform(Settings):
    """What holds for every model of a home."""

    namespace: Name = Field("default", description="Put on every stored row of this home's models and datasets.")
    state: RelativePath = Field("var", description="Folder of all state, relative to the home.")
    lease: Duration = Field(
        timedelta(minutes=15), gt=timedelta(0), description="How long a lease lives without renewal."
    )
    defaults: dict[str, Any] = Field(
        default_factory=dict,
        description="Any keys of a model file but `name`; every model file inherits them, key by key.",
    )
