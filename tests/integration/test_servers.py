"""The tests' own servers do what the fault tests rely on."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.servers.binaries import ensure_local_binaries
from tests.servers.ports import speaks_amqp
from tests.servers.proxy import TcpProxy
from tests.servers.rabbit import RabbitServer


@pytest.fixture(scope="module")
def rabbit() -> Iterator[RabbitServer]:
    ensure_local_binaries()
    with closing(RabbitServer()) as server:
        server.start()
        yield server


def test_a_killed_broker_comes_back_where_it_was(rabbit: RabbitServer) -> None:
    rabbit.kill()
    assert not speaks_amqp("127.0.0.1", rabbit.port)
    rabbit.start()
    assert speaks_amqp("127.0.0.1", rabbit.port)
    assert rabbit.queue_depths() == {}


def test_a_paused_broker_is_silent(rabbit: RabbitServer) -> None:
    rabbit.pause()
    assert not speaks_amqp("127.0.0.1", rabbit.port)
    rabbit.unpause()
    assert speaks_amqp("127.0.0.1", rabbit.port)


def test_a_network_can_go_and_come_back(rabbit: RabbitServer) -> None:
    with closing(TcpProxy("127.0.0.1", rabbit.port)) as proxy:
        assert speaks_amqp("127.0.0.1", proxy.port)
        proxy.blackhole()
        assert not speaks_amqp("127.0.0.1", proxy.port)
        proxy.reset()
        assert not speaks_amqp("127.0.0.1", proxy.port)
        proxy.pass_on()
        assert speaks_amqp("127.0.0.1", proxy.port)
