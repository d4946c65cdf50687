"""Dry runs: fetch and label a sample of a list, and estimate the whole; nothing is recorded."""

import random
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from commands.label_run import LabelRun
from commands.parts import ROBOT, cores, list_budget, make_guard, open_decoders, open_store
from commands.progress import Progress, Silent
from commands.terminal import quiet_logs, say
from producer.estimate import CrawlLimits, SampledReference, estimate, profile_list, sample
from producer.references import Entry, ListColumns, Reference
from producer.sources import InputSources, read_sources
from producer.submit import survey
from producer.uploaded_lists import uploaded
from results_api.rows import Row
from results_api.submissions import JobList
from shared.classifier.catalogue import open_classifier
from shared.errors import Code, RequestError, ResourceError
from shared.estimate import Estimate
from shared.fetching.robots import parse_rules
from shared.hosts import host_of
from shared.settings import Settings
from shared.store.database import Database
from shared.store.store import Outcome, Store

_TOP = 5
#: The same list has the same sample.
_SEED = 0
#: Hosts that a reference and its redirects can lead to.
_HOSTS_A_REFERENCE = 4
_DAY = 24 * 3600.0
#: Bytes of a submitted list that are read at a time.
_CHUNK = 1 << 20


def try_sample(entries: Iterable[Entry], images: int, model: str, settings: Settings, name: str) -> Estimate:
    """Estimate a list on this machine, telling on standard error what is tried.

    Raises ``ResourceError(nothing_to_label)``, with the list's name, if it holds no reference.
    """
    run = SampleRun(entries, images, model, settings)
    listed = run.listed
    if not listed.total:
        raise ResourceError(Code.NOTHING_TO_LABEL, name)
    say(
        f"{listed.total} references, at least {len(listed.shares)} hosts; "
        f"trying {len(run.sampled)} of them ..."
    )
    quiet_logs()
    return run.run(lambda _: None)


class Estimator:
    """Estimates lists for the API, in threads of the service; ``abandon`` stops them all."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running = weakref.WeakSet[LabelRun]()
        self._ending = threading.Event()

    def estimate(self, listed: JobList, images: int) -> Estimate:
        """Estimate a submitted list by a sample of so many images.

        Raises ``SmartSightError`` for a list that cannot be read or holds no URL.
        """
        options = listed.options
        chunks = iter(partial(listed.file.read, _CHUNK), b"")
        columns, budget = ListColumns(options.column, options.id_column), list_budget(self._settings)
        with uploaded(listed.name, chunks, columns, budget, self._check) as found:
            run = SampleRun(found.entries(), images, options.model or self._settings.model, self._settings)
        if not run.listed.total:
            raise RequestError(Code.NOTHING_TO_LABEL, listed.name)
        return replace(run.run(self._started, Silent()), malformed=found.malformed)

    def abandon(self) -> None:
        """Stop all estimates soon, and accept no more."""
        self._ending.set()
        for run in list(self._running):
            run.abandon()

    def _check(self) -> None:
        if self._ending.is_set():
            raise RequestError(Code.SHUTTING_DOWN)

    def _started(self, run: LabelRun) -> None:
        self._running.add(run)
        if self._ending.is_set():
            run.abandon()


class _NullWriter:
    """Drops the rows of a sample."""

    def write(self, rows: Sequence[Row]) -> None:
        """Do nothing."""


class SampleRun:
    """The profile of a list and a sample of it, to be tried with a model."""

    def __init__(self, entries: Iterable[Entry], images: int, model: str, settings: Settings) -> None:
        chance = random.Random(_SEED)
        self.listed = profile_list((one.ref for one in entries if isinstance(one, Reference)), chance)
        self.sampled = sample(self.listed, images, chance)
        self._model = model
        self._settings = settings

    def run(self, started: Callable[[LabelRun], None], progress: Progress | None = None) -> Estimate:
        """Fetch and label the sample, and estimate the whole list, which has at least one reference."""
        with tempfile.TemporaryDirectory() as folder:
            found, delays = self._label(Path(folder), started, progress)
        by_ref = {outcome.item.ref: outcome.result for outcome in found}
        limits = CrawlLimits(
            self._settings.host_connections,
            delays,
            self._settings.host_delay,
            cores(),
            self.unlimited_hosts(),
            self._settings.concurrency,
        )
        return estimate(self.listed, self.sampled, [by_ref[one.ref] for one in self.sampled], limits)

    def unlimited_hosts(self) -> set[str]:
        """Return the operator's own hosts, and those of URLs that are refused without a request."""
        gate = make_guard(self._settings)
        hosts = {host_of(ref) for ref in self.listed.kept if gate.throttled_host(ref) is None}
        limited = {host_of(ref) for ref in self.listed.kept if gate.throttled_host(ref) is not None}
        return {host for host in hosts - limited if host}

    def _label(
        self, folder: Path, started: Callable[[LabelRun], None], progress: Progress | None
    ) -> tuple[list[Outcome], dict[str, float]]:
        """Label the sample as `smartsight label` does, in a temporary database.

        Returns the outcomes, and the seconds that hosts want between two requests.
        """
        file = folder / "sample.txt"
        file.write_text("".join(f"{one.ref}\n" for one in self.sampled), "utf-8")
        sources = InputSources([str(file)])
        with (
            open_decoders(self._settings) as decoders,
            open_store(self._settings) as real,
            closing(Database(f"sqlite:///{folder / 'sample.db'}")) as database,
        ):
            store = Store(database)
            store.deny_list = real.deny_list
            classifier = open_classifier(self._settings, self._model, "auto", cores(), decoders.decode)
            run = LabelRun(store, classifier, survey(read_sources(sources)), _TOP, "sample")
            started(run)
            run.run(sources, replace(self._settings, thumbnail_side=0), _NullWriter(), progress)
            return store.results.outcomes(run.job.id, -1, len(self.sampled)), _delays(store, self.sampled)


def _delays(store: Store, sampled: Sequence[SampledReference]) -> dict[str, float]:
    """Return the pauses that hosts want, by their robots.txt or their responses."""
    known = store.hosts.page("", _HOSTS_A_REFERENCE * len(sampled))
    delays = {host.state.host: host.state.delay for host in known}
    for one in sampled:
        scheme, _, rest = one.ref.partition("://")
        origin = f"{scheme.lower()}://{rest.partition('/')[0].lower()}"
        rules = parse_rules(store.hosts.robots(origin, _DAY) or "", ROBOT.lower())
        delays[one.host] = max(delays.get(one.host, 0.0), rules.delay)
    return delays
