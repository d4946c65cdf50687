"""Print on standard output, which may be a full disk."""

import sys

from shared.errors import Code, ResourceError


def show(*lines: str) -> None:
    """Print lines at once; raise ``ResourceError(output_unwritable)`` if they find no place."""
    try:
        print(*lines, sep="\n", flush=True)
    except BrokenPipeError:
        raise  # whoever reads our output has seen enough: no failure
    except OSError as error:
        _forget_buffered()
        raise ResourceError(Code.OUTPUT_UNWRITABLE, f"standard output: {error.strerror}") from error


def _forget_buffered() -> None:
    """Keep Python from trying to write the same again, and complaining, when it exits."""
    sys.stdout = None
