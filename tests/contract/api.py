"""The service in this process, on a store of the test: everything is real but the network and the web."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import uvicorn
from fastapi.testclient import TestClient

from producer.recorder import Recorder
from results_api.access import Access, KeysRequired
from results_api.capacity import Capacity
from results_api.classify import ImageClassifier, ImageUrlFetcher
from results_api.job_statuses import JobStatuses
from results_api.service.app import make_app
from results_api.service.job_models import ESTIMATE
from results_api.service.services import Services
from results_api.submissions import JobList, Submissions
from results_api.webhooks import with_secret
from shared.budgets import ListBudget
from shared.errors import Code, ItemError, UsageError
from shared.estimate import Estimate
from shared.fetching.fetcher import Fetched, FetchRequest, FetchResponse, Redirected
from shared.fetching.guard import UrlGate
from shared.settings import Settings
from shared.store.store import RecordedModel, Store
from tests.contract.colours import MODEL, Colours, colour_classifier
from tests.servers.ports import free_port
from tests.servers.waiting import wait_until


@dataclass
class Pages:
    """A web of a few pages: what each URL leads to."""

    answers: dict[str, FetchResponse | ItemError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def put(self, url: str, content: bytes) -> None:
        self.answers[url] = Fetched(lambda: content, url, 200)

    def redirect(self, url: str, target: str) -> None:
        self.answers[url] = Redirected(target)

    async def fetch(self, request: FetchRequest) -> FetchResponse:
        self.asked.append(request.ref)
        answer = self.answers.get(request.ref, ItemError(Code.HTTP_404, "", 404))
        if isinstance(answer, ItemError):
            raise answer
        return answer

    def throttled_host(self, url: str) -> str | None:
        return None

    async def close(self) -> None:
        pass


@dataclass
class Surroundings:
    """What the service works with, and what tests look at or change."""

    engine: Colours = field(default_factory=Colours)
    web: Pages = field(default_factory=Pages)
    capacity: Capacity = field(default_factory=lambda: Capacity(2, 8))
    wanted: KeysRequired = KeysRequired.IF_ANY


def services_on(store: Store, around: Surroundings | None = None, **settings: Any) -> Services:
    """Return what the routes work with; nobody is asked for a key unless there is one."""
    around = around or Surroundings()
    classifier = colour_classifier(around.engine)
    recorded = store.models.record(MODEL.name, MODEL.version, MODEL.labels)
    known = Settings(**settings)
    gate = UrlGate(known.ports, known.own_hosts)
    return Services(
        store=store,
        settings=known,
        access=Access(store, around.wanted),
        image_classifier=ImageClassifier(
            store, classifier, recorded.id, around.capacity, ThreadPoolExecutor(2)
        ),
        image_fetcher=ImageUrlFetcher(around.web, store, known.host_connections),
        job_statuses=JobStatuses(store),
        submissions=Submissions(
            store,
            lambda name: _model_of(name, recorded),
            lambda: None,
            _estimate,
            lambda: None,
            lambda url, secret: with_secret(url, secret, gate),
        ),
    )


def _model_of(name: str | None, recorded: RecordedModel) -> RecordedModel:
    if name not in (None, recorded.name):
        raise UsageError(Code.MODEL_UNKNOWN, repr(name))
    return recorded


def _estimate(listed: JobList, images: int) -> Estimate:
    references = listed.file.read().count(b"\n")
    return replace(Estimate.from_json(ESTIMATE), references=references, sampled=images)


def record_lists(store: Store, max_bytes: int = 1 << 20) -> None:
    """Record what lists there are."""
    Recorder(store, ListBudget(max_bytes)).record_waiting(threading.Event())


@contextmanager
def client_on(services: Services) -> Iterator[TestClient]:
    """Give a client of the service."""
    app = make_app(services)
    with TestClient(app, "http://localhost:8000", raise_server_exceptions=False) as client:
        yield client


@contextmanager
def served(services: Services) -> Iterator[str]:
    """Give the URL of the service, which a thread of this process runs."""
    options: dict[str, Any] = {"log_config": None, "ws": "none", "proxy_headers": False}
    config = uvicorn.Config(make_app(services), port=free_port(), **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        wait_until(lambda: server.started, 30, "the service")
        yield f"http://127.0.0.1:{config.port}"
    finally:
        server.should_exit = True
        thread.join()
