"""Keys of those who may ask the gateway, and what its workers serve."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _text(name: str, length: int, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _moment(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        _text("namespace", 64), _text("owner", 64), _text("name", 64), _text("role", 16),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        _moment("known_at"), _text("ended_by", 120, True), _moment("ended_at", True),
    )  # fmt: skip
    op.create_index("api_keys_of", "api_keys", ["namespace", "name"])
    op.create_table(
        "acks",
        _text("namespace", 64), _text("owner", 64), _text("model", 64), _text("worker", 64),
        sa.Column("revision", sa.Integer, nullable=False), sa.Column("version", sa.Integer),
        _text("package", 64, True), sa.Column("fault", sa.Text, nullable=False), _moment("known_at"),
        sa.Column("seen", sa.Float, nullable=False),
        sa.UniqueConstraint("namespace", "model", "worker", name="one_ack"),
    )  # fmt: skip


def downgrade() -> None:
    for name in ("acks", "api_keys"):
        op.drop_table(name)
