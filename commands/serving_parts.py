"""Compose the service: what its routes need, and what runs in the background."""

import logging
import os
import tempfile
import threading
from argparse import Namespace
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from commands.background import Part, in_background
from commands.dry_run import Estimator
from commands.metrics import ApiMetrics
from commands.parts import (
    check_broker,
    cores,
    list_budget,
    make_guard,
    make_web,
    model_of,
    open_decoders,
    open_store,
    user_agent,
    when_available,
)
from producer.recorder import Recorder
from results_api.access import Access, KeysRequired
from results_api.webhooks import WebhookDispatcher, with_secret
from shared.classifier.catalogue import open_classifier
from shared.classifier.classifier import Classifier
from shared.errors import Code, ResourceError, UsageError, code_of_write
from shared.fetching.posting import WebPoster
from shared.fetching.web import WebFetcher
from shared.settings import Settings
from shared.store.store import Store

if TYPE_CHECKING:
    from results_api.classify import ImageClassifier
    from results_api.service.monitoring import Check
    from results_api.service.services import Services
    from results_api.submissions import Submissions

#: A GIF of one white pixel (https://www.w3.org/Graphics/GIF/spec-gif89a.txt).
_TINY = bytes.fromhex(
    "47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b"
)

#: Images that are admitted before a thread is free: a thread that is done continues with one of them and need
#: not wait for the event loop, which is late when the cores are busy.
_PREFETCHED = 2

#: What a server that is ready can store at least, in bytes.
_SPACE = 1 << 20

_log = logging.getLogger("smartsight.api")


def make_services(
    options: Namespace,
    settings: Settings,
    address: str,
    stack: ExitStack,
    beside: Mapping[str, Part] | None = None,
) -> "Services":
    """Return what the routes need; the stack closes it.

    ``beside`` names what runs in the background besides the service's own parts.
    """
    from results_api.classify import ImageUrlFetcher
    from results_api.job_statuses import JobStatuses
    from results_api.service.monitoring import HealthChecks
    from results_api.service.services import Services

    store = when_available(lambda: stack.enter_context(open_store(settings)), threading.Event())
    required = keys_required(store, address, options.no_auth)
    _warn_if_open(required, store, address)
    classifier = _image_classifier(options.threads or cores(), store, settings, stack)
    recorder = Recorder(store, list_budget(settings))
    parts = {"recorder": recorder.run, "webhooks": _webhook_dispatcher(store, settings).run, **(beside or {})}
    background = stack.enter_context(in_background(parts, recorder.wake))
    checks: dict[str, Check] = {"store": lambda: _probe_store(store), "background": background.check}
    checks["model"] = lambda: _probe_classifier(classifier.classifier)
    checks["disk"] = lambda: probe_disk(settings)
    if settings.broker_url:
        checks["broker"] = lambda: check_broker(settings)
    return Services(
        store=store,
        settings=settings,
        access=Access(store, required),
        image_classifier=classifier,
        image_fetcher=ImageUrlFetcher(_web(settings), store, settings.host_connections),
        job_statuses=JobStatuses(store),
        submissions=_submissions(store, settings, recorder),
        health=HealthChecks(checks),
        observer=ApiMetrics(),
    )


def _image_classifier(threads: int, store: Store, settings: Settings, stack: ExitStack) -> "ImageClassifier":
    """Return the warmed-up classifier of `POST /v1/classify`, which no bulk work can delay."""
    from results_api.capacity import Capacity
    from results_api.classify import ImageClassifier

    in_hand = threads + 1  # one more than there are interpreters: it is decoded while they are busy
    decoders = stack.enter_context(open_decoders(settings))
    classifier = open_classifier(settings, settings.model, "auto", threads, decoders.decode)
    decoders.await_ready()
    pool = stack.enter_context(ThreadPoolExecutor(in_hand, "classify"))
    pool.submit(_probe_classifier, classifier).result()
    recorded = model_of(store, settings, None)
    capacity = Capacity(in_hand + _PREFETCHED, settings.classify_queue)
    return ImageClassifier(store, classifier, recorded.id, capacity, pool)


def _web(settings: Settings) -> WebFetcher:
    """Return the fetcher of single images, which may be no larger than an upload."""
    return make_web(replace(settings, max_bytes=settings.upload_bytes))


def _webhook_dispatcher(store: Store, settings: Settings) -> WebhookDispatcher:
    guard = make_guard(settings)
    return WebhookDispatcher(store, WebPoster(guard, user_agent(settings)), prefix=settings.root_path)


def _submissions(store: Store, settings: Settings, recorder: Recorder) -> "Submissions":
    from results_api.submissions import Submissions

    estimator = Estimator(settings)
    gate = make_guard(settings)
    return Submissions(
        store,
        lambda name: model_of(store, settings, name),
        recorder.wake,
        estimator.estimate,
        estimator.abandon,
        lambda url, secret: with_secret(url, secret, gate),
    )


def _probe_classifier(classifier: Classifier) -> None:
    """Classify the smallest image there is."""
    classifier.classify(_TINY, 1)


def keys_required(store: Store, address: str, no_auth: bool) -> KeysRequired:
    """Return when requests need an API key; raise ``UsageError(keys_needed)`` if none exists off loopback."""
    if no_auth:
        return KeysRequired.NEVER
    if ip_address(address).is_loopback:
        return KeysRequired.IF_ANY
    if not store.keys.exist():
        raise UsageError(Code.KEYS_NEEDED, f"--host {address}; smartsight keys create makes one")
    return KeysRequired.ALWAYS


def _warn_if_open(required: KeysRequired, store: Store, address: str) -> None:
    """Log a warning if requests need no API key."""
    if required is KeysRequired.NEVER:
        _log.warning("open: requests from anywhere need no API key", extra={"address": address})
    elif required is KeysRequired.IF_ANY and not store.keys.exist():
        _log.warning("open: requests from this machine need no API key, as none exists")


def probe_disk(settings: Settings) -> None:
    """Reserve some space where request bodies are kept while they arrive, and where a SQLite file grows.

    Raises ``ResourceError`` with ``disk_full`` or ``folder_unwritable``.
    """
    for folder in (None, settings.store_folder):
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                os.posix_fallocate(file.fileno(), 0, _SPACE)
        except OSError as error:
            raise ResourceError(
                code_of_write(error), f"{folder or 'temporary folder'}: {error.strerror}"
            ) from error


def _probe_store(store: Store) -> None:
    """Run a small query."""
    store.hosts.now()
