"""What reading a million results over HTTP takes: whole, in every form, and a first page by every filter.

Pages of the API have 100 results as JSON; HTML pages have 48, with everything else on the page.
"""

import hashlib
import http.client
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.measure import median, print_table
from shared.classifier.model import read_labels
from shared.errors import Code
from shared.items import Evidence, Item, ItemState, Result, now
from shared.store.database import Database
from shared.store.store import Job, Store
from tests.filling import multiply
from tests.servers.binaries import ensure_local_binaries
from tests.servers.ports import free_port
from tests.servers.postgres import PostgresServer
from tests.servers.processes import cpu_seconds
from tests.servers.waiting import wait_until

_LABELS = Path(__file__).parents[1] / "shared" / "classifier" / "imagenet_labels.tsv"
_RESULTS, _DIFFERENT = 1_000_000, 1000
_ROUNDS, _PAGES = 3, 300
_FORMATS = ("ndjson", "csv", "parquet")
_FILTERS = (
    *("", "state=succeeded", "state=failed", "code=http_404", "class=n07873807", "class=terrier"),
    *("min_score=0.99999", "host=images7.example.org", "host=images7.example.org&min_score=0.99999"),
)
_HOSTS = 50
#: Bytes, of about as many as those of photographs have.
_THUMBNAIL = 4_000
_API = "/v1/jobs/{}/results?{}"
_PATHS = (
    "/v1/jobs/{}",
    "/jobs",
    "/jobs/{}",
    "/jobs/{}?state=failed",
    "/jobs/{}/status",
    "/jobs/{}/classes",
)


def main() -> None:
    """Measure and print."""
    if sys.argv[1:]:
        _serve(sys.argv[1], int(sys.argv[2]))
    else:
        _measure()


def _measure() -> None:
    whole: list[tuple[object, ...]] = []
    pages: list[tuple[object, ...]] = []
    for name, url in _databases():
        job = _fill(url)
        with _server(url) as (pid, port):
            for format in _FORMATS:
                whole.append((name, format, *_whole(pid, port, job, format)))
            for query in _FILTERS:
                pages.append((name, query or "none", *_first_page(port, _API.format(job, query))))
            for path in _PATHS:
                pages.append((name, path.format("ID"), *_first_page(port, path.format(job))))
    head = ("database", "form", "rows/s, median", "at best", "MB/s", "CPU µs a row", "resident MB at most")
    print_table(head, whole)
    print()
    print_table(("database", "filter or page", "ms, median", "p99", "rows"), pages)


def _databases() -> Iterator[tuple[str, str]]:
    """Yield a file of SQLite, and a database of a Postgres of our own."""
    with tempfile.TemporaryDirectory() as folder:
        yield "SQLite", f"sqlite:///{folder}/export.db"
    ensure_local_binaries()
    with closing(PostgresServer()) as postgres:
        postgres.start()
        yield "Postgres", postgres.new_database()


def _fill(url: str) -> int:
    with closing(Database(url)) as database:
        store, chance = Store(database), random.Random(1)
        job = store.jobs.open("export", store.models.record("lite0", "1", read_labels(_LABELS)).id)
        store.items.add([Item(job.id, index, _url(index)) for index in range(_DIFFERENT)])
        store.results.save([_result(job, index, chance) for index in range(_DIFFERENT)])
        multiply(database, job.id, _RESULTS // _DIFFERENT)
        with database.write() as connection:
            connection.exec_driver_sql("ANALYZE")
        return job.id


def _url(index: int) -> str:
    return f"https://images{index % _HOSTS}.example.org/crawl/2026/picture-{index}.jpg"


def _result(job: Job, index: int, chance: random.Random) -> Result:
    """Return one of ten that failed, else five classes."""
    host, spent = f"images{index % _HOSTS}.example.org", round(chance.random() * 500, 2)
    if chance.random() < 0.1:
        code = chance.choice([Code.HTTP_404, Code.HTTP_404, Code.CONNECT_TIMEOUT, Code.NOT_AN_IMAGE])
        evidence = Evidence(host=host, http_status=404, fetch_ms=spent)
        return Result(job.id, index, ItemState.FAILED, now(), 1, job.model_id, (), (), code, "", evidence)
    digest = hashlib.sha256(str(index).encode()).hexdigest()
    evidence = Evidence(640, 480, "JPEG", 123_456, digest, host, _url(index), 200, spent, 9.76)
    ids = tuple(chance.sample(range(1000), 5))
    scores = tuple(sorted((round(chance.random(), 6) for _ in ids), reverse=True))
    state = ItemState.SUCCEEDED
    seen = chance.randbytes(_THUMBNAIL)
    return Result(
        job.id, index, state, now(), 1, job.model_id, ids, scores, evidence=evidence, thumbnail=seen
    )


def _serve(url: str, port: int) -> None:
    """Serve a database until killed."""
    import uvicorn

    from results_api.access import KeysRequired
    from results_api.service.app import make_app
    from tests.contract.api import Surroundings, services_on

    app = make_app(services_on(Store(Database(url)), Surroundings(wanted=KeysRequired.NEVER)))
    uvicorn.run(app, port=port, log_level="warning", access_log=False)


@contextmanager
def _server(url: str) -> Iterator[tuple[int, int]]:
    """Run the service in a process of its own; yield its number, and its port."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.export", url, str(port)]
    with subprocess.Popen(command) as process:
        try:
            wait_until(lambda: _answers(port), 60, "the service")
            yield process.pid, port
        finally:
            process.kill()


def _answers(port: int) -> bool:
    try:
        return len(_get(http.client.HTTPConnection("127.0.0.1", port), "/livez")) > 0
    except OSError:
        return False


def _get(connection: http.client.HTTPConnection, path: str) -> bytes:
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {body[:300]!r}")
    return body


def _whole(pid: int, port: int, job: int, format: str) -> tuple[str, ...]:
    """Read all results in a form, and only count their bytes."""
    times, costs = [], []
    for _ in range(_ROUNDS):
        cpu, started = cpu_seconds([pid]), time.perf_counter()
        size = _count(port, f"/v1/jobs/{job}/results?format={format}")
        times.append(time.perf_counter() - started)
        costs.append(cpu_seconds([pid]) - cpu)
    rates = [_RESULTS / seconds for seconds in times]
    speed = size / 1e6 / median(times)
    cost = 1e6 * median(costs) / _RESULTS
    return f"{median(rates):,.0f}", f"{max(rates):,.0f}", f"{speed:.0f}", f"{cost:.1f}", f"{_peak(pid):.0f}"


def _count(port: int, path: str) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return sum(map(len, iter(lambda: answer.read(1 << 18), b"")))


def _peak(pid: int) -> float:
    """Return the largest resident memory of a process so far, in megabytes."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmHWM" in line)
    return int(line.split()[1]) / 1024


def _first_page(port: int, path: str) -> tuple[str, ...]:
    """Ask for the first page, again and again, over one connection."""
    times = []
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        for _ in range(_PAGES):
            started = time.perf_counter()
            body = _get(connection, path)
            times.append(1000 * (time.perf_counter() - started))
    last = sorted(times)[int(0.99 * _PAGES)]
    return f"{median(times):.1f}", f"{last:.1f}", str(body.count(b'"cursor"') + body.count(b'class="tile"'))


if __name__ == "__main__":
    main()
