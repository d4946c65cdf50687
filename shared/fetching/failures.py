"""What can become of a request: its failures as our errors, which say no more than a stranger may know."""

from shared.errors import Code, ItemError
from shared.fetching.deadline import Deadline
from shared.fetching.guard import NotAllowedError


class RequestContext:
    """One request: ends it in time, turns aiohttp's errors into ours, and notes where and how far it came."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self._deadline = Deadline(seconds)
        self.moved = self._deadline.moved
        self.status: int | None = None

    def __enter__(self) -> "RequestContext":
        self._deadline.begin()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            self._deadline.end(error)
        except TimeoutError as too_late:
            raise self._failure(Code.FETCH_TIMEOUT) from too_late
        if isinstance(error, ItemError):
            error.final_url = error.final_url or self._url
            error.http_status = error.http_status or self.status
        elif error is not None and isinstance(error, _foreign()):
            raise self._failure(_code_of_error(error)) from error

    def _failure(self, code: Code) -> ItemError:
        return ItemError(code, "", self.status, final_url=self._url)


def _foreign() -> tuple[type[Exception], ...]:
    import aiohttp

    return aiohttp.ClientError, OSError, ValueError


def _code_of_error(error: BaseException) -> Code:
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
