"""How many images a key has used on a day."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from shared.store.schema_api import api_keys, key_usage
from shared.store.statements import insert_or_add_where


def charge(connection: Connection, key_id: int, images: int, day: int) -> bool:
    """Add to what a key has used on a day, in days since 1970; tell whether its quota allows that."""
    quota = connection.execute(select(api_keys.c.images_per_day).where(api_keys.c.id == key_id)).scalar()
    if quota is not None and images > quota:
        return False

    def fits(new: Any) -> ColumnElement[bool]:
        total: ColumnElement[int] = key_usage.c.images + new.images
        return total <= (_UNLIMITED if quota is None else quota)

    statement = insert_or_add_where(connection, key_usage, ("key_id", "day"), "images", fits)
    row = {"key_id": key_id, "day": day, "images": images}
    return connection.execute(statement.returning(key_usage.c.key_id), row).first() is not None


_UNLIMITED = 2**62
