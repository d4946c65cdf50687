"""What every broker must do; each adapter runs this same suite."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Protocol

import pika
import pytest

from shared.broker import BrokerClosedError, Consumer, Delivery, InProcessBroker, Publisher
from shared.items import Message
from shared.rabbitmq.consumer import RabbitConsumer
from shared.rabbitmq.publisher import RabbitPublisher
from shared.rabbitmq.topology import Topology
from tests.servers.waiting import wait_until

#: Longer than any delivery takes; a test that waits this long has failed.
_PATIENCE = 10.0


class _Broker(Publisher, Consumer, Protocol):
    """Both sides of a broker, as one."""


class _Rabbit:
    def __init__(self, url: str, topology: Topology) -> None:
        self._publisher = RabbitPublisher(url, topology)
        self._consumer = RabbitConsumer(url, topology, prefetch=100)
        self.publish, self.depth = self._publisher.publish, self._publisher.depth
        self.receive, self.stop = self._consumer.receive, self._consumer.stop
        self.ack, self.release = self._consumer.ack, self._consumer.release

    def close(self) -> None:
        self._publisher.close()
        self._consumer.close()


@pytest.fixture
def in_process() -> Iterator[InProcessBroker]:
    broker = InProcessBroker(capacity=4)
    yield broker
    broker.close()


@pytest.fixture
def rabbit(broker_url: str) -> Iterator[_Rabbit]:
    topology = Topology(f"test-{uuid.uuid4().hex}", (0.2, 60.0))
    broker = _Rabbit(broker_url, topology)
    yield broker
    broker.close()
    with closing(pika.BlockingConnection(pika.URLParameters(broker_url))) as connection:
        for queue, _ in topology.queues():
            connection.channel().queue_delete(queue)


@pytest.fixture(params=["in_process", "rabbit"])
def broker(request: pytest.FixtureRequest) -> _Broker:
    made: _Broker = request.getfixturevalue(request.param)
    return made


def _messages(*indexes: int) -> list[Message]:
    return [Message(job_id=1, index=index, ref=f"{index}.jpg") for index in indexes]


def _receive(broker: _Broker, count: int) -> list[Delivery]:
    deliveries: list[Delivery] = []
    while len(deliveries) < count:
        more = broker.receive(count - len(deliveries), _PATIENCE)
        assert more, f"only {len(deliveries)} of {count} arrived"
        deliveries += more
    return deliveries


def test_what_is_published_is_delivered_in_order(broker: _Broker) -> None:
    broker.publish(_messages(0, 1, 2))
    assert [delivery.message for delivery in _receive(broker, 3)] == _messages(0, 1, 2)


def test_a_limit_is_kept(broker: _Broker) -> None:
    broker.publish(_messages(0, 1, 2))
    assert len(broker.receive(2, _PATIENCE)) <= 2


def test_an_empty_queue_gives_nothing(broker: _Broker) -> None:
    assert broker.receive(1, 0.01) == []


def test_what_is_acked_does_not_come_again(broker: _Broker) -> None:
    broker.publish(_messages(0))
    broker.ack(_receive(broker, 1)[0])
    assert broker.receive(1, 0.01) == []


def test_what_is_released_comes_again_and_says_so(broker: _Broker) -> None:
    broker.publish(_messages(0, 1))
    first = _receive(broker, 2)[0]
    assert first.redeliveries == 0
    broker.release(first)
    again = _receive(broker, 1)[0]
    assert (again.message, again.redeliveries) == (first.message, 1)


def test_an_ack_after_a_release_does_nothing(broker: _Broker) -> None:
    broker.publish(_messages(0))
    delivery = _receive(broker, 1)[0]
    broker.release(delivery)
    broker.ack(delivery)
    assert _receive(broker, 1)[0].message == delivery.message


def test_a_delayed_message_comes_after_those_without_delay(broker: _Broker) -> None:
    broker.publish(_messages(0), delay=0.2)
    broker.publish(_messages(1))
    assert [delivery.message.index for delivery in _receive(broker, 2)] == [1, 0]


def test_publishing_waits_while_the_queue_is_full(in_process: InProcessBroker) -> None:
    publisher = threading.Thread(target=in_process.publish, args=(_messages(*range(20)),))
    publisher.start()
    assert [delivery.message.index for delivery in _receive(in_process, 20)] == list(range(20))
    publisher.join(_PATIENCE)
    assert not publisher.is_alive()


def test_a_delayed_message_is_taken_even_by_a_full_queue(in_process: InProcessBroker) -> None:
    in_process.publish(_messages(0, 1, 2, 3))
    in_process.publish(_messages(4), delay=0.01)
    assert len(_receive(in_process, 5)) == 5


def test_delayed_messages_do_not_hold_up_new_ones(broker: _Broker) -> None:
    broker.publish(_messages(*range(100)), delay=60)
    broker.publish(_messages(100, 101))
    assert [delivery.message.index for delivery in _receive(broker, 2)] == [100, 101]


def test_closing_wakes_publishers_and_receivers(in_process: InProcessBroker) -> None:
    in_process.publish(_messages(0, 1, 2, 3))
    failures: list[type[BaseException]] = []

    def publish() -> None:
        try:
            in_process.publish(_messages(4))
        except BrokerClosedError as error:
            failures.append(type(error))

    publisher = threading.Thread(target=publish)
    publisher.start()
    in_process.close()
    publisher.join(_PATIENCE)
    assert failures == [BrokerClosedError]
    assert in_process.receive(1, _PATIENCE) == []


def test_the_depth_is_what_waits_to_be_delivered(broker: _Broker) -> None:
    broker.stop()
    broker.publish(_messages(0, 1, 2))
    broker.publish(_messages(3), delay=60)
    wait_until(lambda: broker.depth() == 3, _PATIENCE, "three messages in the queue")


def test_a_stopped_consumer_receives_nothing_more(broker: _Broker) -> None:
    broker.publish(_messages(0, 1))
    delivery = broker.receive(1, _PATIENCE)[0]
    broker.stop()
    assert broker.receive(10, _PATIENCE) == []
    broker.ack(delivery)
    wait_until(lambda: broker.depth() == 1, _PATIENCE, "the other message in the queue")
