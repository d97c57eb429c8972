"""What all configuration models share: frozen, strict, named."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints


class Settings(BaseModel):
    """Base of every configuration model: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, ser_json_timedelta="iso8601")


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,64}$")]
ColumnName = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f`\"']{1,128}$")]
UserCode = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]

_UNITS = {"h": "hours", "d": "days", "w": "weeks", "m": "minutes", "s": "seconds"}


def _duration(value: object) -> object:
    if isinstance(value, str) and value and value[-1] in _UNITS:
        try:
            return timedelta(**{_UNITS[value[-1]]: float(value[:-1])})
        except ValueError:
            return value
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
"""A time span, written ``30m``, ``36h``, ``2d`` or ``1w``."""
