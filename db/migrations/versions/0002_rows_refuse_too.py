"""Every row of raw_calls refuses to change, too.

A trigger for each statement fires only where the statement names the table itself: an UPDATE of a table that raw_calls
was made to inherit from, or a partition of, went past it.
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute(
        "CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON raw_calls"
        " FOR EACH ROW EXECUTE FUNCTION raw_calls_append_only()"
    )
    op.execute("ALTER TABLE raw_calls ENABLE ALWAYS TRIGGER append_only_rows")
