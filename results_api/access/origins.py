"""Where no key is asked for, whoever reaches us may ask: but no page from elsewhere in their browsers.

Such a page reaches whatever the browser reaches. It is told by the Origin that the browser adds (RFC 6454);
and, where it gave its own name our address (DNS rebinding), by the Host that it then asks.
"""

import ipaddress
import re
from collections.abc import Callable, Collection

from shared.errors import Code, RequestError, printable

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\[\]:@/\s]+))(?::[0-9]{1,5})?", re.IGNORECASE)


def check_origin(
    host: str | None, origin: str | None, allowed: Collection[str], is_ours: Callable[[str], bool]
) -> None:
    """Raise ``RequestError(origin_refused)`` unless a request is for us, and from a page of ours if from any.

    ``host`` and ``origin`` are its headers, ``allowed`` the origins whose pages may ask, too; ``is_ours``
    tells whether a host's name or address is ours.
    """
    match = _HOST.fullmatch(host or "")
    if match is None or not is_ours((match[1] or match[2]).lower()):
        raise RequestError(Code.ORIGIN_REFUSED, f"it asks the host {printable(repr(host))}")
    own = {f"{scheme}://{host}".lower() for scheme in ("http", "https")}
    if origin is not None and origin.lower() not in own | {one.lower() for one in allowed}:
        raise RequestError(Code.ORIGIN_REFUSED, f"it comes from {printable(repr(origin))}")


def check_own_page(host: str | None, origin: str | None) -> None:
    """Raise ``RequestError(origin_refused)`` if a request comes from a page of another origin than its host.

    Browsers say so with whatever changes something. The scheme is left out: a proxy may speak another one.
    """
    if origin is not None and origin.lower().partition("://")[2] != (host or "").lower():
        raise RequestError(Code.ORIGIN_REFUSED, f"it comes from {printable(repr(origin))}")


def is_loopback(name: str) -> bool:
    """Tell whether a host's name or address is this machine for itself, whatever a name server says."""
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
