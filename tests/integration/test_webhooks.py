"""Webhooks from the end of a job to a receiver on this machine, and what becomes of those that fail."""

import asyncio
import json
import logging
import shutil
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from standardwebhooks import Webhook as Verifier

from results_api.webhooks import WebhookDispatcher, make_secret
from shared.errors import Code, ItemError, ResourceError
from shared.fetching import guard as gates
from shared.fetching.guard import Guard
from shared.fetching.posting import WebPoster
from shared.items import Item, ItemState, JobState, Result, now
from shared.store.database import Database
from shared.store.jobs import Jobs
from shared.store.store import Job, Store, Webhook, WebhookState
from shared.store.webhooks import Webhooks
from tests.servers.names import FakeResolver
from tests.servers.opening import opened
from tests.servers.receiver import Receiver, Reply, make_certificate
from tests.servers.waiting import wait_until

_PATIENCE = 30.0
_SHORT = 0.3
_QUICK = (0.01, 0.02)
_HOST = "hooks.example.com"
_MOVED = Reply(307, {"Location": "/elsewhere"})

Receiving = Callable[..., Receiver]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Database(f"sqlite:///{tmp_path / 'test.db'}")) as database:
        yield Store(database)


@pytest.fixture
def receiving() -> Iterator[Receiving]:
    """What starts a receiver that gives these replies."""
    with ExitStack() as stack:

        def start(*replies: Reply, certificate: Path | None = None) -> Receiver:
            return stack.enter_context(closing(Receiver(*replies, certificate=certificate)))

        yield start


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("results_api.webhooks._INTERVAL", 0.02)


def _ended_job(store: Store, url: str, key: str = "job") -> tuple[Job, str]:
    """Return a completed job of two items, with a webhook, and its secret."""
    model = store.models.record("lite0", "1", [])
    job, secret = store.jobs.open(key, model.id, name=key), make_secret()
    store.webhooks.add(job.id, url, secret)
    store.items.add([Item(job.id, index, f"{key}{index}") for index in range(2)])
    store.jobs.mark_recorded(job.id)
    codes = (None, Code.HTTP_404)
    states = (ItemState.SUCCEEDED, ItemState.FAILED)
    results = [
        Result(job.id, index, states[index], now(), 1, model.id, code=codes[index]) for index in range(2)
    ]
    store.results.save(results)
    store.jobs.complete(job.id)
    return store.jobs.get(job.id), secret


def _url(receiver: Receiver, path: str = "/hook") -> str:
    return f"http://127.0.0.1:{receiver.port}{path}"


def _own(receiver: Receiver) -> Guard:
    return Guard((80, 443), [("127.0.0.1", receiver.port)])


@contextmanager
def _telling(
    store: Store, guard: Guard, schedule: Sequence[float] = _QUICK, timeout: float = _PATIENCE
) -> Iterator[threading.Event]:
    """Tell webhooks meanwhile; what is given ends it."""
    stop = threading.Event()
    dispatcher = WebhookDispatcher(store, WebPoster(guard, "SmartSightBot/1", timeout), schedule)
    thread = threading.Thread(target=dispatcher.run, args=(stop,))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(_PATIENCE)
        assert not thread.is_alive()


def _told(store: Store, job: Job, guard: Guard, timeout: float = _PATIENCE) -> Webhook:
    """Return what has become of the webhook of a job in the end."""

    def is_settled() -> bool:
        return _webhook(store, job).state is not WebhookState.PENDING

    with _telling(store, guard, timeout=timeout):
        wait_until(is_settled, _PATIENCE, "the end of telling")
    return _webhook(store, job)


def _webhook(store: Store, job: Job) -> Webhook:
    webhook = store.webhooks.get(job.id)
    assert webhook is not None
    return webhook


def test_a_job_that_is_over_is_told_once_and_signed(store: Store, receiving: Receiving) -> None:
    receiver = receiving(Reply(200, body=b"thank you"))
    job, secret = _ended_job(store, _url(receiver, "/hook?token=1"))
    told = _told(store, job, _own(receiver))
    assert (told.state, told.attempts, told.last_error) == (WebhookState.DELIVERED, 1, "")
    (request,) = receiver.received
    assert (request.method, request.path) == ("POST", "/hook?token=1")
    event = Verifier(secret).verify(request.body, request.headers)
    assert (event["type"], event["data"]["job"]) == ("job.completed", job.id)
    assert event["data"]["counts"] == {"succeeded": 1, "failed": 1, "skipped": 0, "cancelled": 0}
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == "SmartSightBot/1"
    assert "image" not in request.headers["accept"]


