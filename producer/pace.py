"""How fast a job is of late."""

from collections import deque

#: How far back the pace is measured, in seconds.
_WINDOW = 60.0
#: Seconds between two looks that are remembered, and after which a pace can be told at all.
_STEP = 2.0


class Pace:
    """Remembers how much of a job was done when."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, now: float, done: int) -> float | None:
        """Return how many items ended a second in the last minute; nothing if there is nothing new to say."""
        if self._seen and done < self._seen[-1][1]:
            self._seen.clear()  # some are tried again
        if self._seen and now - self._seen[-1][0] < _STEP:
            return None
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _WINDOW:
            self._seen.popleft()
        begun, before = self._seen[0]
        return (done - before) / (now - begun) if now > begun else None
