"""Where a sweep's later waves begin: their chunks wait for those before."""

from alembic import op

revision = "0005"
down_revision = "0003"


def upgrade() -> None:
    op.execute("ALTER TABLE sweeps ADD COLUMN waves bigint[] NOT NULL DEFAULT '{}'")


def downgrade() -> None:
    op.execute("ALTER TABLE sweeps DROP COLUMN waves")
