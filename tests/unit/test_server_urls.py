"""URLs of servers: what they mean, and that no message about them holds a part of a password."""

from argparse import ArgumentTypeError
from collections.abc import Callable

import pytest

from api_client.connection import Connection
from commands.options import api_url
from shared.errors import Code, UsageError
from shared.rabbitmq.connection import name_of, parameters_of
from shared.server_urls import without_password
from shared.store import postgres
from shared.store.database import Database

#: Passwords that a parser of URLs ends too early.
_BARE = ["p@TAIL", "p/TAIL", "12/TAIL", "p#TAIL", "12#TAIL", "p?TAIL", "12?TAIL", "p@TA:TAIL", "p@TA/b?TAIL"]


@pytest.mark.parametrize("password", _BARE)
def test_no_tail_of_a_password_is_shown(password: str) -> None:
    for scheme in ("amqp", "amqps", "postgresql+psycopg", "https"):
        shown = without_password(f"{scheme}://me:{password}@host:1/x")
        assert shown == f"{scheme}://me:***@host:1/x"


@pytest.mark.parametrize("password", _BARE)
def test_a_broker_is_named_without_any_part_of_its_password(password: str) -> None:
    text = _name_or_refusal(lambda: name_of(parameters_of(f"amqp://me:{password}@host/%2F")))
    assert text == "amqp://me:***@host:5672/%2F" or text.startswith(Code.BROKER_UNSUPPORTED.sentence)
    assert "TA" not in text


@pytest.mark.parametrize("password", _BARE)
def test_a_database_is_named_without_any_part_of_its_password(password: str) -> None:
    url = f"postgresql+psycopg://me:{password}@host/jobs"
    text = _name_or_refusal(lambda: postgres.name_of(postgres.open_engine(url)))
    if not text.startswith(Code.DATABASE_UNSUPPORTED.sentence):
        assert text == "postgresql+psycopg://me:***@host/jobs"
        assert postgres.open_engine(url).url.password == password
    assert "TA" not in text


def _name_or_refusal(name: Callable[[], str]) -> str:
    try:
        return name()
    except UsageError as error:
        return str(error)


@pytest.mark.parametrize(
    "url", ["mysql://me:TAIL@host/jobs", "me:TAIL@host/jobs", "postgresql://me:p/TAIL@host/jobs"]
)
def test_an_unsupported_database_is_named_without_its_password(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Database(url)
    assert caught.value.code is Code.DATABASE_UNSUPPORTED
    assert "TAIL" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://me:p/TAIL@host", "http://me:TAIL@host", "me:TAIL@host", "http://h:TAIL"]
)
def test_an_api_that_is_none_is_named_without_its_password(url: str) -> None:
    for refuse in (lambda: api_url(url), lambda: Connection(url, "", 1.0)):
        with pytest.raises((ArgumentTypeError, UsageError)) as caught:
            refuse()
        assert "TAIL" not in str(caught.value)


@pytest.mark.parametrize(
    "proxy", ["http://me:TA/IL@h:1", "http://me:TA#IL@h:1", "socks5://me:TAIL@h:1", "gopher://me:TAIL@h:1"]
)
def test_a_proxy_that_cannot_be_used_is_a_bad_setting(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    with pytest.raises(UsageError) as caught:
        Connection("https://api.example.com", "", 1.0)
    assert caught.value.code is Code.SETTING_INVALID
    assert "HTTPS_PROXY" in str(caught.value)
    assert "TA" not in str(caught.value).replace("HTTPS_PROXY, HTTP_PROXY or ALL_PROXY", "")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("amqp://host", "amqp://guest:***@host:5672/%2F"),
        ("amqp://host/", "amqp://guest:***@host:5672/%2F"),
        ("amqp://host//", "amqp://guest:***@host:5672/%2F"),
        ("amqp://host/%2F", "amqp://guest:***@host:5672/%2F"),
        ("amqp://host/images", "amqp://guest:***@host:5672/images"),
        ("amqp://host/a%2Fb?heartbeat=5", "amqp://guest:***@host:5672/a%2Fb"),
        ("amqps://u:p@host/", "amqps://u:***@host:5671/%2F"),
        ("amqps://u:p@[::1]:1/", "amqps://u:***@[::1]:1/%2F"),
    ],
)
def test_the_virtual_host_and_the_port_of_a_broker(url: str, name: str) -> None:
    assert name_of(parameters_of(url)) == name


@pytest.mark.parametrize(
    "url",
    ["amqp://host/a/b", "amqp://host///", "amqp://host:70000/", "amqp:host", "amqp://host:0/", "http://h"],
)
def test_what_is_no_broker_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        parameters_of(url)
    assert caught.value.code is Code.BROKER_UNSUPPORTED


@pytest.mark.parametrize("port", ["70000", "0", "-1"])
def test_a_port_of_postgres_that_does_not_exist_is_refused(port: str) -> None:
    with pytest.raises(UsageError) as caught:
        postgres.open_engine(f"postgresql+psycopg://me@host:{port}/jobs")
    assert caught.value.code is Code.DATABASE_UNSUPPORTED
