"""What is to be expected of a list, in words."""

from collections.abc import Iterator

from producer.estimate import Estimate

#: Forbidding hosts that are named.
_NAMED = 10
_UNITS = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


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
