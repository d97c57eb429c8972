"""What was told of alarms, through which channel, and what came of it."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _text(name: str, length: int, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _moment(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _whole(name: str, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        _text("namespace", 64), _text("owner", 64), _whole("alarm"), _whole("incident", True), _text("model", 64),
        _text("group", 64), _text("severity", 16), _text("channel", 64), _whole("round"), _text("state", 16),
        _whole("attempts"), _moment("due"), _moment("claimed", True), _text("message", 64, True),
        _text("digest", 64, True), sa.Column("error", sa.Text, nullable=False), _moment("delivered_at", True),
        _moment("known_at"),
        sa.UniqueConstraint("namespace", "alarm", "channel", "round", name="one_delivery"),
    )  # fmt: skip
    op.create_index("deliveries_due", "deliveries", ["namespace", "state", "due"])
    op.create_index("deliveries_of", "deliveries", ["namespace", "incident", "channel"])


def downgrade() -> None:
    op.drop_table("deliveries")
