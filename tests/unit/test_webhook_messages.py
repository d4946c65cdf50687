"""What webhooks are told, how it is signed, which are taken, and how long one waits for the next attempt."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from results_api.webhooks import SCHEDULE, check_webhook, make_secret, message_of, pause_after, signed_headers
from shared.errors import Code, ItemError, RequestError
from shared.fetching.guard import UrlGate
from shared.items import ItemState, JobState, now
from shared.store.store import Job, Tally

_ENDED = datetime(2026, 5, 1, 12, 0, 0, 123_000, tzinfo=UTC)
_JOB = Job(
    id=7,
    name="butterflies",
    state=JobState.COMPLETED,
    reason="",
    recorded=True,
    model_id=1,
    submitted=6,
    references_digest="",
    published=6,
    max_failure_rate=None,
    created_at=_ENDED - timedelta(hours=1),
    finished_at=_ENDED,
)
_TALLIES = [
    Tally(ItemState.SUCCEEDED, None, 3),
    Tally(ItemState.FAILED, Code.HTTP_404, 2),
    Tally(ItemState.FAILED, Code.NOT_AN_IMAGE, 1),
]
_GATE = UrlGate((80, 443), own=[("inside", 8080)])
_URL = "https://hooks.example.com/jobs?token=1"


def test_the_message_says_what_ended_and_how() -> None:
    assert json.loads(message_of(_JOB, _TALLIES).body) == {
        "type": "job.completed",
        "timestamp": "2026-05-01T12:00:00Z",
        "data": {
            "job": 7,
            "name": "butterflies",
            "state": "completed",
            "reason": "",
            "created_at": "2026-05-01T11:00:00Z",
            "submitted": 6,
            "counts": {"succeeded": 3, "failed": 3, "skipped": 0, "cancelled": 0},
            "links": {"job": "/v1/jobs/7", "results": "/v1/jobs/7/results"},
        },
    }


def test_links_have_the_path_below_which_the_api_is() -> None:
    links = json.loads(message_of(_JOB, _TALLIES, "/labels").body)["data"]["links"]
    assert links == {"job": "/labels/v1/jobs/7", "results": "/labels/v1/jobs/7/results"}


@pytest.mark.parametrize(
    ("state", "kind"), [(JobState.CANCELLED, "job.cancelled"), (JobState.FAILED, "job.failed")]
)
def test_each_end_has_its_type(state: JobState, kind: str) -> None:
    message = message_of(replace(_JOB, state=state, reason="why"), [])
    event = json.loads(message.body)
    assert (event["type"], event["data"]["reason"]) == (kind, "why")


def test_a_time_that_does_not_say_so_is_utc() -> None:
    bare = replace(
        _JOB, finished_at=_ENDED.replace(tzinfo=None), created_at=_JOB.created_at.replace(tzinfo=None)
    )
    assert message_of(bare, _TALLIES) == message_of(_JOB, _TALLIES)


def test_an_end_has_one_id_and_another_end_another() -> None:
    first, again = message_of(_JOB, _TALLIES), message_of(_JOB, [])
    later = message_of(replace(_JOB, finished_at=_ENDED + timedelta(milliseconds=1)), _TALLIES)
    other = message_of(replace(_JOB, id=8), _TALLIES)
    assert first.id == again.id
    assert len({first.id, later.id, other.id}) == 3
    assert "." not in first.id


def test_the_signature_is_what_receivers_verify() -> None:
    secret, message = make_secret(), message_of(_JOB, _TALLIES)
    headers = signed_headers(message, secret, now())
    assert Webhook(secret).verify(message.body, headers) == json.loads(message.body)
    for wrong in (headers | {"webhook-id": "msg_8_0"}, headers | {"webhook-timestamp": "1"}):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(message.body, wrong)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(message.body.replace(b"7", b"8"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(make_secret()).verify(message.body, headers)


def test_a_known_signature_comes_out() -> None:
    """The example of the reference implementation, so that both sides cannot be wrong in the same way."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    message = replace(message_of(_JOB, []), id="msg_p5jXN8AQM9LWM0D4loKWxJek", body=b'{"test": 2432232314}')
    headers = signed_headers(message, secret, datetime.fromtimestamp(1_614_265_330, UTC))
    assert headers["webhook-timestamp"] == "1614265330"
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_each_secret_is_another_and_is_taken() -> None:
    secrets = {make_secret() for _ in range(10)}
    assert len(secrets) == 10
    for secret in secrets:
        check_webhook(_URL, secret, _GATE)


