"""How long things are kept, and how much of the disk they may take."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field, field_validator

from tidegate.config.base import Settings, show, wrong
from tidegate.config.values import Duration, Name, Number, Whole

TABLES = (
    *("batches", "quarantine", "profiles", "labels", "inferences", "metrics", "findings"),
    *("served", "refusals", "posted_labels", "resources"),
)
"""Bulk tables, by the names that `retention.tables` knows."""
LEAST = timedelta(days=120)
"""Monitors, limits and holdouts look back over it, so that nothing younger is ever given up."""


class Retention(Settings):
    """What `compact` gives up, and when; lineage, ledger, digests and verdicts are kept for good."""

    tables: dict[Name, Duration] = Field(
        default_factory=dict,
        description="Age at which windows of a table are given up, at least 120d; a table that is not named is kept.",
    )
    restated: Duration = Field(
        timedelta(days=90),
        ge=timedelta(days=1),
        description="How long the former content of a restated window is kept, for `--as-of`.",
    )
    reproduce: Duration = Field(
        timedelta(days=365),
        ge=timedelta(days=1),
        description="How long a version that is out of service can be reproduced: its package and the windows that it "
        "was trained on are kept as long, whatever else is given up.",
    )
    files: Duration = Field(
        timedelta(days=30), ge=timedelta(days=1), description="How long log files, dated pages and reports are kept."
    )
    settle: Duration = Field(
        timedelta(days=2),
        ge=timedelta(days=1),
        description="Age at which the parts of a served window become one file.",
    )
    budget: Whole = Field(50 * 10**9, ge=10**7, description="Bytes that the state may take on the disk.")
    free: Number = Field(0.05, ge=0, le=0.9, description="Share of the disk that must stay free.")

    @field_validator("tables")
    @classmethod
    def _known(cls, tables: dict[str, timedelta]) -> dict[str, timedelta]:
        for name, kept in tables.items():
            if name not in TABLES:
                raise wrong(f"one of {', '.join(TABLES)}", show(name), key=name)
            if kept < LEAST:
                raise wrong(f"{LEAST.days}d or more, which monitors look back over", show(f"{kept.days}d"), key=name)
        return tables


__all__ = ["LEAST", "TABLES", "Retention"]
