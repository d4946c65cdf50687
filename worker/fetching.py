"""One request of a delivery: is it allowed, is it time, what came of it."""

from dataclasses import dataclass

from shared.broker import Delivery
from shared.errors import Code, ItemError
from shared.fetching.fetcher import Fetcher, FetchRequest, FetchResponse, Redirected
from shared.items import Validators
from worker.denied import DenyList
from worker.frontier.frontier import Turn
from worker.frontier.line import WaitingDelivery
from worker.robots_book import RobotsBook

#: Redirects that are followed (https://fetch.spec.whatwg.org allows 20; images of crawls need two).
_MAX_REDIRECTS = 3
#: How often an item that waited in the store may come back from processes that died, as in RabbitMQ.
_MOST_RETURNS = 20


@dataclass(frozen=True)
class PoliteFetcher:
    """Asks hosts, as far as they want to be asked."""

    fetcher: Fetcher
    robots: RobotsBook | None
    denied: DenyList

    async def fetch(self, turn: Turn, known: Validators | None) -> FetchResponse:
        """Return the answer to the next request of a delivery.

        Raises ``ItemError``, and ``PostponedError`` if the host cannot be called soon.
        """
        await self.denied.check_url(turn.errand.url)
        if turn.line is not None and self.robots is not None:
            _check_delivery(turn.errand.delivery)
            _check_host(turn)
            await self._check_rules(turn, self.robots)
        await turn.begin_request()
        try:
            answer = await self.fetcher.fetch(FetchRequest(turn.errand.url, known, turn.sent_its_own))
            if isinstance(answer, Redirected) and turn.errand.hops >= _MAX_REDIRECTS:
                raise ItemError(Code.TOO_MANY_REDIRECTS, f"more than {_MAX_REDIRECTS}", final_url=answer.url)
        except ItemError as error:
            turn.judge(error.code, _pause(error))
            raise
        turn.judge(None)
        return answer

    async def _check_rules(self, turn: Turn, robots: RobotsBook) -> None:
        rules = await robots.rules(turn)
        if turn.line is not None and turn.line.throttle is not None:
            turn.line.throttle.require_delay(rules.delay)
        forbidden = rules.against(turn.errand.url)
        if forbidden is not None:
            raise ItemError(Code.ROBOTS_DISALLOWED, forbidden, final_url=turn.errand.url)


def _check_delivery(delivery: Delivery) -> None:
    """Raise ``ItemError`` for an item of the store's that has come back too often: it would for ever."""
    if isinstance(delivery, WaitingDelivery) and delivery.redeliveries >= _MOST_RETURNS:
        raise ItemError(Code.WORKER_CRASHED, f"{delivery.redeliveries} processes died while they had it")


def _check_host(turn: Turn) -> None:
    """Raise ``ItemError`` if the host is not to be called at all."""
    line = turn.line
    if line is None or line.throttle is None or not line.throttle.state.is_unhealthy:
        return
    if line.throttle.state.blocked:
        raise ItemError(Code.HOST_BLOCKED, line.host)
    if line.throttle.is_given_up(turn.frontier.now()):
        raise ItemError(Code.HOST_DOWN, f"{line.host}: {line.throttle.state.code}")


def _pause(error: ItemError) -> float | None:
    """Return for how many seconds a host wants to be left alone; 503 without a word wants the usual pause."""
    if error.retry_after is None and error.http_status == 503:
        return 0.0
    return error.retry_after