@pytest.mark.parametrize("url", [_URL, "https://hooks.example.com", "http://inside:8080/hook"])
def test_urls_that_are_called_are_taken(url: str) -> None:
    check_webhook(url, make_secret(), _GATE)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://hooks.example.com/", "not an https URL"),
        ("https://hooks.example.com:8443/", "port 8443"),
        ("https://127.0.0.1/", "not a public address"),
        ("https://inside/", "not a public host name"),
        ("https://user:word@hooks.example.com/", "a user name, or a space or an escape in the host"),
        ("file:///etc/passwd", "not a well-formed http or https URL"),
        ("", "not a well-formed http or https URL"),
    ],
)
def test_urls_that_are_never_called_are_refused(url: str, why: str) -> None:
    with pytest.raises(RequestError) as caught:
        check_webhook(url, make_secret(), _GATE)
    assert (caught.value.code, caught.value.detail) == (Code.WEBHOOK_INVALID, f"its URL: {why}")


def _secret(size: int) -> str:
    return "whsec_" + base64.b64encode(bytes(size)).decode()


@pytest.mark.parametrize("size", [24, 64])
def test_the_shortest_and_the_longest_secret_are_taken(size: int) -> None:
    check_webhook(_URL, _secret(size), _GATE)


@pytest.mark.parametrize(
    "secret",
    [
        *("", "whsec_", "secret", _secret(23), _secret(65)),
        _secret(32).removeprefix("whsec_"),
        _secret(32).removesuffix("="),
        _secret(32) + "\n",
        "whsec_" + "ä" * 32,
        "whsec_" + "-_" * 16,
    ],
)
def test_other_secrets_are_refused_and_not_told_back(secret: str) -> None:
    with pytest.raises(RequestError) as caught:
        check_webhook(_URL, secret, _GATE)
    assert caught.value.code is Code.WEBHOOK_INVALID
    assert caught.value.detail == "its secret: must be whsec_ and 24 to 64 bytes in base64"


def _failure(code: Code = Code.HTTP_5XX, retry_after: float | None = None) -> ItemError:
    return ItemError(code, retry_after=retry_after)


def test_pauses_are_those_of_the_schedule_and_then_it_is_given_up() -> None:
    pauses = [pause_after(attempts, _failure(), SCHEDULE, 0.0) for attempts in range(1, 11)]
    assert pauses == [*SCHEDULE, None]
    assert sum(SCHEDULE) == pytest.approx(75 * 3600 + 35 * 60 + 5)


def test_a_pause_is_longer_by_chance_but_never_shorter() -> None:
    assert [pause_after(1, _failure(), (100.0,), chance) for chance in (0.0, 0.5, 1.0)] == [
        100.0,
        pytest.approx(105.0),
        pytest.approx(110.0),
    ]


@pytest.mark.parametrize(("asked", "pause"), [(1.0, 5.0), (60.0, 60.0), (10.0**9, 300.0)])
def test_a_receiver_that_asks_for_time_gets_it_within_reason(asked: float, pause: float) -> None:
    assert pause_after(1, _failure(retry_after=asked), (5.0, 300.0), 0.0) == pause


@pytest.mark.parametrize("code", [Code.HTTP_410, Code.URL_NOT_ALLOWED])
def test_some_failures_end_it_at_once(code: Code) -> None:
    assert pause_after(1, _failure(code), SCHEDULE, 0.0) is None
