"""What is known of a picture, across jobs: the results of all items that led to it, the newest job first."""

from typing import Any

from sqlalchemy import Select, select, tuple_

from shared.items import JobState
from shared.store.database import Database
from shared.store.mapping import item_from, result_from
from shared.store.results import Outcome
from shared.store.schema import items, jobs, results
from shared.store.statements import SAME_ITEM, is_ref

#: Job and index of an item.
Place = tuple[int, int]


class Seen:
    """The statements on what was seen of a picture; with a key, only in the jobs that belong to it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def by_url(self, url: str, key_id: int | None, after: Place | None, limit: int) -> list[Outcome]:
        """Return what items with this reference came to, of those that follow the place ``after``."""
        places = select(items.c.job_id, items.c.index).join(results, SAME_ITEM)
        return self._seen(places.where(is_ref(url)), key_id, after, limit)

    def by_sha256(self, sha256: str, key_id: int | None, after: Place | None, limit: int) -> list[Outcome]:
        """Return the same of items that led to these bytes, whose SHA-256 is given in hex."""
        places = select(results.c.job_id, results.c.index)
        return self._seen(places.where(results.c.sha256 == bytes.fromhex(sha256)), key_id, after, limit)

    def _seen(
        self, places: Select[Any], key_id: int | None, after: Place | None, limit: int
    ) -> list[Outcome]:
        page = _page(places, key_id, after, limit).subquery()
        here = (results.c.job_id == page.c.job_id) & (results.c.index == page.c.index)
        query = select(results, items.c.ref, items.c.custom_id).join(page, here).join(items, SAME_ITEM)
        query = query.order_by(results.c.job_id.desc(), results.c.index.desc())
        with self._database.read() as connection:
            rows = connection.execute(query).mappings()
            return [Outcome(item_from(row), result_from(row)) for row in rows]


def _page(places: Select[Any], key_id: int | None, after: Place | None, limit: int) -> Select[Any]:
    job_id, index = places.selected_columns
    page = places.join(jobs, jobs.c.id == job_id).where(jobs.c.state != JobState.DELETING)
    if key_id is not None:
        page = page.where(jobs.c.key_id == key_id)
    if after is not None:
        page = page.where(tuple_(job_id, index) < tuple_(*after))
    # The sum keeps Postgres from walking down all places in search of those that fit.
    return page.order_by((job_id + 0).desc(), index.desc()).limit(limit)