def test_a_failure_is_followed_by_another_attempt_at_the_same_message(
    store: Store, receiving: Receiving
) -> None:
    receiver = receiving(Reply(500), Reply(503), Reply(200))
    job, secret = _ended_job(store, _url(receiver))
    told = _told(store, job, _own(receiver))
    assert (told.state, told.attempts) == (WebhookState.DELIVERED, 3)
    assert len(receiver.received) == 3
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1
    for request in receiver.received:
        Verifier(secret).verify(request.body, request.headers)


def test_it_is_given_up_after_the_last_attempt(store: Store, receiving: Receiving) -> None:
    receiver = receiving(Reply(500))
    job, _ = _ended_job(store, _url(receiver))
    told = _told(store, job, _own(receiver))
    assert (told.state, told.attempts) == (WebhookState.GIVEN_UP, 1 + len(_QUICK))
    assert told.last_error == "http_5xx (HTTP 500)"
    assert len(receiver.received) == 1 + len(_QUICK)


@pytest.mark.parametrize(
    ("reply", "attempts", "error"),
    [
        (Reply(410), 1, "http_410 (HTTP 410)"),
        (_MOVED, 3, "http_unexpected (HTTP 307)"),
        (Reply(404), 3, "http_404 (HTTP 404)"),
        (Reply(304), 3, "http_unexpected (HTTP 304)"),
        (Reply(429, {"Retry-After": "0"}), 3, "rate_limited (HTTP 429)"),
    ],
)
def test_whatever_is_not_2xx_is_a_failure(
    store: Store, receiving: Receiving, reply: Reply, attempts: int, error: str
) -> None:
    receiver = receiving(reply)
    job, _ = _ended_job(store, _url(receiver))
    told = _told(store, job, _own(receiver))
    assert (told.state, told.attempts, told.last_error) == (WebhookState.GIVEN_UP, attempts, error)
    assert {(request.method, request.path) for request in receiver.received} == {("POST", "/hook")}
    assert len(receiver.received) == attempts


def test_a_receiver_that_asks_for_time_is_not_called_sooner(store: Store, receiving: Receiving) -> None:
    receiver = receiving(Reply(503, {"Retry-After": "40"}))
    job, _ = _ended_job(store, _url(receiver))
    with _telling(store, _own(receiver), schedule=(0.01, 60.0)):
        wait_until(lambda: _webhook(store, job).last_error, _PATIENCE, "the first failure")
    assert 30 < _webhook(store, job).next_at - store.hosts.now() <= 44


def test_a_receiver_that_is_silent_fails(store: Store, receiving: Receiving) -> None:
    receiver = receiving(Reply(200))
    receiver.open.clear()
    job, _ = _ended_job(store, _url(receiver))
    told = _told(store, job, _own(receiver), timeout=_SHORT)
    assert (told.state, told.last_error) == (WebhookState.GIVEN_UP, "fetch_timeout")


def test_a_receiver_that_is_not_there_fails(store: Store, receiving: Receiving) -> None:
    receiver = Receiver()
    receiver.close()
    job, _ = _ended_job(store, _url(receiver))
    assert _told(store, job, _own(receiver)).last_error == "connect_failed"


def _post(guard: Guard, url: str, timeout: float = _PATIENCE) -> None:
    async def run() -> None:
        poster = WebPoster(guard, "SmartSightBot/1", timeout)
        try:
            await poster.post(url, b"{}", {})
        finally:
            await poster.close()

    asyncio.run(run())


@pytest.mark.parametrize("reply", [Reply(200, body=b"half", announced=8), Reply(202, body=b"x" * 70_000)])
def test_whatever_follows_a_status_of_success_does_not_matter(receiving: Receiving, reply: Reply) -> None:
    receiver = receiving(reply)
    _post(_own(receiver), _url(receiver))
    assert len(receiver.received) == 1


