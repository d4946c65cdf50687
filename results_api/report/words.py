"""Causes of failures, in words for people."""

from shared.errors import Code, printable

#: Why images of a host end with a code, to follow "because"; other codes have their sentence.
_BECAUSE = {
    Code.URL_NOT_ALLOWED: "{host} is not a public host, or their URLs are neither http nor https",
    Code.DNS_FAILED: "the name {host} could not be resolved",
    Code.CONNECT_FAILED: "{host} refuses connections",
    Code.CONNECT_TIMEOUT: "{host} does not respond in time",
    Code.TLS_FAILED: "the TLS handshake with {host} fails",
    Code.FETCH_TIMEOUT: "{host} sends them too slowly",
    Code.FETCH_FAILED: "the connection to {host} breaks",
    Code.TOO_MANY_REDIRECTS: "{host} redirects too often",
    Code.RATE_LIMITED: "{host} answers 429",
    Code.HTTP_401: "{host} requires a login (401)",
    Code.HTTP_403: "{host} forbids access to them (403)",
    Code.HTTP_404: "{host} has nothing at their URLs (404)",
    Code.HTTP_408: "{host} reports request timeouts (408)",
    Code.HTTP_410: "{host} removed them for good (410)",
    Code.HTTP_425: "{host} asks to retry later (425)",
    Code.HTTP_4XX: "{host} rejects the requests (4xx)",
    Code.HTTP_5XX: "{host} has an internal error (5xx)",
    Code.HTTP_UNEXPECTED: "{host} responds with an unexpected status",
    Code.HTTP_INVALID: "{host} responds with invalid HTTP",
    Code.HOST_DOWN: "{host} failed repeatedly, and was backed off",
    Code.ROBOTS_DISALLOWED: "the robots.txt of {host} disallows them",
    Code.OPTED_OUT: "{host} opts out of their use (X-Robots-Tag)",
    Code.HOST_BLOCKED: "{host} was blocked by `smartsight hosts block`",
    Code.PLACEHOLDER: "{host} sends a placeholder in their place",
    Code.TOO_MANY_BYTES: "{host} sends files above the byte limit",
    Code.TOO_MANY_PIXELS: "{host} sends pictures above the pixel limit",
    Code.EMPTY_FILE: "{host} sends empty files",
    Code.NOT_AN_IMAGE: "{host} sends something else than images",
    Code.UNSUPPORTED_FORMAT: "{host} sends unsupported formats",
    Code.IMAGE_TRUNCATED: "{host} sends truncated images",
    Code.IMAGE_CORRUPT: "{host} sends corrupt images",
}


def because(code: Code, host: str | None) -> str:
    """Return why images of a host ended with a code, to follow their count."""
    if host is None:
        return f": {code.sentence}"
    if code in _BECAUSE:
        return " because " + _BECAUSE[code].format(host=printable(host))
    return f" at {printable(host)}: {code.sentence}"
