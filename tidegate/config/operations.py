"""What `tidegate up` starts, and where it listens."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from tidegate.config.base import Settings
from tidegate.config.values import Duration, Whole


class Operations(Settings):
    """The servers that `tidegate up` starts beside the gateway, whose place is `serving.host` and `serving.port`."""

    host: str = Field(
        "127.0.0.1",
        pattern=r"^(127\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}|localhost|::1)$",
        description="Loopback address of Prefect's server, MLflow's and the pages; a proxy brings them to others.",
    )
    prefect_port: Whole = Field(4200, ge=1, le=65535, description="Port of Prefect's server and UI.")
    mlflow_port: Whole = Field(5000, ge=1, le=65535, description="Port of MLflow's server and UI.")
    pages_port: Whole = Field(8081, ge=1, le=65535, description="Port of the pages.")
    patience: Duration = Field(
        timedelta(minutes=3), ge=timedelta(seconds=5), description="Time for a server to become healthy."
    )
    log_bytes: Whole = Field(
        10 * 2**20, ge=2**16, description="Size at which the log of a server begins anew; the one before is kept."
    )


__all__ = ["Operations"]
