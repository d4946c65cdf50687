"""Turn what the HTTP client raises into our errors, which say no more than a stranger may know."""

from shared.errors import Code, ItemError
from worker.fetching.guard import NotAllowedError


class Translated:
    """Turns aiohttp's errors into ours, and notes at which URL they came, and after which status if any."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.status: int | None = None

    def __enter__(self) -> "Translated":
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None:
            return
        if isinstance(error, ItemError):
            error.final_url = error.final_url or self._url
            error.http_status = error.http_status or self.status
        elif isinstance(error, _foreign()):
            raise ItemError(_code_of_error(error), "", self.status, final_url=self._url) from error


def _foreign() -> tuple[type[Exception], ...]:
    import aiohttp

    return aiohttp.ClientError, OSError, ValueError


def _code_of_error(error: Exception) -> Code:
    import aiohttp

    if isinstance(getattr(error, "os_error", error), NotAllowedError):
        return Code.URL_NOT_ALLOWED
    # From the narrow types to the broad: the first that fits decides.
    codes: list[tuple[type[Exception], Code]] = [
        (aiohttp.InvalidURL, Code.URL_NOT_ALLOWED),
        (aiohttp.ClientConnectorDNSError, Code.DNS_FAILED),
        (aiohttp.ClientSSLError, Code.TLS_FAILED),
        (aiohttp.ConnectionTimeoutError, Code.CONNECT_TIMEOUT),
        (TimeoutError, Code.FETCH_TIMEOUT),
        (aiohttp.ClientConnectorError, Code.CONNECT_FAILED),
        (ValueError, Code.URL_NOT_ALLOWED),  # such as a host name that cannot be encoded
    ]
    return next((code for kind, code in codes if isinstance(error, kind)), Code.FETCH_FAILED)
