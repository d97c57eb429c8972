"""The first schema: windows, verdicts, leases, plans, ledger, versions, alarms, grids.

Written out, not taken from `schema`: what a migration does may never change afterwards.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _id(name: str = "id") -> sa.Column[int]:
    return sa.Column(name, sa.Integer, primary_key=True, autoincrement=True)


def _text(name: str, length: int, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _whole(name: str, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=nullable)


def _real(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Float, nullable=False)


def _json(name: str = "body") -> sa.Column[Any]:
    return sa.Column(name, sa.JSON, nullable=False)


def _known_at() -> sa.Column[Any]:
    return sa.Column("known_at", sa.DateTime(timezone=True), nullable=False)


def _table(name: str, *parts: sa.Column[Any] | sa.UniqueConstraint) -> None:
    op.create_table(name, _text("namespace", 64), _text("owner", 64), *parts)


def upgrade() -> None:
    _table("windows", _id(), _text("table", 64), _text("window", 10), _text("digest", 64), _whole("rows"),
           _json("files"), _known_at())  # fmt: skip
    op.create_index("windows_of", "windows", ["namespace", "owner", "table", "window", "id"])

    _table("verdicts", _id(), _text("kind", 32), _text("window", 10), _text("outcome", 16), _json(), _known_at())
    op.create_index("verdicts_of", "verdicts", ["namespace", "owner", "kind", "window", "id"])

    _table("leases", _text("name", 160), _whole("token"), _text("holder", 120), _real("expires"),
           sa.UniqueConstraint("namespace", "name", name="one_lease"))  # fmt: skip

    _table("plans", _text("model", 64), _whole("revision"), _whole("champion", True),
           _text("champion_digest", 64, True), _whole("challenger", True), _text("challenger_digest", 64, True),
           _text("mode", 16), _real("weight"), _known_at(),
           sa.UniqueConstraint("namespace", "model", name="one_plan"))  # fmt: skip

    _table("ledger", _id("seq"), _text("model", 64), _text("kind", 32), _text("window", 10, True), _text("at", 40),
           _json(), _text("previous", 64), _text("digest", 64), sa.UniqueConstraint("digest"))  # fmt: skip
    op.create_index("ledger_of", "ledger", ["namespace", "seq"])
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER ledger_refuses_{change.lower()} BEFORE {change} ON ledger "
            "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        )

    _table("versions", _text("model", 64), _whole("version"), _text("digest", 64), _text("status", 16), _json(),
           _known_at(), sa.UniqueConstraint("namespace", "model", "version", name="one_version"))  # fmt: skip

    _table("alarms", _id(), _text("model", 64), _text("window", 10), _text("monitor", 64), _text("subject", 160),
           _text("severity", 16), _json(), _known_at(),
           sa.UniqueConstraint("namespace", "model", "window", "monitor", "subject", name="one_alarm"))  # fmt: skip

    _table("grids", _text("name", 64), _text("digest", 64), _json(), _known_at(),
           sa.UniqueConstraint("namespace", "owner", "name", name="one_grid"))  # fmt: skip


def downgrade() -> None:
    for name in ("grids", "alarms", "versions", "ledger", "plans", "leases", "verdicts", "windows"):
        op.drop_table(name)
