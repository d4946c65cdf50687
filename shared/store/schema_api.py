"""The tables of the results API: uploaded lists, keys, webhooks, thumbnails, the deny list."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    false,
)

from shared.store.schema import Id
from shared.store.schema_hosts import metadata as metadata

#: Uploaded lists, until their items are recorded; ``holder`` has the lease.
uploads = Table(
    "uploads",
    metadata,
    Column("job_id", Id, primary_key=True, autoincrement=False),
    #: The ending is the format.
    Column("name", Text, nullable=False),
    Column("ref_column", Text, nullable=False),
    Column("id_column", Text),
    #: Whether its items count against the quota of its key already.
    Column("charged", Boolean, nullable=False, server_default=false()),
    Column("holder", Text),
    Column("held_until", Double, nullable=False, server_default="0"),
    #: Recorders that died since they last recorded an item of it.
    Column("crashes", SmallInteger, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)
upload_parts = Table(
    "upload_parts",
    metadata,
    Column("job_id", Id, primary_key=True, autoincrement=False),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)

#: The first malformed lines of a list.
malformed = Table(
    "malformed",
    metadata,
    Column("job_id", Id, primary_key=True, autoincrement=False),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("line", BigInteger),
    Column("lines", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_with_rowid=False,
)

#: API keys; of the key itself only the SHA-256 is stored.
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    #: Its last characters, to recognize it.
    Column("ending", Text, nullable=False),
    Column("scopes", JSON, nullable=False),
    #: Requests per second, and how many may come at once.
    Column("rate", Double, nullable=False),
    Column("burst", Integer, nullable=False),
    #: Quotas; NULL means none.
    Column("images_per_day", BigInteger),
    Column("open_jobs", Integer),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("last_used_at", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    #: When the next request would come at a steady rate (GCRA), in seconds since 1970.
    Column("due_at", Double, nullable=False, server_default="0"),
    sqlite_autoincrement=True,
)

#: Images that a key classified or submitted on a day (UTC, in days since 1970).
key_usage = Table(
    "key_usage",
    metadata,
    Column("key_id", Integer, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("images", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

#: The URL to notify when a job is over. Times are seconds since 1970 by the database's clock.
webhooks = Table(
    "webhooks",
    metadata,
    Column("job_id", Id, primary_key=True, autoincrement=False),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    Column("next_at", Double, nullable=False, server_default="0"),
    #: When ``next_at`` was set: a time to come if the clock was ahead then.
    Column("put_off_at", Double, nullable=False, server_default="0"),
    Column("last_error", Text, nullable=False, server_default=""),
    Index("webhooks_by_time", "state", "next_at"),
    sqlite_with_rowid=False,
)

#: Small JPEGs of what models saw, by the SHA-256 of the image file.
thumbnails = Table(
    "thumbnails",
    metadata,
    Column("sha256", LargeBinary(32), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

#: The deny list: digests of URLs (16 bytes) and of image files (32 bytes).
denied = Table(
    "denied",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
    sqlite_with_rowid=False,
)
