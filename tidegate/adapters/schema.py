"""The tables of the control database; namespace and owner are on every row."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from tidegate.errors import UsageError

metadata = MetaData()


class Instant(TypeDecorator[datetime]):
    """A moment, kept in UTC: SQLite drops time zones, so they are taken off and put back here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise UsageError("instant", "a timezone-aware datetime", repr(value), "add tzinfo=UTC")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


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
    Column("known_at", Instant, nullable=False),
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
    Column("known_at", Instant, nullable=False),
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
    Column("known_at", Instant, nullable=False),
    UniqueConstraint("namespace", "model", name="one_plan"),
)

# Append-only (triggers in the migration refuse changes) and hash-chained: who was champion when, why.
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
    Index("ledger_of", "namespace", "seq"),
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
    Column("known_at", Instant, nullable=False),
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
    Column("known_at", Instant, nullable=False),
    Column("cause", String(16), nullable=False, server_default=""),
    UniqueConstraint("namespace", "model", "window", "monitor", "subject", "cause", name="one_alarm"),
)

# One trouble of a model or dataset; changed by compare-and-swap on its revision.
incidents = Table(
    "incidents",
    metadata,
    *_who(),
    Column("number", Integer, nullable=False),
    Column("scope", String(16), nullable=False),
    Column("name", String(64), nullable=False),
    Column("cause", String(16), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("opened", String(10), nullable=False),
    Column("last", String(10), nullable=False),
    Column("closed", String(10), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("body", JSON, nullable=False),
    Column("known_at", Instant, nullable=False),
    UniqueConstraint("namespace", "number", name="one_incident"),
    Index("incidents_of", "namespace", "scope", "name", "status"),
)

# Append-only (triggers in the migration refuse changes): what happened to an incident, by whom.
incident_events = Table(
    "incident_events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    *_who(),
    Column("number", Integer, nullable=False),
    Column("what", String(16), nullable=False),
    Column("window", String(10), nullable=False),
    Column("by", String(120), nullable=False),
    Column("note", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("events_of", "namespace", "number", "id"),
)

# Sets of calibrated limits: one is active a model, others run beside it.
detectors = Table(
    "detectors",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    *_who(),
    Column("model", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("window", String(10), nullable=False),
    Column("status", String(16), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("body", JSON, nullable=False),
    Column("known_at", Instant, nullable=False),
    Column("since", String(10)),
    Index("detectors_of", "namespace", "model", "number"),
)

# A person's wish not to be told of a subject; one that was ended early keeps its row.
mutes = Table(
    "mutes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    *_who(),
    Column("model", String(64), nullable=False),
    Column("subject", String(160), nullable=False),
    Column("until", String(10), nullable=False),
    Column("by", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("known_at", Instant, nullable=False),
    Column("ended_by", String(120)),
    Column("ended_at", Instant),
    Index("mutes_of", "namespace", "model", "until"),
)

# Append-only (triggers in the migration refuse changes): each look at a candidate and the error it spent.
looks = Table(
    "looks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    *_who(),
    Column("model", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("look", Integer, nullable=False),
    Column("window", String(10), nullable=False),
    Column("error", Float, nullable=False),
    Column("nights", JSON, nullable=False),
    Column("known_at", Instant, nullable=False),
    UniqueConstraint("namespace", "model", "version", "look", name="one_look"),
    Index("looks_of", "namespace", "model", "window"),
)

# Append-only likewise: what was asked of people about a version, and what they answered.
approvals = Table(
    "approvals",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    *_who(),
    Column("model", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("what", String(16), nullable=False),
    Column("by", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("until", Instant),
    Column("body", JSON, nullable=False),
    Column("known_at", Instant, nullable=False),
    Index("approvals_of", "namespace", "model", "version", "id"),
)

# Automatic retraining and promotion of a model stopped by a person; one that was ended keeps its row.
freezes = Table(
    "freezes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    *_who(),
    Column("model", String(64), nullable=False),
    Column("by", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("until", String(10)),
    Column("known_at", Instant, nullable=False),
    Column("ended_by", String(120)),
    Column("ended_at", Instant),
    Index("freezes_of", "namespace", "model"),
)

# Who may ask the gateway for what; a key itself is kept nowhere, only its digest.
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    *_who(),
    Column("name", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("known_at", Instant, nullable=False),
    Column("ended_by", String(120)),
    Column("ended_at", Instant),
    Index("api_keys_of", "namespace", "name"),
)

# What each worker of a gateway serves: the revision of the plan that it has switched to, or why it could not.
acks = Table(
    "acks",
    metadata,
    *_who(),
    Column("model", String(64), nullable=False),
    Column("worker", String(64), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("version", Integer),
    Column("package", String(64)),
    Column("fault", Text, nullable=False),
    Column("known_at", Instant, nullable=False),
    Column("seen", Float, nullable=False),
    UniqueConstraint("namespace", "model", "worker", name="one_ack"),
)

# What was told of an alarm through a channel, and what came of it; a reminder is another round.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    *_who(),
    Column("alarm", Integer, nullable=False),
    Column("incident", Integer),
    Column("model", String(64), nullable=False),
    Column("group", String(64), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("channel", String(64), nullable=False),
    Column("round", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", Instant, nullable=False),
    Column("claimed", Instant),
    Column("message", String(64)),
    Column("digest", String(64)),
    Column("error", Text, nullable=False),
    Column("delivered_at", Instant),
    Column("known_at", Instant, nullable=False),
    UniqueConstraint("namespace", "alarm", "channel", "round", name="one_delivery"),
    Index("deliveries_due", "namespace", "state", "due"),
    Index("deliveries_of", "namespace", "incident", "channel"),
)

# Frozen grids of datasets, by name and digest.
grids = Table(
    "grids",
    metadata,
    *_who(),
    Column("name", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("body", JSON, nullable=False),
    Column("known_at", Instant, nullable=False),
    UniqueConstraint("namespace", "owner", "name", name="one_grid"),
)

__all__ = [
    "Instant", "acks", "alarms", "api_keys", "approvals", "deliveries", "detectors", "freezes", "grids",
    "incident_events", "incidents", "leases", "ledger", "looks", "metadata", "mutes", "plans", "verdicts", "versions",
    "windows",
]  # fmt: skip
