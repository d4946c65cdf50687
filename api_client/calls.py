"""Ask the API something, as often as it takes, within bounds."""

from collections.abc import Mapping
from typing import Any

from api_client.answers import Reply, reply_of
from api_client.connection import Asked, Connection
from api_client.retrying import Retries


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

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        return self._ask(Asked("GET", path, query or {})).data


def query_of(**values: object) -> dict[str, str]:
    """Return what a URL asks for, without what is not given."""
    return {name.rstrip("_"): str(value) for name, value in values.items() if value not in (None, "")}
