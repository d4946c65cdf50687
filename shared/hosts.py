"""The host of a reference: what politeness, reports and filters go by; and what is a URL without one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.errors import UNPRINTABLE, Code, UsageError

#: Longest host name, in characters (RFC 1035, section 2.3.4); what is longer is none.
_MAX_LENGTH = 253
_NOT_IN_A_NAME = re.compile(r"[\s/?#@]")
_HOST = re.compile(r"https?://(?:[^/?#@]*@)?(\[[^\]/?#]*\]|[^/?#:@]*)", re.IGNORECASE)


def host_of(ref: str) -> str | None:
    """Return the host name of a URL in lower case, as name servers know it; None if it has none.

    Ports and protocols make no difference: it is the same machine that is throttled.
    """
    match = _HOST.match(ref)
    if match is None:
        return None
    host = match[1].strip("[]").lower().removesuffix(".")
    name = host if host.isascii() else _encoded(host)
    return name if name and len(name) <= _MAX_LENGTH else None


#: URLs that lists have beside those of hosts, from the attributes of pages; any other scheme has a host.
_UNFETCHED = re.compile(
    r"//|(?!https?://)(?:[a-z][a-z0-9+.-]*://|(?:https?|ftp|file|data|blob|about|javascript|mailto|cid|urn):)",
    re.IGNORECASE,
)


def is_unfetched_url(ref: str) -> bool:
    """Tell whether a reference looks like a URL that is never fetched: not of HTTP, or without a scheme.

    A file may have such a name, too.
    """
    return _UNFETCHED.match(ref) is not None


def host_named(text: str) -> str:
    """Return the host that a person named, as such or by a URL; raise ``UsageError(host_invalid)``."""
    host = host_of(text if "://" in text else f"http://{text}")
    if host is None or UNPRINTABLE.search(host) or ("://" not in text and _NOT_IN_A_NAME.search(text)):
        raise UsageError(Code.HOST_INVALID, repr(text))
    return host


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

    ``delay`` is the pause between two requests in seconds, 0 where the setting holds; it is backed off until
    ``closed_until``, because of ``code``, and given up by ``gives_up_at`` if it goes on failing; ``failures``
    and ``trips`` (backoffs) are those in a row.
    """

    host: str
    delay: float = 0.0
    next_at: float = 0.0
    closed_until: float = 0.0
    gives_up_at: float = 0.0
    code: str | None = None
    failures: int = 0
    trips: int = 0
    blocked: bool = False
    requests: int = 0
    generation: int = 0
    holder: str | None = None
    held_until: float = 0.0

    @property
    def is_unhealthy(self) -> bool:
        """Whether it backed off and has not succeeded since, or is blocked."""
        return self.trips > 0 or self.blocked


class HostStatus(StrEnum):
    """Whether a host can be called."""

    OPEN = "open"
    SLOW = "slow"
    BACKED_OFF = "backed_off"
    GIVEN_UP = "given_up"
    BLOCKED = "blocked"


def host_status(state: HostState, now: float, backoff_steps: int) -> HostStatus:
    """Return the status of a host; after more than ``backoff_steps`` backoffs in a row it is given up."""
    if state.blocked:
        return HostStatus.BLOCKED
    if now < state.closed_until:
        return HostStatus.GIVEN_UP if state.trips > backoff_steps else HostStatus.BACKED_OFF
    return HostStatus.SLOW if state.delay else HostStatus.OPEN


@dataclass(frozen=True, slots=True)
class Host:
    """A host as people see it: how workers treat it now, and what they have done so far.

    ``seconds_left`` is the time until its next request, if it is backed off or given up; ``delay`` is the
    pause between two requests, in seconds. ``waiting`` counts images, ``code`` says why it was backed off
    last, and ``message`` the same in words.
    """

    host: str
    state: HostStatus
    seconds_left: float | None
    delay: float
    waiting: int
    requests: int
    code: str | None
    message: str | None

    def as_json(self) -> dict[str, Any]:
        """Return the API's object."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Host":
        """Parse the API's object; fields that a newer API adds are ignored."""
        values = {name: data[name] for name in cls.__dataclass_fields__}
        return cls(**values | {"state": HostStatus(values["state"])})


def describe_host(
    state: HostState, waiting: int, now: float, default_delay: float, backoff_steps: int
) -> Host:
    """Return a host as people see it at this time; the delay is at least that of the settings."""
    status = host_status(state, now, backoff_steps)
    is_closed = status in (HostStatus.BACKED_OFF, HostStatus.GIVEN_UP)
    return Host(
        host=state.host,
        state=status,
        seconds_left=round(state.closed_until - now, 1) if is_closed else None,
        delay=max(state.delay, default_delay),
        waiting=waiting,
        requests=state.requests,
        code=state.code,
        message=Code(state.code).sentence if state.code else None,
    )
