"""The host of a reference: what politeness, reports and filters go by."""

import re
from dataclasses import dataclass
from enum import StrEnum

#: Longest host name, in characters (RFC 1035, section 2.3.4); what is longer is none.
_MAX_LENGTH = 253
_HOST = re.compile(r"https?://(?:[^/?#@]*@)?(\[[^\]/?#]*\]|[^/?#:@]*)", re.IGNORECASE)


def host_of(ref: str) -> str | None:
    """Return the host name of a URL in lower case, as name servers know it; None if it has none.

    Ports and protocols make no difference: it is one and the same machine that is to be spared.
    """
    match = _HOST.match(ref)
    if match is None:
        return None
    host = match[1].strip("[]").lower().removesuffix(".")
    name = host if host.isascii() else _encoded(host)
    return name if name and len(name) <= _MAX_LENGTH else None


def _encoded(host: str) -> str:
    """Return a name as the HTTP client asks name servers for it (IDNA 2008, with UTS 46)."""
    import idna

    try:
        return idna.encode(host, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):  # no name server knows it
        return host


@dataclass(slots=True)
class HostState:
    """What is known of a host; times are seconds since 1970 by the database's clock.

    ``delay`` is the pause between two requests in seconds, 0 where the setting holds; it is set aside until
    ``closed_until``, because of ``code``; ``failures`` and ``trips`` are those in a row.
    """

    host: str
    delay: float = 0.0
    next_at: float = 0.0
    closed_until: float = 0.0
    code: str | None = None
    failures: int = 0
    trips: int = 0
    blocked: bool = False
    requests: int = 0
    generation: int = 0
    holder: str | None = None
    held_until: float = 0.0

    @property
    def is_troubled(self) -> bool:
        """Whether it was set aside for failing and has not been well since, or is blocked."""
        return self.trips > 0 or self.blocked


class Standing(StrEnum):
    """How a host stands, in a word."""

    OPEN = "open"
    SLOW = "slow"
    ASIDE = "set aside"
    DOWN = "given up"
    BLOCKED = "blocked"


def standing(state: HostState, now: float, ladder: int) -> Standing:
    """Return how a host stands at this time; it is given up when set aside more often than ``ladder``."""
    if state.blocked:
        return Standing.BLOCKED
    if now < state.closed_until:
        return Standing.DOWN if state.trips > ladder else Standing.ASIDE
    return Standing.SLOW if state.delay else Standing.OPEN
