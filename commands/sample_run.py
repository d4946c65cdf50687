"""Fetch and label a sample of a list, and estimate what the whole will come to; nothing of it is kept."""

import random
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from commands.label_run import LabelRun
from commands.parts import ROBOT, cores, open_decoders, open_store
from commands.progress import Progress
from producer.estimate import (
    CrawlLimits,
    Estimate,
    ListProfile,
    SampledReference,
    estimate,
    profile_list,
    sample,
)
from producer.references import Entry, Reference
from producer.sources import InputSources, read_sources
from producer.submit import survey
from results_api.rows import Row
from shared.classifier.catalogue import open_classifier
from shared.fetching.robots import parse_rules
from shared.settings import Settings
from shared.store.database import Database
from shared.store.store import Outcome, Store

_TOP = 5
#: The same list has the same sample.
_SEED = 0
#: Hosts that a reference and its redirects can lead to.
_HOSTS_A_REFERENCE = 4
_A_DAY = 24 * 3600.0


class _NullWriter:
    """Drops the rows of a sample."""

    def write(self, rows: Sequence[Row]) -> None:
        """Do nothing."""


class SampleRun:
    """A list that was looked through, and a sample of it, to be tried with a model."""

    def __init__(self, entries: Iterable[Entry], images: int, model: str, settings: Settings) -> None:
        chance = random.Random(_SEED)
        self.listed = profile_list((one.ref for one in entries if isinstance(one, Reference)), chance)
        self.sampled = sample(self.listed, images, chance)
        self._model = model
        self._settings = settings

    def run(self, started: Callable[[LabelRun], None], progress: Progress | None = None) -> Estimate:
        """Try the sample, and return what it says of the whole list, which has a reference at least."""
        with tempfile.TemporaryDirectory() as folder:
            found, delays = self._label(Path(folder), started, progress)
        by_ref = {outcome.item.ref: outcome.result for outcome in found}
        pace = CrawlLimits(self._settings.host_connections, delays, self._settings.host_delay, cores())
        return estimate(self.listed, self.sampled, [by_ref[one.ref] for one in self.sampled], pace)

    def _label(
        self, folder: Path, started: Callable[[LabelRun], None], progress: Progress | None
    ) -> tuple[list[Outcome], dict[str, float]]:
        """Label a sample as `smartsight label` does, in a database that is thrown away.

        Returns the outcomes, and the seconds that hosts want between two requests.
        """
        file = folder / "sample.txt"
        file.write_text("".join(f"{one.ref}\n" for one in self.sampled), "utf-8")
        sources = InputSources([str(file)])
        with (
            open_decoders(self._settings, cores()) as decoders,
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
    """Return the pauses that hosts want, by their robots.txt or by the answers that they gave."""
    known = store.hosts.page("", _HOSTS_A_REFERENCE * len(sampled))
    delays = {host.state.host: host.state.delay for host in known}
    for one in sampled:
        scheme, _, rest = one.ref.partition("://")
        origin = f"{scheme.lower()}://{rest.partition('/')[0].lower()}"
        rules = parse_rules(store.hosts.robots(origin, _A_DAY) or "", ROBOT.lower())
        delays[one.host] = max(delays.get(one.host, 0.0), rules.delay)
    return delays


def found_in(listed: ListProfile) -> str:
    """Say how long a list is."""
    return f"{listed.total} references, {len(listed.shares)} hosts at least"
