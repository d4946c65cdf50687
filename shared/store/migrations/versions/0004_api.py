"""What the results API needs: owners of jobs, lists handed in, keys, webhooks, what is to be forgotten."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the columns, indexes and tables."""
    op.add_column("jobs", sa.Column("key_id", sa.Integer))
    op.add_column("jobs", sa.Column("asked", sa.Text, nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("priority", sa.SmallInteger, nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("malformed", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("rate", sa.REAL))
    _change_indexes()
    _create_uploads()
    _create_keys()
    _create_webhooks_and_denied()


def _change_indexes() -> None:
    op.drop_index("items_by_ref", "items")
    op.create_index("items_by_ref", "items", ["ref_hash", "job_id"])
    op.drop_index("results_by_content", "results")
    _create_index_where("results_by_content", "sha256", ["sha256", "model_id", "reused"])
    _create_index_where("results_by_code", "code", ["job_id", "code", "index"])
    _create_index_where("results_by_class", "top_class", ["job_id", "top_class", "index"])
    _create_index_where("results_by_host", "host", ["job_id", "host", "index"])


def _create_index_where(name: str, column: str, columns: list[str]) -> None:
    present = sa.text(f"{column} IS NOT NULL")
    op.create_index(name, "results", columns, postgresql_where=present, sqlite_where=present)


def _create_uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("job_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("ref_column", sa.Text, nullable=False),
        sa.Column("id_column", sa.Text),
        sa.Column("charged", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("holder", sa.Text),
        sa.Column("held_until", sa.Double, nullable=False, server_default="0"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "upload_parts",
        sa.Column("job_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "malformed",
        sa.Column("job_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("line", sa.BigInteger),
        sa.Column("lines", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )


def _create_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("ending", sa.Text, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("rate", sa.Double, nullable=False),
        sa.Column("burst", sa.Integer, nullable=False),
        sa.Column("images_per_day", sa.BigInteger),
        sa.Column("open_jobs", sa.Integer),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("due_at", sa.Double, nullable=False, server_default="0"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "key_usage",
        sa.Column("key_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("images", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def _create_webhooks_and_denied() -> None:
    op.create_table(
        "webhooks",
        sa.Column("job_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("next_at", sa.Double, nullable=False, server_default="0"),
        sa.Column("last_error", sa.Text, nullable=False, server_default=""),
        sqlite_with_rowid=False,
    )
    op.create_index("webhooks_by_time", "webhooks", ["state", "next_at"])
    op.create_table(
        "denied",
        sa.Column("digest", sa.LargeBinary(32), primary_key=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sqlite_with_rowid=False,
    )
