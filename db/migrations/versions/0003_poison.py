"""What tells a chunk that kills its workers, and the job in it."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("ALTER TABLE chunks ADD COLUMN stalled integer NOT NULL DEFAULT 0, ADD COLUMN pending integer")
    op.execute("ALTER TABLE jobs ADD COLUMN deaths integer NOT NULL DEFAULT 0")


def downgrade() -> None:
    op.execute("ALTER TABLE jobs DROP COLUMN deaths")
    op.execute("ALTER TABLE chunks DROP COLUMN stalled, DROP COLUMN pending")
