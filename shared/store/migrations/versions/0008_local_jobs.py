"""Jobs that one process runs for itself."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column, and set it for the jobs that `smartsight label` began and did not finish.

    Their keys are the bare digests of its command: all others have a word before them.
    """
    op.add_column("jobs", sa.Column("local", sa.Boolean, nullable=False, server_default=sa.false()))
    jobs = sa.table("jobs", sa.column("key", sa.Text), sa.column("local", sa.Boolean))
    is_digest = (sa.func.length(jobs.c.key) == 64) & jobs.c.key.not_like("% %")
    op.execute(jobs.update().where(is_digest).values(local=sa.true()))
