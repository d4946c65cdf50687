"""Duplicates in an order in which they can be taken some at a time."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Put the item's own index behind its original's."""
    is_duplicate = sa.text("original IS NOT NULL")
    op.drop_index("items_by_original", "items")
    op.create_index(
        "items_by_original",
        "items",
        ["job_id", "original", "index"],
        postgresql_where=is_duplicate,
        sqlite_where=is_duplicate,
    )
