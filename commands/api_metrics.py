"""Prometheus metrics of the service: this process alone, in a separate registry."""

#: Upper bounds of the histograms, in seconds.
_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60)


class ApiMetrics:
    """Counts requests and classifications for Prometheus."""

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
            "Answered requests",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "smartsight_api_request_seconds",
            "Time until the whole response was sent",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._in_hand = Gauge("smartsight_api_requests_in_hand", "Requests in progress", registry=registry)
        self._classified = Histogram(
            "smartsight_api_classified_seconds",
            "Time to classify an image of POST /v1/classify",
            ["outcome"],
            buckets=_BUCKETS,
            registry=registry,
        )

    def began(self) -> None:
        """Count a request in progress."""
        self._in_hand.inc()

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count the end of a request and its time."""
        self._in_hand.dec()
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    def classified(self, outcome: str, seconds: float) -> None:
        """Count an image and the time to classify it."""
        self._classified.labels(outcome).observe(seconds)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)
