"""Items that wait for another attempt, when failing hosts are given up, and which workers are alive."""

import sqlalchemy as sa
from alembic import op

from shared.store.schema import Id

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the tables and the column: what waits already is not known until its next attempt."""
    op.create_table(
        "retries",
        sa.Column("job_id", Id, primary_key=True, autoincrement=False),
        sa.Column("index", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("host", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("attempts", sa.SmallInteger, nullable=False),
        sa.Column("final_url", sa.Text),
        sa.Column("http_status", sa.SmallInteger),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("ends_at", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("retries_by_time", "retries", ["job_id", "due_at"])
    op.create_table(
        "workers",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("job_id", Id),
        sa.Column("seen_at", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.add_column("hosts", sa.Column("gives_up_at", sa.Double, nullable=False, server_default="0"))
