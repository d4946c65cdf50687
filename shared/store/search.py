"""Find results: by state, code, class, score and host, in the order of the items; or by their image.

A page costs the same at any position and for any filter: the number of results scanned for one page is
limited, and a page that reaches the limit is shorter.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    REAL,
    ColumnElement,
    Connection,
    Select,
    Subquery,
    cast,
    false,
    func,
    select,
    tuple_,
    union_all,
)

from shared.errors import Code
from shared.items import ItemState, JobState
from shared.store.database import Database
from shared.store.result_columns import COLUMNS, Found
from shared.store.result_frames import Columns, read_columns
from shared.store.schema import items, jobs, progress, results
from shared.store.statements import SAME_ITEM, is_ref

#: Job and index of an item.
Place = tuple[int, int]

#: Where a search begins: the next item's index, or None.
BEGINNING = -1
#: The largest index that both databases know.
_LAST = 2**63 - 1
#: Columns read from a result and its item.
_READ = tuple(
    results.c[name] if name in results.c else items.c[name]
    for name in dict.fromkeys(name for column in COLUMNS for name in column.needs)
)
#: Results scanned for one page, unless the page is larger: in sequence, and through an index.
_IN_TURN, _BY_INDEX = 5_000, 1_000
#: Most classes or codes whose results are merged from an index; for more, all results are scanned.
_MERGED = 20


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter of results: all given conditions must hold.

    ``class_ids`` are the accepted best classes; ``min_score`` is the least score of the best class.
    """

    state: ItemState | None = None
    code: Code | None = None
    class_ids: tuple[int, ...] | None = None
    min_score: float | None = None
    host: str | None = None


class FoundPage(NamedTuple):
    """Found results, and the index after which to continue; None at the end."""

    rows: Sequence[Found]
    after: int | None


class FoundColumns(NamedTuple):
    """Many found results as columns; ``present`` turns them into a reader's columns."""

    columns: Columns
    after: int | None


@dataclass(frozen=True, slots=True)
class _Search:
    """The search of one page: conditions beyond the index, and how far to scan."""

    job_id: int
    after: int
    limit: int
    conditions: tuple[ColumnElement[bool], ...]
    read: Callable[[Connection, Select[Any]], Any]

    def scanned(self, most: int) -> int:
        """Return how many results to scan; one more than the limit shows that others follow."""
        return max(most, self.limit + 1) if self.conditions else self.limit + 1


class Search:
    """The statements that search results."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, job_id: int, wanted: Filter, after: int, limit: int) -> FoundPage:
        """Return the next matching results, by index: at most ``limit``, and fewer if they are rare.

        Later results of items up to ``after`` are not found any more.
        """
        rows, last = self._find(job_id, wanted, after, limit, _read_rows)
        page = rows[:limit]
        return FoundPage(page, page[-1]["index"] if len(rows) > limit else last)

    def columns(self, job_id: int, wanted: Filter, after: int, limit: int) -> FoundColumns:
        """Return what ``page`` does, as columns: faster from some hundreds of results on."""
        found, last = self._find(job_id, wanted, after, limit, read_columns)
        return FoundColumns(found.head(limit), found.index(limit - 1) if len(found) > limit else last)

    def _find(
        self,
        job_id: int,
        wanted: Filter,
        after: int,
        limit: int,
        read: Callable[[Connection, Select[Any]], Any],
    ) -> tuple[Any, int | None]:
        """Return one result more than the limit if there are more; else also the index to continue after."""
        with self._database.read() as connection:
            column, values, met = _indexed(connection, job_id, wanted)
            others = (condition for name, condition in _conditions(wanted).items() if name != met)
            search = _Search(job_id, after, limit, tuple(others), read)
            if column is None:
                return _through_all(connection, search)
            return _through_indexes(connection, search, column, values)

    def by_url(self, url: str, key_id: int | None, after: Place | None, limit: int) -> Sequence[Found]:
        """Return the results of items with this reference in all jobs, newest first, after ``after``.

        With a key, only of its jobs.
        """
        places = select(items.c.job_id, items.c.index).join(results, SAME_ITEM)
        return self._seen(places.where(is_ref(url)), key_id, after, limit)

    def by_sha256(self, sha256: str, key_id: int | None, after: Place | None, limit: int) -> Sequence[Found]:
        """Return the results of items with these bytes, by SHA-256 in hex; otherwise as ``by_url``."""
        places = select(results.c.job_id, results.c.index)
        return self._seen(places.where(results.c.sha256 == bytes.fromhex(sha256)), key_id, after, limit)

    def _seen(
        self, places: Select[Any], key_id: int | None, after: Place | None, limit: int
    ) -> Sequence[Found]:
        page = _newest(places, key_id, after, limit).subquery()
        here = (results.c.job_id == page.c.job_id) & (results.c.index == page.c.index)
        query = select(results.c.job_id, *_READ).select_from(results).join(page, here).join(items, SAME_ITEM)
        query = query.order_by(results.c.job_id.desc(), results.c.index.desc())
        with self._database.read() as connection:
            return _read_rows(connection, query)


def _read_rows(connection: Connection, query: Select[Any]) -> Sequence[Found]:
    rows: Sequence[Any] = connection.execute(query).mappings().all()
    return rows


def _conditions(wanted: Filter) -> dict[str, ColumnElement[bool]]:
    """Return the conditions of a filter, by name."""
    # In the precision of stored scores: a wider number would exclude equal ones.
    score = cast(wanted.min_score, REAL)
    conditions = {
        "host": results.c.host == wanted.host,
        "class_ids": results.c.top_class.in_(wanted.class_ids or ()),
        "code": results.c.code == wanted.code,
        "state": results.c.state == wanted.state,
        "min_score": results.c.top_score >= score,
    }
    return {name: condition for name, condition in conditions.items() if getattr(wanted, name) is not None}


def _indexed(
    connection: Connection, job_id: int, wanted: Filter
) -> tuple[ColumnElement[Any] | None, Sequence[Any], str]:
    """Return the indexed column to search by, the values, and the conditions that this meets.

    A job has more hosts than classes, and more classes than codes: the most selective one is used.
    """
    if wanted.host is not None:
        return results.c.host, (wanted.host,), "host"
    if wanted.class_ids is not None and len(wanted.class_ids) <= _MERGED:
        return results.c.top_class, wanted.class_ids, "class_ids"
    if wanted.code is not None:
        return results.c.code, (wanted.code,), "code"
    if wanted.state in (ItemState.FAILED, ItemState.SKIPPED):
        codes = _codes(connection, job_id, wanted.state)
        if len(codes) <= _MERGED:
            return results.c.code, codes, ""
    return None, (), ""


def _codes(connection: Connection, job_id: int, state: ItemState) -> Sequence[str]:
    """Return the codes of a job's items in this state; each item has one."""
    query = select(progress.c.code).where(progress.c.job_id == job_id, progress.c.state == state)
    query = query.where(progress.c.code.is_not(None)).group_by(progress.c.code)
    return connection.execute(query.having(func.sum(progress.c.count) > 0)).scalars().all()


