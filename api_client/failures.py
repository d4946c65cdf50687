"""Why the API gave no answer that is of use."""

from shared.errors import Code, RequestError


class UnansweredError(RequestError):
    """Nothing answers, or the answer broke off; ``sent`` tells whether the request may have arrived."""

    def __init__(self, detail: str, sent: bool, retry_after: float | None = None) -> None:
        super().__init__(Code.API_UNAVAILABLE, detail, retry_after)
        self.sent = sent


class RefusedError(RequestError):
    """What came back is a failure, with this HTTP status."""

    def __init__(self, code: Code, detail: str, status: int, retry_after: float | None = None) -> None:
        super().__init__(code, detail, retry_after)
        self.status = status


def not_ours(what: str, status: int = 200) -> RefusedError:
    """Return the failure of an answer that this API does not give."""
    return RefusedError(Code.API_REFUSED, what, status)
