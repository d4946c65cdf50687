"""What Prometheus can read of the service: the numbers of this process, in a registry of their own."""

#: Upper bounds of the histograms, in seconds.
_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60)


class ApiMetrics:
    """Counts what the service does; see ``results_api.service.monitoring``."""

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
        self._in_hand = Gauge("smartsight_api_requests_in_hand", "Requests in hand", registry=registry)
        self._classified = Histogram(
            "smartsight_api_classified_seconds",
            "Time that an image took to be classified at once",
            ["outcome"],
            buckets=_BUCKETS,
            registry=registry,
        )

    def began(self) -> None:
        """See ``ServiceObserver``."""
        self._in_hand.inc()

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        """See ``ServiceObserver``."""
        self._in_hand.dec()
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    def classified(self, outcome: str, seconds: float) -> None:
        """See ``ServiceObserver``."""
        self._classified.labels(outcome).observe(seconds)

    def exposition(self) -> bytes:
        """See ``ServiceObserver``."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)
