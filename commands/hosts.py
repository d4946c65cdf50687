"""`smartsight hosts [block|release HOST...]`: list hosts and their state; block or release them."""

from argparse import Namespace

from commands.backend import open_backend
from commands.terminal import say, show, show_json
from shared.errors import Code, UsageError
from shared.hosts import Host, host_named
from shared.settings import Settings

_LISTED = 100
_HEAD = f"{'host':<36} {'state':<10} {'for':>8} {'pause':>8} {'waiting':>9} {'requests':>10}  why"
_DONE = {
    "block": "blocked; within seconds it is no longer requested, and its images are skipped.",
    "release": "released; it is requested again, and its failures are forgotten.",
}


def run(options: Namespace, settings: Settings) -> int:
    """List hosts, or block or release those named."""
    hosts = [host_named(host) for host in options.hosts]
    if bool(options.action) != bool(hosts):
        raise UsageError(Code.HOST_INVALID, "say `block HOST` or `release HOST`, or nothing to list them")
    with open_backend(options, settings) as backend:
        if not options.action:
            _show(backend.hosts(options.after or "", _LISTED), options.json, backend.api_option)
        for host in hosts:
            backend.set_blocked(host, options.action == "block")
            say(f"{host}: {_DONE[options.action]}")
    return 0


def _show(hosts: list[Host], as_json: bool, api_option: str) -> None:
    if as_json:
        show_json([host.as_json() for host in hosts])
    else:
        show(_HEAD, *map(_line, hosts))
    if len(hosts) == _LISTED:
        say(f"There may be more: smartsight hosts --after {hosts[-1].host}{api_option}")


def _line(host: Host) -> str:
    left = "" if host.seconds_left is None else f"{host.seconds_left:.0f} s"
    numbers = f"{left:>8} {f'{host.delay:.3g} s':>8} {host.waiting:>9} {host.requests:>10}"
    state = host.state.replace("_", " ")
    return f"{host.host:<36} {state:<10} {numbers}  {host.message or ''}".rstrip()
