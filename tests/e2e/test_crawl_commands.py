"""What `smartsight` does with strangers' hosts, on one machine: hosts, dry runs, and a second visit."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from shared.fetching import guard
from shared.fetching.guard import Guard
from shared.store.database import Database
from shared.store.store import Store
from tests.e2e.conftest import Finished, Run
from tests.servers.names import FakeResolver
from tests.servers.opening import opened
from tests.servers.web import TRAP, Web

RunOnWeb = Callable[..., Finished]


@pytest.fixture
def web(samples: Path) -> Iterator[Web]:
    with closing(Web(samples)) as web:
        yield web


@pytest.fixture
def crawl(run: Run, web: Web, monkeypatch: pytest.MonkeyPatch) -> RunOnWeb:
    """Run a command that finds the tests' web."""
    monkeypatch.setattr(Guard, "allows", opened(Guard.allows, web.open))
    settings = {"SMARTSIGHT_PORTS": f"80,443,{web.port}", "SMARTSIGHT_FETCH_TIMEOUT": "10"}

    def crawl(*arguments: str, **more: str) -> Finished:
        resolver = FakeResolver(web.names)  # a command knows nothing of what others were answered
        monkeypatch.setattr(guard, "system_resolver", lambda: resolver)
        return run(*arguments, **settings | more)

    return crawl


def _rows(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]


def _write_list(urls: list[str]) -> str:
    Path("list.txt").write_text("".join(f"{url}\n" for url in urls))
    return "list.txt"


def test_what_has_not_changed_is_not_sent_again(crawl: RunOnWeb, web: Web) -> None:
    host = "fresh.example.com"
    urls = [web.url(host, path) for path in ("/etag/1", "/modified/2", "/ok/3")]
    source = _write_list(urls)
    assert crawl("label", source, "--output", "first.jsonl").status == 0
    assert crawl("label", source, "--output", "second.jsonl").status == 0
    first, second = _rows("first.jsonl"), _rows("second.jsonl")
    assert web.observed(host).not_modified == 2
    assert [row["http_status"] for row in second] == [304, 304, 200]
    assert [row["reused"] for row in second] == [True, True, True]
    for key in ("predictions", "sha256", "bytes", "width", "final_url"):
        assert [row[key] for row in second] == [row[key] for row in first]


def test_a_url_that_moved_is_asked_for_where_it_is_now(crawl: RunOnWeb, web: Web) -> None:
    url = web.url("moved.example.net", "/hops/2?to=/etag/1")
    assert crawl("label", url, "--output", "first.jsonl").status == 0
    assert crawl("label", url, "--output", "second.jsonl").status == 0
    assert _rows("second.jsonl")[0]["http_status"] == 304
    assert _rows("second.jsonl")[0]["predictions"] == _rows("first.jsonl")[0]["predictions"]


def test_hosts_are_shown_blocked_and_released(crawl: RunOnWeb, web: Web) -> None:
    host, other = "good-01.example.com", "robots-private.example.org"
    assert crawl("label", web.url(host, "/ok/1"), web.url(other, "/ok/1")).status == 0
    listed = crawl("hosts").out.splitlines()
    assert [line.split()[:2] for line in listed[1:]] == [[host, "open"], [other, "open"]]
    assert "blocked" in crawl("hosts", "block", f"https://{host.upper()}/any").err
    assert crawl("hosts").out.splitlines()[1].split()[:2] == [host, "blocked"]
    finished = crawl("label", web.url(host, "/ok/2"), "--output", "out.jsonl")
    assert finished.status == 1
    (row,) = _rows("out.jsonl")
    assert (row["state"], row["code"]) == ("skipped", "host_blocked")
    assert "/ok/2" not in web.observed(host).requests
    assert crawl("hosts", "release", host).status == 0
    assert crawl("label", web.url(host, "/ok/2")).status == 0
    assert crawl("hosts", "--after", host).out.splitlines()[1].split()[0] == other


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["block"], "say `block HOST`"),
        (["block", "not/a host"], "host_invalid"),
        (["stop", "x"], "invalid choice"),
    ],
)
def test_a_wrong_word_about_hosts_is_explained(run: Run, arguments: list[str], word: str) -> None:
    finished = run("hosts", *arguments)
    assert finished.status == 2
    assert word in finished.err


