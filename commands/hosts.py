"""`smartsight hosts [block|release HOST...]`: how the fleet stands with hosts, and who decides otherwise."""

import re
from argparse import Namespace

from commands.parts import open_store
from commands.terminal import say, show
from shared.errors import Code, UsageError
from shared.hosts import HostStatus, host_of, host_status
from shared.settings import Settings
from shared.store.store import ListedHost

_LISTED = 100
_NOT_IN_A_NAME = re.compile(r"[\s/?#@]")
_HEAD = f"{'host':<36} {'state':<10} {'for':>8} {'pause':>8} {'waiting':>9} {'requests':>10}  why"


def run(options: Namespace, settings: Settings) -> int:
    """List hosts, or block or release those named."""
    hosts = [_checked(host) for host in options.hosts]
    if bool(options.action) != bool(hosts):
        raise UsageError(Code.HOST_INVALID, "say `block HOST` or `release HOST`, or nothing to list them")
    with open_store(settings) as store:
        if not options.action:
            listed = store.hosts.page(options.after or "", _LISTED)
            now = store.hosts.now()
            show(_HEAD, *(_line(host, now, settings) for host in listed))
            if len(listed) == _LISTED:
                say(f"There may be more: smartsight hosts --after {listed[-1].state.host}")
            return 0
        for host in hosts:
            store.hosts.set_blocked(host, options.action == "block")
            say(f"{host}: {_DONE[options.action]}")
    return 0


_DONE = {
    "block": "blocked; what is asked of it is skipped, within seconds.",
    "release": "released; it is asked again, and what it did before is forgotten.",
}


def _checked(text: str) -> str:
    """Return the name of a host, given as such or in a URL."""
    host = host_of(text if "://" in text else f"http://{text}")
    if host is None or ("://" not in text and _NOT_IN_A_NAME.search(text)):
        raise UsageError(Code.HOST_INVALID, repr(text))
    return host


def _line(listed: ListedHost, now: float, settings: Settings) -> str:
    state = listed.state
    how = host_status(state, now, len(settings.retry_delays))
    closed = how in (HostStatus.BACKED_OFF, HostStatus.GIVEN_UP)
    left = f"{state.closed_until - now:.0f} s" if closed else ""
    pause = f"{max(state.delay, settings.host_delay):.3g} s"
    why = Code(state.code).sentence if state.code else ""
    numbers = f"{left:>8} {pause:>8} {listed.waiting:>9} {state.requests:>10}"
    return f"{state.host:<36} {how:<10} {numbers}  {why}".rstrip()
