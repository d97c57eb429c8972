"""The tables of the control database; namespace and owner are on every row."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

metadata = MetaData()


def _who() -> tuple[Column[str], Column[str]]:
    return Column("namespace", String(64), nullable=False), Column("owner", String(64), nullable=False)


# What the lake holds: the newest row of (namespace, owner, table, window) is authoritative,
# older ones answer what was known then.
windows = Table(
    "windows",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    *_who(),
    Column("table", String(64), nullable=False),
    Column("window", String(10), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("files", JSON, nullable=False),
    Column("known_at", DateTime(timezone=True), nullable=False),
    Index("windows_of", "namespace", "owner", "table", "window", "id"),
)

# Verdicts on a window (quality, say), with their reasons; newest wins, all are kept.
verdicts = Table(
    "verdicts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    *_who(),
    Column("kind", String(32), nullable=False),
    Column("window", String(10), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("body", JSON, nullable=False),
    Column("known_at", DateTime(timezone=True), nullable=False),
    Index("verdicts_of", "namespace", "owner", "kind", "window", "id"),
)

leases = Table(
    "leases",
    metadata,
    *_who(),
    Column("name", String(160), nullable=False),
    Column("token", Integer, nullable=False),
    Column("holder", String(120), nullable=False),
    Column("expires", Float, nullable=False),
    UniqueConstraint("namespace", "name", name="one_lease"),
)

# The serving plan: one atomic row a model, changed by compare-and-swap on its revision.
plans = Table(
    "plans",
    metadata,
    *_who(),
    Column("model", String(64), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("champion", Integer),
    Column("champion_digest", String(64)),
    Column("challenger", Integer),
    Column("challenger_digest", String(64)),
    Column("mode", String(16), nullable=False),
    Column("weight", Float, nullable=False),
    Column("known_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("namespace", "model", name="one_plan"),
)

# Append-only and hash-chained: who was champion when, why, on what evidence.
ledger = Table(
    "ledger",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    *_who(),
    Column("model", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("window", String(10)),
    Column("at", String(40), nullable=False),
    Column("body", JSON, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
)

# Every trained version, from candidate to retirement.
versions = Table(
    "versions",
    metadata,
    *_who(),
    Column("model", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("body", JSON, nullable=False),
    Column("known_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("namespace", "model", "version", name="one_version"),
)

alarms = Table(
    "alarms",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    *_who(),
    Column("model", String(64), nullable=False),
    Column("window", String(10), nullable=False),
    Column("monitor", String(64), nullable=False),
    Column("subject", String(160), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("body", JSON, nullable=False),
    Column("known_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("namespace", "model", "window", "monitor", "subject", name="one_alarm"),
)

# Frozen grids of datasets, by name and digest.
grids = Table(
    "grids",
    metadata,
    *_who(),
    Column("name", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("body", JSON, nullable=False),
    Column("known_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("namespace", "owner", "name", name="one_grid"),
)

__all__ = ["alarms", "grids", "leases", "ledger", "metadata", "plans", "verdicts", "versions", "windows"]