def test_a_dry_run_tells_what_to_expect_and_records_nothing(crawl: RunOnWeb, web: Web) -> None:
    urls = web.urls("good-01.example.com", "ok", 12) + web.urls("good-02.example.com", "ok", 12)
    urls += [web.url("statuses.example.net", f"/status/404?{number}") for number in range(8)]
    urls += web.urls("robots-all.example.org", "ok", 8)
    # Longer than a busy machine needs to label the sample: the hosts are what limits.
    listed, slow = _write_list([*urls, *urls[:10]]), "0.5"
    finished = crawl("submit", listed, "--dry-run", "--sample", "30", SMARTSIGHT_HOST_DELAY=slow)
    assert finished.status == 0, finished.err
    assert "(30 tried of 50)" in finished.out
    assert "robots_disallowed: The host's robots.txt" in finished.out
    assert "http_404: The host has nothing" in finished.out
    assert "20.0% occur earlier" in finished.out
    assert "forbidden by         robots-all.example.org (robots_disallowed)" in finished.out
    assert "limited by the request rate of" in finished.out
    assert crawl("jobs").out.count("\n") == 1, "only the head: there is no job"


def test_a_placeholder_is_no_label_in_any_output(crawl: RunOnWeb, web: Web) -> None:
    urls = [*web.urls("gone.example.com", "gone", 5), web.url("gone.example.com", "/ok/1")]
    finished = crawl("label", _write_list(urls), "--output", "out.jsonl")
    assert finished.status == 1
    assert [row["code"] for row in _rows("out.jsonl")] == ["placeholder"] * 5 + [None]
    assert all(not row["predictions"] for row in _rows("out.jsonl")[:5])
    assert "5 images are placeholders" in finished.err


def test_no_url_of_a_stranger_reads_a_file_or_calls_inside(crawl: RunOnWeb, web: Web) -> None:
    words = ("file", "data", "trap", "loopback6", "private-name", "trap-name")
    urls = [web.url("moved.example.net", f"/redirect/{word}") for word in words]
    finished = crawl("label", _write_list(urls), "--output", "out.jsonl")
    assert [row["code"] for row in _rows("out.jsonl")] == ["url_not_allowed"] * len(words)
    assert web.observed(TRAP).connections == 0
    assert "not allowed" not in finished.err


def test_what_was_forgotten_is_not_asked_for_again(
    crawl: RunOnWeb, web: Web, environment: dict[str, str], samples: Path
) -> None:
    host, moved = "fresh.example.com", "moved.example.net"
    denied, kept = web.url(host, "/etag/1"), web.url(host, "/ok/3")
    to_denied = web.url(moved, "/hops/1?to=" + denied)
    own = str(samples / "rocket.jpg")
    assert crawl("label", _write_list([denied, kept, own])).status == 0
    with closing(Database(f"sqlite:///{environment['SMARTSIGHT_DATA_DIR']}/smartsight.db")) as database:
        store = Store(database)
        assert store.deny_list.forget_url(denied).results == 1
        assert store.deny_list.forget_sha256(hashlib.sha256(Path(own).read_bytes()).hexdigest()).results == 1
    asked = web.observed(host).requests["/etag/1"]
    finished = crawl("label", _write_list([denied, kept, own, to_denied]), "--output", "out.jsonl")
    assert finished.status == 1
    rows = _rows("out.jsonl")
    assert [row["code"] for row in rows] == ["forgotten", None, "forgotten", "forgotten"]
    assert rows[2]["sha256"] is None
    assert "forgotten" in crawl("submit", _write_list([denied]), "--dry-run").out
    assert web.observed(host).requests["/etag/1"] == asked
