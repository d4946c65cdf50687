"""The tables of fetching: hosts, items that wait, the workers, robots.txt, and validators."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
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
from shared.store.schema import metadata as metadata

#: Items of a job by host; the slowest host bounds the time left.
job_hosts = Table(
    "job_hosts",
    metadata,
    Column("job_id", Id, primary_key=True, autoincrement=False),
    Column("host", Text, primary_key=True),
    Column("items", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

#: What the fleet knows about a host. Times are seconds since 1970 by the database's clock.
hosts = Table(
    "hosts",
    metadata,
    Column("host", Text, primary_key=True),
    #: The process with the lease of the host, and when it ends.
    Column("holder", Text),
    Column("held_until", Double, nullable=False, server_default="0"),
    #: Seconds between two requests; more than the setting if the host asked us to slow down.
    Column("delay", Double, nullable=False, server_default="0"),
    Column("next_at", Double, nullable=False, server_default="0"),
    #: Backed off until then, and why.
    Column("closed_until", Double, nullable=False, server_default="0"),
    Column("code", Text),
    #: When it will be given up if it goes on failing; 0 if it is not backed off for failures.
    Column("gives_up_at", Double, nullable=False, server_default="0"),
    #: Failures in a row, and how often in a row it was backed off.
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("trips", Integer, nullable=False, server_default="0"),
    Column("blocked", Boolean, nullable=False, server_default=false()),
    Column("requests", BigInteger, nullable=False, server_default="0"),
    #: Increases with each manual change, so that the holder discards what it remembers.
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

#: Items that wait for a slot of their host, outside the broker.
waiting = Table(
    "waiting",
    metadata,
    Column("id", Id, primary_key=True),
    Column("host", Text, nullable=False),
    Column("job_id", Id, nullable=False),
    Column("index", BigInteger, nullable=False),
    Column("ref", Text, nullable=False),
    Column("attempt", SmallInteger, nullable=False),
    #: The redirect target so far, and the number of redirects.
    Column("url", Text, nullable=False),
    Column("hops", SmallInteger, nullable=False),
    #: The process that is working on it, and how many took it before and died.
    Column("holder", Text),
    Column("earlier", SmallInteger, nullable=False),
    Index("waiting_by_item", "job_id", "index", unique=True),
    Index("waiting_by_host", "host", "id"),
)

#: Items that failed and will be attempted again: their last failure, as it is stored if they are given up.
#: Times are seconds since 1970 by the database's clock.
retries = Table(
    "retries",
    metadata,
    Column("job_id", Id, primary_key=True, autoincrement=False),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, Text) for name in ("host", "final_url")),
    *(Column(name, Text, nullable=False) for name in ("state", "code", "detail")),
    Column("attempts", SmallInteger, nullable=False),
    Column("http_status", SmallInteger),
    #: When the broker delivers it again; 0 while it waits in ``waiting`` until its host may be called.
    Column("due_at", Double, nullable=False),
    #: When it has a result at the latest if all its attempts fail.
    Column("ends_at", Double, nullable=False),
    Index("retries_by_time", "job_id", "due_at"),
    sqlite_with_rowid=False,
)

#: Workers, and when each was last seen; one that works for a single job has its id.
workers = Table(
    "workers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("job_id", Id),
    Column("seen_at", Double, nullable=False),
    sqlite_with_rowid=False,
)

#: robots.txt by origin (scheme, host, port), as last fetched.
robots = Table(
    "robots",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("body", Text, nullable=False),
    Column("fetched_at", Double, nullable=False),
    sqlite_with_rowid=False,
)

#: Validators of a URL, and the bytes that it led to. The key is a digest of the reference.
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
