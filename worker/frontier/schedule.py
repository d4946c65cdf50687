"""Which of the deliveries in this process may go to its host now, and when the next one may."""

import heapq
import itertools
from collections import deque
from collections.abc import Container, Iterator

from worker.frontier.line import Errand, Line
from worker.frontier.politeness import PolitenessPolicy


class Schedule:
    """All lines of this process. Times are by the store's clock, and told to every method."""

    def __init__(self, policy: PolitenessPolicy, lead: float) -> None:
        self._policy = policy
        #: How long one request may take, in seconds.
        self._lead = lead
        self._lines: dict[str, Line] = {}
        self._free: deque[Errand] = deque()
        self._due: list[tuple[float, int, Line]] = []
        self._numbers = itertools.count()
        self.count = 0

    def lines(self) -> Iterator[Line]:
        """Yield the lines of all hosts."""
        yield from self._lines.values()

    def line(self, host: str) -> Line:
        """Return the line of a host, a new one if there is none."""
        line = self._lines.get(host)
        if line is None:
            line = self._lines[host] = Line(host, self._policy, self._lead)
        return line

    def drop(self, line: Line) -> None:
        """Forget a host."""
        del self._lines[line.host]

    def drop_unused(self, wanted: Container[str]) -> None:
        """Forget hosts that are not ours and have nothing here, save those that are wanted."""
        for line in list(self._lines.values()):
            if not (line.throttle or line.active or line.waiting or line.host in wanted):
                self.drop(line)

    def add_free(self, errand: Errand) -> None:
        """Take what goes to no host that has to be spared."""
        self._free.append(errand)
        self.count += 1

    def add(self, line: Line, errand: Errand, now: float) -> None:
        """Put a delivery at the end of a line."""
        line.waiting.append((errand, now))
        self.count += 1
        if line.queued_at is None:
            self.arrange(line, now)

    def arrange(self, line: Line, now: float) -> None:
        """Note when the next delivery of a line may go; call it when anything of the line has changed."""
        at = line.opens_at(now)
        if at is not None and (line.queued_at is None or at < line.queued_at):
            line.queued_at = at
            heapq.heappush(self._due, (at, next(self._numbers), line))

    def next(self, now: float) -> tuple[Line | None, Errand] | None:
        """Return a delivery that may go now, if there is any, and its line."""
        if self._free:
            self.count -= 1
            return None, self._free.popleft()
        while self._due and self._due[0][0] <= now:
            noted, _, line = heapq.heappop(self._due)
            if noted != line.queued_at:
                continue  # it was noted for an earlier time since
            line.queued_at = None
            at = line.opens_at(now)
            if at is not None and at <= now:
                return line, self._launch(line, now)
            self.arrange(line, now)
        return None

    def has_free(self) -> bool:
        """Tell whether anything waits that goes to no host to be spared."""
        return bool(self._free)

    def next_at(self) -> float | None:
        """Return when it is worth to look again, if nothing else happens."""
        return self._due[0][0] if self._due else None

    def take_overdue(self, now: float) -> Iterator[tuple[Line, Errand]]:
        """Remove and yield what has waited here for too long."""
        for line in self._lines.values():
            for errand in line.overdue(now):
                self.count -= 1
                yield line, errand

    def empty(self, line: Line) -> list[Errand]:
        """Remove and return everything that waits in a line."""
        errands = [errand for errand, _ in line.waiting]
        line.waiting.clear()
        self.count -= len(errands)
        return errands

    def take_all(self) -> Iterator[Errand]:
        """Remove and yield everything that waits."""
        yield from self._free
        self.count -= len(self._free)
        self._free.clear()
        for line in self._lines.values():
            yield from self.empty(line)

    def _launch(self, line: Line, now: float) -> Errand:
        self.count -= 1
        line.active += 1
        line.used_at = now
        errand = line.waiting.popleft()[0]
        if line.is_shut(now):
            self.arrange(line, now)  # nobody is called: the others can be told so at once
        else:
            line.launching = errand
        return errand
