"""Turn what the HTTP client raises into our errors, which say no more than a stranger may know."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.errors import Code, ItemError
from worker.fetching.guard import NotAllowedError


@asynccontextmanager
async def translated(url: str) -> AsyncIterator[None]:
    """Turn aiohttp's errors into ours, and note the URL at which they came."""
    import aiohttp

    try:
        yield
    except ItemError as error:
        error.final_url = error.final_url or url
        raise
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise ItemError(_code_of_error(error), "", final_url=url) from error


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
