"""`smartsight submit --dry-run`: fetch and label a sample of a list, and say what the whole will come to."""

import random
import tempfile
from argparse import Namespace
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from commands.estimates import words_of
from commands.label_run import LabelRun
from commands.messages import say
from commands.parts import ROBOT, cores, open_decoders
from commands.stdout import show
from producer.entries import Entry, Reference
from producer.estimate import Pace, estimate
from producer.references import Sources, read_sources
from producer.sampling import Listed, Sampled, look_through, sample
from producer.submit import survey
from results_api.rows import Row
from shared.classifier.catalogue import open_classifier
from shared.errors import Code, ResourceError
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


class _Nowhere:
    """Takes rows, of a sample that is not written anywhere."""

    def write(self, rows: list[Row]) -> None:
        """See ``RowWriter``."""

    def finish(self) -> None:
        """See ``RowWriter``."""


def run_dry(options: Namespace, settings: Settings, entries: Iterable[Entry]) -> int:
    """Say what is to be expected of a list; nothing of it is recorded."""
    chance = random.Random(_SEED)
    listed = look_through((entry.ref for entry in entries if isinstance(entry, Reference)), chance)
    if not listed.total:
        raise ResourceError(Code.NOTHING_TO_LABEL, ", ".join(options.sources))
    sampled = sample(listed, options.sample, chance)
    say(f"{_listed(listed)}; trying {len(sampled)} of them ...")
    with tempfile.TemporaryDirectory() as folder:
        found, delays = _label(sampled, options, settings, Path(folder))
    by_ref = {outcome.item.ref: outcome.result for outcome in found}
    pace = Pace(settings.host_connections, delays, settings.host_delay, cores())
    show(*words_of(estimate(listed, sampled, [by_ref[one.ref] for one in sampled], pace)))
    return 0


def _listed(listed: Listed) -> str:
    return f"{listed.total} references, {len(listed.shares)} hosts at least"


def _label(
    sampled: Sequence[Sampled], options: Namespace, settings: Settings, folder: Path
) -> tuple[list[Outcome], dict[str, float]]:
    """Label a sample as `smartsight label` does, in a database that is thrown away.

    Returns the outcomes, and the seconds that hosts want between two requests.
    """
    file = folder / "sample.txt"
    file.write_text("".join(f"{one.ref}\n" for one in sampled), "utf-8")
    sources = Sources([str(file)])
    with (
        open_decoders(settings, cores()) as decoders,
        closing(Database(f"sqlite:///{folder / 'sample.db'}")) as database,
    ):
        name, store = options.model or settings.model, Store(database)
        classifier = open_classifier(settings, name, "auto", cores(), decoders.decode)
        run = LabelRun(store, classifier, survey(read_sources(sources)), _TOP, "sample")
        run.run(sources, settings, _Nowhere())
        return store.outcomes(run.job.id, -1, len(sampled)), _delays(store, sampled)


def _delays(store: Store, sampled: Sequence[Sampled]) -> dict[str, float]:
    """Return the pauses that hosts want, by their robots.txt or by the answers that they gave."""
    known = store.listed_hosts("", _HOSTS_A_REFERENCE * len(sampled))
    delays = {host.state.host: host.state.delay for host in known}
    for one in sampled:
        scheme, _, rest = one.ref.partition("://")
        origin = f"{scheme.lower()}://{rest.partition('/')[0].lower()}"
        rules = parse_rules(store.robots_of(origin, _A_DAY) or "", ROBOT.lower())
        delays[one.host] = max(delays.get(one.host, 0.0), rules.delay)
    return delays
