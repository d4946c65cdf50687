"""What the routes work with."""

import asyncio
from dataclasses import dataclass, field

from results_api.access import Access
from results_api.capacity import Capacity
from results_api.classify import ImageClassifier, ImageUrlFetcher
from results_api.job_statuses import JobStatuses
from results_api.service.middleware import Draining
from results_api.service.monitoring import HealthChecks, NullObserver, ServiceObserver
from results_api.submissions import Submissions
from shared.settings import Settings
from shared.store.store import Store

#: Summaries made at the same time.
_SUMMARIES = 2
#: Event streams of one process.
_STREAMS = 1000


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
    #: Bounds the summaries made at the same time: each takes a thread and a connection for seconds.
    summaries: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_SUMMARIES))
    #: Bounds the event streams.
    streams: Capacity = field(default_factory=lambda: Capacity(_STREAMS, 0))
