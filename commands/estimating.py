"""Dry runs over the API: a sample of a list, tried in a thread of the service."""

import threading
import weakref
from dataclasses import asdict
from functools import partial
from typing import Any

from commands.label_run import LabelRun
from commands.progress import Silent
from commands.sample_run import SampleRun
from producer.binary_lists import plain_name, spooled, unpacked
from producer.estimate import Estimate
from producer.references import ListColumns, UrlEntries
from producer.sources import read_stream
from results_api.submissions import JobList
from shared.errors import Code, RequestError
from shared.settings import Settings

#: Bytes that are read at a time.
_PIECE = 1 << 20


class Estimating:
    """Tries samples of lists; those that run are abandoned when the service ends."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running = weakref.WeakSet[LabelRun]()
        self._ending = threading.Event()

    def estimate(self, listed: JobList, images: int) -> dict[str, Any]:
        """Return what a list will come to as a JSON object, judged by so many of its images.

        Raises ``SmartSightError`` for a list that cannot be read or holds no URL.
        """
        options = listed.options
        pieces = iter(partial(listed.file.read, _PIECE), b"")
        limit = self._settings.unpacked_bytes
        with spooled(unpacked(listed.name, pieces, limit)) as file:
            columns = ListColumns(options.column, options.id_column)
            entries = UrlEntries(read_stream(plain_name(listed.name), file, columns, limit))
            run = SampleRun(entries, images, options.model or self._settings.model, self._settings)
        if not run.listed.total:
            raise RequestError(Code.NOTHING_TO_LABEL, listed.name)
        found = run.run(self._begun, Silent())
        return _as_json(found) | {"malformed": entries.malformed}

    def abandon(self) -> None:
        """Stop all samples soon, and take no more."""
        self._ending.set()
        for run in list(self._running):
            run.abandon()

    def _begun(self, run: LabelRun) -> None:
        self._running.add(run)
        if self._ending.is_set():
            run.abandon()


def _as_json(found: Estimate) -> dict[str, Any]:
    """Return an estimate with its pairs as objects."""
    causes = [{"code": code, "part": part, "message": code.sentence} for code, part in found.causes]
    forbidding = [{"host": host, "code": code} for host, code in found.forbidding]
    return asdict(found) | {"causes": causes, "forbidding": forbidding}
