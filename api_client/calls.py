"""Ask the API something, as often as it takes, within bounds."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from api_client.answers import Reply, reply_of, understood
from api_client.connection import Asked, Connection
from api_client.models import Page
from api_client.retrying import Retries

T = TypeVar("T")

#: How long the API may be busy with all of a large list or job before it answers, in seconds.
LONG = 600.0


class Calls:
    """Makes calls on one connection."""

    def __init__(self, connection: Connection, retries: Retries) -> None:
        self._connection = connection
        self._retries = retries

    def _ask(self, asked: Asked, attempts: int | None = None) -> Reply:
        return self._retries.run(lambda: self._once(asked), asked.repeatable, attempts)

    def _once(self, asked: Asked) -> Reply:
        with self._connection.answer(asked) as answer:
            return reply_of(answer)

    def _listed(self, path: str, query: Mapping[str, str], read: Callable[[Any], T]) -> Iterator[T]:
        """Yield the entries of a list, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            reply = self._ask(Asked("GET", path, {**query, **query_of(cursor=cursor)}))
            page = understood(lambda reply: _page(reply, read), reply)
            yield from page.entries
            cursor = page.next_cursor


def _page(reply: Reply, read: Callable[[Any], T]) -> Page[T]:
    cursor = reply.meta.get("next_cursor")
    return Page(tuple(map(read, reply.data)), None if cursor is None else str(cursor))


def query_of(**values: object) -> dict[str, str]:
    """Return what a URL asks for, without what is not given."""
    return {name.rstrip("_"): str(value) for name, value in values.items() if value not in (None, "")}
