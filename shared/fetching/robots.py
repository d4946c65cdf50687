"""What a robots.txt allows, read by Protego (RFC 9309)."""

from dataclasses import dataclass
from functools import cached_property

from protego import Protego

from shared.fetching.urls import normal_url

#: Longest robots.txt in which the matching rule is searched, in characters, and most rules tried; beyond
#: that no rule is named, because the search would hold up others.
_SEARCHED, _TRIED = 20_000, 20
#: Longest pause between two requests that a robots.txt can ask for, in seconds.
MAX_DELAY = 60.0


@dataclass(frozen=True)
class Rules:
    """The rules of one origin for this robot."""

    robot: str
    text: str
    _parsed: Protego

    @cached_property
    def delay(self) -> float:
        """Seconds between two requests (Crawl-delay); 0 if not given."""
        rate = self._parsed.request_rate(self.robot)
        by_rate = rate.seconds / rate.requests if rate else 0.0
        return min(max(self._parsed.crawl_delay(self.robot) or 0.0, by_rate), MAX_DELAY)

    def against(self, url: str) -> str | None:
        """Return the rule that forbids a URL, or None if it may be fetched."""
        if not self.text:
            return None
        url = normal_url(url)  # dots and escapes are sent as they are, and rules are about where they lead
        if self._parsed.can_fetch(url, self.robot):
            return None
        return f"robots.txt: {self._rule(url)}"

    def _rule(self, url: str) -> str:
        """Return the longest rule that forbids a URL on its own; the parser does not report it."""
        lines = self.text.splitlines() if len(self.text) <= _SEARCHED else []
        values = {line.partition(":")[2].partition("#")[0].strip() for line in lines if _is_disallow(line)}
        matching = [value for value in values if not _alone(value).can_fetch(url, self.robot)]
        for value in sorted(matching, key=len, reverse=True)[:_TRIED]:
            if not self._without_others(value).can_fetch(url, self.robot):
                return f"Disallow: {value}"
        return "Disallow"

    def _without_others(self, value: str) -> Protego:
        """Return the rules with this one as the only Disallow, in its group."""
        kept = [
            line
            for line in self.text.splitlines()
            if not _is_disallow(line) or line.partition(":")[2].partition("#")[0].strip() == value
        ]
        return Protego.parse("\n".join(kept))


def parse_rules(text: str, robot: str) -> Rules:
    """Return the rules of a robots.txt; any text is valid, and an empty one forbids nothing."""
    return Rules(robot, text, Protego.parse(text))


def _is_disallow(line: str) -> bool:
    return line.partition(":")[0].strip().lower() == "disallow"


def _alone(value: str) -> Protego:
    return Protego.parse(f"User-agent: *\nDisallow: {value}")
