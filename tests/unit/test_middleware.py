"""The ASGI middlewares, each by itself."""

import asyncio
import logging

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from results_api.service.middleware import (
    AccessLogMiddleware,
    BodyLimitMiddleware,
    BodyLimits,
    Draining,
    DrainingMiddleware,
    RequestIdMiddleware,
    SecurityHeadersMiddleware,
    UnhandledErrorMiddleware,
)
from results_api.service.monitoring import NullObserver
from shared.errors import Code, RequestError
from tests.unit.asgi import GONE, Answered, App, ask, part, well

_PATIENT = BodyLimits(size=10, pause=60, whole=60)


async def _read(scope: Scope, receive: Receive, send: Send) -> None:
    """Read all of the body, then answer."""
    async for _ in Request(scope, receive).stream():
        pass
    await well(scope, receive, send)


async def _read_and_suspect(scope: Scope, receive: Receive, send: Send) -> None:
    """Take what breaks the body off for a body that cannot be read, as parsers do."""
    try:
        await _read(scope, receive, send)
    except Exception:
        await send({"type": "http.response.start", "status": 400, "headers": []})
        await send({"type": "http.response.body", "body": b"cannot be read"})


async def _break_down(scope: Scope, receive: Receive, send: Send) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("given", ["a", "A.b_c-9", "x" * 64])
def test_an_id_that_is_brought_along_is_taken_over(given: str) -> None:
    answered = asyncio.run(ask(RequestIdMiddleware(well), headers={"X-Request-ID": given}))
    assert (answered.headers["x-request-id"], answered.state["request_id"]) == (given, given)


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\nb", "é", "a/b"])
def test_an_improper_id_is_replaced(given: str) -> None:
    made = {
        asyncio.run(ask(RequestIdMiddleware(well), headers={"X-Request-ID": given})).headers["x-request-id"]
    }
    made |= {asyncio.run(ask(RequestIdMiddleware(well))).headers["x-request-id"]}
    assert given not in made
    assert len(made) == 2


def test_every_answer_has_the_headers_that_it_does_not_have_yet() -> None:
    async def own(scope: Scope, receive: Receive, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"no-cache")]}
        )

    headers = asyncio.run(ask(SecurityHeadersMiddleware(own, cors=False))).headers
    assert headers == {
        "cache-control": "no-cache",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
    }
    open_to_others = asyncio.run(ask(SecurityHeadersMiddleware(well, cors=True))).headers
    assert open_to_others["cache-control"] == "no-store"
    assert "cross-origin-resource-policy" not in open_to_others


class _Seen(NullObserver):
    def __init__(self) -> None:
        self.in_hand = 0
        self.requests: list[tuple[str, str, int]] = []

    def began(self) -> None:
        self.in_hand += 1

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        self.in_hand -= 1
        self.requests.append((method, route, status))


def _logged(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "smartsight.access"]


