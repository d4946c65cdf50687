"""What every broker must do; each adapter runs this same suite."""

import threading
from collections.abc import Iterator

import pytest

from shared.broker import BrokerClosedError, Delivery, InProcessBroker
from shared.items import Message

#: Longer than any delivery takes; a test that waits this long has failed.
_PATIENCE = 10.0


@pytest.fixture
def broker() -> Iterator[InProcessBroker]:
    broker = InProcessBroker(capacity=4)
    yield broker
    broker.close()


def _messages(*indexes: int) -> list[Message]:
    return [Message(job_id=1, index=index, ref=f"{index}.jpg") for index in indexes]


def _receive(broker: InProcessBroker, count: int) -> list[Delivery]:
    deliveries: list[Delivery] = []
    while len(deliveries) < count:
        more = broker.receive(count - len(deliveries), _PATIENCE)
        assert more, f"only {len(deliveries)} of {count} arrived"
        deliveries += more
    return deliveries


def test_what_is_published_is_delivered_in_order(broker: InProcessBroker) -> None:
    broker.publish(_messages(0, 1, 2))
    assert [delivery.message for delivery in _receive(broker, 3)] == _messages(0, 1, 2)


def test_a_limit_is_kept(broker: InProcessBroker) -> None:
    broker.publish(_messages(0, 1, 2))
    assert len(broker.receive(2, _PATIENCE)) <= 2


def test_an_empty_queue_gives_nothing(broker: InProcessBroker) -> None:
    assert broker.receive(1, 0.01) == []


def test_what_is_acked_does_not_come_again(broker: InProcessBroker) -> None:
    broker.publish(_messages(0))
    broker.ack(_receive(broker, 1)[0])
    assert broker.receive(1, 0.01) == []


def test_what_is_released_comes_again_and_says_so(broker: InProcessBroker) -> None:
    broker.publish(_messages(0, 1))
    first = _receive(broker, 2)[0]
    assert first.earlier == 0
    broker.release(first)
    again = _receive(broker, 1)[0]
    assert (again.message, again.earlier) == (first.message, 1)


def test_an_ack_after_a_release_does_nothing(broker: InProcessBroker) -> None:
    broker.publish(_messages(0))
    delivery = _receive(broker, 1)[0]
    broker.release(delivery)
    broker.ack(delivery)
    assert _receive(broker, 1)[0].message == delivery.message


def test_a_delayed_message_comes_after_those_without_delay(broker: InProcessBroker) -> None:
    broker.publish(_messages(0), delay=0.2)
    broker.publish(_messages(1))
    assert [delivery.message.index for delivery in _receive(broker, 2)] == [1, 0]


def test_publishing_waits_while_the_queue_is_full(broker: InProcessBroker) -> None:
    publisher = threading.Thread(target=broker.publish, args=(_messages(*range(20)),))
    publisher.start()
    assert [delivery.message.index for delivery in _receive(broker, 20)] == list(range(20))
    publisher.join(_PATIENCE)
    assert not publisher.is_alive()


def test_a_delayed_message_is_taken_even_by_a_full_queue(broker: InProcessBroker) -> None:
    broker.publish(_messages(0, 1, 2, 3))
    broker.publish(_messages(4), delay=0.01)
    assert len(_receive(broker, 5)) == 5


def test_delayed_messages_do_not_hold_up_new_ones(broker: InProcessBroker) -> None:
    broker.publish(_messages(*range(100)), delay=60)
    broker.publish(_messages(100, 101))
    assert [delivery.message.index for delivery in _receive(broker, 2)] == [100, 101]


def test_closing_wakes_publishers_and_receivers(broker: InProcessBroker) -> None:
    broker.publish(_messages(0, 1, 2, 3))
    failures: list[type[BaseException]] = []

    def publish() -> None:
        try:
            broker.publish(_messages(4))
        except BrokerClosedError as error:
            failures.append(type(error))

    publisher = threading.Thread(target=publish)
    publisher.start()
    broker.close()
    publisher.join(_PATIENCE)
    assert failures == [BrokerClosedError]
    assert broker.receive(1, _PATIENCE) == []
