"""Prometheus metrics of a worker: its processes write files to one folder, and the parent sums them up.

https://prometheus.github.io/client_python/multiprocess/
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.errors import Code
from shared.items import Result

#: The folder of prometheus_client's files; it is read when the module is imported.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
#: Upper bounds of the histograms, in seconds.
_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60)


class Metrics:
    """Counts what workers and dispatchers do."""

    def __init__(self) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        self._items = Counter("smartsight_items", "Items with a result", ["state", "code"])
        self._reused = Counter("smartsight_reused", "Items that reused stored labels")
        self._retries = Counter("smartsight_retries", "Items scheduled for a retry", ["code"])
        self._stages = Histogram("smartsight_stage_seconds", "Time of a stage", ["stage"], buckets=_BUCKETS)
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
        """Count the time of a stage."""
        self._stages.labels(stage).observe(seconds)

    def item_finished(self, result: Result) -> None:
        """Count a stored result."""
        self._items.labels(result.state, result.code or "").inc()
        if result.reused:
            self._reused.inc()

    def retry_scheduled(self, code: Code) -> None:
        """Count a retry."""
        self._retries.labels(code).inc()

    def set_oldest_unacked(self, seconds: float) -> None:
        """Set the age of the oldest delivery that is neither acked nor released."""
        self._unacked.set(seconds)

    def waiting(self, in_broker: int | None, in_all: int) -> None:
        """Set the number of items without a result."""
        self._backlog.set(in_all)
        if in_broker is not None:
            self._queue.set(in_broker)


def metrics_of(environment: Mapping[str, str]) -> Metrics | None:
    """Return the metrics of this process if its parent serves them."""
    return Metrics() if environment.get(FOLDER) else None


@contextmanager
def serve_metrics(port: int, run_dir: Path) -> Iterator[Metrics | None]:
    """Serve the metrics of this process and its children on a port; port 0 means not at all.

    They are in memory-mapped files: a full disk would kill the process, so they are in the folder of the
    heartbeats, and not where lists of any size are unpacked.
    """
    if not port:
        yield None
        return
    run_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="metrics-", dir=run_dir) as folder:
        os.environ[FOLDER] = folder
        from prometheus_client import CollectorRegistry, start_http_server
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        server, thread = start_http_server(port, registry=registry)
        try:
            yield Metrics()
        finally:
            _end(server, thread)


def _end(server: Any, thread: Any) -> None:
    server.shutdown()
    server.server_close()
    thread.join()