def _through_all(connection: Connection, search: _Search) -> tuple[Any, int | None]:
    """Scan the results in sequence."""
    # The indexes of items have no gaps.
    end = min(search.after + search.scanned(_IN_TURN), _LAST)
    within = (results.c.job_id == search.job_id, results.c.index > search.after)
    query = select(*_READ).select_from(results).join(items, _item_of(results.c.index, search))
    query = query.where(*within, *search.conditions)
    if search.conditions:
        query = query.where(results.c.index <= end)
    rows = search.read(connection, query.order_by(results.c.index).limit(search.limit + 1))
    if len(rows) > search.limit or not search.conditions:
        return rows, None
    last = connection.execute(select(func.max(results.c.index)).where(*within)).scalar()
    return rows, end if last is not None and last > end else None


def _through_indexes(
    connection: Connection, search: _Search, column: ColumnElement[Any], values: Sequence[Any]
) -> tuple[Any, int | None]:
    """Scan the results with one of these values, in the order of an index."""
    most = search.scanned(_BY_INDEX)
    scanned = _scanned(search, column, values, most)
    found = (results.c.job_id == search.job_id) & (results.c.index == scanned.c.index)
    query = select(*_READ).select_from(scanned).join(results, found)
    query = query.join(items, _item_of(scanned.c.index, search)).where(*search.conditions)
    rows = search.read(connection, query.order_by(scanned.c.index).limit(search.limit + 1))
    if len(rows) > search.limit or not search.conditions:
        return rows, None
    count, last = connection.execute(select(func.count(), func.max(scanned.c.index))).one()
    return rows, last if count == most else None


def _scanned(search: _Search, column: ColumnElement[Any], values: Sequence[Any], most: int) -> Subquery:
    """Return the indexes of the next results that have one of these values.

    Each value contributes at most the limit: neither database merges long lists lazily.
    """
    mine = (results.c.job_id == search.job_id, results.c.index > search.after)
    parts = [
        select(results.c.index).where(*mine, column == value).order_by(results.c.index).limit(most)
        for value in values
    ]
    if not parts:
        parts = [select(results.c.index).where(*mine, false())]
    if len(parts) == 1:
        return parts[0].subquery("scanned")
    merged = union_all(*(select(part.subquery()) for part in parts))
    return merged.order_by(merged.selected_columns[0]).limit(most).subquery("scanned")


def _item_of(index: ColumnElement[int], search: _Search) -> ColumnElement[bool]:
    """Return the condition that joins an item to its result.

    That its index is above ``after`` follows from the rest, but Postgres does not see that, and in a merge
    join would begin with the job's first item.
    """
    mine = (items.c.job_id == search.job_id) & (items.c.index > search.after)
    return mine & (items.c.index == index)


def _newest(places: Select[Any], key_id: int | None, after: Place | None, limit: int) -> Select[Any]:
    job_id, index = places.selected_columns
    page = places.join(jobs, jobs.c.id == job_id).where(jobs.c.state != JobState.DELETING)
    if key_id is not None:
        page = page.where(jobs.c.key_id == key_id)
    if after is not None:
        page = page.where(tuple_(job_id, index) < tuple_(*after))
    # The sum keeps Postgres from scanning the primary key instead.
    return page.order_by((job_id + 0).desc(), index.desc()).limit(limit)
