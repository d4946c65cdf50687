"""Try again what may succeed then: a bounded number of times, each after a longer pause."""

import random
from collections.abc import Callable
from typing import TypeVar

from api_client.failures import RefusedError, UnansweredError
from shared.errors import Code, RequestError

T = TypeVar("T")

#: The pause after the first failure is up to so many seconds, twice as many after the next, and so on.
_FIRST = 0.5
_LONGEST = 30.0
#: Whoever is asked to wait longer, in seconds, is better told so.
_LONGEST_ASKED_FOR = 300.0
#: Statuses that say that nothing was done yet: the request did not arrive, or came too soon.
_NOTHING_DONE = (408, 429)


class Retries:
    """Makes so many attempts at most; ``sleep`` waits for a number of seconds."""

    def __init__(self, attempts: int, sleep: Callable[[float], None]) -> None:
        self.attempts = attempts
        self.sleep = sleep

    def run(self, attempt: Callable[[], T], repeatable: bool, attempts: int | None = None) -> T:
        """Return what an attempt returns; raise ``RequestError``, the last one's, if none succeeds."""
        failures = 0
        while True:
            try:
                return attempt()
            except RequestError as error:
                failures += 1
                self.pause(error, failures, repeatable, attempts)

    def pause(
        self, error: RequestError, failures: int, repeatable: bool = True, attempts: int | None = None
    ) -> None:
        """Wait before the next attempt, or raise the failure if there should be none.

        "Full jitter", of Brooker, "Exponential Backoff and Jitter", 2015, on top of what the API asks for.
        """
        asked_for = error.retry_after or 0.0
        tired = failures >= (attempts or self.attempts) or asked_for > _LONGEST_ASKED_FOR
        if tired or not _may_pass(error, repeatable):
            raise error
        self.sleep(asked_for + random.uniform(0, min(_LONGEST, _FIRST * 2 ** (failures - 1))))


def _may_pass(error: RequestError, repeatable: bool) -> bool:
    """Tell whether the same request may succeed later, and does no harm if the first one did, too."""
    if isinstance(error, UnansweredError):
        return repeatable or not error.sent
    if not isinstance(error, RefusedError):
        return False
    if error.status in _NOTHING_DONE:
        return error.code.transient or error.code is Code.API_REFUSED
    return error.status >= 500 and repeatable
