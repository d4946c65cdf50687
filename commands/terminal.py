"""What a command prints: results on standard output, notes and errors on standard error, and logs."""

import contextlib
import json
import logging
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from shared.errors import Code, ResourceError, printable
from shared.job_outcome import Tone

if TYPE_CHECKING:
    from results_api.rows import Row

#: Fields of a JSON log line, beside the time and the extra fields of the record.
_LOG_FIELDS = "%(levelname)s %(name)s %(message)s"
#: What every log record has: all else are fields of an event.
_RECORD_ATTRIBUTES = {*vars(logging.makeLogRecord({})), "message", "asctime"}
_REF_WIDTH = 32
#: Colours of tones: parameters of the control sequence SGR (ECMA-48, 8.3.117).
_COLOURS = {Tone.ACTIVE: 36, Tone.GOOD: 32, Tone.MIXED: 33, Tone.BAD: 31, Tone.STILL: 2}
#: What `--verbose` and `--quiet` made of this process.
_verbosity = "normal"
#: Levels of the root logger and of ours.
_LEVELS = {
    "quiet": (logging.ERROR, logging.ERROR),
    "normal": (logging.WARNING, logging.INFO),
    "verbose": (logging.INFO, logging.DEBUG),
}


def show(*lines: str) -> None:
    """Print lines on standard output at once; raise ``ResourceError(output_unwritable)`` on a full disk."""
    try:
        print(*lines, sep="\n", flush=True)
    except BrokenPipeError:
        raise  # the reader has closed the pipe: not a failure of ours
    except OSError as error:
        sys.stdout = None  # or Python writes the buffer again at exit, and complains
        raise ResourceError(Code.OUTPUT_UNWRITABLE, f"standard output: {error.strerror}") from error


def show_json(data: object) -> None:
    """Print JSON on standard output, indented, as ``show`` prints lines."""
    show(json.dumps(data, ensure_ascii=False, indent=2))


def painted(text: str, tone: Tone, stream: TextIO | None = None) -> str:
    """Return text in the colour of its tone if the stream, by default standard output, shows colours.

    A terminal does, unless ``NO_COLOR`` is set (https://no-color.org) or it is a dumb one.
    """
    stream = stream or sys.stdout
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{_COLOURS[tone]}m{text}\x1b[0m"


def say(line: str, *, always: bool = False) -> None:
    """Print a note on standard error, unless the command is quiet; errors are printed ``always``.

    A line that cannot be written is dropped, and the work goes on.
    """
    if always or not is_quiet():
        with contextlib.suppress(OSError):
            print(line, file=sys.stderr, flush=True)


def set_verbosity(verbosity: str) -> None:
    """Set what is printed on standard error: ``quiet``, ``normal`` or ``verbose``."""
    global _verbosity
    _verbosity = verbosity
    root, ours = _LEVELS[verbosity]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(EventFormatter())
    logging.basicConfig(handlers=[handler])
    logging.getLogger().setLevel(root)
    logging.getLogger("smartsight").setLevel(ours)
    # It would log every statement with its parameters.
    logging.getLogger("sqlalchemy.engine").setLevel(logging.WARNING)


class EventFormatter(logging.Formatter):
    """Writes an event as one line for people: its name, then its fields as ``name=value``, made printable."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line of a record, before its exception, if any."""
        fields = (
            f"{name}={printable(str(value))}"
            for name, value in vars(record).items()
            if _is_field(name, value)
        )
        return " ".join([record.message, *fields])


def _is_field(name: str, value: object) -> bool:
    return name not in _RECORD_ATTRIBUTES and value not in (None, "")


def is_quiet() -> bool:
    """Tell whether only errors are to be printed on standard error."""
    return _verbosity == "quiet"


def verbosity_options() -> list[str]:
    """Return the options that make another process of ours as verbose as this one."""
    return [] if _verbosity == "normal" else [f"--{_verbosity}"]


def log_as_json() -> None:
    """Write logs as JSON lines on standard error, unless that is a terminal."""
    if sys.stderr.isatty():
        return
    from pythonjsonlogger.json import JsonFormatter

    renamed = {"levelname": "level", "name": "logger"}
    formatter = JsonFormatter(_LOG_FIELDS, timestamp=True, rename_fields=renamed)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(formatter)


def quiet_logs() -> None:
    """Log errors only, unless verbose: a warning for each failed image would repeat the results."""
    if _verbosity != "verbose":
        logging.getLogger("smartsight").setLevel(logging.ERROR)


class ResultLines:
    """Writes one line for each result: its reference, best class and score."""

    def write(self, rows: Sequence["Row"]) -> None:
        """Print these results."""
        show(*map(line_of, rows))


def line_of(row: "Row") -> str:
    """Return the line of one result."""
    ref = f"{row['ref']:<{_REF_WIDTH}}"
    if row["predictions"]:
        best = row["predictions"][0]
        return f"{ref}  {best['score']:.3f}  {best['class']}"
    return f"{ref}  {row['state']}  {row['code']}: {row['message']}"
