"""What the routes work with."""

from dataclasses import dataclass, field
from functools import cached_property

from results_api.access import Access
from results_api.capacity import Turns
from results_api.classify import ImageClassifier, ImageUrlFetcher
from results_api.job_statuses import JobStatuses
from results_api.service.middleware import Draining
from results_api.service.monitoring import HealthChecks, NullObserver, ServiceObserver
from results_api.submissions import Submissions
from shared.budgets import Budget
from shared.settings import Settings
from shared.store.store import Store

#: Summaries made at the same time, and long JSON bodies validated.
_SUMMARIES, _LONG_BODIES = 2, 2
#: Event streams of one process, and those of one key or address.
_STREAMS, _STREAMS_EACH = 1000, 100
#: Images that are fetched at the same time by one process, and those for one key or address.
_FETCHES, _FETCHES_EACH = 32, 16
#: Requests that may wait for a turn, and those of one key or address.
_WAITING, _WAITING_EACH = 64, 8


def _turns(concurrent: int) -> Turns:
    return Turns(concurrent, Budget(_WAITING, _WAITING_EACH))


@dataclass(frozen=True)
class Services:
    """All that the routes need; a command puts it together."""

    store: Store
    settings: Settings
    access: Access
    image_classifier: ImageClassifier
    image_fetcher: ImageUrlFetcher
    job_statuses: JobStatuses
    submissions: Submissions
    health: HealthChecks = field(default_factory=HealthChecks)
    draining: Draining = field(default_factory=Draining)
    observer: ServiceObserver = field(default_factory=NullObserver)
    #: A summary takes a thread and a connection for seconds.
    summaries: Turns = field(default_factory=lambda: _turns(_SUMMARIES))
    streams: Budget = field(default_factory=lambda: Budget(_STREAMS, _STREAMS_EACH))
    fetches: Budget = field(default_factory=lambda: Budget(_FETCHES, _FETCHES_EACH))
    #: Validating a long JSON body takes a process.
    long_bodies: Turns = field(default_factory=lambda: _turns(_LONG_BODIES))

    @cached_property
    def bodies(self) -> Budget:
        """Bytes of all request bodies that are held, in memory or on disk."""
        largest = max(self.settings.list_bytes, self.settings.upload_bytes)
        total = max(self.settings.held_bytes, largest)
        return Budget(total, max(total // 2, largest))
