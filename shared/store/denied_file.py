"""The deny list of a SQLite file, read with the standard library alone.

SQLAlchemy takes longer to load than a command takes to classify an image.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from shared.errors import Code, ResourceError


def is_denied(database: Path, sha256: str) -> bool:
    """Tell whether an image is on the deny list of a database file, by the SHA-256 (in hex) of its bytes.

    The file is only read. Raises ``ResourceError(database_unavailable)``.
    """
    try:
        with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            query = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'denied'"
            if not connection.execute(query).fetchone()[0]:
                return False  # it was written before there was a deny list
            query = "SELECT count(*) FROM denied WHERE digest = ?"
            return bool(connection.execute(query, [bytes.fromhex(sha256)]).fetchone()[0])
    except sqlite3.Error as error:
        raise ResourceError(Code.DATABASE_UNAVAILABLE, f"{database}: {error}") from error
