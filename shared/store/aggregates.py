"""The statements behind summaries; each groups the results of a job once, in SQL that both databases know."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    Select,
    Subquery,
    case,
    cast,
    extract,
    false,
    func,
    or_,
    select,
)

from shared.items import ItemState
from shared.store.schema import items, results
from shared.store.schema_hosts import hosts, job_hosts
from shared.store.statements import SAME_ITEM, clock


def endings(job_id: int, since: datetime) -> Select[Any]:
    """Return the number of items by state and code; the caller says since when they count as recent.

    Hosts are grouped first and then counted: COUNT(DISTINCT) would sort every row.
    """
    by_host = _grouped(
        job_id,
        _count(results.c.reused).label("reused"),
        func.sum(results.c.bytes).label("bytes"),
        func.count(results.c.fetch_ms).label("fetched"),
        func.sum(_precise(results.c.fetch_ms)).label("fetch_ms"),
        _count(results.c.finished_at > since).label("recent"),
        func.min(results.c.finished_at).label("first_at"),
        func.max(results.c.finished_at).label("last_at"),
    )
    totals = (
        _total(by_host.c[name]).label(name) for name in ("count", "reused", "bytes", "fetched", "recent")
    )
    return select(
        by_host.c.state,
        by_host.c.code,
        *totals,
        func.count(by_host.c.host).label("hosts"),
        func.coalesce(func.sum(by_host.c.fetch_ms), 0.0).label("fetch_ms"),
        func.min(by_host.c.first_at).label("first_at"),
        func.max(by_host.c.last_at).label("last_at"),
    ).group_by(by_host.c.state, by_host.c.code)


def causes(job_id: int, top: int) -> Select[Any]:
    """Return the number of items by code and host, largest first, with the index of the first item."""
    grouped = _grouped(job_id, func.min(results.c.index).label("first"))
    most = select(grouped).where(grouped.c.code.is_not(None))
    found = most.order_by(grouped.c["count"].desc(), grouped.c.first).limit(top).subquery("found")
    first = (results.c.job_id == job_id) & (results.c.index == found.c.first)
    query = select(
        *(found.c[name] for name in ("host", "state", "code", "count")), items.c.ref, results.c.detail
    )
    query = query.select_from(found.join(results, first).join(items, SAME_ITEM))
    return query.order_by(found.c["count"].desc(), found.c.first)


def slowest(job_id: int, top: int, at_least: int) -> Select[Any]:
    """Return the slowest hosts among those with at least this many images: count, mean time, bytes."""
    fetched, mean = func.count(results.c.fetch_ms), func.avg(_precise(results.c.fetch_ms))
    query = select(
        results.c.host,
        fetched.label("fetched"),
        mean.label("fetch_ms"),
        _total(results.c.bytes).label("bytes"),
    )
    query = query.where(_of(job_id), results.c.host.is_not(None)).group_by(results.c.host)
    return query.having(fetched >= at_least).order_by(mean.desc(), results.c.host).limit(top)


def classes(job_id: int, top: int) -> Select[Any]:
    """Return the most frequent best classes: images, distinct images; and the totals in each row.

    Identical images are grouped first, for the same reason as in ``endings``.
    """
    images = select(results.c.top_class, results.c.sha256, func.count().label("count"))
    images = images.where(
        _of(job_id), results.c.state == ItemState.SUCCEEDED, results.c.top_class.is_not(None)
    )
    found = images.group_by(results.c.top_class, results.c.sha256).subquery("images")
    count, contents = _total(found.c["count"]), func.count(found.c.sha256)
    query = select(
        found.c.top_class,
        count.label("count"),
        contents.label("contents"),
        func.count().over().label("all_classes"),
        whole(func.sum(count).over()).label("all_count"),
        whole(func.sum(contents).over()).label("all_contents"),
    )
    return query.group_by(found.c.top_class).order_by(count.desc(), found.c.top_class).limit(top)


def bars(job_id: int, width: int) -> Select[Any]:
    """Return the number of processed items by state, in steps of this many seconds since 1970."""
    # Postgres rounds to whole seconds and SQLite truncates; no bar is narrow enough for that to show.
    step = (cast(extract("epoch", results.c.finished_at), BigInteger) // width).label("step")
    query = select(step, results.c.state, func.count().label("count"))
    query = query.where(_of(job_id), results.c.state != ItemState.CANCELLED)
    return query.group_by(step, results.c.state).order_by(step, results.c.state)


def loads(
    connection: Connection,
    job_id: int,
    default_delay: float,
    top: int,
    named: Sequence[str],
    own_hosts: Collection[str],
) -> Select[Any]:
    """Return a job's remaining items by host and the least time they need, longest first.

    Returns the ``top`` first ones, and those ``named``. The operator's own hosts have no delay.
    """
    done = select(results.c.host, func.count().label("count")).where(_of(job_id))
    ended = done.group_by(results.c.host).subquery("ended")
    open_ = job_hosts.c["items"] - func.coalesce(ended.c["count"], 0)
    left = case((open_ > 0, open_), else_=0)
    own = job_hosts.c.host.in_(sorted(own_hosts))
    delay = case((own, 0.0), (hosts.c.delay > 0, hosts.c.delay), else_=default_delay)
    wait = hosts.c.closed_until - cast(clock(connection), Double)
    closed_for = case((wait > 0, wait), else_=0.0)
    blocked = func.coalesce(hosts.c.blocked, false())
    joined = job_hosts.outerjoin(ended, ended.c.host == job_hosts.c.host)
    query = select(
        job_hosts.c.host,
        job_hosts.c["items"],
        left.label("left"),
        delay.label("delay"),
        closed_for.label("closed_for"),
        hosts.c.code,
        blocked.label("blocked"),
        # Remaining items of a blocked host are skipped without a request.
        case((or_(blocked, left == 0), 0.0), else_=closed_for + left * delay).label("seconds"),
    )
    known = joined.outerjoin(hosts, hosts.c.host == job_hosts.c.host)
    found = query.select_from(known).where(job_hosts.c.job_id == job_id).subquery("loads")
    order = (found.c.seconds.desc(), found.c.left.desc(), found.c.host)
    ranked = select(found, func.row_number().over(order_by=order).label("place")).subquery("ranked")
    wanted = or_(ranked.c.place <= top, ranked.c.host.in_(named))
    return select(ranked).where(wanted).order_by(ranked.c.place)


def _grouped(job_id: int, *columns: ColumnElement[Any]) -> Subquery:
    kind = (results.c.host, results.c.state, results.c.code)
    query = select(*kind, func.count().label("count"), *columns)
    return query.where(_of(job_id)).group_by(*kind).subquery("grouped")


def _of(job_id: int) -> ColumnElement[bool]:
    return results.c.job_id == job_id


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


def _total(column: ColumnElement[Any]) -> ColumnElement[int]:
    return whole(func.sum(column))


def whole(number: ColumnElement[Any]) -> ColumnElement[int]:
    """Return a sum as a 64-bit number: Postgres returns arbitrary precision, and NULL for no rows."""
    return cast(func.coalesce(number, 0), BigInteger)


def _precise(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a column of single-precision numbers as double precision, so that long sums stay exact."""
    return cast(column, Double)
