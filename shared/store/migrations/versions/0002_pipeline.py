"""What a fleet needs: the watermark, duplicates, leases, failure budgets, reuse and suspects."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add columns, indexes and the table of suspects."""
    _extend_jobs()
    _extend_items()
    _extend_results()
    op.create_table(
        "suspects",
        sa.Column("job_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("index", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("trials", sa.SmallInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def _extend_jobs() -> None:
    op.add_column("jobs", sa.Column("name", sa.Text))
    op.add_column("jobs", sa.Column("reason", sa.Text, nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("sealed", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("jobs", sa.Column("digest", sa.Text, nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("published", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("max_failure_rate", sa.REAL))
    op.add_column("jobs", sa.Column("holder", sa.Text))
    op.add_column("jobs", sa.Column("held_until", sa.Double))
    op.create_index("jobs_by_state", "jobs", ["state"])
    op.execute(sa.text("UPDATE jobs SET sealed = true WHERE state <> 'submitting'"))
    # Without a digest of its prefix a submission cannot be gone on with: its command starts a new one.
    op.execute(sa.text("UPDATE jobs SET key = NULL WHERE state = 'submitting' AND submitted > 0"))


def _extend_items() -> None:
    op.add_column("items", sa.Column("ref_hash", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("items", sa.Column("original", sa.BigInteger))
    op.create_index("items_by_ref", "items", ["job_id", "ref_hash"])
    is_duplicate = sa.text("original IS NOT NULL")
    op.create_index(
        "items_by_original",
        "items",
        ["job_id", "original"],
        postgresql_where=is_duplicate,
        sqlite_where=is_duplicate,
    )


def _extend_results() -> None:
    op.add_column("results", sa.Column("reused", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index(
        "results_by_content",
        "results",
        ["sha256", "model_id"],
        postgresql_where=sa.text("reused IS false"),
        sqlite_where=sa.text("reused IS 0"),
    )
