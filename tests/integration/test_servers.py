"""The tests' own servers do what the fault tests rely on."""

from contextlib import closing

import pika

from tests.servers.ports import speaks_amqp
from tests.servers.proxy import TcpProxy
from tests.servers.rabbit import RabbitServer


def test_a_killed_broker_comes_back_where_it_was(mortal_rabbit: RabbitServer) -> None:
    with closing(pika.BlockingConnection(pika.URLParameters(mortal_rabbit.url))) as connection:
        connection.channel().queue_declare("kept", durable=True)
    mortal_rabbit.kill()
    assert not speaks_amqp("127.0.0.1", mortal_rabbit.port)
    mortal_rabbit.start()
    assert speaks_amqp("127.0.0.1", mortal_rabbit.port)
    with closing(pika.BlockingConnection(pika.URLParameters(mortal_rabbit.url))) as connection:
        connection.channel().queue_declare("kept", passive=True)  # fails unless it is there


def test_a_paused_broker_is_silent(mortal_rabbit: RabbitServer) -> None:
    mortal_rabbit.pause()
    assert not speaks_amqp("127.0.0.1", mortal_rabbit.port)
    mortal_rabbit.unpause()
    assert speaks_amqp("127.0.0.1", mortal_rabbit.port)


def test_a_network_can_go_and_come_back(mortal_rabbit: RabbitServer) -> None:
    with closing(TcpProxy("127.0.0.1", mortal_rabbit.port)) as proxy:
        assert speaks_amqp("127.0.0.1", proxy.port)
        proxy.blackhole()
        assert not speaks_amqp("127.0.0.1", proxy.port)
        proxy.reset()
        assert not speaks_amqp("127.0.0.1", proxy.port)
        proxy.pass_on()
        assert speaks_amqp("127.0.0.1", proxy.port)
