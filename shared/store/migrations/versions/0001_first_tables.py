"""The first tables: models, jobs, items, results, progress."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    _create_models_and_jobs()
    _create_items()
    _create_results()
    _create_progress()


def _create_models_and_jobs() -> None:
    op.create_table(
        "models",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
    )
    op.create_index("models_by_name", "models", ["name", "version"], unique=True)
    op.create_table(
        "jobs",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("key", sa.Text, unique=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("model_id", sa.Integer, sa.ForeignKey("models.id"), nullable=False),
        sa.Column("submitted", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sqlite_autoincrement=True,
    )


def _create_items() -> None:
    op.create_table(
        "items",
        sa.Column("job_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("index", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("ref", sa.Text, nullable=False),
        sa.Column("custom_id", sa.Text),
        sqlite_with_rowid=False,
    )


def _create_results() -> None:
    class_ids = sa.JSON().with_variant(sa.ARRAY(sa.SmallInteger), "postgresql")
    scores = sa.JSON().with_variant(sa.ARRAY(sa.REAL), "postgresql")
    op.create_table(
        "results",
        sa.Column("job_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("index", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("code", sa.Text),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("model_id", sa.Integer, nullable=False),
        sa.Column("class_ids", class_ids, nullable=False),
        sa.Column("scores", scores, nullable=False),
        sa.Column("top_class", sa.SmallInteger),
        sa.Column("top_score", sa.REAL),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("format", sa.Text),
        sa.Column("bytes", sa.BigInteger),
        sa.Column("sha256", sa.LargeBinary(32)),
        sa.Column("final_url", sa.Text),
        sa.Column("http_status", sa.SmallInteger),
        sa.Column("attempts", sa.SmallInteger, nullable=False),
        sa.Column("fetch_ms", sa.REAL),
        sa.Column("label_ms", sa.REAL),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sqlite_with_rowid=False,
    )


def _create_progress() -> None:
    op.create_table(
        "progress",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("job_id", _ID, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("code", sa.Text),
        sa.Column("count", sa.BigInteger, nullable=False),
    )
    op.create_index("progress_by_job", "progress", ["job_id"])
