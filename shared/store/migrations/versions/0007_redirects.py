"""How many redirects led to a result's final URL."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column: results from before have none."""
    op.add_column("results", sa.Column("redirects", sa.SmallInteger))
