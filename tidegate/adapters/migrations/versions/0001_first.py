"""The first schema: windows, verdicts, leases, plans, ledger, versions, alarms, grids."""

from alembic import op

from tidegate.adapters.schema import metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    metadata.drop_all(op.get_bind())