def test_of_an_endless_answer_only_the_beginning_is_read(receiving: Receiving) -> None:
    receiver = receiving(Reply(200, body=b"x" * 65_536, chunks=16_384))
    _post(_own(receiver), _url(receiver))
    assert receiver.sent < 100_000_000


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("http://127.0.0.1:{port}/hook", "not a public address"),
        ("https://127.0.0.1:{port}/hook", "not a public address"),
        (f"http://{_HOST}:{{port}}/hook", "not an https URL"),
        (f"https://{_HOST}:{{port}}/hook", ""),
    ],
)
def test_a_url_that_leads_inside_is_given_up_without_a_call(
    store: Store, receiving: Receiving, monkeypatch: pytest.MonkeyPatch, url: str, detail: str
) -> None:
    receiver = receiving()
    monkeypatch.setattr(gates, "system_resolver", lambda: FakeResolver({_HOST: ["127.0.0.1"]}))
    job, _ = _ended_job(store, url.format(port=receiver.port))
    told = _told(store, job, Guard((80, 443, receiver.port)))
    assert (told.state, told.attempts) == (WebhookState.GIVEN_UP, 1)
    assert told.last_error == ("url_not_allowed" + (f" ({detail})" if detail else ""))
    assert receiver.connections == 0


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("left out: no openssl to make a certificate with")
    return make_certificate(tmp_path, _HOST)


