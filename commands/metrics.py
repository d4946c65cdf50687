"""Prometheus metrics: of a worker's processes, and of the API.

A worker's processes write files in one folder, and their parent adds them up
(https://prometheus.github.io/client_python/multiprocess/). The API has a registry of its own.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.errors import Code, ResourceError, code_of_write
from shared.items import Result

#: Where prometheus_client keeps its files; it looks when it is imported.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
#: Upper bounds of the histograms, in seconds.
_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60)


class Metrics:
    """Counts what workers and dispatchers do."""

    def __init__(self) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        self._items = Counter("smartsight_items", "Items with a result", ["state", "code"])
        self._reused = Counter("smartsight_reused", "Items that took labels known before")
        self._retries = Counter("smartsight_retries", "Items put off until later", ["code"])
        self._backoffs = Counter("smartsight_backoffs", "Hosts that were backed off", ["code"])
        self._stages = Histogram(
            "smartsight_stage_seconds", "Time that a stage took", ["stage"], buckets=_BUCKETS
        )
        self._unacked = Gauge(
            "smartsight_oldest_unacked_seconds",
            "Age of the oldest unacked delivery",
            multiprocess_mode="livemax",
        )
        self._queue = Gauge("smartsight_queue_depth", "Messages ready", multiprocess_mode="mostrecent")
        self._backlog = Gauge(
            "smartsight_backlog_items",
            "Items of running jobs without a result",
            multiprocess_mode="mostrecent",
        )

    def stage_finished(self, stage: str, seconds: float) -> None:
        """Count the time that a stage took."""
        self._stages.labels(stage).observe(seconds)

    def item_finished(self, result: Result) -> None:
        """Count an item by its state and code."""
        self._items.labels(result.state, result.code or "").inc()
        if result.reused:
            self._reused.inc()

    def retry_scheduled(self, code: Code) -> None:
        """Count an item that is tried again later."""
        self._retries.labels(code).inc()

    def host_backed_off(self, host: str, is_own: bool, code: Code, seconds: float | None) -> None:
        """Count a host that is left alone for a while."""
        self._backoffs.labels(code).inc()

    def set_oldest_unacked(self, seconds: float) -> None:
        """Note the age of the oldest delivery that is neither acked nor handed back."""
        self._unacked.set(seconds)

    def waiting(self, in_broker: int | None, in_all: int) -> None:
        """Set how many messages wait in the broker, and how many items in all."""
        self._backlog.set(in_all)
        if in_broker is not None:
            self._queue.set(in_broker)


def metrics_of(environment: Mapping[str, str]) -> Metrics | None:
    """Return the metrics of this process if its parent serves them."""
    return Metrics() if environment.get(FOLDER) else None


@contextmanager
def serve_metrics(port: int, run_dir: Path) -> Iterator[Metrics | None]:
    """Serve the metrics of this process and its children on a port; port 0 means not at all.

    The files are mapped into memory, so that a full disk would end the process: they are in the folder of the
    heartbeats, and not where lists of any size are unpacked. Raises ``ResourceError`` with
    ``folder_unwritable`` or ``address_unavailable``.
    """
    if not port:
        yield None
        return
    with _folder(run_dir) as folder:
        os.environ[FOLDER] = folder
        server, thread = _listen(port)
        try:
            yield Metrics()
        finally:
            _end(server, thread)


def _folder(run_dir: Path) -> "tempfile.TemporaryDirectory[str]":
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix="metrics-", dir=run_dir)
    except OSError as error:
        detail = f"{run_dir}: {error.strerror}; SMARTSIGHT_RUN_DIR names another folder"
        raise ResourceError(code_of_write(error), detail) from error


def _listen(port: int) -> tuple[Any, Any]:
    from prometheus_client import CollectorRegistry, start_http_server
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    try:
        return start_http_server(port, registry=registry)
    except OSError as error:
        detail = f"port {port}: {error.strerror}; SMARTSIGHT_METRICS_PORT names another one"
        raise ResourceError(Code.ADDRESS_UNAVAILABLE, detail) from error


def _end(server: Any, thread: Any) -> None:
    server.shutdown()
    server.server_close()
    thread.join()


class ApiMetrics:
    """Counts what the API does."""

    def __init__(self) -> None:
        from prometheus_client import (
            CollectorRegistry,
            Counter,
            Gauge,
            Histogram,
            PlatformCollector,
            ProcessCollector,
        )

        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._requests = Counter(
            "smartsight_api_requests",
            "Requests that were answered",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "smartsight_api_request_seconds",
            "Time until the whole answer was out",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._in_progress = Gauge(
            "smartsight_api_requests_in_hand", "Requests in progress", registry=registry
        )
        self._classified = Histogram(
            "smartsight_api_classified_seconds",
            "Time that an image took to be classified at once",
            ["outcome"],
            buckets=_BUCKETS,
            registry=registry,
        )

    def began(self) -> None:
        """Count a request in progress."""
        self._in_progress.inc()

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a response by route and status, and the time until its last byte."""
        self._in_progress.dec()
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    def classified(self, outcome: str, seconds: float) -> None:
        """Count an image of `POST /v1/classify` by its outcome."""
        self._classified.labels(outcome).observe(seconds)

    def exposition(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)
