"""A client that a generator makes from the document: it asks the service, and understands every answer."""

import importlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openapi_python_client import generate
from openapi_python_client.config import Config, ConfigFile, MetaType
from PIL import Image

from results_api.access import KeysRequired
from results_api.api_keys import digest_of, ending_of, make_key
from shared.list_formats import MEDIA_TYPES
from shared.store.store import Grant, Store
from tests.contract.api import Surroundings, record_lists, served, services_on
from tests.servers.waiting import wait_until

_DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"
_PACKAGE = "generated_client"
#: Types that the generator does not know: to it they are bytes.
_BYTES = ("image/*", "image/jpeg", "text/event-stream", *MEDIA_TYPES)


class Generated:
    """The generated package, its operations and its models by their names."""

    def __init__(self, folder: Path) -> None:
        kinds = dict.fromkeys(_BYTES, "application/octet-stream")
        given = ConfigFile(post_hooks=[], content_type_overrides=kinds)
        target = folder / _PACKAGE
        options = {"document_source": _DOCUMENT, "file_encoding": "utf-8", "overwrite": False}
        mistakes = generate(config=Config.from_sources(given, MetaType.NONE, output_path=target, **options))
        assert [f"{one.header} {one.detail}"[:300] for one in mistakes] == []

    def client(self, url: str, key: str) -> Any:
        return importlib.import_module(f"{_PACKAGE}.client").AuthenticatedClient(base_url=url, token=key)

    def ask(self, client: Any, operation: str, *values: Any, **named: Any) -> Any:
        """Return the parsed answer of an operation, named by its tag and its id."""
        module = importlib.import_module(f"{_PACKAGE}.api.{operation}")
        return module.sync_detailed(*values, client=client, **named).parsed

    def model(self, name: str) -> Any:
        return getattr(importlib.import_module(f"{_PACKAGE}.models"), name)

    def file(self, content: bytes, name: str) -> Any:
        types = importlib.import_module(f"{_PACKAGE}.types")
        return types.File(payload=io.BytesIO(content), file_name=name)


def test_a_generated_client_speaks_with_the_service(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoded: Callable[..., bytes]
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    generated, key = Generated(tmp_path), make_key()
    store.keys.add(digest_of(key), ending_of(key), Grant("x", ("admin",), rate=1000, burst=1000))
    with served(services_on(store, Surroundings(wanted=KeysRequired.ALWAYS))) as url:
        with generated.client(url, key) as client:
            _classify(generated, client, encoded(Image.new("RGB", (64, 48), "red"), "JPEG"))
            job_id = _submit(generated, client, store)
            _read(generated, client, job_id)
            _control(generated, client, job_id)
        with generated.client(url, "wrong") as stranger:
            refused = generated.ask(stranger, "jobs.list_jobs")
            assert (refused.error.code, refused.error.type_.value) == (401, "key_invalid")


def _classify(generated: Generated, client: Any, jpeg: bytes) -> None:
    form = generated.model("ClassifyFilesBody")(file=generated.file(jpeg, "a.jpg"))
    for body in (form, generated.file(jpeg, "a.jpg")):
        best = generated.ask(client, "classify.classify", body=body, top=2)
        assert next(one.class_ for one in best.data) == "red, crimson"
    failed = generated.ask(client, "classify.classify", body=generated.file(b"text", "a.jpg"))
    assert (failed.error.code, failed.error.type_.value) == (415, "not_an_image")
    assert failed.error.url.endswith("/docs/errors#not_an_image")


def _submit(generated: Generated, client: Any, store: Store) -> int:
    entry = {"url": "https://a.example/2.jpg", "id": "two"}
    urls = {"urls": ["https://a.example/1.jpg", entry], "webhook": {"url": "https://hooks.example.com/"}}
    body = generated.model("SubmitJsonJobCreate").from_dict(urls)
    accepted = generated.ask(client, "jobs.submit", body=body, idempotency_key="k")
    assert (accepted.meta.code, accepted.data.state.value) == (202, "submitting")
    assert accepted.data.webhook.secret.startswith("whsec_")
    form = generated.model("SubmitFilesBody")(file=generated.file(b"https://a.example/3.jpg", "list.txt"))
    assert generated.ask(client, "jobs.submit", body=form, name="form").data.name == "form"
    record_lists(store)
    job_id: int = accepted.data.id
    return job_id


def _read(generated: Generated, client: Any, job_id: int) -> None:
    page = generated.ask(client, "jobs.list_jobs", limit=1)
    older = generated.ask(client, "jobs.list_jobs", limit=1, cursor=page.meta.next_cursor)
    assert ([job.id for job in older.data], older.meta.next_cursor) == ([job_id], None)
    job = generated.ask(client, "jobs.show_job", job_id).data
    assert (job.submitted, job.finished_at, job.created_at.year > 2000) == (2, None, True)
    assert generated.ask(client, "jobs.show_job", 99).error.type_.value == "job_unknown"
    assert generated.ask(client, "operations.livez").data == "alive"
    assert "store" not in generated.ask(client, "operations.readyz").data.additional_properties
    assert generated.ask(client, "hosts.get_hosts").data == []
    assert generated.ask(client, "hosts.block_host", "h.example").data.state.value == "blocked"


def _control(generated: Generated, client: Any, job_id: int) -> None:
    assert generated.ask(client, "jobs.cancel_job", job_id).data.state.value == "cancelling"
    show = lambda: generated.ask(client, "jobs.show_job", job_id).data.state.value  # noqa: E731
    wait_until(lambda: show() == "cancelled", 30, "the end of the job")
    page = generated.ask(client, "results.results", job_id)
    assert [(row.state.value, row.custom_id, row.predictions) for row in page.data] == [
        ("cancelled", None, []),
        ("cancelled", "two", []),
    ]
    assert page.meta.complete is True
    assert generated.ask(client, "results.summary", job_id).data.job.state.value == "cancelled"
    assert generated.ask(client, "results.show_report", job_id).data.states.additional_properties
    known = generated.ask(client, "images.known_image", url_query="https://a.example/2.jpg")
    assert [one.job for one in known.data] == [job_id]
    assert generated.ask(client, "jobs.delete_job", job_id) is None
    assert generated.ask(client, "jobs.show_job", job_id).error.code == 404