@pytest.fixture
def secure(receiving: Receiving, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    """A stranger's receiver, over HTTPS: the guard is open to its address alone."""
    receiver = receiving(certificate=certificate)
    monkeypatch.setattr(gates, "system_resolver", lambda: FakeResolver({_HOST: ["127.0.0.1"]}))
    monkeypatch.setattr(Guard, "allows", opened(Guard.allows, [("127.0.0.1", receiver.port)]))
    return receiver


def test_a_strangers_receiver_is_told_over_https(
    store: Store, secure: Receiver, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting = ssl.create_default_context(cafile=certificate)
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting)
    job, secret = _ended_job(store, f"https://{_HOST}:{secure.port}/hook")
    assert _told(store, job, Guard((secure.port,))).state is WebhookState.DELIVERED
    (request,) = secure.received
    Verifier(secret).verify(request.body, request.headers)


def test_a_certificate_that_nobody_vouches_for_is_a_failure(store: Store, secure: Receiver) -> None:
    job, _ = _ended_job(store, f"https://{_HOST}:{secure.port}/hook")
    told = _told(store, job, Guard((secure.port,)))
    assert (told.state, told.last_error) == (WebhookState.GIVEN_UP, "tls_failed")
    assert secure.received == []


def test_one_silent_receiver_does_not_hold_up_the_others(store: Store, receiving: Receiving) -> None:
    silent, other = receiving(), receiving()
    silent.open.clear()
    guard = Guard((80, 443), [("127.0.0.1", silent.port), ("127.0.0.1", other.port)])
    _ended_job(store, _url(silent), "first")
    with _telling(store, guard):
        wait_until(lambda: silent.received, _PATIENCE, "the silent one's call")
        job, _ = _ended_job(store, _url(other), "second")
        wait_until(lambda: other.received, _PATIENCE, "the other one's call")
        silent.open.set()
    assert _webhook(store, job).state is WebhookState.DELIVERED


def test_what_is_in_hand_is_finished_before_the_end(store: Store, receiving: Receiving) -> None:
    receiver = receiving()
    receiver.open.clear()
    job, _ = _ended_job(store, _url(receiver))
    with _telling(store, _own(receiver)) as stop:
        wait_until(lambda: receiver.received, _PATIENCE, "the call")
        stop.set()
        receiver.open.set()
    assert _webhook(store, job).state is WebhookState.DELIVERED


def test_several_messengers_tell_each_webhook_once(store: Store, receiving: Receiving) -> None:
    receiver = receiving()
    jobs = [_ended_job(store, _url(receiver), str(number))[0] for number in range(20)]
    with _telling(store, _own(receiver)), _telling(store, _own(receiver)):
        wait_until(
            lambda: all(_webhook(store, job).state is WebhookState.DELIVERED for job in jobs),
            _PATIENCE,
            "all webhooks",
        )
    told = [json.loads(request.body)["data"]["job"] for request in receiver.received]
    assert sorted(told) == [job.id for job in jobs]


def test_a_job_that_was_retried_is_told_again_as_another_event(store: Store, receiving: Receiving) -> None:
    receiver = receiving()
    job, _ = _ended_job(store, _url(receiver))
    _told(store, job, _own(receiver))
    store.jobs.reopen(job.id)
    store.jobs.mark_recorded(job.id)
    store.jobs.complete(job.id)
    _told(store, job, _own(receiver))
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 2


class _OftenAway(Webhooks):
    """A store that is away whenever it is to say what is due, or to note what is delivered, a first time."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._calls = {"due": 0, "note": 0}

    def due(self, limit: int, lease: float) -> list[Webhook]:
        self._fail_once("due")
        return super().due(limit, lease)

    def note_delivered(self, webhook: Webhook) -> None:
        self._fail_once("note")
        super().note_delivered(webhook)

    def _fail_once(self, call: str) -> None:
        self._calls[call] += 1
        if self._calls[call] == 1:
            raise ResourceError(Code.DATABASE_UNAVAILABLE, "not now")


def test_a_store_that_is_away_is_waited_for(
    tmp_path: Path, receiving: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("results_api.webhooks._LEASE", _SHORT)
    receiver = receiving()
    with closing(Database(f"sqlite:///{tmp_path / 'test.db'}")) as database:
        store = Store(database)
        store.webhooks = _OftenAway(database)
        job, _ = _ended_job(store, _url(receiver))
        assert _told(store, job, _own(receiver)).state is WebhookState.DELIVERED
    assert len(receiver.received) == 2
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1


class _Reopening(Webhooks):
    """A store where a job is reopened between the claim of its webhook and the look at it."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._jobs = Jobs(database)

    def due(self, limit: int, lease: float) -> list[Webhook]:
        claimed = super().due(limit, lease)
        for webhook in claimed:
            self._jobs.reopen(webhook.job_id)
        return claimed


def test_a_job_that_runs_again_is_not_said_to_be_over(tmp_path: Path, receiving: Receiving) -> None:
    receiver = receiving()
    with closing(Database(f"sqlite:///{tmp_path / 'test.db'}")) as database:
        store = Store(database)
        store.webhooks = _Reopening(database)
        job, _ = _ended_job(store, _url(receiver))
        with _telling(store, _own(receiver)):
            wait_until(lambda: store.jobs.get(job.id).state is JobState.RUNNING, _PATIENCE, "the claim")
        assert _webhook(store, job) == Webhook(job.id, _url(receiver), _webhook(store, job).secret)
    assert receiver.connections == 0


class _Broken:
    """A poster with a defect."""

    async def post(self, *_: object) -> None:
        raise RuntimeError("a defect")

    async def close(self) -> None:
        pass


def test_a_defect_costs_an_attempt_and_is_reported(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    job, _ = _ended_job(store, "https://hooks.example.com/")
    stop = threading.Event()
    thread = threading.Thread(target=WebhookDispatcher(store, _Broken(), _QUICK).run, args=(stop,))
    thread.start()
    wait_until(lambda: _webhook(store, job).state is WebhookState.GIVEN_UP, _PATIENCE, "the end")
    stop.set()
    thread.join(_PATIENCE)
    assert _webhook(store, job).last_error == "internal_error (RuntimeError)"
    assert "a defect" in caplog.text


@pytest.mark.parametrize("status", [200, 500])
def test_logs_tell_the_host_and_no_secret(
    store: Store, receiving: Receiving, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level(logging.DEBUG, "smartsight")
    receiver = receiving(Reply(status))
    job, secret = _ended_job(store, _url(receiver, "/hidden?token=hidden"))
    _told(store, job, _own(receiver))
    logged = [vars(record) for record in caplog.records if record.name == "smartsight.webhooks"]
    assert (job.id, "127.0.0.1") in [(fields.get("job"), fields.get("host")) for fields in logged]
    assert "hidden" not in caplog.text + str(logged)
    assert secret not in caplog.text + str(logged)


def test_what_is_refused_says_where(receiving: Receiving) -> None:
    receiver = receiving(Reply(403))
    with pytest.raises(ItemError) as caught:
        _post(_own(receiver), _url(receiver))
    assert (caught.value.code, caught.value.http_status, caught.value.final_url) == (
        Code.HTTP_403,
        403,
        _url(receiver),
    )
