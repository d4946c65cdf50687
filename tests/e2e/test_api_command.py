"""`smartsight api`: it listens where it should, to whom it should, and ends in good order."""

import http.client
import json
import re
import signal
from contextlib import closing
from pathlib import Path
from urllib.parse import urljoin

import pytest

from tests.e2e.conftest import Run, Start
from tests.e2e.serving import listening
from tests.servers.pictures import PictureServer
from tests.servers.waiting import wait_until

_PATIENCE = 60


def _ask(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
    with closing(http.client.HTTPConnection(host, port, timeout=_PATIENCE)) as connection:
        connection.request("GET", path, headers={"Authorization": "Bearer ss_secret", "X-Request-ID": "mine"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_until_it_is_told_to_end(start: Start, run: Run, number: signal.Signals) -> None:
    with listening(start) as service:
        assert "open: requests from this machine need no API key" in service.words
        status, ready = _ask(service.port, "/readyz?secret")
        parts = ("store", "background", "model", "disk")
        assert (status, json.loads(ready)["data"]) == (200, dict.fromkeys(parts, "ok"))
        assert _ask(service.port, "/v1/nothing?secret=1")[0] == 404
        assert run("api", "--check", "--port", str(service.port)).status == 0
        service.process.send_signal(number)
        _, words = service.process.communicate(timeout=_PATIENCE)
    assert service.process.returncode == 0
    assert "Traceback" not in words
    assert "secret" not in words
    (line,) = [json.loads(line) for line in words.splitlines() if "smartsight.access" in line]
    expected = {"method": "GET", "path": "/v1/nothing", "status": 404, "request_id": "mine"}
    assert expected.items() <= line.items()


def test_a_dry_run_does_not_hold_the_end_up(start: Start, samples: Path) -> None:
    with closing(PictureServer(samples)) as pictures:
        settings = {"SMARTSIGHT_OWN_HOSTS": pictures.place, "SMARTSIGHT_DRAIN_TIMEOUT": "1"}
        urls = "\n".join(pictures.urls("hang", 400))
        with (
            listening(start, **settings) as service,
            closing(http.client.HTTPConnection("127.0.0.1", service.port, timeout=_PATIENCE)) as connection,
        ):
            path = "/v1/jobs?dry_run=true&sample=400"
            connection.request("POST", path, urls, {"Content-Type": "text/plain"})
            wait_until(lambda: pictures.asked, _PATIENCE, "the sample to be tried")
            service.process.send_signal(signal.SIGTERM)
            assert connection.getresponse().status == 503
            _, words = service.process.communicate(timeout=_PATIENCE / 2)
    assert service.process.returncode == 0
    assert "without waiting for threads" not in words
    assert "Traceback" not in words


def test_a_port_that_is_taken_is_named(start: Start, run: Run) -> None:
    with listening(start) as service:
        second = run("api", "--port", str(service.port))
        assert second.status == 1
        assert (
            f"address_unavailable: The API cannot listen on this address. (127.0.0.1:{service.port}: "
            in second.err
        )
        assert _ask(service.port, "/livez")[0] == 200


def test_an_address_that_is_none_is_named(run: Run) -> None:
    finished = run("api", "--host", "no.such.host.invalid")
    assert (finished.status, "address_unavailable" in finished.err) == (1, True)


def test_strangers_are_answered_only_with_keys_or_where_that_is_said(start: Start, run: Run) -> None:
    refused = run("api", "--host", "0.0.0.0", "--port", "0")
    assert (refused.status, "keys_needed" in refused.err) == (2, True)
    with listening(start, "--host", "0.0.0.0", "--no-auth") as service:
        assert "open: requests from anywhere need no API key" in service.words
        assert _ask(service.port, "/metrics")[0] == 200
    assert run("keys", "create", "mine").status == 0
    with listening(start, "--host", "0.0.0.0") as service:
        assert "open:" not in service.words
        assert _ask(service.port, "/metrics")[0] == 401
        assert _ask(service.port, "/livez")[0] == 200


def test_it_listens_to_ipv6_as_well(start: Start) -> None:
    with listening(start, "--host", "::1") as service:
        assert _ask(service.port, "/livez", "::1")[0] == 200


def test_a_check_without_a_service_fails_in_words(run: Run) -> None:
    finished = run("api", "--check", "--port", "1")
    assert (finished.status, "no service answers at 127.0.0.1:1" in finished.err) == (1, True)


def test_the_page_of_the_document_comes_with_all_that_it_needs(start: Start) -> None:
    with listening(start) as service:
        _, page = _ask(service.port, "/docs")
        references = re.findall(r'(?:src|href)="([^"]*)"', page)
        assert not [url for url in references if "//" in url]
        for url in references:
            if not url.startswith("data:"):
                assert _ask(service.port, urljoin("/docs", url))[0] == 200, url
