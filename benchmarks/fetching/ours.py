"""Where these measurements meet what they measure of ours: a fetcher, a command and its settings."""

from pathlib import Path

from aiohttp import TCPConnector
from aiohttp.abc import AbstractResolver

from benchmarks.measure import smartsight
from shared.settings import Settings
from worker.fetching.fetcher import Fetcher
from worker.fetching.web import WebFetcher

#: How long one image may take in the job with hosts in trouble, in seconds.
_TIMEOUT = 5
#: What the command of that job has in its environment.
ENVIRONMENT = {"SMARTSIGHT_FETCH_TIMEOUT": str(_TIMEOUT)}
#: Seconds that a host in trouble may take of its own: four attempts, and 1, 5 and 15 seconds between them.
OWN_DEADLINE = 4 * _TIMEOUT + 21


def open_fetcher(names: AbstractResolver) -> Fetcher:
    """Return the fetcher as a worker has it, save that it asks ``names`` for addresses."""
    settings = Settings()
    fetcher = WebFetcher(settings.max_bytes, settings.fetch_timeout)
    connector = fetcher._open_session().connector
    assert isinstance(connector, TCPConnector)
    connector._resolver = names  # the plain fetcher has no place for one
    return fetcher


def label_command(source: Path, database: str, output: Path) -> list[str]:
    """Return the command that labels a list."""
    return smartsight("label", str(source), "--db", database, "--output", str(output))
