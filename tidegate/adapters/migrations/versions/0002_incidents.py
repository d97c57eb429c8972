"""Incidents, their events and mutes; an alarm is told from others by its cause, too.

Written out, not taken from `schema`: what a migration does may never change afterwards.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True, autoincrement=True)


def _text(name: str, length: int, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def _moment(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _table(name: str, *parts: sa.Column[Any] | sa.UniqueConstraint) -> None:
    op.create_table(name, _text("namespace", 64), _text("owner", 64), *parts)


def upgrade() -> None:
    # SQLite cannot change a constraint in place: the batch copies the table, rows included.
    with op.batch_alter_table("alarms") as batch:
        batch.add_column(sa.Column("cause", sa.String(16), nullable=False, server_default=""))
        batch.drop_constraint("one_alarm", type_="unique")
        batch.create_unique_constraint("one_alarm", ["namespace", "model", "window", "monitor", "subject", "cause"])

    _table("incidents", _whole("number"), _text("scope", 16), _text("name", 64), _text("cause", 16),
           _text("severity", 16), _text("status", 16), _text("opened", 10), _text("last", 10), _text("closed", 10),
           _whole("revision"), sa.Column("body", sa.JSON, nullable=False), _moment("known_at"),
           sa.UniqueConstraint("namespace", "number", name="one_incident"))  # fmt: skip
    op.create_index("incidents_of", "incidents", ["namespace", "scope", "name", "status"])

    _table("incident_events", _id(), _whole("number"), _text("what", 16), _text("window", 10), _text("by", 120),
           sa.Column("note", sa.Text, nullable=False), _moment("at"))  # fmt: skip
    op.create_index("events_of", "incident_events", ["namespace", "number", "id"])
    if op.get_context().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER incident_events_refuses_{change.lower()} BEFORE {change} ON incident_events "
                "BEGIN SELECT RAISE(ABORT, 'the events of incidents are append-only'); END"
            )

    _table("mutes", _id(), _text("model", 64), _text("subject", 160), _text("until", 10), _text("by", 120),
           sa.Column("reason", sa.Text, nullable=False), _moment("known_at"), _text("ended_by", 120, True),
           _moment("ended_at", True))  # fmt: skip
    op.create_index("mutes_of", "mutes", ["namespace", "model", "until"])


def downgrade() -> None:
    for name in ("mutes", "incident_events", "incidents"):
        op.drop_table(name)
    with op.batch_alter_table("alarms") as batch:
        batch.drop_constraint("one_alarm", type_="unique")
        batch.create_unique_constraint("one_alarm", ["namespace", "model", "window", "monitor", "subject"])
        batch.drop_column("cause")
