"""What the routes work with, and how they get at it."""

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from results_api.access import Access, KeysRequired, check_origin, is_loopback
from results_api.api_keys import Caller, Scope
from results_api.capacity import Capacity
from results_api.classify import ImageClassifier, ImageUrlFetcher
from results_api.job_statuses import JobStatuses
from results_api.service.cookies import authorization_of
from results_api.service.middleware import Draining
from results_api.service.monitoring import HealthChecks, NullObserver, ServiceObserver
from results_api.submissions import Submissions
from shared.settings import Settings
from shared.store.store import Store

_SUMMARIES = 2
#: Streams of events that one process serves.
_STREAMS = 1000


@dataclass(frozen=True)
class Services:
    """All that the routes need, put together by a command."""

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
    #: Jobs that are summed up at the same time: each takes a thread and a connection for seconds.
    summaries: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_SUMMARIES))
    #: How many may follow jobs at the same time.
    streams: Capacity = field(default_factory=lambda: Capacity(_STREAMS, 0))


async def _services(request: Request) -> Services:  # what is not async takes a thread, each time
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services)]

# For the documentation: what is missing or wrong, we say ourselves.
_key = HTTPBearer(auto_error=False, description="A key made by `smartsight keys create`.")


def _may(scope: Scope) -> object:
    async def admit(request: Request, services: ServicesDep, _: Annotated[object, Security(_key)]) -> Caller:
        caller = await services.access.admit(authorization_of(request), scope)
        request.state.key_id = caller.key_id  # for the access log
        if caller.key_id is None:
            _check_origin(request, services)
        return caller

    return Depends(admit)


def _check_origin(request: Request, services: Services) -> None:
    """Keep the pages of others out where whoever asks may do everything."""
    headers, names = request.headers, services.settings.host_names

    def is_ours(name: str) -> bool:
        if services.access.required is KeysRequired.IF_ANY:
            return is_loopback(name)
        return not names or name in names

    check_origin(headers.get("Host"), headers.get("Origin"), services.settings.cors_origins, is_ours)


#: Who asks, if they may classify, submit, read, or do everything.
RequireClassify = Annotated[Caller, _may(Scope.CLASSIFY)]
RequireSubmit = Annotated[Caller, _may(Scope.SUBMIT)]
RequireRead = Annotated[Caller, _may(Scope.READ)]
RequireAdmin = Annotated[Caller, _may(Scope.ADMIN)]
