"""The Python client over a real connection, on each kind of database."""

import http.client
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from api_client import Client
from results_api.service.services import Services
from shared.actions import cancel_rest, delete, remove_rest, retry
from shared.errors import Code, RequestError
from shared.items import Item, ItemState, JobState, Result, now
from shared.store.database import Database
from shared.store.store import Job, Store
from tests.contract.api import Surroundings, record_lists, served, services_on
from tests.contract.races import ChangingStore
from tests.filling import multiply

_URLS = ["https://a.example/1.jpg", ("https://a.example/2.jpg", "two"), "no url", "https://b.example/3.jpg"]


@pytest.fixture
def client(services: Services) -> Iterator[Client]:
    with served(services) as url, Client(url, attempts=1) as client:
        yield client


def _end(store: Store, job_id: int, code: Code | None = None) -> None:
    """Give every item of a job a result, and complete it."""
    job, state = store.jobs.get(job_id), ItemState.FAILED if code else ItemState.SUCCEEDED
    store.results.save(
        Result(job_id, item.index, state, datetime.now(UTC), 1, job.model_id, code=code)
        for item in store.items.pending(job_id, 0, 100)
    )
    assert store.jobs.complete(job_id)


def test_an_image_is_classified_however_it_comes(
    client: Client, around: Surroundings, encoded: Callable[..., bytes]
) -> None:
    picture = encoded(Image.new("RGB", (64, 48), "red"), "JPEG")
    Path("red.jpg").write_bytes(picture)
    around.web.put("https://a.example/red.jpg", picture)
    for image in (picture, Path("red.jpg"), "https://a.example/red.jpg"):
        first, second = client.classify(image, top=2)
        assert (first.name, first.wordnet_id) == ("red, crimson", "n1")
        assert 1 >= first.score > second.score
    for image, code in ((b"text", Code.NOT_AN_IMAGE), ("https://a.example/none.jpg", Code.HTTP_404)):
        with pytest.raises(RequestError) as caught:
            client.classify(image)
        assert caught.value.code is code


def test_a_job_is_followed_from_its_beginning_to_its_end(client: Client, store: Store) -> None:
    job = client.submit(_URLS, name="spring", priority="high", max_failure_rate=0.5, idempotency_key="k")
    assert (job.state, job.recorded, job.name, job.priority) == (JobState.SUBMITTING, False, "spring", "high")
    record_lists(store)
    course = client.follow(job.id, poll=0.1)
    now = next(course)
    assert (now.state, now.submitted, now.counts[ItemState.PENDING]) == (JobState.RUNNING, 3, 3)
    assert (now.malformed.count, now.malformed.lines[0].line) == (1, 3)
    _end(store, job.id, Code.HTTP_404)
    (ended,) = course
    assert (ended.state, ended.done, ended.max_failure_rate) == (JobState.COMPLETED, 3, 0.5)
    assert [(count.code, count.count) for count in ended.codes] == [("http_404", 3)]
    assert ended.finished_at is not None
    assert client.wait(job.id) == client.job(job.id) == ended


def test_a_list_file_is_taken_in_once(client: Client, store: Store) -> None:
    Path("list.csv").write_text("image,sku\nhttps://a.example/1.jpg,first\n")
    options = {"column": "image", "id_column": "sku", "idempotency_key": "k"}
    first, again = (client.submit(Path("list.csv"), **options) for _ in range(2))  # type: ignore[arg-type]
    assert first.id == again.id
    record_lists(store)
    assert [(item.ref, item.custom_id) for item in store.items.pending(first.id, 0, 9)] == [
        ("https://a.example/1.jpg", "first")
    ]
    Path("list.csv").write_text("image,sku\nhttps://a.example/other.jpg,first\n")
    with pytest.raises(RequestError) as caught:
        client.submit(Path("list.csv"), **options)  # type: ignore[arg-type]
    assert caught.value.code is Code.KEY_TAKEN
    assert [job.id for job in client.jobs(idempotency_key="k")] == [first.id]


def test_jobs_are_listed_over_several_pages(client: Client) -> None:
    made = [client.submit([f"https://a.example/{number}.jpg"]).id for number in range(5)]
    assert [job.id for job in client.jobs(limit=2)] == made[::-1]


