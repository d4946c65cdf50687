"""Forget images: what is stored of them goes, in all jobs, and nothing is stored of them again."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, bindparam, select, update

from shared.errors import Code
from shared.items import ItemState
from shared.store.database import Database
from shared.store.denied import deny, seize_denied, url_digest
from shared.store.results import SAME_ITEM
from shared.store.schema import items, results
from shared.store.seen import is_ref
from shared.store.statements import add_counts, add_progress
from shared.store.thumbnails import remove_thumbnail, remove_unused_thumbnails
from shared.store.validators import remove_validators

#: Results changed in one transaction.
_AT_ONCE = 1000
#: Contents of one URL that are told.
_TOLD = 100
#: What of a result is kept is its place, its host, when it ended and how often it was tried.
_NOTHING: dict[str, Any] = {
    "state": ItemState.SKIPPED,
    "code": Code.FORGOTTEN,
    "detail": "",
    "class_ids": (),
    "scores": (),
    **dict.fromkeys(("top_class", "top_score", "width", "height", "format", "bytes", "sha256")),
    **dict.fromkeys(("final_url", "http_status")),
}


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was forgotten: how many results, and the SHA-256 values (in hex) of what they were of.

    A URL can have led to many contents: the first hundred are told.
    """

    results: int
    contents: tuple[str, ...]


class Forgetting:
    """The statements that forget images."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def url(self, url: str) -> Forgotten:
        """Deny a URL for good, and forget what it led to where it was the reference of an item.

        The content is not denied, as other URLs can lead there, too. Doing it again changes nothing; what
        broke off half way is finished so.
        """
        with self._database.write() as connection:
            deny(connection, url_digest(url))
            remove_validators(connection, [url])
        return self._forget(_FOUND.where(is_ref(url)).order_by(items.c.job_id))

    def sha256(self, sha256: str) -> Forgotten:
        """Deny an image by the SHA-256 (in hex) of its bytes, and forget it under whatever reference."""
        digest = bytes.fromhex(sha256)
        with self._database.write() as connection:
            deny(connection, digest)
            remove_thumbnail(connection, digest)
        return self._forget(
            _FOUND.where(results.c.sha256 == digest).order_by(results.c.model_id, results.c.reused)
        )

    def _forget(self, found: Select[Any]) -> Forgotten:
        """Forget what a query finds, in the order of an index: else the whole table may be read each time."""
        count, contents = 0, set[str]()
        # Those who looked at the list before this was on it may be about to store something still: when
        # nothing is left to be found they are waited for, and what they stored is found, too.
        for alone in (False, True):
            while rows := self._forget_some(found, alone):
                count += len(rows)
                contents |= {row["sha256"].hex() for row in rows if row["sha256"]}
        return Forgotten(count, tuple(sorted(contents)[:_TOLD]))

    def _forget_some(self, found: Select[Any], alone: bool) -> Sequence[RowMapping]:
        query = found.limit(_AT_ONCE).with_for_update(of=results)
        with self._database.write() as connection:
            if alone:
                seize_denied(connection)
            rows = connection.execute(query).mappings().all()
            if rows:
                _empty(connection, rows)
                remove_validators(connection, (row["ref"] for row in rows))
                # Also those that were stored by whoever looked at the list before this was on it.
                remove_unused_thumbnails(connection, {row["sha256"] for row in rows if row["sha256"]})
            return rows


_FOUND: Select[Any] = (
    select(results.c.job_id, results.c.index, results.c.state, results.c.code, results.c.sha256, items.c.ref)
    .join(items, SAME_ITEM)
    .where(results.c.code.is_distinct_from(Code.FORGOTTEN))
)


def _empty(connection: Connection, rows: Sequence[RowMapping]) -> None:
    """Take from results all that was found out about their images, and count them anew."""
    place = (results.c.job_id == bindparam("job")) & (results.c.index == bindparam("place"))
    places = [{"job": row["job_id"], "place": row["index"]} for row in rows]
    connection.execute(update(results).where(place).values(_NOTHING), places)
    before = Counter((row["job_id"], row["state"], row["code"]) for row in rows)
    add_counts(connection, {key: -count for key, count in before.items()})
    add_progress(connection, ((row["job_id"], ItemState.SKIPPED, Code.FORGOTTEN) for row in rows))
