"""How many recorders died of a list, and when a webhook was put off."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the columns: nothing has died before, and nothing is known of the clock that put something off."""
    op.add_column("uploads", sa.Column("crashes", sa.SmallInteger, nullable=False, server_default="0"))
    op.add_column("webhooks", sa.Column("put_off_at", sa.Double, nullable=False, server_default="0"))
