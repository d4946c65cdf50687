"""The tables. Insert-only where it is hot: ``items`` at submit, ``results`` and ``progress`` while running.

The hot tables have no foreign keys: each row would cost a look-up of its job, and in Postgres a lock on it.
"""

from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    REAL,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    false,
)

from shared.store.result_columns import COLUMNS

metadata = MetaData()

# SQLite auto-increments only columns of type INTEGER, which has 64 bits there.
Id = BigInteger().with_variant(Integer, "sqlite")

models = Table(
    "models",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    #: [[wordnet_id, name], ...]: results stay readable when the model's folder is gone.
    Column("labels", JSON, nullable=False),
    Index("models_by_name", "name", "version", unique=True),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Id, primary_key=True),
    #: Idempotency key; it finds the same job until it is released.
    Column("key", Text, unique=True),
    Column("name", Text),
    Column("state", Text, nullable=False),
    #: Why it is paused.
    Column("reason", Text, nullable=False, server_default=""),
    #: Whether all items are recorded.
    Column("sealed", Boolean, key="recorded", nullable=False, server_default=false()),
    Column("model_id", ForeignKey("models.id"), nullable=False),
    Column("submitted", BigInteger, nullable=False),
    #: Digest of the references recorded so far.
    Column("digest", Text, key="references_digest", nullable=False, server_default=""),
    #: The watermark: every item below this index was confirmed by the broker or has a result.
    Column("published", BigInteger, nullable=False, server_default="0"),
    Column("max_failure_rate", REAL),
    #: The API key that it belongs to; NULL if none was required.
    Column("key_id", Integer),
    #: Digest of the request, to detect a different one with the same key.
    Column("asked", Text, key="request_digest", nullable=False, server_default=""),
    #: Jobs with a higher one are published first.
    Column("priority", SmallInteger, nullable=False, server_default="0"),
    #: Malformed lines of its list.
    Column("malformed", BigInteger, nullable=False, server_default="0"),
    #: Recent rate, in items per second.
    Column("rate", REAL),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("finished_at", DateTime(timezone=True)),
    #: Whether one process of `smartsight label` runs it for itself: its items can be files of that machine.
    Column("local", Boolean, nullable=False, server_default=false()),
    #: Which dispatcher publishes the job, or which process runs it for itself, and until when, in seconds
    #: since 1970 by the database's clock.
    Column("holder", Text),
    Column("held_until", Double),
    Index("jobs_by_state", "state"),
    sqlite_autoincrement=True,
)

items = Table(
    "items",
    metadata,
    Column("job_id", Id, primary_key=True, autoincrement=False),
    Column("index", BigInteger, primary_key=True),
    Column("ref", Text, nullable=False),
    Column("custom_id", Text),
    #: 64 bits of the reference's digest, to find earlier items with the same one.
    Column("ref_hash", BigInteger, nullable=False, server_default="0"),
    #: Index of the first item with the same reference, whose result this one gets.
    Column("original", BigInteger),
    sqlite_with_rowid=False,
)
#: The digest comes first, to find a URL across jobs.
Index("items_by_ref", items.c.ref_hash, items.c.job_id)
_IS_DUPLICATE = items.c.original.is_not(None)
Index(
    "items_by_original",
    items.c.job_id,
    items.c.original,
    items.c.index,
    postgresql_where=_IS_DUPLICATE,
    sqlite_where=_IS_DUPLICATE,
)

results = Table(
    "results",
    metadata,
    Column("job_id", Id, primary_key=True, autoincrement=False),
    *(column.stored for column in COLUMNS if column.stored is not None),
    # Columns that readers never see as stored.
    Column("detail", Text, nullable=False),
    Column("model_id", Integer, nullable=False),
    Column("class_ids", JSON().with_variant(ARRAY(SmallInteger), "postgresql"), nullable=False),
    Column("scores", JSON().with_variant(ARRAY(REAL), "postgresql"), nullable=False),
    Column("top_class", SmallInteger),
    Column("top_score", REAL),
    Column("format", Text),
    sqlite_with_rowid=False,
)


def _index_where(name: str, column: Column[Any], *others: Column[Any]) -> None:
    """Return an index of the results in which this column is not NULL."""
    present = column.is_not(None)
    Index(name, *others, postgresql_where=present, sqlite_where=present)


_index_where("results_by_content", results.c.sha256, results.c.sha256, results.c.model_id, results.c.reused)
# Columns that results are searched by, each in the order of the items.
_index_where("results_by_code", results.c.code, results.c.job_id, results.c.code, results.c.index)
_index_where("results_by_class", results.c.top_class, results.c.job_id, results.c.top_class, results.c.index)
_index_where("results_by_host", results.c.host, results.c.job_id, results.c.host, results.c.index)

#: How many results of a kind were added; compacted now and then into one row a kind.
progress = Table(
    "progress",
    metadata,
    Column("id", Id, primary_key=True),
    Column("job_id", Id, nullable=False),
    Column("state", Text, nullable=False),
    Column("code", Text),
    Column("count", BigInteger, nullable=False),
    Index("progress_by_job", "job_id"),
)

#: Possible poison messages: how often each was tried alone.
poison_trials = Table(
    "suspects",
    metadata,
    Column("job_id", Id, primary_key=True, autoincrement=False),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("trials", SmallInteger, nullable=False),
    sqlite_with_rowid=False,
)

#: Alembic's table: the current migration.
alembic_version = Table("alembic_version", metadata, Column("version_num", String(32), primary_key=True))
