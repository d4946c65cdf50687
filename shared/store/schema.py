"""The tables. Insert-only where it is hot: ``items`` at submit, ``results`` and ``progress`` while running.

The hot tables have no foreign keys: each row would cost a look at, and in Postgres a lock on, its job.
"""

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
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    false,
)

#: The newest migration in ``migrations/versions``.
REVISION = "0003"

metadata = MetaData()

# SQLite counts up only columns of type INTEGER, which is 64 bits wide there anyway.
_Id = BigInteger().with_variant(Integer, "sqlite")

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
    Column("id", _Id, primary_key=True),
    #: Names what was asked for; the same key finds the same job until it was delivered.
    Column("key", Text, unique=True),
    Column("name", Text),
    Column("state", Text, nullable=False),
    #: Why it is paused.
    Column("reason", Text, nullable=False, server_default=""),
    #: Whether all items are recorded.
    Column("sealed", Boolean, nullable=False, server_default=false()),
    Column("model_id", ForeignKey("models.id"), nullable=False),
    Column("submitted", BigInteger, nullable=False),
    #: Digest of the references recorded so far, to know them again.
    Column("digest", Text, nullable=False, server_default=""),
    #: The watermark: every item below this index was confirmed by the broker, or had its result.
    Column("published", BigInteger, nullable=False, server_default="0"),
    Column("max_failure_rate", REAL),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("finished_at", DateTime(timezone=True)),
    #: Which dispatcher tends the job, and until when, in seconds since 1970 by the database's clock.
    Column("holder", Text),
    Column("held_until", Double),
    Index("jobs_by_state", "state"),
    sqlite_autoincrement=True,
)

items = Table(
    "items",
    metadata,
    Column("job_id", _Id, primary_key=True, autoincrement=False),
    Column("index", BigInteger, primary_key=True),
    Column("ref", Text, nullable=False),
    Column("custom_id", Text),
    #: 64 bits of the reference's digest, to find earlier items with the same one.
    Column("ref_hash", BigInteger, nullable=False, server_default="0"),
    #: Index of the first item with the same reference, whose result this one takes.
    Column("original", BigInteger),
    sqlite_with_rowid=False,
)
Index("items_by_ref", items.c.job_id, items.c.ref_hash)
_IS_DUPLICATE = items.c.original.is_not(None)
Index(
    "items_by_original",
    items.c.job_id,
    items.c.original,
    postgresql_where=_IS_DUPLICATE,
    sqlite_where=_IS_DUPLICATE,
)

results = Table(
    "results",
    metadata,
    Column("job_id", _Id, primary_key=True, autoincrement=False),
    Column("index", BigInteger, primary_key=True),
    Column("state", Text, nullable=False),
    Column("code", Text),
    Column("detail", Text, nullable=False),
    Column("model_id", Integer, nullable=False),
    Column("class_ids", JSON().with_variant(ARRAY(SmallInteger), "postgresql"), nullable=False),
    Column("scores", JSON().with_variant(ARRAY(REAL), "postgresql"), nullable=False),
    Column("top_class", SmallInteger),
    Column("top_score", REAL),
    Column("width", Integer),
    Column("height", Integer),
    Column("format", Text),
    Column("bytes", BigInteger),
    Column("sha256", LargeBinary(32)),
    Column("host", Text),
    Column("final_url", Text),
    Column("http_status", SmallInteger),
    Column("attempts", SmallInteger, nullable=False),
    Column("fetch_ms", REAL),
    Column("label_ms", REAL),
    Column("finished_at", DateTime(timezone=True), nullable=False),
    #: Whether the labels are those of another item with the same bytes.
    Column("reused", Boolean, nullable=False, server_default=false()),
    sqlite_with_rowid=False,
)
_IS_OWN = results.c.reused.is_(False)
Index(
    "results_by_content",
    results.c.sha256,
    results.c.model_id,
    postgresql_where=_IS_OWN,
    sqlite_where=_IS_OWN,
)

#: How many results of a kind were added; folded now and then into one row a kind.
progress = Table(
    "progress",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("job_id", _Id, nullable=False),
    Column("state", Text, nullable=False),
    Column("code", Text),
    Column("count", BigInteger, nullable=False),
    Index("progress_by_job", "job_id"),
)

#: Items whose worker may have died of them: how often each was tried alone since.
suspects = Table(
    "suspects",
    metadata,
    Column("job_id", _Id, primary_key=True, autoincrement=False),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("trials", SmallInteger, nullable=False),
    sqlite_with_rowid=False,
)

#: How many items a job has of each host: what is left of a host bounds the time that is left.
job_hosts = Table(
    "job_hosts",
    metadata,
    Column("job_id", _Id, primary_key=True, autoincrement=False),
    Column("host", Text, primary_key=True),
    Column("items", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

#: What the whole fleet knows of a host. Times are seconds since 1970 by the database's clock.
hosts = Table(
    "hosts",
    metadata,
    Column("host", Text, primary_key=True),
    #: Which process alone may call the host, and until when.
    Column("holder", Text),
    Column("held_until", Double, nullable=False, server_default="0"),
    #: Seconds between two requests; more than the setting where the host asked us to slow down.
    Column("delay", Double, nullable=False, server_default="0"),
    Column("next_at", Double, nullable=False, server_default="0"),
    #: Set aside until then, and why.
    Column("closed_until", Double, nullable=False, server_default="0"),
    Column("code", Text),
    #: Failures in a row, and how often in a row it was set aside for them.
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("trips", Integer, nullable=False, server_default="0"),
    Column("blocked", Boolean, nullable=False, server_default=false()),
    Column("requests", BigInteger, nullable=False, server_default="0"),
    #: Counts what people did to it: what its holder remembers from before does not hold any more.
    Column("generation", Integer, nullable=False, server_default="0"),
    #: Whether items wait for it in ``waiting``.
    Column("has_waiting", Boolean, nullable=False, server_default=false()),
    sqlite_with_rowid=False,
)
Index(
    "hosts_with_waiting",
    hosts.c.next_at,
    postgresql_where=hosts.c.has_waiting,
    sqlite_where=hosts.c.has_waiting,
)

#: Items that wait for their turn at a host, outside the broker.
waiting = Table(
    "waiting",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("host", Text, nullable=False),
    Column("job_id", _Id, nullable=False),
    Column("index", BigInteger, nullable=False),
    Column("ref", Text, nullable=False),
    Column("attempt", SmallInteger, nullable=False),
    #: Where redirects have led so far, and how many there were.
    Column("url", Text, nullable=False),
    Column("hops", SmallInteger, nullable=False),
    #: Which holder has it in hand, and how many had it before and never came back.
    Column("holder", Text),
    Column("earlier", SmallInteger, nullable=False),
    Index("waiting_by_item", "job_id", "index", unique=True),
    Index("waiting_by_host", "host", "id"),
)

#: robots.txt by origin (scheme, host, port), as fetched last.
robots = Table(
    "robots",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("body", Text, nullable=False),
    Column("fetched_at", Double, nullable=False),
    sqlite_with_rowid=False,
)

#: What to ask for a URL with again, and the bytes that it led to. The key is a digest of the reference.
validators = Table(
    "validators",
    metadata,
    Column("ref_digest", LargeBinary(16), primary_key=True),
    Column("final_url", Text, nullable=False),
    Column("etag", Text),
    Column("last_modified", Text),
    Column("sha256", LargeBinary(32), nullable=False),
    sqlite_with_rowid=False,
)

#: Alembic's own: which migration the tables stand at.
alembic_version = Table("alembic_version", metadata, Column("version_num", String(32), primary_key=True))
