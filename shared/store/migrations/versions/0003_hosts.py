"""What fetching needs: hosts and who waits for them, robots.txt, validators, and numbers by host."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables, and the host of each result."""
    op.add_column("results", sa.Column("host", sa.Text))
    op.create_table(
        "job_hosts",
        sa.Column("job_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("items", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    _create_hosts()
    _create_waiting()
    _create_robots_and_validators()


def _create_hosts() -> None:
    op.create_table(
        "hosts",
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text),
        sa.Column("held_until", sa.Double, nullable=False, server_default="0"),
        sa.Column("delay", sa.Double, nullable=False, server_default="0"),
        sa.Column("next_at", sa.Double, nullable=False, server_default="0"),
        sa.Column("closed_until", sa.Double, nullable=False, server_default="0"),
        sa.Column("code", sa.Text),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("trips", sa.Integer, nullable=False, server_default="0"),
        sa.Column("blocked", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("requests", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("generation", sa.Integer, nullable=False, server_default="0"),
        sa.Column("has_waiting", sa.Boolean, nullable=False, server_default=sa.false()),
        sqlite_with_rowid=False,
    )
    has_waiting = sa.text("has_waiting")
    op.create_index(
        "hosts_with_waiting",
        "hosts",
        ["next_at"],
        postgresql_where=has_waiting,
        sqlite_where=has_waiting,
    )


def _create_waiting() -> None:
    op.create_table(
        "waiting",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("job_id", _ID, nullable=False),
        sa.Column("index", sa.BigInteger, nullable=False),
        sa.Column("ref", sa.Text, nullable=False),
        sa.Column("attempt", sa.SmallInteger, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("hops", sa.SmallInteger, nullable=False),
        sa.Column("holder", sa.Text),
        sa.Column("earlier", sa.SmallInteger, nullable=False),
    )
    op.create_index("waiting_by_item", "waiting", ["job_id", "index"], unique=True)
    op.create_index("waiting_by_host", "waiting", ["host", "id"])


def _create_robots_and_validators() -> None:
    op.create_table(
        "robots",
        sa.Column("origin", sa.Text, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("fetched_at", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "validators",
        sa.Column("ref_digest", sa.LargeBinary(16), primary_key=True),
        sa.Column("final_url", sa.Text, nullable=False),
        sa.Column("etag", sa.Text),
        sa.Column("last_modified", sa.Text),
        sa.Column("sha256", sa.LargeBinary(32), nullable=False),
        sqlite_with_rowid=False,
    )
