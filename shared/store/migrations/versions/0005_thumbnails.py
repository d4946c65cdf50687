"""What models saw of images."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "thumbnails",
        sa.Column("sha256", sa.LargeBinary(32), primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
