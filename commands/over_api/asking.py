"""Ask the API for a command: what it tells becomes what commands show, its refusals become theirs."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from api_client import Client, Job
from commands.description import Described
from shared.errors import Code, RequestError, ResourceError, UsageError
from shared.items import ItemState
from shared.settings import Settings
from shared.store.store import Tally

_KNOWN = frozenset(Code)
#: What commands take for wrong usage when they look themselves.
_WRONG_USAGE = (
    *(Code.JOB_UNKNOWN, Code.JOB_NOT_READY, Code.KEY_TAKEN, Code.COLUMN_UNKNOWN, Code.MODEL_UNKNOWN),
    *(Code.REQUEST_INVALID, Code.CLASS_UNKNOWN, Code.WEBHOOK_INVALID),
)


@contextmanager
def open_client(options: Namespace, settings: Settings) -> Iterator[Client]:
    """Give a client of the API that is meant; what it refuses ends a command as if there were no API."""
    with Client(options.api or settings.api_url, settings.api_key) as client, _translated():
        yield client


def place(options: Namespace) -> str:
    """Return what a command says to reach the same API."""
    return f" --api {options.api}" if options.api else " --api"


def described(job: Job, options: Namespace) -> Described:
    """Return a job of the API with all that is shown of it."""
    return Described(
        job.id,
        job.name,
        job.state,
        job.reason,
        job.model,
        job.created_at,
        job.finished_at,
        job.submitted,
        job.recorded,
        _tallies(job),
        place=place(options),
    )


def _tallies(job: Job) -> list[Tally]:
    """Return how many images ended in each way; a cause that only a newer API knows is not named."""
    named = [Tally(count.state, Code(count.code), count.count) for count in job.codes if count.code in _KNOWN]
    rest = dict(job.counts)
    del rest[ItemState.PENDING]
    for tally in named:
        rest[tally.state] -= tally.count
    found = [*(Tally(state, None, count) for state, count in rest.items() if count > 0), *named]
    return sorted(found, key=lambda tally: (tally.state, tally.code or ""))  # as the database has them


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except RequestError as error:
        if error.code in _WRONG_USAGE:
            raise UsageError(error.code, error.detail) from error
        raise ResourceError(error.code, error.detail) from error
