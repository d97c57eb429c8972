"""Looks that spent hold-out error, approvals, freezes of models."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _text(name: str, length: int, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def _moment(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _table(name: str, *parts: Any) -> None:
    identity = sa.Column("id", sa.Integer, primary_key=True, autoincrement=True)
    op.create_table(name, identity, _text("namespace", 64), _text("owner", 64), _text("model", 64), *parts)


def upgrade() -> None:
    _table("looks", _whole("version"), _whole("look"), _text("window", 10),
           sa.Column("error", sa.Float, nullable=False), sa.Column("nights", sa.JSON, nullable=False),
           _moment("known_at"),
           sa.UniqueConstraint("namespace", "model", "version", "look", name="one_look"))  # fmt: skip
    op.create_index("looks_of", "looks", ["namespace", "model", "window"])

    _table("approvals", _whole("version"), _text("what", 16), _text("by", 120),
           sa.Column("reason", sa.Text, nullable=False), _moment("until", True),
           sa.Column("body", sa.JSON, nullable=False), _moment("known_at"))  # fmt: skip
    op.create_index("approvals_of", "approvals", ["namespace", "model", "version", "id"])
    if op.get_context().dialect.name == "sqlite":
        for table in ("looks", "approvals"):
            for change in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_refuses_{change.lower()} BEFORE {change} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
                )

    _table("freezes", _text("by", 120), sa.Column("reason", sa.Text, nullable=False), _text("until", 10, True),
           _moment("known_at"), _text("ended_by", 120, True), _moment("ended_at", True))  # fmt: skip
    op.create_index("freezes_of", "freezes", ["namespace", "model"])


def downgrade() -> None:
    for name in ("freezes", "approvals", "looks"):
        op.drop_table(name)
