"""How models are served: the gateway's limits, its log, and what a model asks of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field

from tidegate.config.base import Settings
from tidegate.config.values import Columns, Duration, Number, Whole


class LogSettings(Settings):
    """The log of every inference, until a night collects it."""

    durability: Literal["buffered", "sync"] = Field(
        "buffered",
        description="`buffered`: a record is with the operating system before the answer goes out, so it survives a "
        "killed process; `sync`: on the disk, so it survives a power cut too.",
    )
    segment_bytes: Whole = Field(
        32 * 2**20, ge=64 * 2**10, le=2**30, description="Size at which a segment is sealed and the next one begun."
    )
    max_bytes: Whole = Field(
        2 * 2**30,
        ge=128 * 2**10,
        description="Bytes that wait for collection, a model and home; what comes above is dropped and counted.",
    )
    seal_after: Duration = Field(
        timedelta(minutes=10),
        gt=timedelta(0),
        description="Age at which a segment is sealed, so that a night can collect it.",
    )


class Gateway(Settings):
    """The serving gateway: where it listens, and what it refuses."""

    host: str = Field(
        "127.0.0.1", min_length=1, description="Address it listens on; beyond loopback it asks for API keys."
    )
    port: Whole = Field(8080, ge=0, le=65535, description="Port; 0 takes a free one.")
    workers: Whole = Field(2, ge=1, le=256, description="Worker processes.")
    max_body: Whole = Field(8 * 2**20, ge=1024, description="Bytes of a request's body; above it answers 413.")
    max_rows: Whole = Field(10_000, ge=1, description="Rows of a request; above it answers 413.")
    concurrency: Whole = Field(64, ge=1, description="Requests a worker has in hand at once; above it answers 429.")
    timeout: Duration = Field(
        timedelta(seconds=30), gt=timedelta(0), description="Time for a request's body to arrive, and for its scoring."
    )
    poll: Duration = Field(
        timedelta(milliseconds=500), gt=timedelta(0), description="How often a worker looks at plans and keys."
    )
    log: LogSettings = Field(LogSettings(), description="The log of inferences, until a night collects it.")


class Serving(Settings):
    """What a model asks of those who send it rows, and of its service."""

    extra_columns: Literal["refuse", "drop"] = Field(
        "refuse", description="What becomes of columns that the contract does not know."
    )
    coerce: Columns = Field(
        (), description="Columns whose numbers, truth values and instants may come as text, as they do in CSV."
    )
    sample: Number = Field(
        1.0, gt=0, le=1, description="Share of requests that are logged; drawn at random, and recorded with each row."
    )
    max_error_share: Number = Field(
        0.02, gt=0, lt=1, description="Share of requests that may fail by the service's fault before somebody is told."
    )
    max_p99: Duration | None = Field(
        None, gt=timedelta(0), description="Latency that 99 of 100 requests keep; left out, only regressions are told."
    )
    skew_rows: Whole = Field(
        500, ge=0, le=100_000, description="Logged rows that a night replays through the registered model."
    )


__all__ = ["Gateway", "LogSettings", "Serving"]
