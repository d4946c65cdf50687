"""Time for a job's status, a page of results and the next items, with a thousand and a million items."""

import time
from collections.abc import Callable
from typing import Any

import psycopg
from sqlalchemy import make_url

from benchmarks.measure import median, print_table
from benchmarks.servers import Servers, servers
from shared.items import Item, ItemState, Result, now

_SIZES = (1_000, 1_000_000)
_PAGE, _ROUNDS = 100, 51

#: Copies the first item of a job and its result this many times.
_MULTIPLY = """
INSERT INTO items SELECT job_id, n, ref || n, custom_id, n, original
    FROM items, generate_series(1, %(last)s) n WHERE job_id = %(job)s AND index = 0;
INSERT INTO results SELECT (r).* FROM (
    SELECT jsonb_populate_record(r, jsonb_build_object('index', n, 'sha256', sha256(n::text::bytea))) AS r
    FROM results r, generate_series(1, %(last)s) n WHERE job_id = %(job)s AND r.index = 0) AS copies;
UPDATE jobs SET submitted = %(last)s + 1, published = %(last)s + 1 WHERE id = %(job)s;
UPDATE progress SET count = %(last)s + 1 WHERE job_id = %(job)s;
"""


def main() -> None:
    """Measure and print."""
    with servers() as running:
        jobs = [_fill(running, size) for size in _SIZES]
        _vacuum(running)
        rows = []
        for name, make in _QUERIES.items():
            times = [_milliseconds(make(running, *job)) for job in zip(jobs, _SIZES, strict=True)]
            rows.append((name, *(f"{ms:.2f}" for ms in times), f"{times[1] / times[0]:.2f}"))
        print_table(("ms, median", *(f"{size:,} items" for size in _SIZES), "ratio"), rows)
        _print_storage(running)
        _print_plans(running, jobs[-1])


def _fill(running: Servers, size: int) -> int:
    store = running.store
    job = store.jobs.open(str(size), store.models.record("lite0", "1", []).id)
    store.items.add([Item(job.id, 0, "http://images.example.org/crawl/2026/picture-")])
    store.results.save(
        [Result(job.id, 0, ItemState.SUCCEEDED, now(), 1, job.model_id, (1, 2, 3, 4, 5), (0.2,) * 5)]
    )
    store.jobs.mark_recorded(job.id)
    with _connect(running) as connection:
        for statement in _MULTIPLY.split(";\n")[:-1]:
            connection.execute(statement, {"job": job.id, "last": size - 1})
    return job.id


def _vacuum(running: Servers) -> None:
    with _connect(running) as connection:
        connection.execute("VACUUM ANALYZE")


def _connect(running: Servers) -> "psycopg.Connection[Any]":
    url = make_url(running.database_url).set(drivername="postgresql")
    return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)


_QUERIES: dict[str, Callable[[Servers, int, int], Callable[[], object]]] = {
    "status of a job": lambda s, job, _: lambda: (s.store.jobs.get(job), s.store.results.tallies(job)),
    "first page of results": lambda s, job, _: lambda: s.store.results.outcomes(job, -1, _PAGE),
    "last page of results": lambda s, job, size: (
        lambda: s.store.results.outcomes(job, size - _PAGE - 1, _PAGE)
    ),
    "first items to publish": lambda s, job, _: lambda: s.store.items.pending(job, 0, 1000),
    "last items to publish": lambda s, job, size: lambda: s.store.items.pending(job, size - 1000, size),
}


def _milliseconds(query: Callable[[], object]) -> float:
    times = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        query()
        times.append(time.perf_counter() - started)
    return 1000 * median(times)


def _print_storage(running: Servers) -> None:
    with _connect(running) as connection:
        tables = connection.execute(
            "SELECT relname, pg_table_size(oid), pg_indexes_size(oid) FROM pg_class "
            "WHERE relname IN ('items', 'results') ORDER BY relname"
        ).fetchall()
    print()
    rows = [(name, f"{table / 1e6:.0f}", f"{indexes / 1e6:.0f}") for name, table, indexes in tables]
    print_table(("table, a million rows", "MB", "MB of indexes"), rows)


def _print_plans(running: Servers, job: int) -> None:
    page = (
        "SELECT r.*, i.ref FROM results r JOIN items i ON r.job_id = i.job_id AND r.index = i.index "
        f"WHERE r.job_id = {job} AND r.index > 999899 ORDER BY r.index LIMIT 100"
    )
    with _connect(running) as connection:
        print("\nThe plan of the last page:\n")
        for (line,) in connection.execute(f"EXPLAIN (ANALYZE, TIMING OFF) {page}"):
            print(f"    {line}")


if __name__ == "__main__":
    main()
