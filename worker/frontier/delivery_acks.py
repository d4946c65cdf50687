"""Ack and release deliveries, wherever they came from: the broker, or the store's waiting items."""

import threading
from collections.abc import Callable

from shared.broker import Consumer, Delivery
from worker.frontier.line import WaitingDelivery


class DeliveryAcks:
    """Passes the broker's deliveries back to it, and collects the others for the store."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._lock = threading.Lock()
        self._done: list[int] = []
        self._back: list[int] = []
        #: Rows of the store that this process took and has not settled, and their hosts.
        self.in_hand: dict[int, str] = {}

    def ack(self, delivery: Delivery) -> None:
        """Say that a delivery's result is stored: it will not come again."""
        self._settle(delivery, self._done, self._consumer.ack)

    def release(self, delivery: Delivery) -> None:
        """Hand a delivery back: it will come again."""
        self._settle(delivery, self._back, self._consumer.release)

    def stored(self, delivery: Delivery) -> None:
        """Say that a delivery now waits in the store."""
        if isinstance(delivery, WaitingDelivery):
            self.in_hand.pop(delivery.row, None)
        else:
            self._consumer.ack(delivery)

    def take_done(self) -> list[int]:
        """Return the rows to be removed, once."""
        with self._lock:
            self._done, done = [], self._done
        return done

    def take_back(self) -> list[int]:
        """Return the rows to be handed back, once."""
        with self._lock:
            self._back, back = [], self._back
        return back

    def _settle(self, delivery: Delivery, rows: list[int], to_broker: Callable[[Delivery], None]) -> None:
        if isinstance(delivery, WaitingDelivery):
            with self._lock:
                rows.append(delivery.row)
        else:
            to_broker(delivery)
