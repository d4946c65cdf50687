"""`smartsight submit --dry-run`: fetch and label a sample of a list, and say what the whole will come to."""

from argparse import Namespace
from collections.abc import Iterable, Iterator

from commands.logs import quiet_logs
from commands.messages import say
from commands.sample_run import SampleRun, found_in
from commands.stdout import show
from producer.entries import Entry
from producer.estimate import Estimate
from shared.errors import Code, ResourceError
from shared.settings import Settings

#: Forbidding hosts that are named.
_NAMED = 10
_UNITS = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


def run_dry(options: Namespace, settings: Settings, entries: Iterable[Entry]) -> int:
    """Say what is to be expected of a list; nothing of it is recorded."""
    run = SampleRun(entries, options.sample, options.model or settings.model, settings)
    if not run.listed.total:
        raise ResourceError(Code.NOTHING_TO_LABEL, ", ".join(options.sources))
    say(f"{found_in(run.listed)}; trying {len(run.sampled)} of them ...")
    quiet_logs()
    show(*words_of(run.run(lambda _: None)))
    return 0


def words_of(found: Estimate) -> Iterator[str]:
    """Yield what an estimate says, a line each."""
    yield (
        f"expected to succeed  {found.success:.1%}, with 95 % confidence {found.low:.1%} to {found.high:.1%} "
        f"({found.sampled} tried of {found.references})"
    )
    for code, part in found.causes:
        yield f"  {part:>7.1%} {code}: {code.sentence}"
    yield f"the same reference   {found.duplicates:.1%} of them occur earlier in the list"
    yield f"the same content     {found.same_content:.1%} of the images were seen under another URL"
    yield f"to be fetched        about {_size(found.bytes)}"
    bound = (
        f"{found.bound_by} may not be called faster" if found.bound_by else "labelling, on this machine alone"
    )
    yield f"takes                about {_duration(found.seconds)}: {bound}"
    for host, code in found.forbidding[:_NAMED]:
        yield f"forbids it           {host} ({code})"
    if len(found.forbidding) > _NAMED:
        yield f"                     and {len(found.forbidding) - _NAMED} hosts more"


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _duration(seconds: float) -> str:
    length, unit = next(((length, unit) for length, unit in _UNITS if seconds >= 2 * length), _UNITS[-1])
    return f"{seconds / length:.0f} {unit}"
