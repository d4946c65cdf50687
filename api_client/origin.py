"""Where the API is, and whether its key may be sent there."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from shared.errors import Code, UsageError


def checked_origin(url: str) -> str:
    """Return the origin that a URL names; raise ``UsageError(setting_invalid)`` if it is none.

    A path is refused: an image's URL that was meant as something else must not be sent a key.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(Code.SETTING_INVALID, f"the API's URL: {error}") from None
    rest = parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None
    if parts.scheme not in ("http", "https") or not parts.hostname or rest:
        raise UsageError(Code.SETTING_INVALID, "the API's URL is not http(s)://HOST or http(s)://HOST:PORT")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")


def is_loopback(origin: str) -> bool:
    """Tell whether what is sent there stays on this machine."""
    host = urlsplit(origin).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def check_key(origin: str, key: str) -> None:
    """Raise ``UsageError`` if a key cannot be one, or if others on the way could read it."""
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(Code.KEY_INVALID, "it has characters that no key has")
    if key and origin.startswith("http://") and not is_loopback(origin):
        detail = f"{origin}: others could read the key on the way; say https"
        raise UsageError(Code.SETTING_INVALID, detail)
