"""A delivery on its way to a result, and how it is settled: acked, handed back, or moved to the store."""

from dataclasses import dataclass

from shared.broker import Consumer, Delivery
from shared.hosts import host_of
from shared.items import Message
from shared.store.store import WaitingItem


@dataclass(frozen=True, slots=True)
class FetchTask:
    """A delivery, the URL to fetch for it now, and how many redirects led there.

    ``row`` is its row among the store's waiting items, if it came from there and not from the broker.
    """

    delivery: Delivery
    url: str
    hops: int = 0
    row: int | None = None

    @classmethod
    def of_delivery(cls, delivery: Delivery) -> "FetchTask":
        """Return the task of a delivery that came from the broker."""
        return cls(delivery, delivery.message.ref)

    @classmethod
    def of_waiting(cls, item: WaitingItem) -> "FetchTask":
        """Return the task of an item that waited in the store for its host."""
        return cls(Delivery(item.message, 0, item.redeliveries), item.url, item.hops, item.id)

    @property
    def message(self) -> Message:
        """The message that was delivered."""
        return self.delivery.message

    @property
    def host(self) -> str | None:
        """The host of the reference, which reports and filters go by; None for a file."""
        return host_of(self.message.ref)

    @property
    def log_fields(self) -> dict[str, int]:
        """What log records of this task say."""
        return {"job": self.message.job_id, "item": self.message.index}

    def as_waiting(self, host: str) -> WaitingItem:
        """Return what the store keeps of it while it waits for a host."""
        return WaitingItem(self.message, host, self.url, self.hops, self.row)


class DeliveryAcks:
    """Settles tasks: those of the broker at once, those of the store when ``HostLeases`` next talks to it."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._acked: list[int] = []
        self._released: list[int] = []
        #: Rows of the store that this process took and has not settled, and their hosts.
        self.unsettled: dict[int, str] = {}

    def ack(self, task: FetchTask) -> None:
        """Ack a task whose result is stored: it will not be delivered again."""
        if task.row is None:
            self._consumer.ack(task.delivery)
        else:
            self._acked.append(task.row)

    def release(self, task: FetchTask) -> None:
        """Hand a task back: it will be delivered again."""
        if task.row is None:
            self._consumer.release(task.delivery)
        else:
            self._released.append(task.row)

    def moved_to_store(self, task: FetchTask) -> None:
        """Settle a task that now waits in the store."""
        if task.row is None:
            self._consumer.ack(task.delivery)
        else:
            self.unsettled.pop(task.row, None)

    def take_settled(self) -> tuple[list[int], list[int]]:
        """Return, once, the rows to remove from the store and the rows to hand back to it."""
        acked, self._acked = self._acked, []
        released, self._released = self._released, []
        return acked, released