def test_a_request_is_one_line_without_anything_secret(caplog: pytest.LogCaptureFixture) -> None:
    class Route:
        path = "/v1/jobs/{id}"

    async def known(scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = Route()
        scope["state"]["key_id"] = 7
        await well(scope, receive, send)

    seen = _Seen()
    with caplog.at_level(logging.INFO, "smartsight.access"):
        asyncio.run(
            ask(
                RequestIdMiddleware(AccessLogMiddleware(known, seen)),
                "/v1/jobs/\x1b3",
                {"Authorization": "Bearer secret"},
            )
        )
    (line,) = _logged(caplog)
    assert line.getMessage() == "request"
    extra = {
        "method": "GET",
        "route": "/v1/jobs/{id}",
        "path": "/v1/jobs/?3",
        "status": 200,
        "bytes": 2,
        "key_id": 7,
    }
    assert extra.items() <= vars(line).items()
    assert vars(line)["client"] == "192.0.2.1"
    assert len(vars(line)["request_id"]) == 32
    assert "secret" not in str(vars(line))
    assert (seen.requests, seen.in_hand) == ([("GET", "/v1/jobs/{id}", 200)], 0)


def test_what_probes_ask_for_is_counted_but_not_written_down(caplog: pytest.LogCaptureFixture) -> None:
    seen = _Seen()
    with caplog.at_level(logging.INFO, "smartsight.access"):
        asyncio.run(ask(AccessLogMiddleware(well, seen), "/readyz"))
    assert not _logged(caplog)
    assert seen.requests == [("GET", "none", 200)]


def test_whoever_breaks_off_is_written_down_as_such(caplog: pytest.LogCaptureFixture) -> None:
    seen = _Seen()
    app = AccessLogMiddleware(
        UnhandledErrorMiddleware(BodyLimitMiddleware(_read_and_suspect, _PATIENT)), seen
    )
    with caplog.at_level(logging.INFO):
        asyncio.run(ask(app, body=[part(b"1"), GONE], method="POST"))
    assert seen.requests == [("POST", "none", 499)]
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("app", [_read, _read_and_suspect])
@pytest.mark.parametrize("length", ["3", "-1", "many", "9" * 5000])
def test_a_body_is_counted_not_believed(app: App, length: str) -> None:
    parts = [part(b"12345"), part(b"67890"), part(b"!")]
    answered = asyncio.run(
        ask(BodyLimitMiddleware(app, _PATIENT), headers={"Content-Length": length}, body=parts)
    )
    assert (answered.status, answered.type) == (413, "body_too_large")
    whole = asyncio.run(
        ask(BodyLimitMiddleware(app, _PATIENT), body=[*parts[:1], part(b"67890", more=False)])
    )
    assert whole.status == 200


def test_a_body_that_is_announced_as_too_large_is_not_waited_for() -> None:
    answered = asyncio.run(
        ask(BodyLimitMiddleware(_read, _PATIENT), headers={"Content-Length": "11"}, body=[part(b"")])
    )
    assert answered.status == 413


@pytest.mark.parametrize("app", [_read, _read_and_suspect])
def test_a_body_that_does_not_go_on_ends_the_request_and_the_connection(app: App) -> None:
    limits = BodyLimits(size=10, pause=0.05, whole=60)
    answered = asyncio.run(ask(BodyLimitMiddleware(app, limits), body=[part(b"1")]))
    assert (answered.status, answered.type) == (408, "request_timeout")
    assert answered.headers["connection"] == "close"


def test_a_large_body_has_longer_than_a_small_one() -> None:
    limits = BodyLimits(size=10, pause=60, whole=0.05, rate=1)
    assert asyncio.run(ask(BodyLimitMiddleware(_read, limits), body=[part(b"")])).status == 408

    async def slowly() -> Answered:
        return await asyncio.wait_for(ask(BodyLimitMiddleware(_read, limits), body=[part(b"1" * 9)]), 0.2)

    with pytest.raises(TimeoutError):
        asyncio.run(slowly())


def test_the_time_that_a_route_takes_is_not_the_senders() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.sleep(0.1)
        await _read(scope, receive, send)

    limits = BodyLimits(size=10, pause=0.05, whole=0.05)
    app = BodyLimitMiddleware(slow, limits)
    assert asyncio.run(ask(app, body=[part(b"1"), part(b"2", more=False)])).status == 200


def test_what_waits_for_the_end_of_a_connection_may_wait_for_long() -> None:
    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(receive(), 0.1)
        await well(scope, receive, send)

    limits = BodyLimits(size=10, pause=0.02, whole=0.02)
    assert asyncio.run(ask(BodyLimitMiddleware(wait, limits), body=[part(b"1", more=False)])).status == 200


def test_an_answer_that_has_begun_is_not_replaced() -> None:
    async def begin(scope: Scope, receive: Receive, send: Send) -> None:
        await well(scope, receive, send)
        await _read(scope, receive, send)

    with pytest.raises(RequestError):
        asyncio.run(ask(BodyLimitMiddleware(begin, _PATIENT), body=[part(b"1" * 11)]))


def test_a_defect_is_told_with_the_name_of_the_request_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = RequestIdMiddleware(UnhandledErrorMiddleware(_break_down))
    answered = asyncio.run(ask(app, headers={"X-Request-ID": "mine"}))
    assert (answered.status, answered.type) == (500, "internal_error")
    assert b"(request mine)" in answered.body
    assert b"Zero" not in answered.body
    (line,) = caplog.records
    assert line.exc_info
    assert (line.getMessage(), vars(line)["request_id"]) == ("unhandled error", "mine")


def test_a_defect_in_the_middle_of_an_answer_leaves_it_unfinished(caplog: pytest.LogCaptureFixture) -> None:
    async def begin(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    assert [message["type"] for message in asyncio.run(ask(UnhandledErrorMiddleware(begin))).messages] == [
        "http.response.start"
    ]
    assert len(caplog.records) == 1


def test_that_somebody_left_is_no_defect(caplog: pytest.LogCaptureFixture) -> None:
    async def leave(scope: Scope, receive: Receive, send: Send) -> None:
        raise ClientDisconnect

    assert asyncio.run(ask(UnhandledErrorMiddleware(leave))).messages == []
    assert not caplog.records


def test_what_comes_while_draining_is_turned_away_and_probes_are_not() -> None:
    async def drain() -> tuple[Answered, Answered]:
        draining = Draining()
        draining.begin(60)
        app = DrainingMiddleware(well, draining)
        return await ask(app), await ask(app, "/livez")

    turned_away, probe = asyncio.run(drain())
    assert (turned_away.status, turned_away.type, probe.status) == (503, "shutting_down", 200)
    assert turned_away.headers["connection"] == "close"
    assert int(turned_away.headers["retry-after"]) > 0


def test_what_is_in_hand_ends_before_draining_does() -> None:
    async def drain() -> int:
        draining, go_on = Draining(), asyncio.Event()

        async def wait(scope: Scope, receive: Receive, send: Send) -> None:
            await go_on.wait()
            await well(scope, receive, send)

        in_hand = asyncio.create_task(ask(DrainingMiddleware(wait, draining)))
        await asyncio.sleep(0)
        draining.begin(60)
        finished = asyncio.create_task(draining.finished())
        await asyncio.sleep(0)
        assert not finished.done()
        go_on.set()
        await finished
        return (await in_hand).status

    assert asyncio.run(drain()) == 200


def test_what_does_not_end_in_time_is_turned_away_after_all() -> None:
    async def drain() -> Answered:
        draining = Draining()

        async def wait(scope: Scope, receive: Receive, send: Send) -> None:
            await asyncio.Event().wait()

        in_hand = asyncio.create_task(ask(DrainingMiddleware(wait, draining)))
        await asyncio.sleep(0)
        draining.begin(0.05)
        await draining.finished()
        return await in_hand

    answered = asyncio.run(drain())
    assert (answered.status, answered.type) == (503, str(Code.SHUTTING_DOWN))


def test_a_stream_hears_of_the_end() -> None:
    async def drain() -> bytes:
        draining = Draining()

        async def stream(scope: Scope, receive: Receive, send: Send) -> None:
            await draining.begun()
            await well(scope, receive, send)

        in_hand = asyncio.create_task(ask(DrainingMiddleware(stream, draining)))
        await asyncio.sleep(0)
        draining.begin(60)
        await draining.finished()
        return (await in_hand).body

    assert asyncio.run(drain()) == b"ok"


def test_a_timeout_of_a_route_is_its_own_defect() -> None:
    async def time_out(scope: Scope, receive: Receive, send: Send) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        asyncio.run(ask(DrainingMiddleware(time_out, Draining())))