def test_jobs_are_controlled_and_removed(client: Client, store: Store) -> None:
    job_id = client.submit(_URLS).id
    record_lists(store)
    _end(store, job_id, Code.HTTP_404)
    assert client.retry(job_id).retried == 0
    assert client.retry(job_id, [Code.HTTP_404]).retried == 3
    failure = Result(job_id, 0, ItemState.FAILED, now(), 1, 1, code=Code.HTTP_5XX)
    store.retries.add(failure, 100, 1000)
    waiting = client.job(job_id).waiting
    assert waiting is not None
    assert waiting.count == 1
    assert client.give_up(job_id).given_up == 1
    assert store.jobs.pause(job_id, "too much fails")
    assert client.wait(job_id).reason == "too much fails"
    assert client.resume(job_id, 0.9).max_failure_rate == 0.9
    assert client.cancel(job_id).state in (JobState.CANCELLING, JobState.CANCELLED)
    cancel_rest(store, store.jobs.get(job_id))  # as the service does, too, behind its answer
    assert client.wait(job_id).counts[ItemState.CANCELLED] == 2
    with pytest.raises(RequestError) as caught:
        client.resume(job_id)
    assert caught.value.code is Code.JOB_NOT_READY
    client.delete(job_id)
    with pytest.raises(RequestError) as caught:
        client.job(job_id)
    assert caught.value.code is Code.JOB_UNKNOWN


def test_a_webhook_tells_its_secret_to_whoever_asked_for_it(client: Client) -> None:
    told = client.submit(_URLS, webhook_url="https://me.example/hook").webhook
    assert told is not None
    assert told.url == "https://me.example/hook"
    assert told.secret is not None
    assert told.secret not in repr(told)


def test_an_image_is_known_until_it_is_forgotten(client: Client, store: Store) -> None:
    url = "https://a.example/1.jpg"
    with pytest.raises(RequestError) as caught:
        list(client.image(url=url))
    assert caught.value.code is Code.IMAGE_UNKNOWN
    jobs = [client.submit([url]).id for _ in range(2)]
    record_lists(store)
    for job_id in jobs:
        _end(store, job_id)
    assert [row["job"] for row in client.image(url=url)] == jobs[::-1]
    assert client.forget(url=url)["denied"] is True


_ITEMS, _TIMES = 5, 400


@pytest.fixture
def long(store: Store, database: Database, services: Services, short_pages: int) -> Job:
    """A job that is over, of more results than are read at a time, all of which failed."""
    job = store.jobs.open("long", services.image_classifier.model_id)
    store.items.add([Item(job.id, index, f"https://a.example/{index}.jpg") for index in range(_ITEMS)])
    store.jobs.mark_recorded(job.id)
    _end(store, job.id, Code.HTTP_404)
    multiply(database, job.id, _TIMES)
    return store.jobs.get(job.id)


def _delete(store: Store, job: Job) -> None:
    delete(store, job)
    remove_rest(store, job)


def _retry(store: Store, job: Job) -> None:
    assert retry(store, job, [Code.HTTP_404]) == _ITEMS * _TIMES


_CHANGES = pytest.mark.parametrize(
    ("change", "code"), [(_delete, Code.JOB_UNKNOWN), (_retry, Code.JOB_CHANGED)], ids=["deleted", "retried"]
)


@_CHANGES
def test_an_export_whose_job_changes_meanwhile_is_seen_to_be_cut_off(
    store: Store,
    database: Database,
    long: Job,
    change: Callable[[Store, Job], None],
    code: Code,
    caplog: pytest.LogCaptureFixture,
) -> None:
    changing = ChangingStore(database, lambda: change(store, long))
    with (
        served(services_on(changing)) as url,
        closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)) as connection,
    ):
        connection.request("GET", f"/v1/jobs/{long.id}/results?format=csv")
        answer = connection.getresponse()
        assert (answer.status, answer.headers["SmartSight-Complete"]) == (200, "true")
        with pytest.raises(http.client.IncompleteRead) as caught:
            answer.read()
    assert 1 < caught.value.partial.count(b"\n") < _ITEMS * _TIMES
    assert not [record for record in caplog.records if record.exc_info]
    (line,) = [record for record in caplog.records if record.name == "smartsight.api"]
    assert (line.getMessage(), vars(line)["code"]) == ("response interrupted", code)


@_CHANGES
def test_results_of_a_job_that_changes_meanwhile_are_not_taken_for_all(
    store: Store, database: Database, long: Job, change: Callable[[Store, Job], None], code: Code
) -> None:
    changing = ChangingStore(database, lambda: change(store, long))
    found: list[int] = []
    with served(services_on(changing)) as url, Client(url, attempts=3, sleep=lambda _: None) as client:
        with pytest.raises(RequestError) as caught:
            found += (row["index"] for row in client.results(long.id))
        assert caught.value.code is code
    assert found == list(range(len(found)))
    assert 0 < len(found) < _ITEMS * _TIMES


@_CHANGES
def test_a_file_of_results_that_change_meanwhile_does_not_appear(
    store: Store, database: Database, long: Job, change: Callable[[Store, Job], None], code: Code
) -> None:
    changing = ChangingStore(database, lambda: change(store, long))
    with served(services_on(changing)) as url, Client(url, attempts=3, sleep=lambda _: None) as client:
        with pytest.raises(RequestError) as caught:
            client.download(long.id, "parquet", "out.parquet")
        assert caught.value.code is code
    assert not list(Path().glob("*out.parquet*"))
